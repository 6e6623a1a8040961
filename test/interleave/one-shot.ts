// One-shot calls of a scenario: the shipped ones (src/main/threads/one-shot-calls.ts), run by an owner, for a member whose calls end when it is told so.
import type { AttachedThread } from '../../src/main/threads/attached-thread.ts';
import type { PoolContext } from './actor.ts';
import type { Owner } from './owner.ts';
import type { PoolCode } from './pool.ts';

type OneShotCalls = InstanceType<PoolCode['OneShotCalls']>;
type Then = (settled: boolean) => void;

/** An attached thread as one-shot calls see it. */
class Member {
  readonly thread: number;
  #settled: Then[] = [];

  constructor(thread: number) {
    this.thread = thread;
  }

  run(_id: number, _slot: number, _lease: number, _name: string, _sleeps: boolean, body: () => unknown): void {
    body();
  }

  answer(): void {}

  whenSettled(_slot: number, _lease: number, then: Then): void {
    this.#settled.push(then);
  }

  whenSettledOr(_patience: number, _slot: number, _lease: number, then: Then): void {
    this.#settled.push(then);
  }

  /** The slot was taken from this lease: nothing waits for its calls any more. */
  taken(): void {
    for (const then of this.#settled.splice(0)) then(true);
  }

  /** True: the call has ended, and all that wait for that hear it. False: nobody has patience any more, and the last that waits hears that. */
  settle(settled: boolean): void {
    const waiting = settled ? this.#settled : this.#settled.slice(-1);
    this.#settled = [];
    for (const then of waiting) then(settled);
  }
}

export class OneShot {
  readonly member: Member;
  readonly #calls: OneShotCalls;

  /** A call of the thread with this number. */
  constructor(context: PoolContext, owner: Owner, thread: number) {
    this.member = new Member(thread);
    const { slots } = owner.lending.block;
    const find = (slot: number) => (): void => {
      context.assert(slots.behalf(slot) === thread, `the call runs for thread ${slots.behalf(slot)}`);
      owner.use(slot);
    };
    const stands = { standFor: () => owner.acquire(), standAgain: () => owner.acquire() };
    this.#calls = new context.code.OneShotCalls('pool', owner.lending, owner.turn, { limit() {}, renew() {} }, stands, find);
  }

  /** Borrows, and calls: the call runs until the member settles it. */
  start(): void {
    this.#calls.start(this.member as unknown as AttachedThread, 1, undefined, 'method', []);
  }

  /** Its thread is gone. */
  abandon(): void {
    this.#calls.abandon(this.member as unknown as AttachedThread, 0);
  }
}
