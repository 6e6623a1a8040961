/** Virtual time: what happens when, in which process, and what a process does that is stopped, blocked or gone. */
import type { Clock } from '../../../src/budget/clock.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  readonly place: Place | undefined;
}

/** One thread of one process. Stopped: what is due waits. Gone: it never comes. */
export class Place {
  isGone = false;
  stoppedUntil = 0;
}

export class World {
  now = 1_700_000_000_000;
  #order = 0;
  readonly #events: Event[] = [];

  at(delay: number, place: Place | undefined, run: () => void): () => void {
    let isCancelled = false;
    this.#push({ at: this.now + Math.max(0, delay), order: this.#order++, place, run: () => isCancelled || run() });
    return () => {
      isCancelled = true;
    };
  }

  clock(place: Place): Clock {
    return { now: () => this.now, after: (ms, run) => this.at(ms, place, run) };
  }

  /** Runs until then. Promises settle between two events. */
  async run(until: number, check: () => void): Promise<void> {
    for (;;) {
      const next = this.#events[0];
      if (next === undefined || next.at > until) break;
      this.#pop();
      this.now = Math.max(this.now, next.at);
      if (next.place?.isGone) continue;
      if (next.place !== undefined && next.place.stoppedUntil > this.now) {
        this.#push({ ...next, at: next.place.stoppedUntil });
        continue;
      }
      next.run();
      await new Promise(setImmediate);
      check();
    }
    this.now = until;
  }

  // A heap by time, then by order.

  #push(event: Event): void {
    const heap = this.#events;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!isBefore(heap[i], heap[up])) break;
      [heap[i], heap[up]] = [heap[up], heap[i]];
      i = up;
    }
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const down of [2 * i + 1, 2 * i + 2]) if (down < heap.length && isBefore(heap[down], heap[least])) least = down;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least], heap[i]];
      i = least;
    }
  }
}

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
