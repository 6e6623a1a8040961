/**
 * Who our objects say they are. Libraries tell a pool, a client and the server's errors by the driver's classes; with the driver on a thread,
 * ours are instances of them there.
 */
import { PgClient } from './client.ts';
import { DatabaseError } from './database-error.ts';
import { setDriverHere } from './driver-here.ts';
import type { Driver } from './lane.ts';
import { PgPool } from './pool.ts';

/** From now on our objects on this thread are instances of this driver's classes, too. */
export function adopt(driver: Driver): void {
  setDriverHere(driver);
  for (const [ours, theirs] of [
    [DatabaseError, driver.DatabaseError],
    [PgClient, driver.Client],
    [PgPool, driver.Pool],
  ] as const)
    if (typeof theirs === 'function') Object.setPrototypeOf(ours.prototype, theirs.prototype);
}
