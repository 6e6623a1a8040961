/** Who keeps the process alive, and who does not. */
import { expect, test } from 'vitest';
import { node, project } from '../docs/run.ts';
import { ask, postgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

const PACKAGES = ['pg', 'pg-types', 'pg-protocol', 'pg-pool', 'pg-connection-string', 'pgpass'];

async function run(body: string): Promise<{ code: number; lines: string[]; stderr: string }> {
  const { url } = await postgres();
  const files = new Map([
    [
      'main.mjs',
      `import { createPgPool } from 'cenote/pg';
import { Worker } from 'node:worker_threads';
const pool = await createPgPool({ connection: ${JSON.stringify(url)}, max: 2 });
${body}`,
    ],
    [
      'worker.mjs',
      `import { workerData } from 'node:worker_threads';
import { attachPgPool } from 'cenote/pg/worker';
const pool = await attachPgPool(workerData);
const { rows } = await pool.query('select 5 as a, pg_sleep(0.2)');
console.log('worker', rows[0].a);
await pool.scope(() => pool.query('begin'));`,
    ],
  ]);
  return node(project(files, PACKAGES), 'main.mjs');
}

test('an idle pool does not keep the process alive, a query under way does', async () => {
  expect(await run(`pool.query('select 7 as a, pg_sleep(0.3)').then(({ rows }) => console.log(rows[0].a));`)).toEqual({
    code: 0,
    lines: ['7'],
    stderr: '',
  });
});

test('nor do connections that are borrowed and idle, or a worker that is through', async () => {
  expect(await run(`await pool.connect(); new Worker(new URL('./worker.mjs', import.meta.url), { workerData: pool.handle });`)).toEqual({
    code: 0,
    lines: ['worker 5'],
    stderr: '',
  });
});

/** A thread, or the process, in which a client waits for one notification and is given back. */
const LISTENS: Record<string, string> = {
  'a connection': `const client = await pool.connect();
client.on('notification', ({ payload }) => {
  console.log(payload);
  client.release();
});
await client.query('listen exit_news');`,
  'a client of pgClient': `const client = new (pgClient(pool))();
await client.connect();
client.on('notification', ({ payload }) => {
  console.log(payload);
  client.end();
});
await client.query('listen exit_news');`,
};

test.each(Object.keys(LISTENS).flatMap((what) => ['the owner', 'auto', 'relayed', 'remote'].map((where) => [what, where])))(
  '%s that listens keeps its thread alive until it is given back: %s',
  async (what, where) => {
    const { url } = await postgres();
    const lend = where === 'the owner' ? 'auto' : where;
    const body =
      where === 'the owner' ? LISTENS[what] : `new Worker(new URL('./worker.mjs', import.meta.url), { workerData: pool.handle });`;
    const files = new Map([
      [
        'main.mjs',
        `import { createPgPool, pgClient } from 'cenote/pg';
import { Worker } from 'node:worker_threads';
const pool = await createPgPool({ connection: ${JSON.stringify(url)}, max: 2, lend: '${lend}' });
${body}`,
      ],
      [
        'worker.mjs',
        `import { workerData } from 'node:worker_threads';
import { attachPgPool, pgClient } from 'cenote/pg/worker';
const pool = await attachPgPool(workerData);
${LISTENS[what]}`,
      ],
    ]);
    const done = node(project(files, PACKAGES), 'main.mjs');
    let isOver = false;
    void done.finally(() => {
      isOver = true;
    });
    const listening = `select 1 from pg_stat_activity where query = 'listen exit_news' and state = 'idle'`;
    await until(async () => isOver || (await ask(listening)).length > 0);
    await ask(`notify exit_news, 'heard'`);
    expect(await done).toEqual({ code: 0, lines: ['heard'], stderr: '' });
  },
);
