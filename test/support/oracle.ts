/** Programs that know nothing of cenote, on several threads at once over one pool. What they should see is what they see over a pg.Pool. */
import pg from 'pg';
import { expect } from 'vitest';
import { runAll } from '../pg/programs/all.js';
import { ask, connections, join, newName, open, type PgScope, postgres } from './postgres.ts';
import { settled, until } from './wait.ts';

interface Module {
  readonly programs: Record<string, unknown>;
  readonly open?: unknown;
  readonly close?: unknown;
}
type Seen = Record<string, string>;
const run = runAll as (module: Module, pool: unknown, schema: string) => Promise<Seen>;

/** `url`: of the same module, for the workers. */
export async function expectTheSame(module: Module, url: URL, { max, workers }: { max: number; workers: number }): Promise<void> {
  const oracle = new pg.Pool({ connectionString: (await postgres()).url, max: 3 });
  oracle.on('error', () => {});
  const expected = await run(module, oracle, 'schema_0');
  if (!oracle.ending) await oracle.end();
  expect(Object.keys(expected).length).toBeGreaterThan(0);
  expect(Object.entries(expected).filter(([, text]) => text === '"this has not ended"')).toEqual([]);

  const name = newName();
  const pool = await open({ name, max, acquireTimeout: 240_000 });
  const threads = await Promise.all(Array.from({ length: workers }, () => join(pool)));
  const most = countMost(name);
  const runs = threads.map((thread, index) =>
    thread.pg(
      async (remote, { load }, all, programs, schema) => {
        const { runAll } = (await load(all)) as { runAll(module: unknown, pool: unknown, schema: string): Promise<Seen> };
        return runAll(await load(programs), remote, schema);
      },
      new URL('../pg/programs/all.js', import.meta.url).href,
      url.href,
      `schema_${index + 1}`,
    ),
  );
  // On the owner last: a program that ends the pool ends it for everybody.
  const seen = await settled(Promise.all(runs), 240_000);
  const onOwner = await settled(run(module, pool, `schema_${workers + 1}`), 240_000);
  for (const each of [...seen, onOwner]) expect(each).toEqual(expected);

  expect(await most()).toBeLessThanOrEqual(max);
  await expectNothingLeft(name);
  await until(() => pool.pool.activeCount() === 0);
}

/** The most connections that the server saw at once, until it is asked for. */
export function countMost(name: string): () => Promise<number> {
  let most = 0;
  let isOver = false;
  const counting = (async () => {
    while (!isOver) {
      most = Math.max(most, await connections(name).catch(() => 0));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return async () => {
    isOver = true;
    await counting;
    expect(most, 'the server has seen some').toBeGreaterThan(0);
    return most;
  };
}

/** No transaction, no lock, and nothing at work, on any connection of this name. */
export async function expectNothingLeft(name: string): Promise<void> {
  await until(async () => {
    const left = await ask(
      `select state, query from pg_stat_activity where application_name = $1 and (state <> 'idle' or xact_start is not null)`,
      [name],
    );
    if (left.length > 0) throw new Error(JSON.stringify(left));
    return true;
  });
}

/**
 * A worker that is killed in the middle of a transaction, once between two statements and once under one. The body inserts 1 into the table it is given, calls
 * `told`, and then stays. Whatever the program was, nothing of that is left, and the only connection is of use again.
 */
export async function expectRolledBack(
  body: (pool: PgScope['pg'], load: Load, table: string, told: () => void) => Promise<unknown>,
): Promise<void> {
  const name = newName();
  const table = `killed_${name.replaceAll('-', '_')}`;
  await ask(`create table ${table} (a int)`);
  const pool = await open({ name, max: 1 });
  const worker = await join(pool);
  const running = worker.pg(
    (remote, { load, tell }, code, of) => new Function(`return (${code});`)()(remote, load, of, () => tell('inserted')),
    String(body),
    table,
  );
  running.catch(() => {});
  await until(() => worker.told.includes('inserted'));
  expect(await ask(`select 1 from pg_stat_activity where application_name = $1 and xact_start is not null`, [name])).toHaveLength(1);
  await worker.terminate();
  // Without anybody asking for the connection.
  await expectNothingLeft(name);
  expect((await settled(pool.query(`select * from ${table}`))).rows).toEqual([]);
  expect(await connections(name)).toBe(1);
}

type Load = (name: string) => Promise<any>;
