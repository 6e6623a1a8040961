/** Bodies that return a builder's query without awaiting it: such a thenable asks when `then` is called. */
import { describe, expect, test } from 'vitest';
import { join, on, open, WHERE } from '../support/postgres.ts';
import { settled } from '../support/wait.ts';

describe.each(WHERE)('on %s', (where) => {
  test('a thenable that a body returns runs in the transaction or the scope, however deep, and with each retry', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await settled(
      run(async (p) => {
        const builder = (text: string, target: Pick<typeof p, 'query'> = p): PromiseLike<any> => ({
          // biome-ignore lint/suspicious/noThenProperty: that is what builders have.
          then: (resolve, reject) => target.query(text).then(({ rows }) => resolve!(rows[0]?.seen), reject),
        });
        const tenant = `select current_setting('my.tenant', true) as seen`;
        const level = `select current_setting('transaction_isolation') as seen`;
        const told: unknown[] = [];
        const serializable = { isolation: 'serializable' } as const;
        told.push(await p.transaction(() => builder(level), serializable));
        told.push(await p.transaction((tx) => builder(level, tx), serializable));
        told.push(await p.transaction(() => builder(level), { ...serializable, signal: new AbortController().signal }));
        told.push(await p.transaction(async () => p.transaction(() => builder(level)), serializable));
        told.push(await p.transaction(() => p.scope(() => builder(level)), serializable));
        // One that gives another.
        // biome-ignore lint/suspicious/noThenProperty: see above.
        const outer = { then: (resolve: (value: unknown) => void) => void resolve(builder(level)) };
        told.push(await p.transaction(() => outer as never, serializable));
        await p.scope(async () => {
          await p.query(`set my.tenant = '7'`);
          told.push(await p.scope(() => builder(tenant)));
          told.push(await p.transaction(() => builder(tenant)));
        });
        told.push(await p.scope(() => builder(`select 'own' as seen`)));
        let tries = 0;
        const failing = `do $$ begin raise exception using errcode = '40001'; end $$`;
        told.push(await p.transaction(() => builder(++tries < 3 ? failing : level), { ...serializable, retries: 3 }), tries);
        // It fails within the transaction.
        told.push(await p.transaction(() => builder('select nowhere')).catch((error) => error.code));
        told.push((await p.query(`select 'free' as seen`)).rows[0].seen);
        return told;
      }),
    );
    expect(seen).toEqual([...Array(6).fill('serializable'), '7', '7', 'own', 'serializable', 3, '42703', 'free']);
  });
});

test('forms that block refuse a thenable, do not begin it, and undo what came before', async () => {
  const pool = await open({ max: 1 });
  await pool.query('create table unwritten (n int)');
  const worker = await join(pool);
  const seen = await worker.pg(async (p) => {
    const unhandled: unknown[] = [];
    process.on('unhandledRejection', (error) => unhandled.push(error));
    let begun = 0;
    // biome-ignore lint/suspicious/noThenProperty: that is what builders have.
    const builder = { then: () => begun++ };
    const told: unknown[] = [];
    for (const result of [
      () => builder,
      async () => {
        throw new Error('later');
      },
    ])
      try {
        p.transactionSync((tx) => {
          tx.query('insert into unwritten values (1)');
          return result();
        });
      } catch (error) {
        told.push((error as Error).name, (error as Error).message);
      }
    await new Promise((resolve) => setImmediate(resolve));
    return [...told, begun, unhandled, p.querySync('select n from unwritten').rows];
  });
  const refused = expect.stringContaining('must not return a promise');
  expect(seen).toEqual(['TypeError', refused, 'TypeError', refused, 0, [], []]);
});
