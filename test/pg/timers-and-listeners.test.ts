/** What is set up for a while and must not stay, and timers that must not be those of a test. */
import type { EventEmitter } from 'node:events';
import type { Client } from 'pg';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { on, open, WHERE } from '../support/postgres.ts';

/** Listeners of all kinds on a connection, and on the driver's client. */
function listeners(client: Client): Record<string, number> {
  const counts: Record<string, number> = {};
  const add = (whose: string, emitter: EventEmitter): void => {
    for (const name of emitter.eventNames()) counts[`${whose} ${String(name)}`] = emitter.listenerCount(name);
  };
  add('client', client);
  add('connection', (client as unknown as { connection: EventEmitter }).connection);
  add('socket', (client as unknown as { connection: { stream: EventEmitter } }).connection.stream);
  return counts;
}

describe.each(WHERE)('on %s', (where) => {
  test('no listener stays on a connection, whatever has ended in it: a cancel, an error, a cursor, a transaction', async () => {
    const warnings: string[] = [];
    const warned = ({ message }: Error): void => void warnings.push(message);
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    let client: Client | undefined;
    const pool = await open({
      max: 1,
      statementCacheSize: 5,
      onConnect: (made) => {
        client = made;
        // Nobody waits for it but the pool.
        void made.query('select 1');
      },
    });
    const run = await on(where, pool);
    const round = () =>
      run(async (p, { load }) => {
        // Takes a moment to end after it was cancelled, as real ones do.
        const slow = `do $$ begin perform pg_sleep(10); exception when query_canceled then perform pg_sleep(0.02); end $$`;
        await p.transaction((tx) => tx.query(slow), { signal: AbortSignal.timeout(30) }).catch(() => {});
        await p.transaction((tx) => tx.query('select nowhere')).catch(() => {});
        await p.query('select 1 / 0').catch(() => {});
        for await (const row of p.iterate('select 1 as a')) void row;
        const { default: Cursor } = (await load('pg-cursor')) as any;
        const held = await p.connect();
        const cursor = held.query(new Cursor('select generate_series(1, 5)'));
        await cursor.read(2);
        await cursor.close();
        held.release();
        const failing = await p.connect();
        await failing
          .query(new Cursor('select nowhere'))
          .read(2)
          .catch(() => {});
        failing.release();
      });
    await round();
    await pool.query('select 1');
    const before = listeners(client!);
    for (let i = 0; i < 12; i++) await round();
    await pool.query('select 1');
    expect(listeners(client!)).toEqual(before);
    expect(before['client drain'] ?? 0).toBe(0);
    expect(warnings.filter((message) => message.includes('leak'))).toEqual([]);
  });
});

test('a signal that outlives many transactions is left as it was', async () => {
  const pool = await open({ max: 1 });
  const { signal } = new AbortController();
  const added = vi.spyOn(signal, 'addEventListener');
  const removed = vi.spyOn(signal, 'removeEventListener');
  for (let i = 0; i < 5; i++) await pool.transaction((tx) => tx.query('select 1'), { signal });
  await pool.transaction((tx) => tx.query('select nowhere'), { signal }).catch(() => {});
  expect(added.mock.calls.length).toBeGreaterThan(0);
  expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
});

test('fake timers of a test stop nothing: queries, cancels and resets go on', async () => {
  const pool = await open({ max: 1 });
  await pool.query('select 1');
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate', 'performance', 'Date'],
  });
  onTestFinished(() => void vi.useRealTimers());
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  await pool.query('select nowhere').catch(() => {});
  const aborted = new AbortController();
  const sleeping = pool.transaction(
    async (tx) => {
      const asleep = tx.query('select pg_sleep(10)');
      aborted.abort(new Error('enough'));
      await asleep;
    },
    { signal: aborted.signal },
  );
  await expect(sleeping).rejects.toThrow('enough');
  await pool.query(`set my.own = 'x'`);
  expect((await pool.query(`select current_setting('my.own', true) as a`)).rows[0].a || null).toBe(null);
  expect(vi.getTimerCount()).toBe(0);
});

test('timers that are numbers, as in browsers, are not used', async () => {
  const numbered =
    (make: (...args: any[]) => NodeJS.Timeout) =>
    (...args: unknown[]) =>
      make(...args)[Symbol.toPrimitive]();
  const pool = await open({ max: 1, checkTimeout: 1000 });
  vi.stubGlobal('setTimeout', numbered(setTimeout));
  vi.stubGlobal('setInterval', numbered(setInterval));
  onTestFinished(() => void vi.unstubAllGlobals());
  await pool.query(`set my.own = 'x'`);
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
});
