/** What somebody would do who wants to lose money with it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from 'vitest';
import { ask, join, killAll, on, open, WHERE } from '../support/postgres.ts';
import { proxy } from '../support/proxy.ts';
import { rejection, settled, until } from '../support/wait.ts';

const openTransactions = async (name: string): Promise<number> =>
  (await ask(`select count(*)::int as n from pg_stat_activity where application_name = $1 and xact_start is not null`, [name]))[0].n;

describe.each(WHERE)('on %s', (where) => {
  test('columns called __proto__ and constructor are columns; of two with one name the last counts', async () => {
    const run = await on(where, await open());
    const seen = await run(async (p) => {
      const { rows } = await p.query(`select '{"polluted": 1}'::json as "__proto__", 2 as constructor, 3 as a, 4 as a`);
      const [row] = rows;
      return [Object.keys(row), Object.getPrototypeOf(row) === Object.prototype, JSON.stringify(row), ({} as any).polluted];
    });
    expect(seen).toEqual([['__proto__', 'constructor', 'a'], true, '{"__proto__":{"polluted":1},"constructor":2,"a":4}', undefined]);
  });

  test('statements called like what every object has', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (p) => {
      const found: unknown[] = [];
      for (const name of ['constructor', 'toString', '__proto__'])
        for (const n of [1, 2]) found.push((await p.query({ name, text: 'select $1::int as n', values: [n] })).rows[0].n);
      return found;
    });
    expect(seen).toEqual([1, 2, 1, 2, 1, 2]);
  });

  test.each(['0A000', '26000', '57P05'])(
    'a statement that had run when it failed is not run again, though it calls its error %s',
    async (code) => {
      const pool = await open({ max: 1, statementCacheSize: 10 });
      await ask('create table if not exists paid (id serial)');
      await ask('truncate paid');
      await ask(`create or replace procedure pay() language plpgsql as
      $$ begin insert into paid default values; commit; raise exception using errcode = '${code}'; end $$`);
      const run = await on(where, pool);
      for (const ways of [{ name: 'pay', text: 'call pay()' }, 'call pay()'] as const)
        expect(await run((p, _, query) => p.query(query).catch((error) => error.code), ways)).toBe(code);
      expect((await ask('select count(*)::int as n from paid'))[0].n).toBe(2);
    },
  );

  test('a scope whose body did not wait for a transaction leaves nothing behind', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      let late: Promise<unknown> | undefined;
      await p.scope(async () => {
        void p.transaction((tx) => tx.query('select 1')).catch(() => {});
        late = p.transaction((tx) => tx.query(`set my.own = 'x'`)).catch((error) => error.message);
      });
      return [await late, (await p.query('select 1 as a')).rows[0].a];
    });
    expect(seen).toEqual([expect.stringMatching(/over|given back/), 1]);
    expect(await openTransactions(pool.pool.name)).toBe(0);
  });

  test('what was begun on a connection that is lost is not gone on with on another', async () => {
    const pool = await open({ max: 2 });
    await ask('create table if not exists halves (n int)');
    await ask('truncate halves');
    const run = await on(where, pool);
    const seen = await run((p) =>
      p.scope(async () => {
        const message = (error: Error): string => error.message;
        const told: unknown[] = [];
        await p.query('begin');
        await p.query('insert into halves values (1)');
        told.push(await p.query('select pg_terminate_backend(pg_backend_pid())').catch((error) => error.code));
        told.push(await p.query('insert into halves values (2)').catch(message));
        told.push(await p.connect().catch(message));
        told.push(await p.transaction((tx) => tx.query('insert into halves values (3)')).catch(message));
        if ('querySync' in p) {
          try {
            (p as any).querySync('insert into halves values (4)');
          } catch (error) {
            told.push((error as Error).message);
          }
        } else told.push('lost in the middle of a transaction');
        for (const text of ['commit', 'rollback to savepoint a', 'ROLLBACK WORK TO a', 'rollback and chain', `rollback prepared 'a'`])
          told.push(await p.query(text).catch(message));
        if ('querySync' in p) (p as any).querySync(' ROLLBACK transaction;');
        else await (p as any).query(' ROLLBACK transaction;');
        told.push((await p.query('select count(*)::int as n from halves')).rows[0].n);
        return told;
      }),
    );
    const lost = expect.stringContaining('lost in the middle of a transaction');
    expect(seen).toEqual(['57P01', ...Array(9).fill(lost), 0]);
    expect(await ask('select * from halves')).toEqual([]);
  });

  test.each(['return', 'throw', 'abort'])(
    'a client that was borrowed in a transaction refuses what comes after its end, by %s',
    async (end) => {
      const pool = await open({ max: 1 });
      await ask('create table if not exists late (n int)');
      await ask('truncate late');
      const run = await on(where, pool);
      const seen = await run(
        (p, { load }, how) =>
          // The scope has the connection longer than the transaction, so that is no help.
          p.scope(async () => {
            const { default: Cursor } = (await load('pg-cursor')) as any;
            const abort = new AbortController();
            let late: Promise<unknown[]> | undefined;
            const message = (error: Error): string => error.message;
            await p
              .transaction(
                async () => {
                  const client = await p.connect();
                  await client.query('insert into late values (1)');
                  const over = new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
                  late = over.then(async () => {
                    const told = [await client.query('insert into late values (2)').catch(message)];
                    told.push(await client.query(new Cursor('insert into late values (3)')).read(1).catch(message));
                    client.release();
                    return told;
                  });
                  if (how === 'throw') throw new Error('no');
                  if (how === 'abort') setTimeout(() => abort.abort(), 5);
                  if (how === 'abort') await client.query('select pg_sleep(600)');
                },
                how === 'abort' ? { signal: abort.signal } : {},
              )
              .catch(() => {});
            abort.abort();
            return late;
          }),
        end,
      );
      expect(seen).toEqual(Array(2).fill(expect.stringContaining('this transaction is over')));
      expect(await ask('select n from late')).toEqual(end === 'return' ? [{ n: 1 }] : []);
    },
  );

  test('rows that were asked for in a transaction do not come from outside of it later', async () => {
    const run = await on(where, await open());
    const message = await run(async (p) => {
      let rows: AsyncIterableIterator<unknown> | undefined;
      await p.transaction(async () => {
        rows = p.iterate('select 1 as a');
      });
      return rows!.next().catch((error) => error.message);
    });
    expect(message).toContain('this transaction is over');
  });

  test('a transaction that was aborted within a scope leaves the scope outside of any', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run((p) =>
      p.scope(async () => {
        const client = await p.connect();
        const found: unknown[] = [];
        for (let i = 0; i < 20; i++) {
          const abort = new AbortController();
          const going = p.transaction((tx) => Promise.all([tx.query('select pg_sleep(600)'), tx.query('select pg_sleep(600)')]), {
            signal: abort.signal,
          });
          setTimeout(() => abort.abort(new Error('enough')), i);
          // Ten minutes: one that is not cancelled shows.
          found.push(await going.catch((error) => error.message));
          found.push((await p.query('select 1 as a')).rows[0].a);
          found.push((client as unknown as { getTransactionStatus(): string }).getTransactionStatus());
        }
        client.release();
        return [...new Set(found)];
      }),
    );
    expect(seen).toEqual(['enough', 1, 'I']);
  });

  test('a statement that ran is told to have run, though undoing what it left failed', async () => {
    await ask('drop table if exists written; create table written (id int); drop sequence if exists turns; create sequence turns');
    const pool = await open({
      max: 1,
      // The second time is the reset.
      onConnect: async (client) => {
        await client.query(`do $$ begin if nextval('turns') = 2 then raise 'no'; end if; end $$`);
      },
    });
    pool.on('error', () => {});
    const run = await on(where, pool);
    const { rows } = await run((p) => p.query(`insert into written values (1) returning id, set_config('my.own', 'x', false) as own`));
    expect(rows).toEqual([{ id: 1, own: 'x' }]);
    expect((await ask('select count(*)::int as n from written'))[0].n).toBe(1);
    expect((await run((p) => p.query(`select nullif(current_setting('my.own', true), '') as own`))).rows).toEqual([{ own: null }]);
  });

  test('a value that no thread can be sent is an error of its own, and the connection goes on', async () => {
    const pool = await open({
      max: 1,
      settings: { types: { getTypeParser: () => () => () => 'a function' } as never },
    });
    const run = await on(where, pool);
    const seen = await run(async (p) => [
      await p.query('select 1 as a').then(
        ({ rows }) => typeof rows[0].a,
        (error) => error.name,
      ),
      (await p.query('begin')).command,
    ]);
    expect(seen).toEqual([where === 'a worker' ? 'RemoteCallError' : 'function', 'BEGIN']);
    await until(async () => (await openTransactions(pool.pool.name)) === 0);
  });

  test('a type parser that throws fails the query, and nothing else', async () => {
    const getTypeParser = () => (raw: string) => {
      if (raw === '3') throw new Error('not this');
      return raw;
    };
    const run = await on(where, await open({ max: 1, settings: { types: { getTypeParser } as never } }));
    const seen = await settled(
      run(async (p, { load }) => {
        const { default: Cursor } = (await load('pg-cursor')) as any;
        const { default: QueryStream } = (await load('pg-query-stream')) as any;
        const message = (error: Error): string => error.message;
        const text = 'select generate_series(1, 9) as a';
        const all = async (rows: AsyncIterable<unknown>): Promise<string> => {
          try {
            for await (const _ of rows);
            return 'done';
          } catch (error) {
            return (error as Error).message;
          }
        };
        const told: unknown[] = [await p.query(text).catch(message), await all(p.iterate(text, [], { batchSize: 2 }))];
        const client = await p.connect();
        const pid = client.processID;
        told.push(await client.query(new Cursor(text)).read(5).catch(message));
        told.push((await client.query(`select 'a' as a`)).rows[0].a);
        told.push(await all(client.query(new QueryStream(text, [], { batchSize: 2 })) as never));
        client.release();
        const next = await p.connect();
        told.push((await next.query(`select 'b' as b`)).rows[0].b, next.processID === pid, next.getTransactionStatus());
        next.release();
        return told;
      }),
    );
    expect(seen).toEqual([...Array(3).fill('not this'), 'a', 'not this', 'b', true, 'I']);
  });

  test('a literal of many megabytes', async () => {
    const run = await on(where, await open());
    const length = await run(
      async (p) => (await p.query(`select length('${"it''s ".repeat(2_000_000)}') as n, $$${'x'.repeat(5_000_000)}$$ as b`)).rows[0].n,
    );
    expect(length).toBe(10_000_000);
  });
});

test('a blocking BEGIN is not forgotten for an older answer that comes later', async () => {
  const pool = await open({ max: 2 });
  const worker = await join(pool);
  await ask('create table if not exists accounts_sync (id int)');
  await ask('truncate accounts_sync');
  await worker.pg((p) =>
    p.scope(async () => {
      const client = await p.connect();
      const older = client.query('select pg_sleep(0.1)');
      // On its way by then.
      await new Promise(setImmediate);
      p.querySync('begin');
      await older;
      client.release();
      await p.query('insert into accounts_sync values (1)');
      await p.query('commit');
    }),
  );
  expect((await ask('select count(*)::int as n from accounts_sync'))[0].n).toBe(1);
});

test('listeners of the pool are in nobody’s transaction', async () => {
  const mine = new AsyncLocalStorage<string>();
  const pool = await open({ max: 1 });
  const heard: unknown[] = [];
  for (const event of ['connect', 'remove']) pool.on(event, () => heard.push([event, mine.getStore()]));
  const removed = new Promise<void>((resolve) => pool.on('error', () => resolve(void heard.push(['error', mine.getStore()]))));
  await mine.run('the borrower’s', () => pool.transaction((tx) => tx.query('select 1')));
  await killAll(pool.pool.name);
  await settled(removed);
  await until(() => heard.length === 3);
  expect(heard.map((each) => (each as unknown[])[1])).toEqual([undefined, undefined, undefined]);
});

test('query_timeout leaves no timer behind a cursor that was closed', async () => {
  const pool = await open({ max: 1, settings: { query_timeout: 60_000 } as never });
  for await (const _ of pool.iterate('select generate_series(1, 9) as n', [], { batchSize: 2 })) break;
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const client = await pool.connect();
  const [{ pid }] = (await client.query('select pg_backend_pid() as pid')).rows;
  client.release();
  expect(timers()).toBeLessThanOrEqual(before);
  expect((await pool.query('select pg_backend_pid() as pid')).rows).toEqual([{ pid }]);
});

test('with query_timeout, nobody waits for a network that swallows everything longer than that', async () => {
  const network = await proxy();
  const pool = await open({ max: 4, checkTimeout: 300, settings: { ...network.settings, query_timeout: 3000 } as never });
  pool.on('error', () => {});
  const { default: Cursor } = await import('pg-cursor');
  const [one, two] = [await pool.connect(), await pool.connect()];
  const cursor = one.query(new Cursor('select generate_series(1, 100) as n'));
  await cursor.read(1);
  await two.query('begin');
  const rows = pool.iterate('select generate_series(1, 100) as n', [], { batchSize: 1 });
  await rows.next();
  await pool.query('select 1');
  network.freeze();
  // Without it they would wait for ever.
  const errors = await Promise.all([
    rejection(cursor.read(1)),
    rejection(rows.next()),
    rejection(two.query('select 1')),
    rejection(pool.iterate('select 1').next()),
  ]);
  for (const error of errors) expect(error).toBeInstanceOf(Error);
  one.release();
  two.release();
  // Every place is free again, for connections that work.
  await settled(Promise.all([1, 2, 3, 4].map(() => pool.query('select pg_sleep(0.05)'))));
});

test('a select with a function of one’s own in a column definition list is taken for dirty', async () => {
  const pool = await open({ max: 1 });
  await ask(`create or replace function leak() returns record language sql as $$ select row(set_config('my.leak', 'x', false)) $$`);
  const pid = (await pool.query('select pg_backend_pid() as pid')).rows[0].pid;
  await pool.query(`select * from (select 1) as t, leak() as (a record)`).catch(() => {});
  const { rows } = await pool.query(`select pg_backend_pid() as pid, current_setting('my.leak', true) as leak`);
  expect(rows).toEqual([{ pid, leak: expect.toSatisfy((value) => !value) }]);
});
