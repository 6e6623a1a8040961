/** The ends of a client and of its connection, as programs for pg expect them. */
import { expect, test } from 'vitest';
import { join, killAll, newName, on, open, WHERE } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

test.each(WHERE)('a client that is ended may be released, once: on %s', async (where) => {
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await run(async (p) => {
    const client = await p.connect();
    await client.query('select 1');
    await (client as never as { end(): Promise<void> }).end();
    client.release();
    let again: unknown;
    try {
      client.release();
    } catch (error) {
      again = (error as Error).message;
    }
    return [again, (await p.query('select 2 as n')).rows[0].n];
  });
  expect(seen).toEqual(['Release called on client which has already been released to the pool.', 2]);
  await until(() => pool.pool.stats().destroyed === 1);
});

test.each(WHERE)('a query under way when its client is ended hears that the connection is: on %s', async (where) => {
  const run = await on(where, await open({ max: 1 }));
  const message = await run(async (p) => {
    const client = await p.connect();
    await client.query('select 1');
    const query = client.query('select pg_sleep(600)').catch((error: Error) => error.message);
    client.release(true);
    return query;
  });
  expect(message).toMatch(/^Connection terminated|^the borrower asked for the connection to be destroyed/);
});

test.each(['auto', 'relayed', 'remote'] as const)(
  'transactionSync that finds its connection lost begins on another: lend %s',
  async (lend) => {
    const name = newName();
    const pool = await open({ name, max: 2, lend });
    const thread = await join(pool);
    for (let round = 0; round < 3; round++) {
      await thread.pg((p) => p.query('select 1'));
      await killAll(name);
      expect(await thread.pg((p) => p.transactionSync((tx) => tx.query('select 3 as n').rows[0].n))).toBe(3);
    }
  },
);
