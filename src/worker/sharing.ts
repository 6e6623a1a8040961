/**
 * A pool with `share`, seen from a worker: a hand-out is a value that the owner has made of the resource, and nothing is called through it.
 */

import type { LeaseRevokedError } from '../shared/errors.ts';
import { canceller } from '../shared/waiting/cancellation.ts';
import { asBuffers } from '../shared/wire/parcel.ts';
import { type Response, SHARED } from '../shared/wire/protocol.ts';
import { NONE } from '../shared/words/line.ts';
import { WorkerPool } from './pool.ts';
import type { Remote, SyncRemote } from './types.ts';

export class SharingPool<T> extends WorkerPool<T> {
  /** What the owner has sent for each slot. */
  readonly #values = new Map<number, { generation: number; value: unknown }>();
  readonly #slots = new Map<unknown, number>();

  protected override handOut(slot: number): Remote<T> {
    return this.#valueIn(slot) as Remote<T>;
  }

  protected override handOutSync(slot: number): SyncRemote<T> {
    return this.#valueIn(slot) as SyncRemote<T>;
  }

  override synchronous(resource: Remote<T> | SyncRemote<T>): SyncRemote<T> {
    return resource as SyncRemote<T>;
  }

  override asynchronous(resource: Remote<T> | SyncRemote<T>): Remote<T> {
    return resource as Remote<T>;
  }

  #valueIn(slot: number): unknown {
    if (canceller !== undefined) this.noteHolder(slot);
    this.traces?.note(slot, this.lending.leases[slot], new Error('borrowed here'));
    // The owner posted the value before the slot could be had, so it is here or in the port.
    if (this.#values.get(slot)?.generation !== this.block.generation(slot)) this.#readFor(slot);
    const shared = this.#values.get(slot);
    if (shared === undefined) {
      // Nothing was ever made there: the owner looks after it.
      const error = this.damaged(`slot ${slot} has no resource`);
      this.giveUp(slot, error);
      throw error;
    }
    this.#slots.set(shared.value, slot);
    return shared.value;
  }

  #readFor(slot: number): void {
    try {
      this.drain();
    } catch (error) {
      // The end of the stack. The caller does not have this slot yet to give it back.
      this.giveBack(slot);
      throw error;
    }
  }

  protected override returnRevoked(value: unknown): boolean {
    return this.revocations.giveBackValue(value);
  }

  protected override revoked(slot: number, error: LeaseRevokedError): void {
    super.revoked(slot, error, this.#values.get(slot)?.value);
  }

  protected override slotOf(value: unknown): number {
    const slot = this.#slots.get(value);
    return slot !== undefined && this.lending.holds(slot) ? slot : NONE;
  }

  protected override heard(response: Response): void {
    if (response[0] !== SHARED) return super.heard(response);
    const [, slot, generation, value, buffers] = response;
    asBuffers(buffers);
    // The value may have been another slot's since: a port number, say, that was free again.
    const old = this.#values.get(slot)?.value;
    if (this.#slots.get(old) === slot) this.#slots.delete(old);
    this.#values.set(slot, { generation, value });
  }
}
