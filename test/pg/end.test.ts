/** The end of a pool, for one thread or for all: what has begun is finished, what comes later is refused, and it ends in any case. */
import { describe, expect, test } from 'vitest';
import { ask, join, on, open, WHERE } from '../support/postgres.ts';
import { settled, until } from '../support/wait.ts';

let tables = 0;
const table = async (): Promise<string> => {
  const name = `ended_${process.pid}_${++tables}`;
  await ask(`create table ${name} (n int)`);
  return name;
};
const count = async (name: string): Promise<number> => (await ask(`select count(*)::int as n from ${name}`))[0].n;
const CLOSED = 'ERR_POOL_CLOSED';

describe.each(WHERE)('on %s', (where) => {
  test('everything that was asked before it is finished; what comes later is refused', async () => {
    const name = await table();
    const run = await on(where, await open({ max: 2 }));
    const seen = await settled(
      run(async (p, _, t) => {
        const code = (error: { code: string }): string => error.code;
        const insert = `insert into ${t} values (1)`;
        const waiting = Array.from({ length: 8 }, () => p.query(insert));
        const transaction = p.transaction(async (tx) => {
          await tx.query(insert);
          await new Promise((resolve) => setTimeout(resolve, 20));
          await p.query(insert);
        });
        const client = p.connect();
        const rows = p.iterate('select g from generate_series(1, 5) g', [], { batchSize: 1 });
        const first = rows.next();
        const using = client.then(async (borrowed) => {
          await borrowed.query(insert);
          borrowed.release();
        });
        const iterated = first.then(async () => {
          let n = 1;
          for await (const _ of rows) n++;
          return n;
        });
        const ends = [p.end(), p.end()];
        const late = [
          await p.query(insert).catch(code),
          await p.connect().catch(code),
          await p.transaction(async () => {}).catch(code),
          await p.scope(() => p.query(insert)).catch(code),
          await p.iterate('select 1').next().catch(code),
        ];
        if ('querySync' in p) {
          for (const sync of [() => p.querySync(insert), () => p.transactionSync(() => {})])
            try {
              late.push(sync() as never);
            } catch (error) {
              late.push(code(error as never));
            }
        } else late.push('ERR_POOL_CLOSED', 'ERR_POOL_CLOSED');
        await Promise.all(ends);
        return [late, p.ending, p.ended, (await Promise.all([...waiting, transaction, using])).length, await iterated];
      }, name),
    );
    expect(seen).toEqual([Array(7).fill(CLOSED), true, true, 10, 5]);
    expect(await count(name)).toBe(11);
  });

  test('what does not come to an end keeps it no longer than five seconds', async () => {
    const name = await table();
    const pool = await open({ max: 2 });
    const run = await on(where, pool);
    await ask('select pg_advisory_lock(505)');
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const seen = run(
      async (p, _, t, ended) => {
        const running = [1, 2].map(() => p.query('select pg_advisory_xact_lock_shared(505)').then(() => 'answered'));
        const waiting = p.query(`insert into ${t} values (2)`).catch((error) => error.code);
        const begun = performance.now();
        await p.end();
        const took = performance.now() - begun;
        Atomics.store(ended, 0, 1);
        return [took, await waiting, ...(await Promise.all(running))];
      },
      name,
      flag,
    );
    // The queries are still running then: they end when the lock is free.
    await until(() => Atomics.load(flag, 0) === 1);
    await ask('select pg_advisory_unlock(505)');
    const [took, ...told] = await settled(seen);
    expect(took).toBeGreaterThan(4_900);
    expect(told).toEqual([CLOSED, 'answered', 'answered']);
    expect(await count(name)).toBe(0);
  });
});

describe('on a worker', () => {
  test('within a transaction that blocks, or does not, it lets that end first; a transaction that waits for it is undone', async () => {
    const name = await table();
    const pool = await open({ max: 2 });
    const first = await join(pool);
    const value = await first.pg(async (p, _, t) => {
      const told: unknown[] = [];
      let ending: Promise<void> | undefined;
      p.transactionSync((tx) => {
        ending = p.end();
        tx.query(`insert into ${t} values (1)`);
        p.querySync(`insert into ${t} values (2)`);
      });
      await ending;
      told.push(p.ended);
      return told;
    }, name);
    expect(value).toEqual([true]);
    expect(await count(name)).toBe(2);
    const second = await join(pool);
    const codes = await second.pg(async (p, _, t) => {
      const undone = p.transaction(async (tx) => {
        await tx.query(`insert into ${t} values (3)`);
        await p.end();
        await tx.query(`insert into ${t} values (4)`);
      });
      return [await undone.then(String, (error) => typeof error.message), p.ended];
    }, name);
    expect(codes).toEqual(['string', true]);
    expect(await count(name)).toBe(2);
    await until(() => pool.idleCount === pool.totalCount);
  });

  test('it ends with an owner that dies meanwhile', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    const held = await pool.connect();
    const done = worker.pg(async (p) => {
      const waiting = p.query('select 1').catch((error) => error.code);
      await p.end();
      return [await waiting, p.ended];
    });
    await until(() => pool.waitingCount === 1);
    await pool.pool.close();
    held.release();
    expect(await settled(done)).toEqual([CLOSED, true]);
  });

  test('attaching while it ends gives another pool, which the end of the first does not end', async () => {
    const pool = await open({ max: 1 });
    const attached: unknown[] = [];
    pool.pool.on('attach', (id) => attached.push(id));
    const worker = await join(pool);
    const seen = await worker.pg(async (first, { load, handle }) => {
      const { attachPgPool } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const running = first.query('select pg_sleep(0.05)');
      const ending = first.end();
      const second = await attachPgPool(handle as never);
      const [same, waiting] = [await attachPgPool(handle as never), second.query('select 2 as a')];
      await ending;
      await running;
      return [second !== first, same === second, (await waiting).rows, (await second.query('select 1 as a')).rows];
    });
    expect(seen).toEqual([true, true, [{ a: 2 }], [{ a: 1 }]]);
    expect(attached).toEqual([worker.id]);
  });

  test('clients of pgClient go on when it has ended, and the thread leaves with the last of them', async () => {
    const name = await table();
    const pool = await open({ max: 2 });
    const worker = await join(pool);
    const detached: unknown[] = [];
    pool.pool.on('detach', (id) => detached.push(id));
    const seen = await worker.pg(async (p, { load, handle, keep }, t) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const Client = pgClient(handle as never);
      const [inTransaction, idle] = [new Client(), new Client()];
      await Promise.all([inTransaction.connect(), idle.connect()]);
      await inTransaction.query('begin');
      await inTransaction.query(`insert into ${t} values (1)`);
      const waiting = p.query(`insert into ${t} values (2)`);
      const begun = performance.now();
      await p.end();
      const took = performance.now() - begun;
      await waiting;
      const refused = await p.query('select 1').catch((error) => error.code);
      await inTransaction.query('commit');
      await Promise.all([inTransaction.end(), inTransaction.end()]);
      const late = new Client();
      await late.connect();
      keep('clients', [idle, late]);
      return [took < 4_900, refused, (await idle.query('select 3 as n')).rows, (await late.query('select 4 as n')).rows];
    }, name);
    expect(seen).toEqual([true, CLOSED, [{ n: 3 }], [{ n: 4 }]]);
    expect(await count(name)).toBe(2);
    expect(detached).toEqual([]);
    // The late client has made another pool of the handle, which is a user of its own.
    await worker.pg(async (_, { load, handle, kept }) => {
      const { attachPgPool } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      await (await attachPgPool(handle as never)).end();
      for (const client of kept<{ end(): Promise<void> }[]>('clients')) await client.end();
    });
    await until(() => detached.length === 1);
    expect(detached).toEqual([worker.id]);
  });

  test('a client connects whatever moment of that the end of a pool falls into', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    const seen = await worker.pg(async (_, { load, handle }) => {
      const { attachPgPool, pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const Client = pgClient(handle as never);
      const rows: unknown[] = [];
      for (let microtasks = 0; microtasks < 30; microtasks++) {
        const own = await attachPgPool(handle as never);
        const client = new Client();
        const connected = client.connect();
        for (let n = 0; n < microtasks; n++) await undefined;
        const ended = own.end();
        await connected;
        rows.push(...(await client.query('select 1 as a')).rows);
        await Promise.all([ended, client.end()]);
      }
      return rows;
    });
    expect(seen).toEqual(Array(30).fill({ a: 1 }));
  });

  test('a client of a pool that was ended does not connect; one of the handle attaches anew', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    const seen = await worker.pg(async (p, { load, handle }) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const [OfPool, OfHandle] = [pgClient(p), pgClient(handle as never)];
      const before = new OfHandle();
      await before.connect();
      await before.end();
      await p.end();
      const refused = await new OfPool().connect().then(String, (error) => error.code);
      const client = new OfHandle();
      await client.connect();
      const { rows } = await client.query('select 1 as a');
      await client.end();
      return [refused, rows];
    });
    expect(seen).toEqual([CLOSED, [{ a: 1 }]]);
  });
});
