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
  readonly #bySerial = new Map<number, Revoked>();
  /** A value may be a number, too. */
  readonly #byValue = new Map<unknown, Revoked>();

  /** `serial` of the lease, and what was handed out for it, if that does not say its serial. */
  add(serial: number, value: unknown, error: LeaseRevokedError): void {
    const revoked = { error, isGivenBack: false };
    remember(this.#bySerial, serial, revoked);
    if (value !== undefined) remember(this.#byValue, value, revoked);
  }

  /** Why that lease is over. Undefined: it was not revoked. */
  get(serial: number): LeaseRevokedError | undefined {
    return this.#bySerial.size === 0 ? undefined : this.#bySerial.get(serial)?.error;
  }

  /** Its borrower gives it back. True: it was revoked, and this is the first time. */
  giveBack(serial: number): boolean {
    return isFirst(this.#bySerial.get(serial));
  }

  /** The same by what was handed out: by the last lease of it that was revoked. */
  giveBackValue(value: unknown): boolean {
    const revoked = this.#byValue.get(value);
    // Serials do not come again; a value may.
    this.#byValue.delete(value);
    return isFirst(revoked);
  }
}

function remember<K>(all: Map<K, Revoked>, key: K, revoked: Revoked): void {
  // Behind all others, whenever it was there before.
  all.delete(key);
  all.set(key, revoked);
  for (const oldest of all.keys()) {
    if (all.size <= REMEMBERED) return;
    all.delete(oldest);
  }
}

function isFirst(revoked: Revoked | undefined): boolean {
  if (revoked === undefined || revoked.isGivenBack) return false;
  revoked.isGivenBack = true;
  return true;
}
