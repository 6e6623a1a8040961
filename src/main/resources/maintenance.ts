/** The owner's timers: health checks, idle and old resources, borrowers that take too long. No timer keeps the process alive. */
import { threadId } from 'node:worker_threads';
import { now, since } from '../../shared/clock.ts';
import type { Traces } from '../../shared/lending/traces.ts';
import { clearInterval, setInterval } from '../../shared/node.ts';
import { leaks } from '../../shared/observing/channels.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { CHECKING, IDLE, LEASED, leaseOf, slotState, slotThread } from '../../shared/words/slot.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { Events } from '../events.ts';
import type { Settings } from '../options.ts';
import type { AttachedThreads } from '../threads/attached-threads.ts';
import type { Turn } from '../turn/turn.ts';
import { runHook, thenMaybeSync } from './hooks.ts';
import type { ResourceStore } from './store.ts';

/** Shortest and longest pause between two looks at the slots, in ms. */
const SOONEST = 5;
const LATEST = 1000;

/** The parts of the owner that it works with. */
export interface Neighbours<T> {
  readonly block: ControlBlock;
  readonly store: ResourceStore<T>;
  readonly threads: AttachedThreads<T>;
  readonly events: Events<T>;
  readonly turn: Turn;
  /** Where the owner itself has borrowed what, if that is remembered. */
  readonly traces: Traces | undefined;
}

export class Maintenance<T> {
  readonly #settings: Settings<T>;
  readonly #block: ControlBlock;
  readonly #store: ResourceStore<T>;
  readonly #threads: AttachedThreads<T>;
  readonly #events: Events<T>;
  readonly #turn: Turn;
  readonly #traces: Traces | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #examining = false;

  constructor(settings: Settings<T>, { block, store, threads, events, turn, traces }: Neighbours<T>) {
    this.#settings = settings;
    this.#block = block;
    this.#store = store;
    this.#threads = threads;
    this.#events = events;
    this.#turn = turn;
    this.#traces = traces;
    const { healthcheckInterval, idleTimeout, leakDetectionThreshold } = settings;
    if (healthcheckInterval > 0) this.#every(healthcheckInterval, () => this.#examineIdle());
    if (idleTimeout > 0) this.#every(pauseFor(idleTimeout), this.#idleSweep(idleTimeout));
    if (leakDetectionThreshold > 0) this.#every(pauseFor(leakDetectionThreshold), this.#leakSweep(leakDetectionThreshold));
  }

  #every(pause: number, look: () => void): void {
    this.#timers.push(setInterval(look, pause).unref());
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** One slot at a time, so that the others stay available. A round that takes longer than the period skips the next. */
  #examineIdle(): void {
    if (this.#examining) return;
    this.#examining = true;
    const { slots } = this.#block;
    const idle: number[] = [];
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) if (slotState(slots.load(slot)) === IDLE) idle.push(slot);
    const next = (): void => {
      while (idle.length > 0) {
        const slot = idle.shift()!;
        // Borrowed meanwhile: alive enough.
        if (slots.check(slot)) return this.#examine(slot, next);
      }
      this.#examining = false;
    };
    next();
  }

  /** A slot in hand goes back, or goes. `done`: when that has been decided. */
  #examine(slot: number, done: () => void): void {
    const { healthcheck, checkTimeout } = this.#settings;
    thenMaybeSync(runHook('healthcheck', healthcheck, this.#store.resources.get(slot), checkTimeout), (known) => {
      if (known !== undefined && !known.silent) this.#events.emit('error', known.error);
      if (known === undefined) this.#turn.owned.toIdle(slot);
      else this.#store.destroy(slot, 'unhealthy');
      this.#turn.request();
      done();
    });
  }

  /** Idle since the last look, if it was idle then, too, and has not been handed out since. A health check in between does not count. */
  #idleSweep(limit: number): () => void {
    const { slots, limits } = this.#block;
    const sightings: ({ generation: number; uses: number; at: number } | undefined)[] = [];
    return () => {
      const time = now();
      let count = 0;
      for (let slot = 0, extent = slots.extent; slot < extent; slot++) if (this.#store.resources.has(slot)) count++;
      for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
        const state = slotState(slots.load(slot));
        if (state === CHECKING) continue;
        const generation = this.#block.generation(slot);
        const uses = this.#block.uses(slot);
        const seen = sightings[slot];
        if (state !== IDLE) sightings[slot] = undefined;
        else if (seen === undefined || seen.generation !== generation || seen.uses !== uses)
          sightings[slot] = { generation, uses, at: time };
        else if (time - seen.at >= limit && count > limits.min && slots.check(slot)) {
          count--;
          this.#store.destroy(slot, 'idle-timeout');
        }
      }
    };
  }

  #leakSweep(threshold: number): () => void {
    const { slots } = this.#block;
    const seen = new Int32Array(slots.count);
    const told = new Int32Array(slots.count);
    return () => {
      for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
        const word = slots.load(slot);
        const lease = leaseOf(word);
        if (slotState(word) !== LEASED || told[slot] === lease) continue;
        // A borrower writes the time just after the word: not believed before the second look.
        if (seen[slot] !== lease) {
          seen[slot] = lease;
          continue;
        }
        const heldFor = since(this.#block.borrowedAt(slot));
        if (heldFor < threshold) continue;
        told[slot] = lease;
        this.#tellLeak(slot, lease, slotThread(word), heldFor);
      }
    };
  }

  #tellLeak(slot: number, lease: number, thread: number, heldFor: number): void {
    const tell = (borrower: number, stack: string | undefined): void => {
      leaks.publish({ pool: this.#settings.name, slot, threadId: borrower, heldFor });
      this.#events.emit('leak', { threadId: borrower, heldFor, ...(stack === undefined ? {} : { stack }) });
    };
    if (thread === OWNER && !this.#threads.isForOneShotCall(slot)) tell(threadId, this.#traces?.stackOf(slot, lease));
    else this.#threads.trace(slot, lease, thread, tell);
  }
}

function pauseFor(limit: number): number {
  return Math.min(Math.max(limit / 4, SOONEST), LATEST);
}
