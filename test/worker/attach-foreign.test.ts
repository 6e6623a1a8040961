/** Attaching in the company of a program's own listeners, of pools that have drawn the same number, and on a Node that cannot do it. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { child } from '../support/child.ts';

const START = `
  import { Worker } from 'node:worker_threads';
  import { createPool } from 'cenote';
  const attach = (pool) => new Promise((resolve, reject) => new Worker(\`
    const { parentPort, workerData } = require('node:worker_threads');
    import('cenote/worker').then(({ attachPool }) => attachPool(workerData)).then((pool) => pool.call('name', [])).then(
      (said) => parentPort.postMessage(said),
      ({ name, code, message, cause }) => parentPort.postMessage({ name, code, message, cause: cause?.code }));
  \`, { eval: true, execArgv: [], workerData: pool.handle }).once('message', resolve).once('error', reject));
  const strict = () => { throw new Error('unknown message'); };
  const open = (name) => createPool({ name, factory: () => ({ name: () => name }), max: 1 });
`;

test('a workerMessage listener of the program that throws keeps no thread out, whenever it was put there', async () => {
  const { lines, stderr } = await child(`${START}
    process.on('workerMessage', strict);
    const pool = await open('one');
    process.on('workerMessage', strict);
    console.log(JSON.stringify(await Promise.all([attach(pool), attach(pool), attach(pool)])));
    process.removeAllListeners('workerMessage');
    console.log(await attach(await open('two')));
    process.exit();
  `);
  expect(lines, stderr).toEqual(['["one","one","one"]', 'two']);
});

test('one that throws ahead of ours is named, and the owner is not called gone', async () => {
  const { lines, stderr } = await child(`${START}
    const pool = await open('one');
    process.prependListener('workerMessage', strict);
    console.log(JSON.stringify(await attach(pool)));
    process.exit();
  `);
  expect(JSON.parse(lines[0] ?? '{}'), stderr).toMatchObject({
    name: 'PoolError',
    code: 'ERR_POOL',
    cause: 'ERR_WORKER_MESSAGING_ERRORED',
    message: expect.stringContaining(`a 'workerMessage' listener of the program on the owner's thread threw`),
  });
});

/** Before the package is loaded. */
const drawing = (numbers: string): string => `
  const crypto = require('node:crypto');
  const drawn = ${numbers};
  crypto.randomInt = () => drawn.length > 1 ? drawn.shift() : drawn[0];
  require('node:module').syncBuiltinESMExports();
`;
const withRequire = `
  import { createRequire } from 'node:module';
  const require = createRequire(import.meta.url);
`;

test('pools of one thread never have the same number', async () => {
  const { lines, stderr } = await child(`${withRequire}${drawing('[7, 7, 7, 8]')}
    const { createPool } = await import('cenote');
    const { attachPool } = await import('cenote/worker');
    ${START.replace(/import .*;/g, '')}
    const { Worker } = require('node:worker_threads');
    const pools = [await open('one'), await open('two')];
    console.log(JSON.stringify(await Promise.all(pools.map(attach))));
    process.exit();
  `);
  expect(lines, stderr).toEqual(['["one","two"]']);
});

test('pools of two owners that have drawn the same number are two pools', async () => {
  const { lines, stderr } = await child(`
    import { Worker } from 'node:worker_threads';
    import { attachPool } from 'cenote/worker';
    const own = (name) => new Promise((resolve, reject) => new Worker(\`${drawing('[7]').replaceAll('\n', ' ')}
      const { parentPort, workerData } = require('node:worker_threads');
      import('cenote').then(async ({ createPool }) => {
        const pool = await createPool({ name: workerData, factory: () => ({ name: () => workerData }), max: 1 });
        parentPort.postMessage(pool.handle);
        setInterval(() => {}, 1000);
      });
    \`, { eval: true, execArgv: [], workerData: name }).once('message', resolve).once('error', reject));
    const handles = await Promise.all(['one', 'two'].map(own));
    const pools = await Promise.all(handles.map((handle) => attachPool(handle)));
    console.log(JSON.stringify(await Promise.all(pools.map((pool) => pool.call('name', [])))), pools[0] === await attachPool(handles[0]));
    process.exit();
  `);
  expect(lines, stderr).toEqual(['["one","two"] true']);
});

test('a Node that has no postMessageToThread is told so by name, on either side', async () => {
  const { lines, stderr } = await child(`${withRequire}
    delete require('node:worker_threads').postMessageToThread;
    require('node:module').syncBuiltinESMExports();
    const { createPool } = await import('cenote');
    const { attachPool } = await import('cenote/worker');
    const { ControlBlock } = await import('./dist/shared/words/control-block.js');
    const { buffer } = ControlBlock.create({ poolId: 1, min: 0, max: 1, maxThreads: 1, maxWaiting: 1, acquireTimeout: 0, maxUses: 0, features: 0 });
    for (const failing of [createPool({ name: 'p', factory: () => 1 }), attachPool({ name: 'p', owner: 99, buffer })])
      console.log(JSON.stringify(await failing.catch(({ name, code, pool, message }) => [name, code, pool, message])));
  `);
  const said = [
    'PoolError',
    'ERR_POOL_NODE_VERSION',
    'p',
    expect.stringContaining(`Node.js ${process.version} does not have postMessageToThread`),
  ];
  expect(
    lines.map((line) => JSON.parse(line)),
    stderr,
  ).toEqual([said, said]);
});

test('engines admits the versions of Node that have it, and no others', () => {
  const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { engines: { node: string } };
  expect(engines.node).toBe('^20.19.0 || >=22.5.0');
});
