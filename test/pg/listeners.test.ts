/** Listeners for 'acquire' and 'release': asked about every connection that a thread borrows, in whatever way it does. */
import { describe, expect, test } from 'vitest';
import { join, on, open, WHERE } from '../support/postgres.ts';

const tenant = `select coalesce(current_setting('my.tenant', true), '') as seen`;

describe.each(WHERE)('on %s', (where) => {
  test('what an acquire listener sets is in force however the pool is asked, and gone afterwards', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (p, _, text) => {
      const events: string[] = [];
      const clients = new Set<unknown>();
      p.on('acquire', (client) => {
        events.push('acquire');
        clients.add(client);
        client.query(`set my.tenant = '7'`);
      });
      p.on('release', (error, client) => events.push(error === undefined && clients.delete(client) ? 'release' : 'another'));
      const told: Record<string, unknown> = {};
      const ask = async (target: Pick<typeof p, 'query'>) => (await target.query(text)).rows[0].seen;
      told.query = await ask(p);
      const client = await p.connect();
      told.connect = await ask(client);
      client.release();
      told.transaction = await p.transaction(ask);
      told.retried = await p.transaction(() => ask(p), { isolation: 'serializable' });
      told.scope = await p.scope(async () => {
        const inner = await p.connect();
        const own = await ask(inner);
        inner.release();
        return [own, await ask(p), await p.transaction(ask)];
      });
      for await (const row of p.iterate(text)) told.iterate = row.seen;
      if ('querySync' in p) {
        told.querySync = p.querySync(text).rows[0].seen;
        told.transactionSync = p.transactionSync((tx) => tx.query(text).rows[0].seen);
      } else Object.assign(told, { querySync: '7', transactionSync: '7' });
      return { told, events, left: clients.size, isWorker: 'querySync' in p };
    }, tenant);
    expect(seen.told).toEqual({
      query: '7',
      connect: '7',
      transaction: '7',
      retried: '7',
      scope: ['7', '7', '7'],
      iterate: '7',
      querySync: '7',
      transactionSync: '7',
    });
    // Once for each that was borrowed: a connection in a scope is the scope's.
    expect(seen.events).toEqual(
      Array(seen.isWorker ? 8 : 6)
        .fill(['acquire', 'release'])
        .flat(),
    );
    expect(seen.left).toBe(0);
    pool.removeAllListeners();
    expect((await pool.query(tenant)).rows).toEqual([{ seen: '' }]);
  });

  test('one that throws costs nothing but what it was asked about', async () => {
    const pool = await open({ max: 1, acquireTimeout: 20_000 });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      const told: unknown[] = [];
      const fail = (): never => {
        throw new Error('mine');
      };
      p.on('acquire', fail);
      const failed = (error: Error): number => told.push(error.message);
      await p.query('select 1').catch(failed);
      await p.connect().catch(failed);
      await p.transaction(() => p.query('select 1')).catch(failed);
      await p.scope(() => p.query('select 1')).catch(failed);
      await p.iterate('select 1').next().catch(failed);
      p.off('acquire', fail);
      return [told, (await p.query('select 1 as a')).rows];
    });
    expect(seen).toEqual([Array(5).fill('mine'), [{ a: 1 }]]);
  });
});

test('a worker is warned, once, of listeners that hear nothing there, or late', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  const warned = await worker.pg(async (p) => {
    const codes: unknown[] = [];
    process.on('warning', (warning) => codes.push((warning as { code?: string }).code));
    const nothing = (): void => {};
    p.on('error', nothing).on('acquire', nothing).on('release', nothing);
    p.on('connect', nothing).once('connect', nothing);
    p.prependOnceListener('remove', nothing).addListener('remove', nothing);
    const client = await p.connect();
    client.on('notice', nothing).once('notification', nothing).on('notification', nothing);
    client.release();
    await new Promise((resolve) => setImmediate(resolve));
    return codes;
  });
  expect(warned).toEqual(['CENOTE_PG_REMOVE_IN_WORKER']);
});
