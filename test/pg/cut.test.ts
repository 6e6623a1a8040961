/**
 * The network breaks after each byte of a small conversation, in both directions and in both ways of lending. CUTS=all tries every offset;
 * else every fifth is tried, from a random one on.
 */
import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { cuttingProxy, type Direction } from '../support/cutting-proxy.ts';
import { ask, connections, join, open, type PgThread } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

const STEP = process.env.CUTS === 'all' ? 1 : 5;
const START = process.env.CUTS === 'all' ? 1 : randomInt(1, STEP + 1);

beforeAll(async () => {
  await ask('create table cuts (id text primary key)');
});

/** One row in a transaction, with a statement that reads. Gives what came of it. */
const converse = (thread: PgThread, id: string): Promise<{ said: string; name?: string }> =>
  thread.pg(
    (pool, _, given) =>
      pool
        .transaction(async (tx) => {
          const { rows } = await tx.query('select 7 as a');
          await tx.query(`insert into cuts values ('${given}')`);
          return rows[0].a;
        })
        .then(
          (a) => ({ said: a === 7 ? 'committed' : `got ${a}` }),
          (error) => ({ said: 'rejected', name: error.name }),
        ),
    id,
  );

describe.each(['auto', 'remote'] as const)('lent %s', (lend) => {
  test.each<Direction>(['to the server', 'to the client'])('cut after each byte %s', async (direction) => {
    const network = await cuttingProxy();
    const pool = await open({ lend, max: 1, settings: network.settings });
    const thread = await join(pool);
    let cuts = 0;
    for (let offset = START; ; offset += STEP) {
      const id = `${lend} ${direction} ${offset}`;
      expect(await thread.pg((shared) => shared.query('select 8 as a').then(({ rows }) => rows))).toEqual([{ a: 8 }]);
      network.cutAfter(direction, offset);
      const { said, name } = await converse(thread, id);
      const cut = network.heal();
      // The backend of a connection that was cut may be at its end only now.
      await until(async () => (await connections(pool.pool.name)) <= pool.totalCount);
      const isThere = (await ask('select from cuts where id = $1', [id])).length === 1;
      if (cut === 'nothing') {
        expect([said, isThere]).toEqual(['committed', true]);
        break;
      }
      cuts++;
      const about = `${id}: ${said} ${name}`;
      // The server has not heard the whole of a statement, so it has not heard COMMIT. Of its answer to that the end may be missing.
      if ((direction === 'to the server' && cut === 'within') || name === 'TransactionRolledBackError') expect(isThere, about).toBe(false);
      if (said !== 'rejected') expect([said, isThere], about).toEqual(['committed', true]);
      if (direction === 'to the server') expect(said, about).toBe('rejected');
    }
    expect(cuts * STEP).toBeGreaterThan(60);
    await until(() => pool.pool.activeCount() === 0);
    const { acquired, released, created, destroyed, count } = pool.pool.stats();
    expect([acquired - released, created - destroyed - count]).toEqual([0, 0]);
  });
});
