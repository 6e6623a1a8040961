/**
 * Leases of this thread that were revoked, for as long as their borrowers may still ask: their calls are told so, a body is told when it ends, and giving back does
 * nothing, once. Found by the serial of the lease, and by what was handed out where that does not say its serial.
 */
import type { LeaseRevokedError } from '../errors.ts';

/** A borrower that never asks is not remembered for ever. */
const REMEMBERED = 4096;

export class Revocations {
  readonly #errors = new Map<unknown, LeaseRevokedError>();

  add(key: unknown, error: LeaseRevokedError): void {
    this.#errors.set(key, error);
    if (this.#errors.size > REMEMBERED) this.#errors.delete(this.#errors.keys().next().value);
  }

  get(key: unknown): LeaseRevokedError | undefined {
    return this.#errors.size === 0 ? undefined : this.#errors.get(key);
  }

  /** The same, and it is not remembered any more. */
  take(key: unknown): LeaseRevokedError | undefined {
    const error = this.get(key);
    if (error !== undefined) this.#errors.delete(key);
    return error;
  }
}
