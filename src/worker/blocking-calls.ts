/**
 * Remote calls that block this thread until the owner has answered. While it sleeps no other code of this thread runs, but for what is told
 * by what comes through the port: a listener of `lease.signal` may make such a call itself.
 */
import { now } from '../shared/clock.ts';
import { CallTimeoutError } from '../shared/errors.ts';
import type { Lending } from '../shared/lending/lending.ts';
import { show } from '../shared/show.ts';
import { SLICE } from '../shared/waiting/blocking.ts';
import { type Cancellation, canceller, throwReason } from '../shared/waiting/cancellation.ts';
import { CALL_SYNC } from '../shared/wire/protocol.ts';
import type { Bells } from '../shared/words/bell.ts';
import type { AwaitedCall } from './awaited.ts';
import type { Calls } from './calls.ts';

/** How long a synchronous call watches its bell before it sleeps, in ms: an owner with nothing else to do answers within that. */
const SPIN = 0.05;

export class BlockingCalls {
  readonly #pool: string;
  readonly #lending: Lending;
  readonly #bells: Bells;
  readonly #me: number;
  readonly #calls: Calls;
  readonly #hear: () => void;

  /** `hear` takes what lies in the port, and tells the program of it. */
  constructor(pool: string, lending: Lending, calls: Calls, hear: () => void) {
    this.#pool = pool;
    this.#lending = lending;
    this.#bells = lending.block.bells;
    this.#me = lending.me;
    this.#calls = calls;
    this.#hear = hear;
  }

  /**
   * Blocks this thread until the owner has answered, or until `deadline` (by `now`): then it throws CallTimeoutError.
   * `assertOwnerAlive` is asked now and then, and may throw.
   */
  call(slot: number, method: string, args: readonly unknown[], assertOwnerAlive: () => void, deadline = Number.POSITIVE_INFINITY): unknown {
    if (now() >= deadline) throw this.#overdue(`there is no time left for ${method}(), which has not been called`);
    const present = canceller?.present();
    // Asked first. What is cancelled, and is not told now, has been told before: it cleans up, and this call is not to end.
    const part = present?.cancelled() === undefined ? present : undefined;
    throwReason(present?.untold());
    const call = this.#calls.beginSleep(slot);
    try {
      this.#calls.outbox.sendNow([CALL_SYNC, call.id, slot, call.lease, method, args], args, method);
      return this.#sleepForAnswer(call, method, assertOwnerAlive, deadline, part);
    } finally {
      this.#calls.endSleep(call);
    }
  }

  #sleepForAnswer(
    call: AwaitedCall,
    method: string,
    assertOwnerAlive: () => void,
    deadline: number,
    part: Cancellation | undefined,
  ): unknown {
    for (;;) {
      const seen = this.#bells.read(this.#me);
      this.#hear();
      const { answer } = call;
      if (answer !== undefined) {
        if (answer.ok) return answer.value;
        throw answer.error;
      }
      // After `seen` was read, like the port: what ends the part sets its word, and then rings.
      const cancelled = part?.cancelled();
      if (cancelled !== undefined) {
        this.#calls.leaveUnderWay(call);
        // Code that has run meanwhile may have given it back.
        if (this.#lending.isCurrent(call.slot, call.serial)) this.#calls.giveUp(call.slot, cancelled.reason);
        part!.untold();
        throw cancelled.reason;
      }
      const time = now();
      if (time >= deadline) throw this.#stopWaiting(call, method);
      const end = Math.min(time + SPIN, deadline);
      while (this.#bells.read(this.#me) === seen && now() < end);
      this.#bells.sleep(this.#me, seen, Math.min(SLICE, Math.max(0, deadline - now())));
      if (this.#bells.read(this.#me) === seen) assertOwnerAlive();
    }
  }

  /** The method may still run. So a release waits for it, as for every call under way; its answer is dropped. */
  #stopWaiting(call: AwaitedCall, method: string): CallTimeoutError {
    this.#calls.leaveUnderWay(call);
    return this.#overdue(`the owner has not answered ${method}() in time; it may still be running`);
  }

  #overdue(why: string): CallTimeoutError {
    return new CallTimeoutError(`pool ${show(this.#pool)}: ${why}`, this.#pool);
  }
}
