/**
 * What a worker is handed: a small object that stands for a lease, and whose every method is a call.
 *
 * The names of the methods are not known here, so a proxy stands at the end of the prototype chain, where a missing name ends up.
 * The first use of a name leaves an accessor on the prototype: afterwards the proxy is not asked, and making an object costs two fields.
 */
import { inspect } from 'node:util';
import type { Remote, SyncRemote } from './types.ts';

/** Which lease an object stands for. */
export interface LeaseOf {
  readonly slot: number;
  readonly lease: number;
}

export interface RemoteClass<R> {
  make(slot: number, lease: number): R;
  /** True for objects of this class, whether their lease is over or not. */
  owns(value: unknown): boolean;
  slot(value: unknown): number;
  lease(value: unknown): number;
}

export type Call = (slot: number, lease: number, method: string, args: readonly unknown[]) => unknown;

/** One class for each attachment and way of calling. `label` is what inspecting an object says. */
export function remoteClass<R extends Remote<unknown> | SyncRemote<unknown>>(label: string, call: Call): RemoteClass<R> {
  class Leased {
    readonly #slot: number;
    readonly #lease: number;

    constructor(slot: number, lease: number) {
      this.#slot = slot;
      this.#lease = lease;
    }

    static owns(value: unknown): boolean {
      return typeof value === 'object' && value !== null && #slot in value;
    }

    static slot(value: unknown): number {
      return (value as Leased).#slot;
    }

    static lease(value: unknown): number {
      return (value as Leased).#lease;
    }

    /** A function that may be passed around: it remembers its lease. */
    static method(value: Leased, name: string): (...args: unknown[]) => unknown {
      const slot = value.#slot;
      const lease = value.#lease;
      return (...args) => call(slot, lease, name, args);
    }

    [Symbol.toPrimitive](): string {
      return `[${label}]`;
    }

    [inspect.custom](): string {
      return `[${label}]`;
    }
  }

  const { prototype } = Leased;
  // 'constructor' is a name like any other here, and answered like one that is not exposed. A thenable would be called by every await.
  delete (prototype as { constructor?: unknown }).constructor;
  Object.defineProperty(prototype, 'then', { value: undefined });
  const missing = new Proxy(Object.create(null), {
    get(_target, name, receiver): unknown {
      if (typeof name !== 'string' || !Leased.owns(receiver)) return undefined;
      Object.defineProperty(prototype, name, {
        configurable: true,
        get(this: Leased) {
          return Leased.owns(this) ? Leased.method(this, name) : undefined;
        },
        // Whoever puts a property of its own on a hand-out gets just that.
        set(this: Leased, value: unknown) {
          Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
        },
      });
      return Leased.method(receiver as Leased, name);
    },
  });
  Object.setPrototypeOf(prototype, missing);

  return {
    make: (slot, lease) => new Leased(slot, lease) as unknown as R,
    owns: Leased.owns,
    slot: Leased.slot,
    lease: Leased.lease,
  };
}
