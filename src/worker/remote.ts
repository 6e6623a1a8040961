/**
 * What a worker is handed: a small object that stands for a lease, and whose every method is a call.
 *
 * The names of the methods are not known here, so a proxy stands at the end of the prototype chain, where a missing name ends up.
 * The first use of a name leaves an accessor on the prototype: afterwards the proxy is not asked, and making an object costs three fields.
 * A proxy for each hand-out would be simpler, and cost several times what the rest of a hand-out does.
 */
import { inspect } from 'node:util';
import { NONE } from '../shared/words/line.ts';
import type { Remote, SyncRemote } from './types.ts';

/** Where an object sends its calls: one for each attachment and way of calling. */
export interface Caller {
  /** The attachment. */
  readonly pool: object;
  /** What inspecting an object says. */
  readonly label: string;
  /** The list of arguments is the callee's to keep. */
  call(slot: number, serial: number, method: string, args: unknown[]): unknown;
  /**
   * What calling a method comes to that is none of the resource's:
   * no message is sent, and nothing is rejected that a program would have to handle.
   */
  refuse(method: string): unknown;
  /** Does the pool's `expose` list this name? */
  exposes(method: string): boolean;
}

/**
 * One class for all pools and both ways of calling: a class for each would make every access to its fields see several shapes and several
 * private names, and V8 then looks them up (20 to 30 ns each, more than the rest of a hand-out).
 */
class Leased {
  readonly #caller: Caller;
  readonly #slot: number;
  readonly #serial: number;

  constructor(caller: Caller, slot: number, serial: number) {
    this.#caller = caller;
    this.#slot = slot;
    this.#serial = serial;
  }

  static caller(value: unknown): Caller | undefined {
    return typeof value === 'object' && value !== null && #caller in value ? value.#caller : undefined;
  }

  static slot(value: Leased): number {
    return value.#slot;
  }

  /** The slot of a lease of this attachment that is not over, or NONE. `serials`: those of its leases, by slot. */
  static current(value: unknown, pool: object, serials: readonly number[]): number {
    if (typeof value !== 'object' || value === null || !(#caller in value) || value.#caller.pool !== pool) return NONE;
    const slot = value.#slot;
    return serials[slot] === value.#serial ? slot : NONE;
  }

  static serial(value: Leased): number {
    return value.#serial;
  }

  /** A function that may be passed around: it remembers its lease. */
  static method(value: Leased, name: string): (...args: unknown[]) => unknown {
    const caller = value.#caller;
    const slot = value.#slot;
    const serial = value.#serial;
    return (...args) => caller.call(slot, serial, name, args);
  }

  /** The prototype has no caller, and may be printed, too. */
  [inspect.custom](): string {
    return `[${Leased.caller(this)?.label ?? 'Remote'}]`;
  }

  [Symbol.toPrimitive](): string {
    return this[inspect.custom]();
  }
}

/** Accessors are kept for so many names. Programs use few; but a name may also come from data, and then there is no end of them. */
const MOST_ACCESSORS = 1000;
let accessors = 0;

const { prototype } = Leased;
// A thenable would be called by every await.
Object.defineProperty(prototype, 'then', { value: undefined });

/**
 * Names by which a program does not mean the resource: the language, loggers and assertion libraries ask any object for them, and call what
 * they find. They are forwarded only where `expose` lists them. `found`: what is there otherwise.
 */
function keepLocal(name: string, found: (value: Leased, caller: Caller) => unknown): void {
  Object.defineProperty(prototype, name, {
    configurable: true,
    get(this: Leased) {
      const caller = Leased.caller(this);
      if (caller === undefined) return undefined;
      return caller.exposes(name) ? Leased.method(this, name) : found(this, caller);
    },
    set: setOwn(name),
  });
}

/** A program that puts a property of its own on a hand-out gets just that. */
function setOwn(name: string): (this: Leased, value: unknown) => void {
  return function (value) {
    Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
  };
}

// What every object has is nothing of the resource's. `String(remote)` does not come here: see Symbol.toPrimitive.
for (const name of Object.getOwnPropertyNames(Object.prototype)) keepLocal(name, (_, caller) => () => caller.refuse(name));
const PROBES = [
  'toJSON', // JSON.stringify, and so every logger
  'inspect', // older inspectors, chai
  ...['asymmetricMatch', '$$typeof', 'nodeType', 'tagName', 'hasAttribute'], // jest, vitest, React
  ...['toPostgres', 'toSqlString', 'toBSON', 'toISOString', 'toJS'], // what a value becomes as a parameter of a query
];
for (const name of PROBES) keepLocal(name, () => undefined);

const missing = new Proxy(Object.create(null), {
  get(_target, name, receiver): unknown {
    if (typeof name !== 'string' || Leased.caller(receiver) === undefined) return undefined;
    if (++accessors > MOST_ACCESSORS) return Leased.method(receiver as Leased, name);
    Object.defineProperty(prototype, name, {
      configurable: true,
      get(this: Leased) {
        return Leased.caller(this) === undefined ? undefined : Leased.method(this, name);
      },
      set: setOwn(name),
    });
    return Leased.method(receiver as Leased, name);
  },
});
Object.setPrototypeOf(prototype, missing);

/** The class, as the programs see it that its objects are handed to. */
export const RemoteHandle = Leased as unknown as new <R extends Remote<unknown> | SyncRemote<unknown>>(
  caller: Caller,
  slot: number,
  serial: number,
) => R;

/** The slot of a hand-out if its lease is still this thread's: see `Leased.current`. Asked when it is given back. */
export const currentSlot = Leased.current;

/**
 * The attachment that made this object, or undefined if it is none of ours.
 * Only then ask for its slot and the serial number of its lease, over or not.
 */
export const callerOf = (value: unknown): Caller | undefined => Leased.caller(value);
export const remoteSlot = (value: unknown): number => Leased.slot(value as Leased);
export const remoteSerial = (value: unknown): number => Leased.serial(value as Leased);
