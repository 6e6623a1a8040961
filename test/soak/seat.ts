/** One thread's place at the pool: its attachment, what it holds, and how it dies. */
import type { Pool } from 'cenote';
import type { AttachedPool } from 'cenote/worker';
import type { Configuration } from './configuration.ts';
import { type Ledger, OWNER_DOOMED, STOP } from './ledger.ts';
import type { Tool } from './tool.ts';

/** How a thread ends, if it is not terminated from outside. The order word of a life is an index into this. */
export const DEATHS = ['none', 'terminate', 'exit', 'throw', 'reject', 'heap'] as const;
export type Death = (typeof DEATHS)[number];

export interface Holding {
  readonly id: number;
  readonly holder: number;
  /** The thread has detached meanwhile. */
  lost: boolean;
}

/** How many of the lives that are told to die leave a one-shot call behind that never ends: each keeps a resource for a second. */
const LEAVES_CALL_EVERY = 8;

export class Seat {
  readonly life: number;
  readonly ledger: Ledger;
  readonly configuration: Configuration;
  readonly held = new Set<Holding>();
  pool: AttachedPool<Tool> | Pool<Tool>;
  /** Goes up with each detach: an acquire that began under an earlier one may fail. */
  attachment = 0;
  /** Settled unless this thread is between two attachments. */
  attached: Promise<void> = Promise.resolve();
  readonly #fail: (what: string) => void;
  /** It has begun to die: in a moment it will be dead. */
  isDying = false;

  constructor(
    life: number,
    ledger: Ledger,
    configuration: Configuration,
    pool: AttachedPool<Tool> | Pool<Tool>,
    fail: (what: string) => void,
  ) {
    this.life = life;
    this.ledger = ledger;
    this.configuration = configuration;
    this.pool = pool;
    this.#fail = fail;
  }

  fail(what: string, error?: unknown): void {
    this.#fail(
      `life ${this.life}: ${what}${error === undefined ? '' : `: ${error instanceof Error ? (error.stack ?? error.message) : error}`}`,
    );
  }

  get isOver(): boolean {
    return this.ledger.get(STOP) !== 0 || this.isOwnerDoomed;
  }

  get isOwnerDoomed(): boolean {
    return this.ledger.get(OWNER_DOOMED) !== 0;
  }

  /** Detaches with everything this thread has, and attaches again. */
  leave(attach: () => Promise<AttachedPool<Tool>>): Promise<void> {
    this.attachment++;
    for (const holding of this.held) {
      this.ledger.swapOut(holding.id, holding.holder);
      holding.lost = true;
    }
    this.held.clear();
    const left = (this.pool as AttachedPool<Tool>).detach();
    this.attached = left.then(async () => {
      this.pool = await attach();
    });
    return this.attached;
  }

  /** Called wherever it would be nasty to die. */
  dieIfTold(): void {
    const death = DEATHS[this.ledger.order(this.life)];
    if (this.isDying || death === 'none' || death === 'terminate') return;
    this.isDying = true;
    if (this.life % LEAVES_CALL_EVERY !== 0 || !('detach' in this.pool)) return this.#die(death);
    // On its way, in line, or running when its thread dies.
    void this.pool.call('hang', []).catch(() => {});
    setTimeout(() => this.#die(death), (this.life % 3) * 10);
  }

  #die(death: Death): void {
    switch (death) {
      case 'exit':
        return process.exit(3);
      case 'throw':
        // From the event loop: whoever is in the middle of something is cut off there.
        setImmediate(() => {
          throw new Error('chaos: uncaught');
        });
        return;
      case 'reject':
        void Promise.reject(new Error('chaos: unhandled'));
        return;
      case 'heap':
        return exhaustHeap();
    }
  }
}

/** In small pieces: V8 of Node 24 takes the process along when a large one does not fit any more. */
function exhaustHeap(): never {
  let hoard: unknown;
  for (;;) hoard = { hoard };
}
