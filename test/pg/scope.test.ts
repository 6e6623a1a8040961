/** Scopes and transactions: one connection for what belongs together, and nothing left of it afterwards. */
import { describe, expect, test } from 'vitest';
import { ask, connections, join, on, open, WHERE } from '../support/postgres.ts';
import { failureOf, pendingUntil, settled, sleep, until } from '../support/wait.ts';

let tables = 0;
const table = async (): Promise<string> => {
  const name = `t_${process.pid}_${++tables}`;
  await ask(`create table ${name} (id int primary key, n int)`);
  return name;
};
const rowsOf = async (name: string): Promise<number[]> => (await ask(`select id from ${name} order by id`)).map(({ id }) => id);

describe.each(WHERE)('on %s', (where) => {
  test('a transaction is committed, and gives the body’s value', async () => {
    const name = await table();
    const run = await on(where, await open());
    const value = await run(
      (pool, _, t) =>
        pool.transaction(async (tx) => {
          await tx.query(`insert into ${t} values ($1)`, [1]);
          // Whatever is used inside is the same connection.
          await pool.query(`insert into ${t} values (2)`);
          const client = await pool.connect();
          await client.query(`insert into ${t} values (3)`);
          client.release();
          return (await pool.query(`select count(*)::int as n from ${t}`)).rows[0].n;
        }),
      name,
    );
    expect(value).toBe(3);
    expect(await rowsOf(name)).toEqual([1, 2, 3]);
  });

  test('a body that throws is rolled back, and its error is what comes out', async () => {
    const name = await table();
    const run = await on(where, await open());
    const message = await run(
      (pool, _, t) =>
        pool
          .transaction(async (tx) => {
            await tx.query(`insert into ${t} values (1)`);
            throw new Error('changed my mind');
          })
          .catch((error) => error.message),
      name,
    );
    expect(message).toBe('changed my mind');
    expect(await rowsOf(name)).toEqual([]);
  });

  test('a transaction within one is a savepoint', async () => {
    const name = await table();
    const run = await on(where, await open());
    await run(async (pool, _, t) => {
      await pool.transaction(async () => {
        await pool.query(`insert into ${t} values (1)`);
        await pool
          .transaction(async (tx) => {
            await tx.query(`insert into ${t} values (2)`);
            await tx.query('select nowhere');
          })
          .catch(() => {});
        await pool.transaction((tx) => tx.query(`insert into ${t} values (3)`));
        // Side by side, one after the other: the one that fails takes nothing of the other along.
        await Promise.allSettled([
          pool.transaction((tx) => tx.query(`insert into ${t} values (4)`)),
          pool.transaction(async (tx) => {
            await tx.query(`insert into ${t} values (5)`);
            throw new Error('no');
          }),
          pool.transaction((tx) => tx.query(`insert into ${t} values (6)`)),
        ]);
      });
    }, name);
    expect(await rowsOf(name)).toEqual([1, 3, 4, 6]);
  });

  test('isolation, read only and deferrable are the server’s', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const show = async (tx: typeof pool | { query: typeof pool.query }) => [
        (await tx.query('show transaction_isolation')).rows[0].transaction_isolation,
        (await tx.query('show transaction_read_only')).rows[0].transaction_read_only,
        (await tx.query('show transaction_deferrable')).rows[0].transaction_deferrable,
      ];
      return [
        await pool.transaction((tx) => show(tx as never)),
        await pool.transaction((tx) => show(tx as never), { isolation: 'serializable', readOnly: true, deferrable: true }),
        await pool.transaction((tx) => show(tx as never), { isolation: 'repeatable read', readOnly: false }),
        await pool.transaction(async () => 1, { isolation: 'snapshot' as never }).catch((error) => error.name),
      ];
    });
    expect(seen).toEqual([['read committed', 'off', 'off'], ['serializable', 'on', 'on'], ['repeatable read', 'off', 'off'], 'TypeError']);
  });

  test('a COMMIT that the server answers with ROLLBACK rejects, and says why', async () => {
    const name = await table();
    const run = await on(where, await open());
    const seen = await run(
      (pool, _, t) =>
        pool
          .transaction(async (tx) => {
            await tx.query(`insert into ${t} values (1)`);
            await tx.query('select nowhere').catch(() => {});
          })
          .catch((error) => [error.name, error.code, error.message, error.cause?.code]),
      name,
    );
    expect(seen).toEqual(['TransactionRolledBackError', 'ERR_PG_ROLLED_BACK', expect.stringContaining('nowhere'), '42703']);
    expect(await rowsOf(name)).toEqual([]);
  });

  test('serialization failures are retried as often as asked, and no oftener', async () => {
    const name = await table();
    await ask(`insert into ${name} values (1, 0)`);
    const run = await on(where, await open({ max: 4 }));
    const seen = await run(async (pool, _, t) => {
      let tries = 0;
      let reads = 0;
      const add = () =>
        pool.transaction(
          async (tx) => {
            tries++;
            const { rows } = await tx.query(`select n from ${t} where id = 1`);
            // All four have read before one of them writes: so only one can be committed.
            reads++;
            while (reads < 4) await new Promise((resolve) => setTimeout(resolve, 1));
            await tx.query(`update ${t} set n = $1 where id = 1`, [rows[0].n + 1]);
          },
          { isolation: 'serializable', retries: 50 },
        );
      await Promise.all([add(), add(), add(), add()]);
      const retried = tries > 4;
      let attempts = 0;
      const error = await pool
        .transaction(
          async (tx) => {
            attempts++;
            await tx.query(`do $$ begin raise exception using errcode = '40001'; end $$`);
          },
          { retries: 2 },
        )
        .catch((failure) => failure.code);
      return { retried, attempts, error };
    }, name);
    expect(seen).toEqual({ retried: true, attempts: 3, error: '40001' });
    expect((await ask(`select n from ${name}`))[0].n).toBe(4);
  });

  test('when its signal aborts: the query is cancelled, everything rolled back, the reason comes out', async () => {
    const name = await table();
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (p, _, t) => {
      const controller = new AbortController();
      let late: Promise<unknown> | undefined;
      const reason = await p
        .transaction(
          async (tx) => {
            await tx.query(`insert into ${t} values (1)`);
            setTimeout(() => controller.abort(new Error('enough')), 20);
            try {
              await tx.query('select pg_sleep(600)');
            } finally {
              late = p.query(`insert into ${t} values (2)`).then(String, (error) => error.message);
            }
          },
          { signal: controller.signal },
        )
        .catch((error) => error.message);
      return [reason, await late];
    }, name);
    expect(seen).toEqual(['enough', expect.stringContaining('this transaction is over')]);
    expect(await rowsOf(name)).toEqual([]);
    expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  });

  test('a signal that the body itself aborts, at once, is heard', async () => {
    const name = await table();
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (p, _, t) => {
      const told: unknown[] = [];
      for (const failing of [false, true]) {
        const controller = new AbortController();
        const body = (tx: { query(text: string): Promise<unknown> }) => {
          const inserted = tx.query(`insert into ${t} values (1)`);
          controller.abort(new Error('enough'));
          inserted.catch(() => {});
          if (failing) throw new Error('mine');
          return inserted;
        };
        told.push(await p.transaction(body, { signal: controller.signal }).then(String, (error) => error.message));
      }
      return told;
    }, name);
    expect(seen).toEqual(['enough', 'mine']);
    expect(await rowsOf(name)).toEqual([]);
  });

  test('a raw BEGIN pins the connection until COMMIT; with nothing open it is lent to others', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const name = await table();
    // Until the observer gives this up, the scope stays where it asks for it.
    await ask('select pg_advisory_lock(hashtext($1))', [name]);
    const done = run(
      (p, _, t) =>
        p.scope(async () => {
          await p.query('begin');
          await p.query(`insert into ${t} values (1)`);
          await p.query(`select pg_advisory_xact_lock(hashtext('${t}'))`);
          const seen = (await p.query(`select count(*)::int as n from ${t}`)).rows[0].n;
          await p.query('commit');
          // Nothing is open: somebody else gets the only connection while this scope goes on.
          const other = await p.scope(() => new Promise((resolve) => setTimeout(resolve, 150)).then(() => 'joined'));
          return [seen, other, (await p.query('select 5 as a')).rows[0].a];
        }),
      name,
    );
    await until(async () => (await ask(`select count(*)::int as n from pg_locks where relation = $1::regclass`, [name]))[0].n > 0);
    const other = pool.query('select pg_current_xact_id_if_assigned() as inside');
    // The other one is in line, and the scope cannot go on: what is asked on a connection beside the pool is answered before it.
    await until(() => pool.waitingCount === 1);
    await pendingUntil(ask('select 1'), other);
    await ask('select pg_advisory_unlock(hashtext($1))', [name]);
    expect((await settled(other)).rows).toEqual([{ inside: null }]);
    expect(await rowsOf(name)).toEqual([1]);
    expect(await done).toEqual([1, 'joined', 5]);
  });

  test('whoever waits in a scope for its connection does not give up because another one there did', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const other = await pool.connect();
    const done = run((p) =>
      p.scope(async () => {
        const hasty = p.connect({ timeout: 20 }).catch((error) => error.code);
        const patient = p.query('select 2 as a');
        return [await hasty, (await patient).rows];
      }),
    );
    await until(() => pool.pool.stats().timedOut === 1);
    other.release();
    expect(await settled(done)).toEqual(['ERR_POOL_ACQUIRE_TIMEOUT', [{ a: 2 }]]);
  });

  test('whoever waits in a scope for what another one waits for there, or has, keeps its own limits', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const held = await pool.connect();
    const seen = await run(async (p) => {
      const told: unknown[] = [];
      const named = (error: { name: string }): number => told.push(error.name);
      await p
        .scope(async () => {
          const patient = new AbortController();
          const first = p.connect({ signal: patient.signal }).catch(() => {});
          const none = async (): Promise<void> => {};
          await p.connect({ timeout: 20 }).catch(named);
          await p.connect({ signal: AbortSignal.timeout(20) }).catch(named);
          await p.transaction(none, { timeout: 20 }).catch(named);
          await p.transaction(none, { signal: AbortSignal.timeout(20) }).catch(named);
          await p.transaction(none, { signal: AbortSignal.abort(new RangeError('before')) }).catch(named);
          // The wait for a connection has begun before those of the first were reached: it ends before one that begins only then.
          const second = p.connect({ timeout: 300 }).catch(named);
          let late: ReturnType<typeof setTimeout> | undefined;
          setTimeout(() => {
            late = setTimeout(() => told.push('late'), 300);
            patient.abort();
          }, 150);
          await second;
          clearTimeout(late);
          await first;
        })
        .catch(named);
      return told;
    });
    held.release();
    const timedOut = 'AcquireTimeoutError';
    expect(seen).toEqual([timedOut, 'TimeoutError', timedOut, 'TimeoutError', 'RangeError', timedOut]);
  });

  test('a transaction that waits for another one beside it keeps its own limits, and is passed over then', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run((p) =>
      p.scope(async () => {
        const told: unknown[] = [];
        let end: (() => void) | undefined;
        let first: Promise<void> | undefined;
        await new Promise<void>((begun) => {
          first = p.transaction(() => {
            begun();
            return new Promise<void>((resolve) => void (end = resolve));
          });
        });
        await p.transaction(async () => told.push('never'), { timeout: 20 }).catch((error) => told.push(error.name));
        const signal = AbortSignal.timeout(20);
        const late = p.transaction(async () => told.push('never'), { signal }).catch((error) => told.push(error.name));
        const last = p.transaction(async () => told.push('last'));
        await late;
        end!();
        await Promise.all([first, last]);
        return told;
      }),
    );
    expect(seen).toEqual(['AcquireTimeoutError', 'TimeoutError', 'last']);
  });

  test('a scope that ends with a transaction open has it rolled back, however it ends', async () => {
    const name = await table();
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    await run(async (p, _, t) => {
      await p.scope(async () => {
        await p.query('begin');
        await p.query(`insert into ${t} values (1)`);
      });
      await p
        .scope(async () => {
          await p.query('begin');
          await p.query(`insert into ${t} values (2)`);
          throw new Error('x');
        })
        .catch(() => {});
    }, name);
    expect(await rowsOf(name)).toEqual([]);
    expect(
      (
        await ask(`select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%' and application_name = $1`, [
          pool.pool.name,
        ])
      )[0].n,
    ).toBe(0);
  });

  test('session state that was set on purpose stays for the scope, and not a moment longer', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run((p) =>
      p.scope(async () => {
        await p.query(`set my.own = 'here'`);
        await new Promise((resolve) => setTimeout(resolve, 10));
        return (await p.query('show my.own')).rows;
      }),
    );
    expect(seen).toEqual([{ 'my.own': 'here' }]);
    expect((await pool.query(`select current_setting('my.own', true) as a`)).rows[0].a || null).toBe(null);
  });

  test('iterate: in batches, closed when the loop is left, with other queries in between', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (pool) => {
      let sum = 0;
      for await (const row of pool.iterate('select g from generate_series(1, $1::int) g', [1050], { batchSize: 100 })) sum += row.g;
      const inside: unknown[] = [];
      const cursors = await pool.transaction(async () => {
        for await (const { g } of pool.iterate('select g from generate_series(1, 100) g', [], { batchSize: 2 })) {
          inside.push((await pool.query('select $1::int * 2 as d', [g])).rows[0].d);
          if (g === 5) break;
        }
        return (await pool.query('select count(*)::int as n from pg_cursors')).rows[0].n;
      });
      const failed = await (async () => {
        for await (const _ of pool.iterate('select 1 / (3 - g) as a from generate_series(1, 5) g', [], { batchSize: 1 }))
          inside.push('row');
      })().catch((error) => error.code);
      const empty = [];
      for await (const row of pool.iterate('select 1 where false')) empty.push(row);
      // The only connection is free again, and clean.
      const after = (await pool.query('select 7 as a')).rows;
      return { sum, inside, cursors, failed, empty, after };
    });
    expect(seen).toEqual({
      sum: (1050 * 1051) / 2,
      inside: [2, 4, 6, 8, 10, 'row', 'row'],
      cursors: 0,
      failed: '22012',
      empty: [],
      after: [{ a: 7 }],
    });
  });

  test('what was written within the loop of a scope and could not be committed is not passed over', async () => {
    const t = await table();
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (pool, _, name) => {
      const write = (wrong: boolean) =>
        pool.scope(async () => {
          for await (const { g } of pool.iterate('select g from generate_series(1, 9) g', [], { batchSize: 2 })) {
            await pool.query(`insert into ${name} values ($1)`, [g + (wrong ? 10 : 0)]);
            if (wrong) await pool.query('select nowhere').catch(() => {});
            if (g === 3 || wrong) break;
          }
        });
      const told = [await write(false), await write(true).catch((error) => [error.name, error.cause?.code])];
      // The loop's own error is what comes out of it.
      const own = async () => {
        for await (const _ of pool.iterate('select 1 as a')) {
          await pool.query('select nowhere').catch(() => {});
          throw new Error('mine');
        }
      };
      told.push(await pool.scope(own).catch((error) => error.message));
      return told;
    }, t);
    expect(seen).toEqual([undefined, ['TransactionRolledBackError', '42703'], 'mine']);
    expect(await rowsOf(t)).toEqual([1, 2, 3]);
  });

  test('rows that nobody went on with keep no later transaction open, and do not begin anew', async () => {
    const t = await table();
    const run = await on(where, await open({ max: 1 }));
    const code = await run(
      (pool, _, name) =>
        pool.scope(async () => {
          let rows: AsyncIterableIterator<unknown> | undefined;
          await pool.transaction(async () => {
            rows = pool.iterate('select g from generate_series(1, 9) g', [], { batchSize: 1 });
            await rows.next();
          });
          for await (const { g } of pool.iterate('select g from generate_series(1, 3) g'))
            await pool.query(`insert into ${name} values ($1)`, [g]);
          await pool.query(`insert into ${name} values (4)`);
          return rows!.next().catch((error) => error.code);
        }),
      t,
    );
    expect(code).toBe('34000');
    expect(await rowsOf(t)).toEqual([1, 2, 3, 4]);
  });

  test('iterate leaves rows on the server until they are asked for', async () => {
    const run = await on(where, await open());
    const calls = await run(async (pool) => {
      await pool.query('create sequence if not exists pulled');
      await pool.query(`select setval('pulled', 1)`);
      for await (const _ of pool.iterate(`select nextval('pulled') from generate_series(1, 1000)`, [], { batchSize: 10 })) break;
      return Number((await pool.query(`select nextval('pulled') as n`)).rows[0].n);
    });
    expect(calls).toBeLessThan(30);
  });

  test('Cursor and QueryStream of other packages work on a connection, and errors reach them', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (pool, { load }) => {
      const { default: Cursor } = (await load('pg-cursor')) as any;
      const { default: QueryStream } = (await load('pg-query-stream')) as any;
      const client = await pool.connect();
      const cursor = client.query(new Cursor('select g, $1::bytea as b, null as c from generate_series(1, 7) g', [Buffer.from('x')]));
      const first = await cursor.read(5);
      const second = await cursor.read(5);
      const third = await cursor.read(5);
      await cursor.close();
      const unfinished = client.query(new Cursor('select generate_series(1, 100)'));
      await unfinished.read(1);
      await unfinished.close();
      let sum = 0;
      for await (const { g } of client.query(new QueryStream('select g from generate_series(1, 250) g', [], { batchSize: 30 }))) sum += g;
      const wrong = await client
        .query(new Cursor('select nowhere'))
        .read(1)
        .catch((error: { code: string }) => error.code);
      const stream = client.query(new QueryStream('select 1 / (3 - g) as a from generate_series(1, 5) g', [], { batchSize: 1 }));
      const broken = await (async () => {
        for await (const _ of stream);
      })().catch((error) => error.code);
      const after = (await client.query('select 3 as a')).rows;
      // Given back with a cursor open: that is closed for the next.
      await client.query(new Cursor('select generate_series(1, 100)')).read(1);
      client.release();
      const next = (await pool.query('select 4 as a')).rows;
      // And with one that the server has not even heard of.
      const last = await pool.connect();
      void last.query(new Cursor('select generate_series(1, 100)'));
      last.release();
      next.push(...(await pool.query('select 5 as a')).rows);
      return [first.length, Buffer.isBuffer(first[0].b), first[0].c, second.length, third.length, sum, wrong, broken, after, next];
    });
    expect(seen).toEqual([5, true, null, 2, 0, (250 * 251) / 2, '42703', '22012', [{ a: 3 }], [{ a: 4 }, { a: 5 }]]);
  });
});

describe('blocking, on a worker', () => {
  test('querySync and transactionSync', async () => {
    const name = await table();
    const worker = await join(await open({ max: 1 }));
    const seen = await worker.pg((pool, _, t) => {
      const heard: unknown[] = [];
      heard.push(pool.querySync('select $1::bytea as a', [Buffer.from('hi')]).rows[0].a.toString());
      heard.push(
        pool.transactionSync((tx) => {
          tx.query(`insert into ${t} values (1)`);
          pool.querySync(`insert into ${t} values (2)`);
          try {
            pool.transactionSync((inner) => {
              inner.query(`insert into ${t} values (3)`);
              throw new Error('inner');
            });
          } catch (error) {
            heard.push((error as Error).message);
          }
          return 'value';
        }),
      );
      try {
        pool.transactionSync((tx) => {
          tx.query(`insert into ${t} values (4)`);
          tx.query('select nowhere');
        });
      } catch (error) {
        heard.push((error as { code: string }).code);
      }
      try {
        pool.transactionSync(async () => 1);
      } catch (error) {
        heard.push((error as Error).name);
      }
      let attempts = 0;
      try {
        pool.transactionSync(
          (tx) => {
            attempts++;
            tx.query(`do $$ begin raise exception using errcode = '40P01'; end $$`);
          },
          { retries: 2 },
        );
      } catch (error) {
        heard.push((error as { code: string }).code, attempts);
      }
      return heard;
    }, name);
    expect(seen).toEqual(['hi', 'inner', 'value', '42703', 'TypeError', '40P01', 3]);
    expect(await rowsOf(name)).toEqual([1, 2]);
  });

  test('querySync in an asynchronous transaction is part of it; what it cannot do without a deadlock it refuses', async () => {
    const name = await table();
    const worker = await join(await open({ max: 1 }));
    const seen = await worker.pg(async (pool, { load }, t) => {
      const { default: Cursor } = (await load('pg-cursor')) as any;
      let refused = '';
      await pool
        .transaction(async (tx) => {
          pool.querySync(`insert into ${t} values (1)`);
          await tx.query(`insert into ${t} values (2)`);
          pool.transactionSync((inner) => inner.query(`insert into ${t} values (3)`));
          throw (await pool.query(`select count(*)::int as n from ${t}`)).rows[0].n;
        })
        .catch((n) => {
          refused += n;
        });
      await pool.scope(async () => {
        const cursor = ((await pool.connect()) as any).query(new Cursor('select generate_series(1, 10)'));
        await cursor.read(1);
        try {
          pool.querySync('select 1');
        } catch (error) {
          refused += (error as Error).message;
        }
        await cursor.close();
      });
      return refused;
    }, name);
    expect(seen).toMatch(/^3a cursor or stream is open/);
    expect(await rowsOf(name)).toEqual([]);
  });

  test('what was released is reset and had again, without this thread coming to its event loop', async () => {
    const worker = await join(await open({ max: 1 }));
    const seen = await worker.pg(async (pool) => {
      const client = await pool.connect();
      await client.query('create temp table mine (id int)');
      void client.query('begin');
      client.release();
      const rows = [pool.querySync(`select to_regclass('pg_temp.mine') as a`, [], { timeout: 60_000 }).rows[0].a];
      for (let i = 0; i < 3; i++)
        rows.push(pool.transactionSync((tx) => tx.query(`select set_config('my.own', '${i}', false) as a`).rows[0].a, { timeout: 60_000 }));
      rows.push(
        pool.querySync(`select coalesce(nullif(current_setting('my.own', true), ''), 'none') as a`, [], { timeout: 60_000 }).rows[0].a,
      );
      return rows;
    });
    expect(seen).toEqual([null, '0', '1', '2', 'none']);
  });

  test('querySync has a timeout of its own', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    const client = await pool.connect();
    const seen = await worker.pg((remote) => {
      try {
        return remote.querySync('select 1', [], { timeout: 30 });
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    client.release();
    expect(seen).toBe('ERR_POOL_ACQUIRE_TIMEOUT');
  });
});

test('scopes of different threads are different connections, and never more than max', async () => {
  const pool = await open({ max: 3 });
  const workers = await Promise.all([1, 2, 3, 4].map(() => join(pool)));
  let most = 0;
  let over = false;
  const watching = (async () => {
    while (!over) {
      most = Math.max(most, await connections(pool.pool.name));
      await sleep(2);
    }
  })();
  const pids = await Promise.all(
    workers.map((worker) =>
      worker.pg((remote) =>
        remote.transaction(async () => {
          const { rows } = await remote.query('select pg_backend_pid() as pid, pg_sleep(0.05)');
          const again = await remote.query('select pg_backend_pid() as pid');
          return [rows[0].pid, again.rows[0].pid];
        }),
      ),
    ),
  );
  over = true;
  await watching;
  // The connections stay.
  most = Math.max(most, await connections(pool.pool.name));
  for (const [first, second] of pids) expect(first).toBe(second);
  expect(most).toBeLessThanOrEqual(3);
  expect(most).toBeGreaterThan(0);
});

test('a body that is no function is refused', async () => {
  const pool = await open();
  expect(((await failureOf(() => pool.scope(5 as never))) as Error).name).toBe('TypeError');
  expect(((await failureOf(() => pool.transaction(undefined as never))) as Error).name).toBe('TypeError');
});
