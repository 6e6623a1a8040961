/** A thread of the soak: attaches, runs its lanes until the round is over, then waits to be told what to do with itself. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PoolHandle } from 'cenote';
import { type AttachedPool, attachPool } from 'cenote/worker';
import type { Configuration } from './configuration.ts';
import { Lane, stampNow } from './lane.ts';
import { HANGING, Ledger, OWNER_DOOMED } from './ledger.ts';
import { Seat } from './seat.ts';
import type { Tool } from './tool.ts';

export interface BorrowerData {
  readonly handle: PoolHandle<Tool>;
  readonly ledger: SharedArrayBuffer;
  readonly life: number;
  readonly configuration: Configuration;
}

/** To a borrower, once it is quiet. */
export type BorrowerOrder = 'detach' | 'borrow' | 'hang' | 'end';
/** From a borrower. `at` in ms of a clock that all threads share. */
export type BorrowerNews =
  | { readonly type: 'quiet' | 'told'; readonly at: number }
  | { readonly type: 'failure'; readonly what: string }
  | { readonly type: 'done'; readonly order: BorrowerOrder };

const { handle, ledger: buffer, life, configuration } = workerData as BorrowerData;
const tell = (news: BorrowerNews): void => parentPort!.postMessage(news);
const ledger = new Ledger(buffer);
const attach = () => attachPool<Tool>(handle);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Others have it for a turn of their event loops, however long that takes on a busy machine. */
const SERVED_WITHIN = 30_000;

/** Nothing else goes on but others that do the same: no timeout, abort or death has the line looked at. A waiter that is not served when something is given back never will be. */
async function borrowInTurn(pool: AttachedPool<Tool>): Promise<void> {
  for (let left = 8; left > 0; ) {
    try {
      const resource = await pool.acquire({ timeout: SERVED_WITHIN });
      await turn();
      pool.release(resource);
      left--;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_POOL_QUEUE_FULL') throw error;
      await turn();
    }
  }
}

/** A one-shot call that runs, and never ends. */
async function hang(pool: AttachedPool<Tool>): Promise<void> {
  const before = ledger.get(HANGING);
  pool.call('hang', []).catch(() => {});
  while (ledger.get(HANGING) === before) await turn();
}

async function work(): Promise<void> {
  try {
    const seat = new Seat(life, ledger, configuration, await attach(), (what) => tell({ type: 'failure', what }));
    const lanes = Array.from({ length: configuration.lanes }, (_, index) => new Lane(seat, index, attach));
    const ends = await Promise.all(lanes.map((lane) => lane.run()));
    if (seat.isDying) return;
    tell({ type: ends.includes('told') ? 'told' : 'quiet', at: stampNow() });
    parentPort!.on('message', async (order: BorrowerOrder) => {
      const pool = seat.pool as AttachedPool<Tool>;
      if (order === 'borrow') await Promise.all([borrowInTurn(pool), borrowInTurn(pool)]);
      if (order === 'hang') await hang(pool);
      if (order === 'detach') await pool.detach();
      if (order === 'end') parentPort!.close();
      tell({ type: 'done', order });
    });
  } catch (error) {
    // Too late to be let in.
    if ((error as { code?: unknown }).code === 'ERR_POOL_CLOSED' && ledger.get(OWNER_DOOMED) !== 0)
      return tell({ type: 'told', at: stampNow() });
    tell({ type: 'failure', what: `life ${life}: ${(error as Error).stack}` });
  }
}

void work();
