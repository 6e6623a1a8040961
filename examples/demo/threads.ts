import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { SourceFile } from './files.ts';
import type { Done, Greeting } from './job.ts';

/** For threads that are starting when everything ends, in ms. */
const START_TIME = 3000;

export interface Job {
  worker: URL;
  workerData: unknown;
  threads: number;
  /** Files that a thread has in hand at once: enough to keep a pool of its own busy, so that the usual way shows what it costs. */
  inHand: number;
  files: SourceFile[];
  onDone(): void;
  signal: AbortSignal;
}

export interface JobResult {
  seconds: number;
  files: number;
  bytes: number;
  skipped: number;
  /** Files by thread. */
  shares: number[];
}

/** Runs one job per file on Piscina threads. The clock runs from when all threads are ready to when the last file is stored. */
export async function runOnThreads({ worker, workerData, threads, inHand, files, onDone, signal }: Job): Promise<JobResult> {
  signal.throwIfAborted();
  const piscina = new Piscina({
    filename: fileURLToPath(worker),
    workerData,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: inHand,
    // The default freezes a thread's event loop between jobs, and with it the pool's doorbell.
    atomics: 'disabled',
  });
  const failed = new Promise<never>((_, reject) => {
    piscina.on('error', reject);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const ready = allReady(piscina, threads);
  try {
    await Promise.race([ready, failed]);
    const start = performance.now();
    const jobs = files.map(async (file): Promise<Done> => {
      const done = await piscina.run(file);
      onDone();
      return done;
    });
    const results = await Promise.race([Promise.all(jobs), failed]);
    return { seconds: (performance.now() - start) / 1000, ...tally(results) };
  } finally {
    // Node 20 may crash when a thread is terminated while it still loads its modules.
    await Promise.race([ready.catch(() => {}), sleep(START_TIME, undefined, { ref: false })]);
    await piscina.destroy();
  }
}

function allReady(piscina: Piscina, threads: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let ready = 0;
    piscina.on('message', (greeting: Greeting) => {
      if (greeting !== 'ready') reject(new Error(greeting.failed));
      else if (++ready === threads) resolve();
    });
  });
}

function tally(results: Done[]): Omit<JobResult, 'seconds'> {
  const stored = results.filter(({ skipped }) => !skipped);
  const shares = new Map<number, number>();
  for (const { thread } of stored) shares.set(thread, (shares.get(thread) ?? 0) + 1);
  return {
    files: stored.length,
    bytes: stored.reduce((sum, { bytes }) => sum + bytes, 0),
    skipped: results.length - stored.length,
    shares: [...shares.values()],
  };
}
