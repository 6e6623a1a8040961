/**
 * What our objects say they are. Libraries tell a pool, a client and the server's errors by the driver's classes; with the driver on a
 * thread, ours are instances of them there.
 */

import { setDriverHere } from '../driver/driver-here.ts';
import type { Driver } from '../driver/lane.ts';
import { DatabaseError } from '../messages/database-error.ts';
import { PgClient } from './client.ts';
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
