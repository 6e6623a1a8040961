/** Plain queries of one thread that wait together are served in one go; each is still one statement, and threads take turns. */
import type { PgOwnerPool } from 'cenote/pg';
import pg from 'pg';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { ask, connections, join, open, type PgThread, postgres } from '../support/postgres.ts';
import { rejection, settled, until } from '../support/wait.ts';

beforeAll(async () => {
  await postgres();
  await ask('create table locked as select n from generate_series(1, 100) n');
  await ask('create table item as select n from generate_series(1, 100) n');
}, 120_000);

/** Reads from the table with the lock, and from another. Both have answered quickly before. */
const LOCKED = 'select n from locked where n = $1';
const ITEM = 'select n from item where n = $1';

const handOuts = (pool: PgOwnerPool): number => pool.pool.stats().acquired;
const waiting = (pool: PgOwnerPool, count: number): Promise<boolean> => until(() => pool.waitingCount === count);

/** Has the thread ask both texts, so that they are known to answer quickly. The machine may be busy: more than once. */
const acquaint = (thread: PgThread): Promise<unknown> =>
  thread.pg(
    async (p, _, texts) => {
      for (let times = 0; times < 10; times++) for (const text of texts) await p.query(text, [1]);
    },
    [LOCKED, ITEM],
  );

/** Nothing can read the table until what this gives is called. */
async function lock(table = 'locked'): Promise<() => Promise<void>> {
  const { url } = await postgres();
  const client = new pg.Client(url);
  await client.connect();
  await client.query('begin');
  await client.query(`lock table ${table} in access exclusive mode`);
  onTestFinished(() => client.end());
  return async () => void (await client.query('commit'));
}

/** The process that waits for the lock. */
const waitForLock = (name: string): Promise<number> =>
  until(async () => {
    const text = `select pid from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock' and query = $2`;
    return (await ask(text, [name, LOCKED]))[0]?.pid;
  });

/**
 * The fewest hand-outs that it has taken, of several times: what is behind a statement that takes long stands in line again, and a busy
 * machine may make any statement take long. `body` says how many it took.
 */
async function fewest(enough: number, body: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let times = 0; times < 100 && least > enough; times++) least = Math.min(least, await body());
  return least;
}

test('each gets its own result, and its own error, whatever goes along with it', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const text = 'select 100 / $1::int as n, pg_backend_pid() as pid';
  await thread.pg(async (p, _, query) => {
    for (let times = 0; times < 10; times++) await p.query(query, [1]);
  }, text);
  const served = async (): Promise<number> => {
    const client = await pool.connect();
    const before = handOuts(pool);
    const asked = thread.pg(
      (p, _, query) =>
        Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            p.query(query, [index % 7]).then(
              ({ rows, rowCount, command, fields }) => [rows[0].n, rowCount, command, fields.map(({ name }) => name).join()],
              (error) => [error.code, error.constructor.name, error.message],
            ),
          ),
        ),
      text,
    );
    await waiting(pool, 20);
    client.release();
    for (const [index, row] of (await asked).entries())
      expect(row).toEqual(
        index % 7 === 0 ? ['22012', 'DatabaseError', 'division by zero'] : [Math.floor(100 / (index % 7)), 1, 'SELECT', 'n,pid'],
      );
    return handOuts(pool) - before;
  };
  // 8, 8 and 4.
  expect(await fewest(3, served)).toBe(3);
  // The last asker has its answer before the thread gives the connection back.
  await until(() => pool.pool.activeCount() === 0);
  expect(pool.pool.stats()).toMatchObject({ waiting: 0, idle: 1, timedOut: 0, rejected: 0 });
  expect(pool.pool.stats().waitTime.count).toBeGreaterThanOrEqual(20);
});

test.each([
  [1, 10],
  [4, 3],
])('batch: %i: ten that wait take %i hand-outs', async (batch, expected) => {
  const pool = await open({ max: 1, batch, lend: 'auto' });
  const thread = await join(pool);
  await acquaint(thread);
  const served = async (): Promise<number> => {
    const client = await pool.connect();
    const before = handOuts(pool);
    const asked = thread.pg(
      (p, _, text) => Promise.all(Array.from({ length: 10 }, async (_, n) => (await p.query(text, [n + 1])).rows[0].n)),
      ITEM,
    );
    await waiting(pool, 10);
    client.release();
    expect(await asked).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    return handOuts(pool) - before;
  };
  expect(await fewest(expected, served)).toBe(expected);
});

test('what writes, what is dirty, and a text of several statements go alone, in the order in which they were asked', async () => {
  const pool = await open({ max: 1 });
  const thread = await join(pool);
  await ask('create table if not exists said (id serial, what int)');
  await ask('truncate said');
  await acquaint(thread);
  const client = await pool.connect();
  const asked = thread.pg(async (p) => {
    const own = `select current_setting('my.own', true) as own`;
    const texts = [own, own, `select set_config('my.own', 'x', false) as own`, own, `set my.own = 'y'; select 1 as own`, own];
    const writes = Array.from({ length: 10 }, (_, what) => p.query('insert into said (what) values ($1)', [what]));
    const results = await Promise.all(texts.map((text) => p.query(text)));
    await Promise.all(writes);
    return results.map((result: any) => [result].flat().at(-1).rows[0].own || null);
  });
  await waiting(pool, 16);
  client.release();
  expect(await asked).toEqual([null, null, 'x', null, 1, null]);
  expect((await ask('select what from said order by id')).map(({ what }) => what)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test.each([1, 8])('batch: %i: threads take turns, and one with a single query does not wait for all of another', async (batch) => {
  const pool = await open({ max: 1, batch });
  const threads = await Promise.all([join(pool), join(pool), join(pool)]);
  for (const thread of threads) await acquaint(thread);
  const client = await pool.connect();
  const counts = [100, 60, 1];
  const asked: Promise<number[]>[] = [];
  for (const [index, count] of counts.entries()) {
    asked.push(
      threads[index].pg(
        (p, _, most) =>
          Promise.all(
            Array.from({ length: most }, async (_, n) => {
              const { rows } = await p.query('select n, extract(epoch from clock_timestamp())::float8 as at from item where n = $1', [
                n % 100,
              ]);
              return rows[0]?.at ?? 0;
            }),
          ),
        count,
      ),
    );
    await waiting(
      pool,
      counts.slice(0, index + 1).reduce((sum, each) => sum + each),
    );
  }
  client.release();
  const order = (await Promise.all(asked))
    .flatMap((times, index) => times.filter((at) => at > 0).map((at) => ({ at, index })))
    .sort((a, b) => a.at - b.at)
    .map(({ index }) => index);
  expect(order.indexOf(2)).toBeLessThanOrEqual(2 * batch);
  // Until one has no more.
  let run = 0;
  for (const [at, index] of order.slice(0, order.lastIndexOf(1)).entries()) {
    run = index === order[at - 1] ? run + 1 : 1;
    expect(run).toBeLessThanOrEqual(batch);
  }
});

test('one that waits for a lock keeps none behind it that another connection can serve', async () => {
  const pool = await open({ max: 3 });
  const thread = await join(pool);
  await acquaint(thread);
  const others = [await pool.connect(), await pool.connect()];
  const done = thread.pg(
    async (p, { load }, locked, item) => {
      const { AsyncLocalStorage } = (await load('node:async_hooks')) as typeof import('node:async_hooks');
      const outside = AsyncLocalStorage.snapshot();
      const events: string[] = [];
      const note = (what: string) => () => void events.push(what);
      let first!: Promise<unknown>;
      await p.transaction(async (tx) => {
        await tx.query('lock table locked in access exclusive mode');
        // Outside of the transaction, as another part of the program would ask.
        first = outside(() => p.query(locked, [1])).then(note('locked'));
        const behind = [2, 3, 4].map((n) => outside(() => p.query(item, [n])).then(note('item')));
        await Promise.all(behind);
        events.push('end');
      });
      await first;
      return events;
    },
    LOCKED,
    ITEM,
  );
  void done.catch(() => {});
  await waiting(pool, 4);
  others[0].release();
  await waitForLock(pool.pool.name);
  await waiting(pool, 3);
  others[1].release();
  expect(await settled(done)).toEqual(['item', 'item', 'item', 'end', 'locked']);
});

test('what was sent behind one that takes its time is still in line: it times out there', async () => {
  const pool = await open({ max: 1, acquireTimeout: 4000 });
  const thread = await join(pool);
  await acquaint(thread);
  const client = await pool.connect();
  const unlock = await lock();
  const asked = thread.pg(
    (p, _, locked, item) =>
      Promise.all([
        p.query(locked, [7]).then(({ rows }) => rows[0].n),
        ...[1, 2, 3].map((n) =>
          p.query(item, [n]).then(
            () => 'answered',
            (error) => error.code,
          ),
        ),
      ]),
    LOCKED,
    ITEM,
  );
  await waiting(pool, 4);
  client.release();
  await waitForLock(pool.pool.name);
  await waiting(pool, 3);
  await until(() => pool.pool.stats().timedOut === 3);
  await unlock();
  expect(await asked).toEqual([7, ...Array.from({ length: 3 }, () => 'ERR_POOL_ACQUIRE_TIMEOUT')]);
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(await thread.pg(async (p, _, item) => (await p.query(item, [5])).rows[0].n, ITEM)).toBe(5);
});

test('what was sent, and whose asker has gone meanwhile, does not keep the connection', async () => {
  const pool = await open({ max: 1, acquireTimeout: 4000 });
  const thread = await join(pool);
  await acquaint(thread);
  const client = await pool.connect();
  const unlock = await lock();
  await lock('item');
  const asked = thread.pg(
    (p, _, locked, item) =>
      Promise.all([
        p.query(locked, [7]).then(({ rows }) => rows[0].n),
        ...[1, 2, 3].map((n) => p.query(item, [n]).catch((error) => error.code)),
      ]),
    LOCKED,
    ITEM,
  );
  await waiting(pool, 4);
  client.release();
  await until(() => pool.pool.stats().timedOut === 3);
  await unlock();
  expect(await settled(asked)).toEqual([7, ...Array.from({ length: 3 }, () => 'ERR_POOL_ACQUIRE_TIMEOUT')]);
  // The other table is still locked.
  await until(() => pool.pool.activeCount() === 0);
  expect((await settled(pool.query('select 1 as one'))).rows).toEqual([{ one: 1 }]);
});

test('the connection is killed in the middle: what is under way is told, and what has not begun is done elsewhere', async () => {
  const pool = await open({ max: 1 });
  const thread = await join(pool);
  await acquaint(thread);
  const client = await pool.connect();
  await lock();
  const asked = thread.pg(
    (p, _, locked, item) =>
      Promise.all(
        [item, item, locked, item, item].map((text, index) =>
          p.query(text, [index + 1]).then(
            ({ rows }) => rows[0].n,
            (error) => error.code,
          ),
        ),
      ),
    LOCKED,
    ITEM,
  );
  await waiting(pool, 5);
  client.release();
  const pid = await waitForLock(pool.pool.name);
  await ask('select pg_terminate_backend($1, 10000)', [pid]);
  expect(await settled(asked)).toEqual([1, 2, '57P01', 4, 5]);
  expect(await connections(pool.pool.name)).toBe(1);
});

test('the thread dies in the middle: its connection is ended, and others go on', async () => {
  const pool = await open({ max: 1 });
  const [thread, other] = [await join(pool), await join(pool)];
  await acquaint(thread);
  const client = await pool.connect();
  await lock();
  void thread
    .pg((p, _, locked, item) => Promise.all([p.query(locked, [1]), p.query(item, [1]), p.query(item, [2])]), LOCKED, ITEM)
    .catch(() => {});
  await waiting(pool, 3);
  const asked = other.pg(async (p, _, item) => (await p.query(item, [3])).rows[0].n, ITEM);
  await waiting(pool, 4);
  client.release();
  await waitForLock(pool.pool.name);
  await thread.terminate();
  expect(await settled(asked)).toBe(3);
  await until(async () => (await connections(pool.pool.name)) === 1);
  await until(() => pool.pool.activeCount() === 0);
  expect(pool.pool.stats()).toMatchObject({ waiting: 0 });
});

test('bytes that are no statement harm their sender only', async () => {
  const pool = await open({ max: 1 });
  const thread = await join(pool);
  await acquaint(thread);
  const client = await pool.connect();
  const asked = thread.pg(async (p, { load, handle }, item) => {
    const { attachPool } = (await load('cenote/worker')) as typeof import('cenote/worker');
    const sessions = (await attachPool(handle as never)) as any;
    const speak = (bytes: unknown, mode: unknown = 512) =>
      sessions.call('speakOnce', ['', bytes, mode]).then(
        (answer: any) => answer.error?.message ?? 'an answer',
        (error: Error) => error.message,
      );
    const sync = 'S\0\0\0\x04';
    const query = `Q\0\0\0\x0dselect 1\0`;
    const bad = ['', 'no message at all', sync, query + query, 'Q\0\0\0\x05', `P\0\0\0\x04${sync}`, 5, null, `${query}X\0\0\0\x04`];
    const wrong = bad.flatMap((bytes) => [speak(bytes), p.query(item, [1]).then(({ rows }) => rows[0].n)]);
    return Promise.all([...wrong, speak(query), speak(query, 'x')]);
  }, ITEM);
  await waiting(pool, 20);
  client.release();
  const seen = await settled(asked);
  expect(seen.filter((_, index) => index < 18 && index % 2 === 1)).toEqual(Array.from({ length: 9 }, () => 1));
  expect(seen[18]).toBe('an answer');
  expect(await thread.pg(async (p, _, item) => (await p.query(item, [5])).rows[0].n, ITEM)).toBe(5);
});

test('each statement has its events', async () => {
  const pool = await open({ max: 1 });
  const thread = await join(pool);
  await acquaint(thread);
  const client = await pool.connect();
  const asked = thread.pg(async (p, { load }, item) => {
    const { tracingChannel } = (await load('node:diagnostics_channel')) as typeof import('node:diagnostics_channel');
    const ended: unknown[] = [];
    const subscribers = { asyncEnd: (context: any) => void ended.push([context.text, context.rows]) };
    tracingChannel('cenote:query').subscribe(subscribers as never);
    await Promise.all([1, 2, 3, 4, 5].map((n) => p.query(item, [n])));
    tracingChannel('cenote:query').unsubscribe(subscribers as never);
    return ended;
  }, ITEM);
  await waiting(pool, 5);
  client.release();
  expect(await asked).toEqual(Array.from({ length: 5 }, () => [ITEM, 1]));
});

test.each([0, -1, 1.5, 65, Number.POSITIVE_INFINITY, Number.NaN, '8', null, {}])('batch: %o is refused', async (batch) => {
  const error: any = await rejection(open({ batch: batch as number }));
  expect(error).toBeInstanceOf(RangeError);
  expect(error.message).toContain(`batch must be a whole number from 1 to 64, not ${String(batch)}`);
});
