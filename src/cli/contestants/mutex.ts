/**
 * A barging mutex, or rather semaphore: a word with a bit for each free slot, and a futex for the threads that find none. The thread that
 * comes first takes the slot, so there is no hand-over and hardly a wake-up. There is no line: a thread that has just given back wins
 * again, and others may starve. Nothing is repaired when a thread dies.
 */
import { PAD } from '../measure/scoreboard.ts';
import type { Setting } from '../measure/setting.ts';
import type { Borrowing, Lender } from './contestant.ts';

/** A bit for each free slot. Sleepers sleep on this word, which is zero while no slot is free. */
const FREE = 0;
/** How many threads sleep, or are about to. While there is none, giving back need not wake. */
const SLEEPERS = PAD;

export function openMutex({ slots }: Setting): Lender {
  const words = new Int32Array(new SharedArrayBuffer(2 * PAD * Int32Array.BYTES_PER_ELEMENT));
  words[FREE] = slots === 32 ? -1 : (1 << slots) - 1;
  return { invite: () => ({ data: words }), close: () => {} };
}

export function joinMutex(words: Int32Array, { mode }: Setting): Borrowing {
  /** The number of the slot, or -1. */
  const take = (): number => {
    for (;;) {
      const free = Atomics.load(words, FREE);
      if (free === 0) return -1;
      const lowest = free & -free;
      if (Atomics.compareExchange(words, FREE, free, free & ~lowest) === free) return 31 - Math.clz32(lowest);
    }
  };
  const sleepUntilTaken = (): number => {
    for (let slot: number; ; ) {
      Atomics.add(words, SLEEPERS, 1);
      Atomics.wait(words, FREE, 0);
      Atomics.sub(words, SLEEPERS, 1);
      if ((slot = take()) >= 0) return slot;
    }
  };
  const awaitUntilTaken = async (): Promise<number> => {
    for (let slot: number; ; ) {
      Atomics.add(words, SLEEPERS, 1);
      await Atomics.waitAsync(words, FREE, 0).value;
      Atomics.sub(words, SLEEPERS, 1);
      if ((slot = take()) >= 0) return slot;
    }
  };
  const wait = mode === 'sync' ? sleepUntilTaken : awaitUntilTaken;
  return {
    acquire() {
      const slot = take();
      return slot >= 0 ? slot : wait();
    },
    release(slot) {
      Atomics.or(words, FREE, 1 << slot);
      if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, FREE, 1);
    },
    leave() {},
  };
}
