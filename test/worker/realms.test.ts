/** Code of another realm (a vm context: Jest, jsdom) on either side, and globals that are not Node's. */
import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';
import { child } from '../support/child.ts';

const realm = new URL('../support/other-realm.js', import.meta.url).href;

/** Lines that a program prints that may run code in other realms. */
const run = (program: string): Promise<{ code: number | string | null; lines: string[]; stderr: string }> =>
  new Promise((resolve) => {
    const args = ['--experimental-vm-modules', '--input-type=module', '-e', program];
    const options = {
      timeout: 60_000,
      killSignal: 'SIGKILL',
      env: { ...process.env, NODE_OPTIONS: '' },
      cwd: import.meta.dirname,
    } as const;
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? null), lines: stdout.split('\n').filter(Boolean), stderr });
    });
  });

/** A worker of plain Node, as text. */
const inWorker = (body: string): string => `
  new Worker(\`
    import('cenote/worker').then(async ({ attachPool }) => {
      const { parentPort, workerData } = require('node:worker_threads');
      parentPort.postMessage(await (async () => { ${body} })().catch((error) => 'failed: ' + error.stack));
    });
  \`, { eval: true, workerData: pool.handle, execArgv: [] })`;

test('a pool of another realm works: threads attach, limits run out, errors keep their class, and it closes', async () => {
  const { code, lines, stderr } = await run(`
    import { inOtherRealm } from '${realm}';
    await inOtherRealm(${JSON.stringify(`
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      import { createPool } from 'cenote';
      class Own extends RangeError {}
      const resource = {
        map: () => new Map([[1, new Date(7)]]),
        typed: () => { throw Object.assign(new TypeError('typed'), { detail: new Set([1]) }); },
        own: () => { throw new Own('own', { cause: new SyntaxError('cause') }); },
        many: () => { throw new AggregateError([new URIError('one')], 'many'); },
      };
      const pool = await createPool({ factory: async () => resource, max: 1, createTimeout: 1000, idleTimeout: 1000, healthcheck: () => true, healthcheckInterval: 5 });
      const worker = ${inWorker(`
        const pool = await attachPool(workerData);
        const said = [(await pool.call('map', [])).get(1).getTime()];
        for (const method of ['typed', 'own', 'many']) {
          const error = await pool.call(method, []).catch((thrown) => thrown);
          const type = [TypeError, RangeError, AggregateError].find((type) => error instanceof type);
          const within = error.cause ?? error.errors?.[0];
          said.push(method, type.name, error.message, error.detail?.has(1), within?.constructor.name);
        }
        said.push(await pool.call('hasOwnProperty', ['map']).catch(({ code }) => code));
        return JSON.stringify(said);
      `)};
      console.log((await once(worker, 'message'))[0]);
      await worker.terminate();
      const held = await pool.acquire();
      console.log(await pool.acquire({ timeout: 20 }).catch(({ code }) => code));
      pool.release(held);
      await pool.close();
      console.log('closed');
    `)});
  `);
  expect(lines, stderr).toEqual([
    JSON.stringify([
      ...[7, 'typed', 'TypeError', 'typed', true, null, 'own', 'RangeError', 'own', null, 'SyntaxError'],
      ...['many', 'AggregateError', 'many', null, 'URIError', 'ERR_POOL_REMOTE_CALL'],
    ]),
    'ERR_POOL_ACQUIRE_TIMEOUT',
    'closed',
  ]);
  expect(code).toBe(0);
});

test('a thread attaches from another realm, borrows, waits and is told of errors', async () => {
  const { code, lines, stderr } = await run(`
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { createPool } from 'cenote';
    const pool = await createPool({ factory: () => ({ twice: (n) => 2 * n, fail: () => { throw new TypeError('no'); } }), max: 1 });
    const worker = new Worker(${JSON.stringify(`
      import('${realm}').then(async ({ inOtherRealm }) => {
        const { parentPort, workerData } = require('node:worker_threads');
        const said = [];
        await inOtherRealm(\`
          import { attachPool } from 'cenote/worker';
          const pool = await attachPool(workerData);
          const remote = await pool.acquire();
          say(await Promise.all([remote.twice(1), remote.twice(2), remote.twice([3]), pool.synchronous(remote).twice(4)]));
          say(await pool.acquire({ timeout: 20 }).catch(({ code }) => code));
          pool.release(remote);
          say(await pool.call('fail', []).catch((error) => error instanceof TypeError));
          await pool.detach();
        \`, { workerData, say: (value) => said.push(value) });
        parentPort.postMessage(JSON.stringify(said));
      });
    `)}, { eval: true, workerData: pool.handle, execArgv: ['--experimental-vm-modules', '--no-warnings'] });
    console.log((await once(worker, 'message'))[0]);
    await pool.close();
  `);
  expect(lines, stderr).toEqual([JSON.stringify([[2, 4, 6, 8], 'ERR_POOL_ACQUIRE_TIMEOUT', true])]);
  expect(code).toBe(0);
});

test('an error of another realm that nobody listens to is a warning, and so is one that cannot be read', async () => {
  const { code, lines, stderr } = await run(`
    import { inOtherRealm } from '${realm}';
    await inOtherRealm(${JSON.stringify(`
      import { createPool } from 'cenote';
      const unreadable = new Proxy(new Error('hidden'), { get() { throw new Error('a trap'); } });
      for (const error of [new Error('broken on purpose'), unreadable]) {
        const pool = await createPool({ factory: () => ({}), destructor: () => { throw error; } });
        pool.destroy(await pool.acquire());
        await pool.close();
      }
      console.log('alive');
    `)});
  `);
  expect(lines, stderr).toEqual(['alive']);
  expect(stderr).toContain('broken on purpose');
  expect(code).toBe(0);
});

test('timers that are numbers, and fakes that stand still, do not reach a pool, whenever they were put there', async () => {
  const { lines, stderr, code } = await child(`
    import { mock } from 'node:test';
    const { setTimeout: later, setImmediate: soon } = globalThis;
    for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance', 'MessageChannel'])
      globalThis[name] = () => 7;
    const { createPool } = await import('cenote');
    const pool = await createPool({ factory: async ({ signal }) => ({ signal }), max: 1, createTimeout: 1000, idleTimeout: 1000 });
    const held = await pool.acquire();
    console.log(held.signal.aborted, await pool.acquire({ timeout: 20 }).catch(({ code }) => code));
    Object.assign(globalThis, { setTimeout: later, setImmediate: soon });
    mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] });
    console.log(await pool.acquire({ timeout: 20 }).catch(({ code }) => code));
    pool.release(held);
    await pool.close();
  `);
  expect(lines, stderr).toEqual(['false ERR_POOL_ACQUIRE_TIMEOUT', 'ERR_POOL_ACQUIRE_TIMEOUT']);
  expect(code).toBe(0);
});
