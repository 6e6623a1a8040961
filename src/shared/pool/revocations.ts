/**
 * Leases of this thread that were revoked, for as long as their borrowers may still ask: their calls are told so, a body is told when it
 * ends, and giving back does nothing, once. Found by the serial of the lease, and by what was handed out where that does not say its
 * serial.
 */
import type { LeaseRevokedError } from '../errors.ts';

/** A borrower that never asks is not remembered for ever. */
const REMEMBERED = 4096;

interface Revoked {
  readonly error: LeaseRevokedError;
  isGivenBack: boolean;
}

export class Revocations {
  readonly #revoked = new Map<unknown, Revoked>();

  /** `serial` of the lease, and what else it is to be found by. */
  add(serial: number, value: unknown, error: LeaseRevokedError): void {
    const revoked = { error, isGivenBack: false };
    for (const key of value === undefined ? [serial] : [serial, value]) this.#revoked.set(key, revoked);
    while (this.#revoked.size > REMEMBERED) this.#revoked.delete(this.#revoked.keys().next().value);
  }

  /** Why that lease is over. Undefined: it was not revoked. */
  get(serial: number): LeaseRevokedError | undefined {
    return this.#revoked.size === 0 ? undefined : this.#revoked.get(serial)?.error;
  }

  /** Its borrower gives it back. True: it was revoked, and this is the first time. */
  giveBack(key: unknown): boolean {
    const revoked = this.#revoked.size === 0 ? undefined : this.#revoked.get(key);
    if (revoked === undefined || revoked.isGivenBack) return false;
    revoked.isGivenBack = true;
    // Serials do not come again; a value may.
    if (typeof key !== 'number') this.#revoked.delete(key);
    return true;
  }
}
