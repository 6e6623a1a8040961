/**
 * What is shared goes from thread to thread, and nothing is done with it: each thread wakes the event loop of the next one as soon as its
 * own has heard. No way in which threads take turns on a connection hands it over more often than that.
 *
 * There are as many tokens as a pool has connections. A token goes around all threads, one after the other. There must be two or more.
 */
import type { BenchThread } from '../../frame/thread.ts';
import { CONNECTIONS } from '../ways/connections.ts';

/** In a word: nobody has called, the token is here, it is here for the last time. */
const [NOTHING, TOKEN, LAST] = [0, 1, 2];

/** How often in a second, over all tokens. */
export async function handOvers(threads: readonly BenchThread[], slice: number): Promise<number> {
  // A word for each token and thread.
  const words = new Int32Array(new SharedArrayBuffer(CONNECTIONS * threads.length * Int32Array.BYTES_PER_ELEMENT));
  const started = performance.now();
  const counts = await Promise.all(threads.map((thread, index) => thread.run<number>(import.meta.url, 'pass', [words, index, slice])));
  return (counts.reduce((sum, count) => sum + count, 0) * 1000) / (performance.now() - started);
}

/** On a thread: passes tokens on until they come for the last time. Says how often it has. The first thread begins, and ends it. */
export async function pass(words: Int32Array, index: number, slice: number): Promise<number> {
  const until = performance.now() + slice;
  const count = words.length / CONNECTIONS;
  const next = (index + 1) % count;
  let passed = 0;
  const put = (token: number, thread: number, what: number): void => {
    Atomics.store(words, token * count + thread, what);
    Atomics.notify(words, token * count + thread);
  };
  const round = async (token: number): Promise<void> => {
    const own = token * count + index;
    for (;;) {
      const { async: isLater, value } = Atomics.waitAsync(words, own, NOTHING);
      // It may have come already: then the loop need not be woken.
      if (isLater) await value;
      const what = Atomics.exchange(words, own, NOTHING);
      const isLast = what === LAST || (index === 0 && performance.now() >= until);
      // The one that has ended it hears of the end last, and passes it on no more.
      if (what === LAST && index === 0) return;
      passed++;
      put(token, next, isLast ? LAST : TOKEN);
      if (isLast && index !== 0) return;
    }
  };
  const rounds = Array.from({ length: CONNECTIONS }, (_, token) => round(token));
  if (index === 0) for (let token = 0; token < CONNECTIONS; token++) put(token, index, TOKEN);
  await Promise.all(rounds);
  return passed;
}
