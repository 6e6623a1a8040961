/** A thread that runs exported functions of a question's file: both sides of a question stand in one file. */
import { once } from 'node:events';
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';

interface Job {
  readonly module: string;
  readonly name: string;
  readonly args: readonly unknown[];
}

type Done = { readonly value: unknown } | { readonly error: unknown };

export class BenchThread {
  readonly #worker = new Worker(new URL(import.meta.url), { workerData: { benchThread: true } });
  readonly #failed: Promise<never>;

  constructor() {
    this.#failed = new Promise((_, reject) => {
      this.#worker.once('error', reject);
      this.#worker.once('exit', (code) => reject(new Error(`a thread of the benchmark has ended with code ${code}`)));
    });
    this.#failed.catch(() => {});
  }

  /** Calls `module`'s export `name` over there. One at a time. Ports among the arguments move over. */
  async run<V>(module: string, name: string, args: readonly unknown[], ports: readonly MessagePort[] = []): Promise<V> {
    const job: Job = { module, name, args };
    const done = new Promise<Done>((resolve) => this.#worker.once('message', resolve));
    this.#worker.postMessage(job, [...ports]);
    const outcome = await Promise.race([done, this.#failed]);
    if ('error' in outcome) throw outcome.error;
    return outcome.value as V;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Threads for as long as `body` takes. (Not `using`: Node 22 runs these files as they are, and does not know it.) */
export async function withThreads<V>(count: number, body: (threads: readonly BenchThread[]) => Promise<V>): Promise<V> {
  const threads = Array.from({ length: count }, () => new BenchThread());
  try {
    return await body(threads);
  } finally {
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

/** A thread with nothing in it but Node, when it runs: no loader for TypeScript, which takes longer than all the rest. */
export async function startBareThread(): Promise<Worker> {
  const worker = new Worker('setInterval(() => {}, 1e9); require("node:worker_threads").parentPort.postMessage("here");', {
    eval: true,
    execArgv: [],
  });
  await once(worker, 'message');
  return worker;
}

if (!isMainThread && workerData?.benchThread === true) {
  parentPort!.on('message', async ({ module, name, args }: Job) => {
    try {
      const value: unknown = await (await import(module))[name](...args);
      parentPort!.postMessage({ value });
    } catch (error) {
      parentPort!.postMessage({ error });
    }
  });
}
