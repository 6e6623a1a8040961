/** The tracing channel of queries: on the thread that asked, with the text and without values. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { join, open, postgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

beforeAll(() => postgres() as Promise<unknown>, 120_000);

type Event = [string, Record<string, unknown>, unknown];

test('a query on the owner, in a transaction, on a client: each once, in the async context of its asker', async () => {
  const pool = await open({ max: 2 });
  const request = new AsyncLocalStorage<string>();
  const events: Event[] = [];
  const on = (what: string) => (context: unknown) => void events.push([what, { ...(context as object) }, request.getStore()]);
  const subscribers = { start: on('start'), end: on('end'), asyncStart: on('asyncStart'), asyncEnd: on('asyncEnd'), error: on('error') };
  tracingChannel('cenote:query').subscribe(subscribers as never);
  onTestFinished(() => void tracingChannel('cenote:query').unsubscribe(subscribers as never));

  await request.run('one', () => pool.query('select $1::text as secret from generate_series(1, 3)', ['hidden']));
  expect(events.map(([name]) => name)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  expect(new Set(events.map(([, , store]) => store))).toEqual(new Set(['one']));
  const [, last] = events.at(-1)!;
  expect(last).toMatchObject({ pool: pool.pool.name, owner: 0, threadId: 0, sync: false, rows: 3 });
  expect(last.text).toBe('select $1::text as secret from generate_series(1, 3)');
  expect(last.duration).toBeGreaterThan(0);
  expect(JSON.stringify(events)).not.toContain('hidden');

  events.length = 0;
  await pool.transaction((tx) => tx.query('select 1'));
  const client = await pool.connect();
  await client.query('select 2');
  client.release();
  expect(events.filter(([name]) => name === 'asyncEnd').map(([, { text, wait }]) => [text, wait])).toEqual([
    ['select 1', 0],
    ['select 2', 0],
  ]);

  events.length = 0;
  await expect(pool.query(`select 'a secret value'::int`)).rejects.toThrow('a secret value');
  const [, failed] = events.find(([name]) => name === 'error')!;
  expect((failed.error as { code: string }).code).toBe('22P02');
  expect((failed.error as Error).stack).not.toContain('a secret value');
});

test('a query on a worker is published there, and not on the owner', async () => {
  const pool = await open({ max: 2 });
  const heard: unknown[] = [];
  const subscribers = { start: (context: unknown) => void heard.push(context) };
  tracingChannel('cenote:query').subscribe(subscribers as never);
  onTestFinished(() => void tracingChannel('cenote:query').unsubscribe(subscribers as never));
  const worker = await join(pool);
  const seen = await worker.pg(async (remote, { load, threadId }) => {
    const { tracingChannel: channel } = (await load('node:diagnostics_channel')) as typeof import('node:diagnostics_channel');
    const events: [string, object][] = [];
    const on = (what: string) => (context: unknown) => void events.push([what, { ...(context as object) }]);
    const all = { start: on('start'), end: on('end'), asyncStart: on('asyncStart'), asyncEnd: on('asyncEnd'), error: on('error') };
    channel('cenote:query').subscribe(all as never);
    await remote.query('select 1');
    remote.querySync('select 2');
    return { events, threadId };
  });
  expect(seen.events.map(([name]) => name)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd', 'start', 'end']);
  expect(seen.events.at(-1)![1]).toMatchObject({ sync: true, text: 'select 2', threadId: seen.threadId, owner: 0, rows: 1 });
  expect(heard).toEqual([]);
});

test('how long a query waited for its connection: in a scope that has to borrow one, and where it blocks its thread', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  const seen = await worker.pg(async (remote, { load }) => {
    const { tracingChannel: channel } = (await load('node:diagnostics_channel')) as typeof import('node:diagnostics_channel');
    const waits: [unknown, unknown][] = [];
    channel('cenote:query').subscribe({ end: ({ sync, text, wait }: any) => void (sync && waits.push([text, wait])) } as never);
    channel('cenote:query').subscribe({ asyncEnd: ({ text, wait }: any) => void waits.push([text, wait]) } as never);
    const client = await remote.connect();
    let heldFor = 0;
    await remote.scope(async () => {
      const asked = remote.query('select 1');
      const held = performance.now();
      setTimeout(() => {
        heldFor = performance.now() - held;
        client.release();
      }, 100);
      await asked;
      await remote.query('select 2');
    });
    remote.querySync('select 3');
    return { waits, heldFor };
  });
  const [first, second, third] = seen.waits as [string, number][];
  expect([first[0], second[0], third[0]]).toEqual(['select 1', 'select 2', 'select 3']);
  expect(first[1]).toBeGreaterThan(seen.heldFor - 5);
  for (const [, wait] of [second, third]) expect(wait).toBeGreaterThanOrEqual(0);
});

test.each(['auto', 'relayed', 'remote'] as const)('how long a plain query waited, alone and with others (lend: %s)', async (lend) => {
  const pool = await open({ max: 1, lend });
  const worker = await join(pool);
  const text = 'select n from generate_series(1, 2) n';
  const seen = worker.pg(async (remote, { load, tell }, query) => {
    // Known to answer quickly: then those that wait may be sent together.
    for (let times = 0; times < 10; times++) await remote.query(query);
    const { tracingChannel: channel } = (await load('node:diagnostics_channel')) as typeof import('node:diagnostics_channel');
    const waits: { wait: number; duration: number }[] = [];
    channel('cenote:query').subscribe({ asyncEnd: ({ wait, duration }: any) => void waits.push({ wait, duration }) } as never);
    tell('ready');
    while (remote.idleCount > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([1, 2, 3].map(() => remote.query(query)));
    await remote.query(query);
    await remote.query('select no_such_column').catch(() => {});
    return waits;
  }, text);
  await until(() => worker.told.includes('ready'));
  const client = await pool.connect();
  await until(() => pool.waitingCount === 3);
  const held = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const heldFor = performance.now() - held;
  client.release();
  const waits = await seen;
  expect(waits.length).toBe(5);
  for (const { wait, duration } of waits.slice(0, 3)) {
    expect(wait).toBeGreaterThan(heldFor - 5);
    expect(wait).toBeLessThanOrEqual(duration);
  }
  for (const { wait, duration } of waits.slice(3)) {
    expect(wait).toBeGreaterThanOrEqual(0);
    expect(wait).toBeLessThanOrEqual(duration);
  }
});

test('on the owner', async () => {
  const pool = await open({ max: 1 });
  const waits: number[] = [];
  const subscribers = { asyncEnd: ({ wait }: { wait: number }) => void waits.push(wait) };
  tracingChannel('cenote:query').subscribe(subscribers as never);
  onTestFinished(() => void tracingChannel('cenote:query').unsubscribe(subscribers as never));
  const client = await pool.connect();
  const asked = pool.query('select 1');
  const begun = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const heldFor = performance.now() - begun;
  client.release();
  await asked;
  expect(waits).toEqual([expect.any(Number)]);
  expect(waits[0]).toBeGreaterThan(heldFor - 5);
});
