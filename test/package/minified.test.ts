/** In a bundle that a minifier has gone through, on either side: names that others look at are what they were. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import { root } from '../docs/markdown.ts';
import { folder, runProgram } from '../docs/run.ts';
import { postgres } from '../support/postgres.ts';

let place: string;

/** Bundled with everything that it imports, as it would be deployed. */
async function bundle(name: string, contents: string): Promise<void> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    alias: {
      cenote: `${root}dist/main/index.js`,
      'cenote/worker': `${root}dist/worker/index.js`,
      'cenote/pg': `${root}dist/pg/main.js`,
      'cenote/pg/worker': `${root}dist/pg/worker.js`,
    },
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    external: ['pg-native'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
    write: false,
  });
  writeFileSync(join(place, name), outputFiles[0].contents);
}

beforeAll(() => {
  place = folder();
});

test('errors of the package have their names, on the owner and across threads', async () => {
  await bundle(
    'worker.mjs',
    `import { attachPool } from 'cenote/worker';
    import { parentPort, workerData } from 'node:worker_threads';
    const names = ({ name, code, constructor, stack }) => [name, code, constructor.name, stack.split(':')[0]];
    const pool = await attachPool(workerData);
    const said = [await pool.acquire({ timeout: 1 }).catch(names)];
    parentPort.postMessage('refused');
    for (const method of ['missing', 'own', 'closed']) said.push(await pool.call(method, []).catch(names));
    parentPort.postMessage(said);`,
  );
  await bundle(
    'owner.mjs',
    `import { createPool, PoolClosedError } from 'cenote';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    class Own extends TypeError { name = 'Own'; }
    const resource = { own: () => { throw new Own('m'); }, closed: () => { throw new PoolClosedError('m', 'p'); } };
    const pool = await createPool({ factory: () => resource, max: 1 });
    const held = await pool.acquire();
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: pool.handle });
    await once(worker, 'message');
    const told = once(worker, 'message');
    pool.release(held);
    console.log(JSON.stringify((await told)[0]));
    try { pool.release(held); } catch ({ name, constructor, stack }) { console.log(name, constructor.name, stack.split(':')[0]); }
    process.exit();`,
  );
  const { lines, stderr } = await runProgram(place, 'owner.mjs');
  expect(lines, stderr).toEqual([
    JSON.stringify([
      ['AcquireTimeoutError', 'ERR_POOL_ACQUIRE_TIMEOUT', 'AcquireTimeoutError', 'AcquireTimeoutError'],
      ['RemoteCallError', 'ERR_POOL_REMOTE_CALL', 'RemoteCallError', 'RemoteCallError'],
      ['Own', null, 'TypeError', 'Own'],
      ['PoolClosedError', 'ERR_POOL_CLOSED', 'PoolClosedError', 'PoolClosedError'],
    ]),
    'NotBorrowedError NotBorrowedError NotBorrowedError',
  ]);
});

test('Drizzle takes the pool for one: what is rolled back is not written, on the owner and on a worker', async () => {
  const { url } = await postgres();
  const program = `
    import { sql } from 'drizzle-orm';
    import pg from 'pg';
    import { drizzle } from 'drizzle-orm/node-postgres';
    const rolledBack = async (pool, table) => {
      await pool.query('create table ' + table + ' (a int)');
      const db = drizzle({ client: pool });
      await db.transaction(async (tx) => { await tx.execute(sql.raw('insert into ' + table + ' values (1)')); throw new Error('undo'); }).catch(() => {});
      const client = await pool.connect();
      client.release();
      const error = await pool.query('select 1/0').catch((thrown) => thrown);
      return [(await pool.query('select * from ' + table)).rowCount, pool.constructor.name, client.constructor.name, error.name, error instanceof pg.DatabaseError || error.constructor.name === 'DatabaseError'];
    };`;
  await bundle(
    'pg-worker.mjs',
    `${program}
    import { attachPgPool } from 'cenote/pg/worker';
    import { parentPort, workerData } from 'node:worker_threads';
    parentPort.postMessage(await rolledBack(await attachPgPool(workerData), 'minified_worker'));`,
  );
  await bundle(
    'pg-owner.mjs',
    `${program}
    import { createPgPool } from 'cenote/pg';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const pool = await createPgPool({ connection: process.env.URL_OF_TEST, max: 2 });
    console.log(JSON.stringify(await rolledBack(pool, 'minified_owner')));
    const worker = new Worker(new URL('./pg-worker.mjs', import.meta.url), { workerData: pool.handle });
    console.log(JSON.stringify((await once(worker, 'message'))[0]));
    await worker.terminate();
    await pool.query('drop table minified_owner, minified_worker');
    await pool.end();`,
  );
  const { lines, stderr } = await runProgram(place, 'pg-owner.mjs', { URL_OF_TEST: url });
  const said = JSON.stringify([0, 'Pool', 'Client', 'error', true]);
  expect(lines, stderr).toEqual([said, said]);
});
