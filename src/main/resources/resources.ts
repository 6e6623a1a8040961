/** What is in the slots: known to the owner alone. */
import { types } from 'node:util';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { NONE } from '../../shared/words/line.ts';

export class Resources<T> {
  readonly #bySlot: (T | undefined)[];
  readonly #slots = new Map<T, number>();
  readonly #retirement = new Map<number, NodeJS.Timeout>();
  /** Has any resource been a Proxy? One whose handler is revoked throws on every access. */
  hadProxies = false;

  constructor(count: number) {
    this.#bySlot = new Array<T | undefined>(count).fill(undefined);
  }

  /** How many there are. */
  #count = 0;

  get count(): number {
    return this.#count;
  }

  put(slot: number, resource: T): void {
    if (this.#bySlot[slot] === undefined) this.#count++;
    this.#bySlot[slot] = resource;
    this.#slots.set(resource, slot);
    this.hadProxies ||= types.isProxy(resource);
  }

  /** The slot must have one. */
  get(slot: number): T {
    return this.#bySlot[slot] as T;
  }

  has(slot: number): boolean {
    return this.#bySlot[slot] !== undefined;
  }

  delete(slot: number): T {
    const resource = this.get(slot);
    if (resource !== undefined) this.#count--;
    this.#bySlot[slot] = undefined;
    if (this.#slots.get(resource) === slot) this.#moveOn(resource);
    clearTimeout(this.#retirement.get(slot));
    this.#retirement.delete(slot);
    return resource;
  }

  /** The factory may have made the same value twice. */
  #moveOn(resource: T): void {
    const another = this.#bySlot.indexOf(resource);
    if (another === NONE) this.#slots.delete(resource);
    else this.#slots.set(resource, another);
  }

  /** Calls `retire` when the resource in this slot has lived for `lifetime` ms. */
  retireAfter(slot: number, lifetime: number, retire: () => void): void {
    this.#retirement.set(slot, setTimeout(retire, lifetime).unref());
  }

  /** The slot of a resource, wherever it is, or NONE. */
  slotOf(resource: T): number {
    return this.#slots.get(resource) ?? NONE;
  }

  /**
   * The slot of this resource that `isOut` is true of, or NONE.
   * A factory may make the same value twice (two equal numbers): any of its slots will do.
   */
  find(resource: T, isOut: (slot: number) => boolean): number {
    const slot = this.#slots.get(resource);
    if (slot === undefined || isOut(slot)) return slot ?? NONE;
    return this.#bySlot.findIndex((candidate, other) => candidate === resource && isOut(other));
  }
}
