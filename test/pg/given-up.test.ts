/** A connection that is given up in the middle of something: what was begun on it is not gone on with on another one. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ask, join, on, open, WHERE } from '../support/postgres.ts';

const REFUSED = 'ERR_PG_ROLLED_BACK';
const written = async (): Promise<string[]> => (await ask('select what from given_up order by what')).map(({ what }) => what);

beforeEach(async () => {
  await ask('create table if not exists given_up (what text)');
  await ask('truncate given_up');
});

describe.each(WHERE)('on %s', (where) => {
  test.each(['an error', 'true'])(
    'a transaction whose connection is released with %s refuses all that follows, and rejects',
    async (how) => {
      const pool = await open({ max: 2 });
      const run = await on(where, pool);
      const told = await run(async (p, _, by) => {
        const code = (error: { code: string }): string => error.code;
        const insert = (what: string) => p.query('insert into given_up values ($1)', [what]).then(() => 'written', code);
        const seen: unknown[] = [];
        const body = async (tx: Pick<typeof p, 'query'>): Promise<void> => {
          seen.push(await insert('before'));
          const client = await p.connect();
          const failure = await client.query('select 1 / 0').catch((error) => error);
          client.release(by === 'true' ? true : failure);
          seen.push(await insert('after'));
          seen.push(await tx.query(`insert into given_up values ('by tx')`).then(() => 'written', code));
          seen.push(
            await p
              .connect()
              .then((late) => late.query('select 1'))
              .catch(code),
          );
          seen.push(await p.transaction(() => insert('in a savepoint')).catch(code));
          seen.push(await p.query('ROLLBACK').catch(code));
          seen.push(await insert('after ROLLBACK'));
          const rows = p.iterate('select 1');
          seen.push(await rows.next().catch(code));
          if ('querySync' in p) {
            for (const sync of [() => p.querySync('select 1'), () => p.transactionSync((inner) => inner.query('select 1'))])
              try {
                seen.push(sync());
              } catch (error) {
                seen.push(code(error as { code: string }));
              }
          } else seen.push('ERR_PG_ROLLED_BACK', 'ERR_PG_ROLLED_BACK');
        };
        seen.push(await p.transaction(body, { retries: 3 }).then(() => 'committed', code));
        // Another one, of the same caller, is not concerned.
        seen.push(await p.transaction(() => insert('another')));
        return seen;
      }, how);
      expect(told).toEqual(['written', ...Array(10).fill(REFUSED), 'written']);
      expect(await written()).toEqual(['another']);
    },
  );

  test('given up by a savepoint, or by tx itself, it is over for the transaction around it', async () => {
    const run = await on(where, await open({ max: 2 }));
    const told = await run(async (p) => {
      const code = (error: { code: string }): string => error.code;
      const seen: unknown[] = [];
      for (const level of [1, 2]) {
        const body = async (tx: { release(error: Error): void }): Promise<void> => {
          await p.query(`insert into given_up values ('before')`);
          if (level === 2)
            await p.transaction(async (inner) => inner.release(new Error('broken'))).catch((error) => seen.push(code(error)));
          else tx.release(new Error('broken'));
          seen.push(await p.query(`insert into given_up values ('after')`).then(() => 'written', code));
        };
        seen.push(await p.transaction(body).then(() => 'committed', code));
      }
      return seen;
    });
    expect(told).toEqual(Array(5).fill(REFUSED));
    expect(await written()).toEqual([]);
  });

  test.each([
    ['a transaction', 'begin', false],
    ['a transaction that is only just begun', 'begin', true],
    ['session state that was set on purpose', `set my.own = 'here'`, false],
  ])('a scope in which %s is open refuses all until ROLLBACK', async (_, opening, isUnderWay) => {
    const run = await on(where, await open({ max: 2 }));
    const told = await run(
      (p, _scope, text, atOnce) =>
        p.scope(async () => {
          const code = (error: { code: string }): string => error.code;
          const insert = (what: string) => p.query('insert into given_up values ($1)', [what]).then(() => 'written', code);
          const client = await p.connect();
          const begun = p.query(text).catch(() => {});
          if (!atOnce) await begun;
          client.release(new Error('broken'));
          const seen: unknown[] = [];
          // What was under way may still have been executed, or not: it is refused if it was.
          const after = await insert('after');
          await begun;
          if (!atOnce || after === 'ERR_PG_ROLLED_BACK') {
            seen.push(after, await insert('later'));
            seen.push(await p.transaction(() => insert('in a transaction')).catch(code));
            seen.push(await p.query('rollback').then(() => 'rolled back', code));
          } else seen.push('ERR_PG_ROLLED_BACK', 'ERR_PG_ROLLED_BACK', 'ERR_PG_ROLLED_BACK', 'rolled back');
          seen.push(await insert('at last'));
          return seen;
        }),
      opening,
      isUnderWay,
    );
    expect(told).toEqual([REFUSED, REFUSED, REFUSED, 'rolled back', 'written']);
    expect((await written()).filter((what) => what !== 'after')).toEqual(['at last']);
  });

  test('a scope with nothing open goes on with another connection', async () => {
    const run = await on(where, await open({ max: 2 }));
    const told = await run((p) =>
      p.scope(async () => {
        const client = await p.connect();
        const before = client.processID;
        client.release(true);
        return (await p.query('select pg_backend_pid() as pid')).rows[0].pid !== before;
      }),
    );
    expect(told).toBe(true);
  });

  test('a scope goes on after a transaction in it that was lost and has said so, but not without what was set before that', async () => {
    const run = await on(where, await open({ max: 2 }));
    const told = await run(async (p) => {
      const code = (error: { code: string }): string => error.code;
      const seen: unknown[] = [];
      for (const before of ['select 1', `set my.own = 'here'`])
        await p.scope(async () => {
          await p.query(before);
          const lost = p.transaction(async (tx) => {
            await tx.query(`insert into given_up values ('lost')`);
            await tx.query('select pg_terminate_backend(pg_backend_pid())');
          });
          seen.push(await lost.catch(code));
          seen.push(await p.query(`insert into given_up values ('after')`).then(() => 'written', code));
        });
      return seen;
    });
    expect(told).toEqual(['57P01', 'written', '57P01', REFUSED]);
    expect(await written()).toEqual(['after']);
  });
});

test.each(['auto', 'relayed', 'remote'] as const)(
  'lent %s: a client of pgClient whose connection was held for too long goes on after ROLLBACK',
  async (lend) => {
    const pool = await open({ max: 1, lend: lend as 'auto', maxHold: { revokeAfter: 2000 } });
    const worker = await join(pool);
    const seen = await worker.pg(async (_, { load, handle }) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const client = new (pgClient(handle as never))();
      await client.connect();
      await client.query('begin');
      const refused = async (): Promise<unknown> => {
        for (;;) {
          const error = await client.query('select 1').then(
            () => undefined,
            (each) => each,
          );
          if (error !== undefined) return error.code;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const codes = [await refused(), await refused()];
      const rolledBack = await client.query('rollback').then(
        ({ command }) => command,
        (error) => error.code,
      );
      const { rows } = await client.query('select 1 as n');
      await client.end();
      return [codes.every((code) => code === 'ERR_POOL_LEASE_REVOKED' || code === 'ERR_PG_ROLLED_BACK'), rolledBack, rows];
    });
    expect(seen).toEqual([true, 'ROLLBACK', [{ n: 1 }]]);
  },
);

test.each(WHERE)('on %s: a ROLLBACK that finds its connection lost is the end of what was begun there', async (where) => {
  const run = await on(where, await open({ max: 2, lend: 'remote' as 'auto' }));
  const seen = await run(
    async (p, { load }, entry) => {
      const { pgClient } = (await load(entry)) as typeof import('cenote/pg');
      const client = new (pgClient(p))();
      await client.connect();
      await client.query('begin');
      const { rows } = await client.query('select pg_backend_pid() as pid');
      // This thread hears of it by the next answer.
      await p.query('select pg_terminate_backend($1, 10000)', [rows[0].pid]);
      await client.query('rollback').catch(() => {});
      const next = (await client.query('select 1 as n')).rows;
      await client.end();
      return next;
    },
    where === 'a worker' ? 'cenote/pg/worker' : 'cenote/pg',
  );
  expect(seen).toEqual([{ n: 1 }]);
});
