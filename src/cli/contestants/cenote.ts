/** cenote: a pool that shares the number of the slot. Threads borrow it by acquire or acquireSync. */
import { createPool, type PoolHandle } from '../../main/index.ts';
import { attachPool } from '../../worker/index.ts';
import type { Setting } from '../measure/setting.ts';
import type { Borrowing, Lender } from './contestant.ts';

interface Seat {
  readonly number: number;
}

export async function openCenote({ slots, threads }: Setting): Promise<Lender> {
  let made = 0;
  const pool = await createPool({
    name: 'bench',
    factory: (): Seat => ({ number: made++ }),
    share: (seat) => seat.number,
    min: slots,
    max: slots,
    maxThreads: threads,
  });
  return { invite: () => ({ data: pool.handle }), close: () => pool.close() };
}

export async function joinCenote(handle: PoolHandle<Seat>, { mode }: Setting): Promise<Borrowing> {
  const pool = await attachPool(handle);
  const acquire = mode === 'sync' ? () => pool.acquireSync() : () => pool.acquire();
  return {
    // With `share`, what is handed out is the number itself.
    acquire: acquire as unknown as Borrowing['acquire'],
    release: (slot) => pool.release(slot as unknown as Parameters<typeof pool.release>[0]),
    leave: () => pool.detach(),
  };
}
