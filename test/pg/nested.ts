/** A builder's own transactions where there is one of ours: in a scope they run, in pool.transaction they are refused, as their end would be that of ours. */
import { expect } from 'vitest';
import { ask, on, open, type PgScope, type WHERE } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

type Load = (name: string) => Promise<any>;
/** Gives a function that inserts a row in a transaction of the builder's. Runs on a thread, and sees no variable of the test. */
type Adder = (pool: PgScope['pg'], load: Load, table: string) => Promise<(a: number) => Promise<unknown>>;

export async function expectNesting(where: (typeof WHERE)[number], adder: Adder): Promise<void> {
  const table = `nested_${where.length}`;
  await ask(`create table ${table} (a int)`);
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await run(
    async (shared, { load }, code, of) => {
      const add = await new Function(`return (${code});`)()(shared, load, of);
      await shared.scope(async () => {
        await add(1);
        await add(2);
      });
      const messages: string[] = [];
      const note = (error: Error & { cause?: Error }) => void messages.push(error.cause?.message ?? error.message);
      await shared
        .transaction(async (tx) => {
          await tx.query(`insert into ${of} values (3)`);
          await add(4).catch(note);
          throw new Error('no');
        })
        .catch(note);
      return messages;
    },
    String(adder),
    table,
  );
  expect(seen).toEqual([expect.stringContaining('BEGIN inside of pool.transaction()'), 'no']);
  expect(await ask(`select a from ${table} order by a`)).toEqual([{ a: 1 }, { a: 2 }]);
  await until(() => pool.pool.activeCount() === 0);
}
