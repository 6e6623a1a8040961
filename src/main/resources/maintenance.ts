/** What the owner does on its own time: health checks, idle and old resources, borrowers that take too long. No timer of it keeps the process alive. */
import { now, since } from '../../shared/clock.ts';
import { clearInterval, setInterval } from '../../shared/node.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { CHECKING, IDLE, LEASED, leaseOf, slotState, slotThread } from '../../shared/words/slot.ts';

/** Shortest and longest pause between two looks at the slots, in ms. */
const SOONEST = 5;
const LATEST = 1000;

/** In ms; 0: off. */
export interface Periods {
  readonly healthcheckInterval: number;
  readonly idleTimeout: number;
  readonly leakDetectionThreshold: number;
  readonly min: number;
}

export interface Upkeep {
  /** A slot that was idle is now CHECKING: ask whether it is alive. Calls back when it has been decided. */
  examine(slot: number, done: () => void): void;
  /** A slot that was idle is now CHECKING, and superfluous. */
  expire(slot: number): void;
  /** Has the slot a resource that is not on its way out? */
  isAlive(slot: number): boolean;
  leaking(slot: number, lease: number, thread: number, heldFor: number): void;
}

export class Maintenance {
  readonly #block: ControlBlock;
  readonly #upkeep: Upkeep;
  readonly #timers: NodeJS.Timeout[] = [];
  #examining = false;

  constructor(block: ControlBlock, periods: Periods, upkeep: Upkeep) {
    this.#block = block;
    this.#upkeep = upkeep;
    const { healthcheckInterval, idleTimeout, leakDetectionThreshold, min } = periods;
    if (healthcheckInterval > 0) this.#every(healthcheckInterval, () => this.#examineIdle());
    if (idleTimeout > 0) this.#every(pauseFor(idleTimeout), this.#idleSweep(idleTimeout, min));
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
    for (let slot = 0; slot < slots.count; slot++) if (slotState(slots.load(slot)) === IDLE) idle.push(slot);
    const next = (): void => {
      while (idle.length > 0) {
        const slot = idle.shift()!;
        // Borrowed meanwhile: alive enough.
        if (slots.check(slot)) return this.#upkeep.examine(slot, next);
      }
      this.#examining = false;
    };
    next();
  }

  /** Idle since the last look, if it was idle then, too, and has not been handed out since. A health check in between does not count. */
  #idleSweep(limit: number, min: number): () => void {
    const { slots } = this.#block;
    const sightings: ({ generation: number; uses: number; at: number } | undefined)[] = [];
    return () => {
      const time = now();
      let count = 0;
      for (let slot = 0; slot < slots.count; slot++) if (this.#upkeep.isAlive(slot)) count++;
      for (let slot = 0; slot < slots.count; slot++) {
        const state = slotState(slots.load(slot));
        if (state === CHECKING) continue;
        const generation = this.#block.generation(slot);
        const uses = this.#block.uses(slot);
        const seen = sightings[slot];
        if (state !== IDLE) sightings[slot] = undefined;
        else if (seen === undefined || seen.generation !== generation || seen.uses !== uses)
          sightings[slot] = { generation, uses, at: time };
        else if (time - seen.at >= limit && count > min && slots.check(slot)) {
          count--;
          this.#upkeep.expire(slot);
        }
      }
    };
  }

  #leakSweep(threshold: number): () => void {
    const { slots } = this.#block;
    const seen = new Int32Array(slots.count);
    const told = new Int32Array(slots.count);
    return () => {
      for (let slot = 0; slot < slots.count; slot++) {
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
        this.#upkeep.leaking(slot, lease, slotThread(word), heldFor);
      }
    };
  }
}

function pauseFor(limit: number): number {
  return Math.min(Math.max(limit / 4, SOONEST), LATEST);
}
