// What both run: a function of the payload, and for cenote of the context as well.
import { setTimeout as sleep } from 'node:timers/promises';
import { defineJob } from 'cenote/jobs/worker';

const LOOPS = 1_000_000;

/** Nanoseconds for each of its `LOOPS` rounds. Each loop calls what it asks by itself, as a job's does: to call it by a callback costs as much again. */
function timed(loop) {
  const start = performance.now();
  loop();
  return ((performance.now() - start) * 1e6) / LOOPS;
}

const word = new Int32Array(new SharedArrayBuffer(4));

export function task(payload, context) {
  if (payload === null) return null;
  if (typeof payload === 'number') {
    for (const end = performance.now() + payload; performance.now() < end; );
    return payload;
  }
  switch (payload) {
    case 'sleep':
      return sleep(60_000, undefined, { signal: context?.signal });
    case 'check':
      return timed(() => {
        for (let n = 0; n < LOOPS; n++) context.check();
      });
    case 'progress':
      return timed(() => {
        for (let n = 0; n < LOOPS; n++) context.progress(n, LOOPS);
      });
    case 'load':
      return timed(() => {
        for (let n = 0; n < LOOPS; n++) Atomics.load(word, 0);
      });
  }
}

export default defineJob(task);
