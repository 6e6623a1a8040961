/** The threads of the benchmark as the main thread has them, and the contestants that lend to them. */
import { type TransferListItem, Worker } from 'node:worker_threads';
import { openCenote } from '../contestants/cenote.ts';
import type { Arena, Lender } from '../contestants/contestant.ts';
import { openMessages } from '../contestants/messages.ts';
import { openMutex } from '../contestants/mutex.ts';
import { createScoreboard, Scoreboard } from './scoreboard.ts';
import type { Setting } from './setting.ts';
import type { Done, Job, ThreadContestant } from './thread.ts';

const OPEN: Readonly<Record<ThreadContestant, (setting: Setting) => Lender | Promise<Lender>>> = {
  cenote: openCenote,
  mutex: openMutex,
  messages: openMessages,
};

class GroupThread {
  readonly #worker = new Worker(new URL('./thread.js', import.meta.url));
  readonly #failed: Promise<never>;

  constructor() {
    this.#failed = new Promise((_, reject) => {
      this.#worker.once('error', reject);
      this.#worker.once('exit', (code) => reject(new Error(`a thread of the benchmark has ended with code ${code}`)));
    });
    this.#failed.catch(() => {});
  }

  /** Has the thread do one job. A thread gets one job at a time. */
  async perform(job: Job, transfer: readonly TransferListItem[] = []): Promise<void> {
    const done = new Promise<Done>((resolve) => this.#worker.once('message', resolve));
    this.#worker.postMessage(job, transfer);
    const { error } = await Promise.race([done, this.#failed]);
    if (error !== undefined) throw error;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

export class WorkerGroup {
  readonly #threads: readonly GroupThread[];

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, () => new GroupThread());
  }

  async open(contestant: ThreadContestant, setting: Setting): Promise<Arena> {
    const lender = await OPEN[contestant](setting);
    const scoreboard = new Scoreboard(createScoreboard(setting.slots, this.#threads.length));
    await Promise.all(
      this.#threads.map((thread, me) => {
        const { data, transfer } = lender.invite(me);
        return thread.perform({ kind: 'join', contestant, setting, data, scoreboard: scoreboard.handle, me }, transfer);
      }),
    );
    const all = async (kind: 'work' | 'leave'): Promise<void> => {
      await Promise.all(this.#threads.map((thread) => thread.perform({ kind, contestant })));
    };
    return {
      contestant,
      scoreboard,
      work: () => all('work'),
      async close() {
        await all('leave');
        await lender.close();
      },
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}
