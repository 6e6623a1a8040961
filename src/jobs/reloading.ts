/** New threads one for one, while jobs go on: each old one finishes what it has when its successor is ready. */
import { clearTimeout, setTimeout } from '../shared/index.ts';
import { JobTimeoutError } from './errors.ts';
import type { RunnerThread } from './runner-thread.ts';
import type { Threads } from './threads.ts';

export class Reloading {
  readonly #threads: Threads;
  readonly #assertOpen: () => void;
  #round: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `assertOpen` throws where the runner begins nothing new. */
  constructor(threads: Threads, assertOpen: () => void) {
    this.#threads = threads;
    this.#assertOpen = assertOpen;
  }

  /** One round for all that call while another is under way: so no thread is older than any of the calls. */
  async reload(timeout: number): Promise<void> {
    this.#next ??= (this.#round ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return (this.#round = this.#replaceAll());
      });
    await inTime(this.#next, timeout);
  }

  async #replaceAll(): Promise<void> {
    const old = [...this.#threads];
    try {
      for (const thread of old) {
        await thread.loaded;
        await this.#replace(thread);
      }
      await Promise.all(old.map(({ gone }) => gone));
    } finally {
      this.#round = undefined;
    }
  }

  /** Until another has taken over from it, or it goes anyway. */
  async #replace(thread: RunnerThread): Promise<void> {
    while (thread.state === 'ready') {
      this.#assertOpen();
      if (thread.successor === undefined && !this.#threads.hasPlace) {
        // Then at least one is on its way out.
        await Promise.race([...this.#threads].map(({ gone }) => gone));
        continue;
      }
      const failure = await (thread.successor ?? this.#threads.start(thread)).loaded;
      if (failure !== undefined) throw failure.error;
    }
  }
}

async function inTime(promise: Promise<void>, timeout: number): Promise<void> {
  if (timeout === 0) return promise;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new JobTimeoutError(`the reload has taken more than ${timeout} ms, and goes on`, { job: 0 })), timeout);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
