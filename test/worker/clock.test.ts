import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';

const clock = new URL('../../dist/shared/clock.js', import.meta.url);

test('the clock of a thread that has just begun agrees with that of the process, to 0.1 ms', async () => {
  const script = `import { parentPort } from 'node:worker_threads';
    import { now } from ${JSON.stringify(clock.href)};
    // What takes longest to compare is the least exact.
    const differences = Array.from({ length: 100 }, () => Math.abs(Number(process.hrtime.bigint()) / 1e6 - now()));
    parentPort.postMessage(Math.min(...differences));`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
  onTestFinished(async () => void (await worker.terminate()));
  const [difference] = await once(worker, 'message');
  expect(difference, fileURLToPath(clock)).toBeLessThan(0.1);
});
