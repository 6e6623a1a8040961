/** A thread that borrows in every way it can, as a program's threads do: code that has only ever seen one way is faster than anybody will see it. */
import type { AttachedPool } from 'cenote/worker';

const TIMES = 20_000;

export async function warm(pool: AttachedPool<object>): Promise<void> {
  for (let i = 0; i < TIMES; i++) {
    pool.release(pool.tryAcquireSync()!);
    pool.release(await pool.acquire());
  }
}
