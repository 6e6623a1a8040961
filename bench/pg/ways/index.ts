/**
 * The ways that stand beside each other: a line for each.
 *
 * The first is the one that all others are compared with. cenote's own have four connections for all threads; so has comlink.
 */

import { TURNS } from '../bare/turns.ts';
import type { Way } from '../way.ts';
import { cenote } from './cenote.ts';
import { comlink } from './comlink.ts';
import { CONNECTIONS } from './connections.ts';
import { pools } from './pools.ts';
import { sequelizeAlone, sequelizeOverCenote } from './sequelize.ts';

export const CENOTE = 'cenote';
export const POOL_4 = 'pool of 4 in each';
export const POOL_1 = 'pool of 1 in each';

export const WAYS: readonly Way[] = [
  cenote(CENOTE),
  cenote('cenote, relayed', { lend: 'relayed' }),
  cenote('cenote, batch 1', { batch: 1 }),
  cenote('cenote, remote', { lend: 'remote' }),
  pools(POOL_4, CONNECTIONS),
  pools(POOL_1, 1),
  comlink('comlink'),
];

/** A pool in each thread, of four connections in all: what they give if no thread ever hands one over. For point queries only. */
export const UNSHARED = 'pools of 4 in all';
export const unshared = (each: number): Way => pools(UNSHARED, each);

/** In these the main thread has no part. */
export const APART: readonly string[] = [POOL_4, POOL_1, UNSHARED, TURNS];

/** One pool of four that the main thread itself asks as much as all the threads would: there are none. For large results only. */
export const ON_MAIN: Way = pools('on main', CONNECTIONS);

export const SEQUELIZE = 'Sequelize over cenote, max 2';
export const SEQUELIZE_ALONE = 'Sequelize, pool of 2 in each';
/** Sequelize as it is by default, whose own pool has up to five clients in each thread, over two connections for all. */
export const SEQUELIZE_WAYS: readonly Way[] = [sequelizeOverCenote(SEQUELIZE, 2), sequelizeAlone(SEQUELIZE_ALONE, 2)];
