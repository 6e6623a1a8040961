/** One life: a worker of the soak as the conductor sees it. */
import { Worker } from 'node:worker_threads';
import type { BorrowerNews, BorrowerOrder } from './borrower.ts';
import { stampNow } from './lane.ts';
import type { Ledger } from './ledger.ts';
import type { OwnerNews, OwnerOrder } from './owner.ts';
import { DEATHS, type Death } from './seat.ts';

/** Small, so that running out of it does not take long. */
const HEAP_MB = 40;

export class Thread {
  readonly life: number;
  readonly worker: Worker;
  readonly news: (OwnerNews | BorrowerNews)[] = [];
  readonly ended: Promise<void>;
  death: Death | undefined;
  /** When it was seen to be dead; 0: it lives. */
  endedAt = 0;
  readonly #ledger: Ledger;

  constructor(url: URL, life: number, ledger: Ledger, data: object, changed: (thread: Thread) => void, failed: (what: string) => void) {
    this.life = life;
    this.#ledger = ledger;
    ledger.bear(life);
    this.worker = new Worker(url, {
      workerData: { ...data, life, ledger: ledger.words.buffer },
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    this.worker.on('message', (news: OwnerNews | BorrowerNews) => {
      if (news.type === 'failure') failed(news.what);
      else this.news.push(news);
      changed(this);
    });
    this.worker.on('error', (error) => {
      if (this.death === undefined) failed(`life ${life} died unforeseen: ${error.stack}`);
    });
    this.ended = new Promise((resolve) => {
      this.worker.on('exit', () => {
        this.endedAt = stampNow();
        changed(this);
        resolve();
      });
    });
  }

  get isAlive(): boolean {
    return this.endedAt === 0;
  }

  has(type: (OwnerNews | BorrowerNews)['type'], order?: OwnerOrder | BorrowerOrder): boolean {
    return this.news.some((news) => news.type === type && (order === undefined || ('order' in news && news.order === order)));
  }

  order(order: OwnerOrder | BorrowerOrder): void {
    this.worker.postMessage(order);
  }

  /** Doomed before anything can happen to it. */
  kill(death: Death): void {
    this.death = death;
    this.#ledger.doom(this.life, DEATHS.indexOf(death));
    if (death === 'terminate') void this.worker.terminate();
  }
}
