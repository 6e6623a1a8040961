// Decides, at each operation and whenever a thread sleeps, ends or dies, who goes on; and keeps the books of one schedule.
// There is no scheduler thread: the one that runs decides, for all (control.ts), and then hands over.
import { EXPIRE, KILL, type Point, type Strategy, threadOf } from './choice.ts';
import { START } from './clock.ts';
import { C, type Control, D, type FailureKind, failures, MAX_SEGMENTS } from './control.ts';
import type { Memory, Place } from './memory.ts';
import type { Tracer } from './trace.ts';
import { awaitTurn, handOver } from './turns.ts';
import { Waiting } from './waiting.ts';

/** Thrown through the code of a thread that dies or is no longer needed. Every later operation throws it again, so nothing can catch it for good. */
export const UNWIND = Symbol('unwind');
/** There is nobody left to run. */
export const NO_THREAD = -1;

export interface Roles {
  readonly names: readonly string[];
  /** Masks. */
  readonly threads: number;
  readonly daemons: number;
  readonly mortal: number;
  /** The thread that repairs, or -1. */
  readonly repair: number;
}

export interface Limits {
  readonly bound: number;
  readonly patience: number;
  /** Whose waits may time out, a mask. */
  readonly timeouts: number;
}

export class Scheduler {
  readonly me: number;
  readonly waiting: Waiting;
  tracer: Tracer | undefined;
  /** Whoever failed says so here; the others know it from the control words. */
  failed: { message: string; stack: string } | undefined;
  readonly #control: Control;
  readonly #w: Int32Array;
  readonly #roles: Roles;
  readonly #limits: Limits;
  readonly #strategy: Strategy;
  readonly #memory: Memory;
  /** The next operation was part of the choice to run this thread. */
  #through = false;
  /** It has slept: with that operation, it may die instead. */
  #woken = false;
  #unwinding = false;
  readonly #point: Point = { current: -1, runnable: 0, expirable: 0, mortal: 0, free: false, step: 0 };

  constructor(me: number, control: Control, roles: Roles, limits: Limits, strategy: Strategy, memory: Memory) {
    this.me = me;
    this.#control = control;
    this.#w = control.words;
    this.#roles = roles;
    this.#limits = limits;
    this.#strategy = strategy;
    this.#memory = memory;
    this.waiting = new Waiting(control);
  }

  get unwinding(): boolean {
    return this.#unwinding;
  }

  // ── one schedule

  /** Puts everything back to the start. */
  begin(): void {
    const w = this.#w;
    const { threads, daemons } = this.#roles;
    this.#memory.reset();
    this.waiting.clear();
    w[C.step] = 0;
    w[C.runnable] = threads | daemons;
    w[C.sleeping] = 0;
    w[C.started] = 0;
    w[C.unfinished] = threads | daemons;
    w[C.dead] = 0;
    w[C.repaired] = 0;
    w[C.abort] = 0;
    w[C.row] = 0;
    w[C.segments] = 0;
    w[C.hash] = 0;
    w[C.random] = 1;
    this.#control.doubles[D.now] = START;
    this.#strategy.begin();
  }

  /** Who runs first, or NO_THREAD. */
  first(): number {
    return this.#next();
  }

  /** This thread's body begins. */
  start(): void {
    this.#w[C.started] |= 1 << this.me;
    this.#w[C.row] = 0;
    this.#through = true;
    this.#woken = false;
    this.#unwinding = false;
  }

  // ── one operation

  /** Before each operation: waits until it is this thread's turn to do it. */
  point(): void {
    if (this.#unwinding) throw UNWIND;
    const w = this.#w;
    if (this.#through) {
      this.#through = false;
      if (this.#woken && (this.#roles.mortal >> this.me) & 1) this.#next(true);
      this.#woken = false;
    } else {
      const next = this.#next();
      if (next !== this.me) this.#switchTo(next);
    }
    const step = ++w[C.step];
    w[C.row]++;
    this.#control.segments[2 * (w[C.segments] - 1) + 1]++;
    if (step > this.#limits.bound) this.fail('livelock', `no end after ${step - 1} operations`);
  }

  /** After each operation, with what it gave: two executions with the same hash are the same. */
  done(operation: number, place: Place, result: number): void {
    const w = this.#w;
    let h = Math.imul(w[C.hash] ^ (this.me * 31 + operation), 0x85ebca6b) ^ place;
    h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35) ^ result;
    w[C.hash] = h ^ (h >>> 13);
  }

  // ── sleeping

  /** Until notified or timed out: the state of the wait. */
  sleep(place: Place, timeout: number): number {
    const waiter = this.addWait(place, timeout, false);
    this.rest();
    return this.waiting.take(waiter);
  }

  addWait(place: Place, timeout: number, isAsync: boolean): number {
    const may = (this.#limits.timeouts >> this.me) & 1;
    return this.waiting.add(this.me, place, may ? timeout : Number.POSITIVE_INFINITY, isAsync);
  }

  /** This thread can do nothing until something wakes it. */
  rest(): void {
    const bit = 1 << this.me;
    this.#w[C.runnable] &= ~bit;
    this.#w[C.sleeping] |= bit;
    const next = this.#next();
    if (next !== this.me) this.#switchTo(next);
    this.#through = true;
    this.#woken = true;
  }

  wake(thread: number): void {
    const bit = 1 << thread;
    if ((this.#w[C.sleeping] & bit) === 0) return;
    this.#w[C.sleeping] &= ~bit;
    this.#w[C.runnable] |= bit;
  }

  // ── ending

  /** This thread's body is over, however it ended: who is next, or NO_THREAD. */
  finish(): number {
    const w = this.#w;
    const bit = 1 << this.me;
    this.#through = false;
    w[C.runnable] &= ~bit;
    w[C.sleeping] &= ~bit;
    w[C.unfinished] &= ~bit;
    w[C.started] &= ~bit;
    // What was written on the way out never happened.
    if (this.#unwinding) this.#memory.restore();
    if (w[C.victim] === this.me + 1) {
      this.waiting.forget(this.me);
      w[C.victim] = 0;
      const killer = w[C.killer] - 1;
      w[C.killer] = 0;
      if (killer >= 0) return killer;
    }
    return this.#next();
  }

  /** The schedule has failed: everybody unwinds. */
  fail(kind: FailureKind, message: string, stack = ''): never {
    if (!this.#unwinding) this.report(kind, message, stack);
    this.#die();
  }

  report(kind: FailureKind, message: string, stack = ''): void {
    const w = this.#w;
    w[C.abort] = 1;
    if (w[C.failure] !== 0) return;
    w[C.failure] = failures.indexOf(kind);
    w[C.failedThread] = this.me;
    this.failed = { message, stack };
    this.tracer?.note(this.#roles.names[this.me], `${kind}: ${message}`);
  }

  // ── choosing

  #switchTo(thread: number): void {
    handOver(this.#control, thread);
    awaitTurn(this.#control, this.me);
    if (this.#w[C.abort] === 1 || this.#w[C.victim] === this.me + 1) this.#die();
  }

  #die(): never {
    if (!this.#unwinding) this.#memory.save();
    this.#unwinding = true;
    throw UNWIND;
  }

  /** `alone`: nobody else, but it may die. */
  #next(alone = false): number {
    const w = this.#w;
    const bit = 1 << this.me;
    let free = false;
    for (;;) {
      if (w[C.abort] === 1) return this.#nextToUnwind();
      if (w[C.runnable] === 0) {
        if ((w[C.unfinished] & ~this.#roles.daemons) === 0) w[C.abort] = 1;
        else this.#letTimePass();
        continue;
      }
      const canGoOn = (w[C.runnable] & w[C.started] & bit) !== 0;
      if (canGoOn && !alone && w[C.row] >= this.#limits.patience && !this.#strategy.scripted) {
        w[C.row] = 0;
        this.#strategy.yield?.(this.me);
        const others = w[C.runnable] & ~bit;
        if (others !== 0) {
          // The next one after us, so that two that spin do not starve a third.
          const after = others & (-2 << this.me);
          return this.#chose(31 - Math.clz32((after || others) & -(after || others)));
        }
      }
      const choice = this.#pick(canGoOn, free, alone);
      if (choice === NO_THREAD) continue;
      const thread = threadOf(choice);
      if (choice & EXPIRE) {
        this.#record(choice);
        this.#expire(this.waiting.earliest(1 << thread));
        free = true;
      } else if (choice & KILL) {
        this.#record(choice);
        this.#kill(thread);
      } else return this.#chose(thread);
    }
  }

  #pick(canGoOn: boolean, free: boolean, alone: boolean): number {
    const w = this.#w;
    const point = this.#point;
    point.current = canGoOn ? this.me : -1;
    const bit = 1 << this.me;
    point.runnable = alone ? bit : w[C.runnable];
    point.expirable = alone ? 0 : this.waiting.timed() & w[C.sleeping];
    // Whoever is at an operation now, or sleeps. To die later, while others run, makes no difference to what is left behind.
    point.mortal = this.#roles.mortal & w[C.started] & (alone ? bit : w[C.sleeping] | (canGoOn ? bit : 0));
    point.free = free;
    point.step = w[C.step];
    try {
      return this.#strategy.pick(point);
    } catch (error) {
      this.report('diverged', (error as Error).message);
      return NO_THREAD;
    }
  }

  #chose(thread: number): number {
    const w = this.#w;
    const last = w[C.segments] - 1;
    if (last < 0 || this.#control.segments[2 * last] !== thread) {
      w[C.row] = 0;
      this.#record(thread);
    }
    return thread;
  }

  #record(choice: number): void {
    const w = this.#w;
    const at = w[C.segments];
    if (at === MAX_SEGMENTS) return;
    this.#control.segments[2 * at] = choice;
    this.#control.segments[2 * at + 1] = 0;
    w[C.segments] = at + 1;
    if (choice >= EXPIRE) this.tracer?.note('', `${choice & KILL ? 'dies' : 'time passes for'}: ${this.#roles.names[threadOf(choice)]}`);
  }

  /** Nobody can run: the next timeout, or it is a deadlock. */
  #letTimePass(): void {
    const w = this.#w;
    const waiter = this.waiting.earliest(w[C.sleeping]);
    const names = this.#roles.names.filter((_, thread) => (w[C.unfinished] >> thread) & 1).join(', ');
    if (waiter < 0) this.report('deadlock', `asleep without a timeout, and nobody is left to wake them: ${names}`);
    else {
      this.tracer?.note('', 'nobody can run: time passes');
      this.#expire(waiter);
    }
  }

  #expire(waiter: number): void {
    this.wake(this.waiting.timeOut(waiter));
  }

  #kill(thread: number): void {
    const w = this.#w;
    const { repair } = this.#roles;
    w[C.dead] |= 1 << thread;
    w[C.victim] = thread + 1;
    if (repair >= 0) {
      w[C.unfinished] |= 1 << repair;
      if (((w[C.started] >> repair) & 1) === 0) w[C.runnable] |= 1 << repair;
    }
    if (thread === this.me) this.#die();
    // It unwinds, and then it is our turn again. If we have ended, there is nobody to go back to: `finish` chooses anew.
    w[C.killer] = this.me + 1;
    handOver(this.#control, thread);
    awaitTurn(this.#control, this.me);
  }

  /** After a failure, or when only daemons are left: whoever is in the middle of something. */
  #nextToUnwind(): number {
    const w = this.#w;
    const busy = w[C.started];
    if ((busy >> this.me) & 1) this.#die();
    if (busy === 0) return NO_THREAD;
    return 31 - Math.clz32(busy & -busy);
  }
}
