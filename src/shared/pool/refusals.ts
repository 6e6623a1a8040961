/** Every error that borrowing or giving back ends in, with its text: what has happened, and what the program can do about it. */
import {
  AcquireTimeoutError,
  LeaseRevokedError,
  NotBorrowedError,
  PoolClosedError,
  PoolError,
  PoolSuspendedError,
  QueueFullError,
  ServiceUnavailableError,
} from '../errors.ts';
import type { Observed } from '../observing/observed.ts';
import { knotBefore } from '../observing/pools-here.ts';
import { asError, show } from '../show.ts';
import type { WaiterErrors } from '../waiting/waiters.ts';
import type { ControlBlock } from '../words/control-block.ts';
import { NONE, REASON_CLOSED, REASON_FACTORY, REASON_SUSPENDED, REASON_UNAVAILABLE } from '../words/line.ts';
import { breakerOf, INACTIVE, isClosed, isDraining, isSuspended } from '../words/state.ts';

/** What only the side of this thread knows: the owner's or a worker's. */
export interface RefusalSource {
  /** Why this thread takes no part any more (it has detached, or its owner died), and giving back means nothing. Undefined: it does. */
  detachReason(): string | undefined;
  /** The factory's error for a waiter of this thread whose cell says that it was failed with one. */
  factoryError(cell: number, ticket: number): unknown;
  /** The labels of the suspensions in force, as far as this thread has heard of them. */
  suspendedBy(): readonly string[];
}

/** They are made here and thrown elsewhere; nothing is counted. */
export class Refusals implements WaiterErrors {
  readonly #pool: string;
  readonly #block: ControlBlock;
  readonly #me: number;
  readonly #source: RefusalSource;
  readonly #observed: Observed;

  constructor(pool: string, block: ControlBlock, me: number, source: RefusalSource, observed: Observed) {
    this.#observed = observed;
    this.#pool = pool;
    this.#block = block;
    this.#me = me;
    this.#source = source;
  }

  // ── to a thread that would borrow

  /** For a state that lets no borrower in. */
  refused(state: number): unknown {
    if (isClosed(state) || isDraining(state)) return this.refusal(REASON_CLOSED, NONE, 0);
    return this.refusal(breakerOf(state) === INACTIVE ? REASON_UNAVAILABLE : REASON_SUSPENDED, NONE, 0);
  }

  /** For a REASON_ of line.ts. `ticket` as it was before the cell was freed. */
  refusal(reason: number, cell: number, ticket: number): unknown {
    switch (reason) {
      case REASON_FACTORY:
        return this.#source.factoryError(cell, ticket);
      case REASON_UNAVAILABLE:
        return new ServiceUnavailableError(this.#says(' is unavailable: its circuit breaker is open'), this.#pool);
      case REASON_SUSPENDED:
        return new PoolSuspendedError(this.#says(` is suspended${this.#labels()}`), this.#pool);
      case REASON_CLOSED:
        return new PoolClosedError(this.#says(` is ${isClosed(this.#block.state.load()) ? 'closed' : 'draining'}`), this.#pool);
      default:
        return this.damaged('the place of this waiter in line cannot be what it says');
    }
  }

  queueFull(): QueueFullError {
    const { constants } = this.#block;
    const why = `${this.#block.waiting()} are waiting already, maxWaiting is ${constants.maxWaiting}: slow down, or raise it`;
    return new QueueFullError(this.#says(`: ${why}`), this.#pool);
  }

  /**
   * Says which thread holds how many: a thread that waits for itself should be able to read it. Calls come back by themselves: a thread
   * does not wait for itself there. `timeout` in ms; `thread`: the thread on whose behalf this one has waited.
   */
  timedOut(timeout: number, thread = this.#me, knot = this.knot()): AcquireTimeoutError {
    const { count, idle } = this.#block.snapshot.count();
    const { leases, calls } = this.#block.snapshot.heldBy(thread);
    const also = calls > 0 ? ` and ${calls} in its one-shot calls` : '';
    const out = `${count - idle} of ${this.#block.limits.max} are out or being made, ${leases} of them with this thread${also}`;
    const hint = leases > 0 && leases === count - idle ? ': it may be waiting for itself' : '';
    const deadlock = knot === undefined ? '' : `. Deadlock, ${knot.certainty}: ${knot.text}`;
    const suspended = isSuspended(this.#block.state.load()) ? `the pool is suspended${this.#labels()}; ` : '';
    const why = `nothing to be had within ${timeout} ms; ${suspended}${out}${hint}; ${this.#block.waiting()} more are waiting${deadlock}`;
    return new AcquireTimeoutError(this.#says(`: ${why}`), this.#pool, { knot });
  }

  /** The deadlock that waiters for this pool stand behind. To be asked before a waiter leaves the line. */
  knot(): AcquireTimeoutError['knot'] {
    const found = knotBefore(this.#observed);
    return found && { threads: found.threads, text: found.text, certainty: found.certainty };
  }

  #labels(): string {
    const labels = this.#source.suspendedBy();
    return labels.length === 0 ? '' : `: ${labels.map((label) => show(label)).join(', ')}`;
  }

  /** The resource was borrowed in time, and what comes before its use was not done in time. */
  ownerBusy(timeout: number): AcquireTimeoutError {
    const why = `the owner has not answered within ${timeout} ms: it is busy, or what it was asked takes longer`;
    return new AcquireTimeoutError(this.#says(`: ${why}`), this.#pool);
  }

  /** Where `factoryError` finds none. */
  factoryErrorLost(): PoolClosedError {
    return new PoolClosedError(this.#says(': the factory failed, and its error was lost'), this.#pool);
  }

  detached(): PoolClosedError {
    return new PoolClosedError(this.#says(`: ${this.#source.detachReason()}`), this.#pool);
  }

  // ── to a thread that gives back

  notBorrowed(resource: unknown): NotBorrowedError {
    const why = `${show(resource)} is not borrowed by this thread: given back already, or from somewhere else`;
    return new NotBorrowedError(this.#says(`: ${why}`), this.#pool);
  }

  /** To a borrower that has lost what it had just been granted. */
  givenBackTwice(): NotBorrowedError {
    const why = 'somebody gave a resource back twice, and the second time it was lent to this borrower already';
    return new NotBorrowedError(this.#says(`: ${why}`), this.#pool);
  }

  /** `heldFor` in ms, at least; `cause`: what `revoke` was given. */
  revoked(heldFor: number, cause: unknown): LeaseRevokedError {
    const long = heldFor > 0 ? ` after ${Math.floor(heldFor)} ms` : '';
    const options = cause === undefined ? { heldFor } : { heldFor, cause };
    return new LeaseRevokedError(this.#says(`: the resource has been taken back${long}`), this.#pool, options);
  }

  /** With `share` a worker has a value of its own: nothing takes that from it. */
  notRevocable(): TypeError {
    return new TypeError(
      this.#says(
        ': with share, a resource can be taken back only if the option abort says how to end it: give one, or leave revokeAfter out',
      ),
    );
  }

  // ── to any thread

  /** Only where something else has written into the control block. */
  damaged(why: string): PoolError {
    return new PoolError(this.#says(`: its control block is damaged: ${why}. Something has written into pool.handle.buffer`), this.#pool);
  }

  #says(what: string): string {
    return `pool ${show(this.#pool)}${what}`;
  }
}

/** Why a resource is destroyed that its borrower calls broken. */
export function reasonToDestroy(pool: string, error: unknown): Error {
  return error === undefined ? new Error(`pool ${show(pool)}: a borrower gave a resource up as broken`) : asError(error);
}
