import { describe, expect, test } from 'vitest';
import { child } from '../support/child.ts';
import { open, record } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Thread, thread, threads } from '../support/thread.ts';
import { settled, turns, until } from '../support/wait.ts';

describe('a worker ends by itself', () => {
  test('with an attached pool that it does not use', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    t.finish();
    expect(await settled(t.exited)).toBe(0);
  });

  test('after it has acquired, called and released', async () => {
    const pool = await open({ factory: service(), healthcheckInterval: 10, healthcheck: () => true, idleTimeout: 600_000 });
    const log = record(pool);
    const t = await thread(pool);
    await t.run(async ({ pool }) => {
      await pool.use((resource) => resource.add(1, 2));
      pool.useSync((resource) => resource.add(1, 2));
    });
    t.finish();
    expect(await settled(t.exited)).toBe(0);
    await until(() => log.detached.length === 1);
    expect(log.detached[0]!.reclaimed).toBe(0);
  });

  test('after detach', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    await t.run(({ pool }) => pool.detach());
    t.finish();
    expect(await settled(t.exited)).toBe(0);
  });

  test('after the pool was closed', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    await pool.close();
    t.finish();
    expect(await settled(t.exited)).toBe(0);
  });

  test('after its acquires have timed out', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    await t.run(({ pool, outcome }) => outcome(pool.acquire({ timeout: 20 })));
    t.finish();
    expect(await settled(t.exited)).toBe(0);
  });

  test('with calls that it does not wait for: they are made all the same', async () => {
    const pool = await open({ factory: service(), max: 1, orphans: 'release' });
    const t = await thread(pool);
    await t.run(async ({ pool, held }) => {
      held.push(await pool.acquire());
    });
    await t.run(({ held: [remote] }) => void remote!.push('last words'));
    t.finish();
    await settled(t.exited);
    const resource = await settled(pool.acquire());
    expect(resource.entries()).toEqual(['last words']);
  });
});

/** Fails if `t` ends before a thread does that is told to finish after it and has nothing to wait for. */
const expectToStay = async (t: Thread<Service>, other: Thread<Service>) => {
  let code: number | undefined;
  void t.exited.then((value) => {
    code = value;
  });
  t.finish();
  other.finish();
  await settled(other.exited);
  await turns();
  expect(code).toBeUndefined();
};

describe('a worker stays', () => {
  test('until its pending acquire is served', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const [t, other] = await threads(2, pool);
    await t!.run(({ pool, pending, flags }) => {
      pending.a = pool.use((resource) => resource.add(20, 22)).then((sum) => Atomics.store(flags, 3, sum));
    });
    await expectToStay(t!, other!);
    pool.release(mine);
    expect(await settled(t!.exited)).toBe(0);
    expect(t!.flags[3]).toBe(42);
  });

  test('until its pending acquire has timed out', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    await t.run(({ pool, pending, flags }) => {
      pending.a = pool.acquire({ timeout: 150 }).catch(() => Atomics.store(flags, 3, 42));
    });
    t.finish();
    expect(await settled(t.exited)).toBe(0);
    expect(t.flags[3]).toBe(42);
  });

  test('until its pending acquire is refused', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const [t, other] = await threads(2, pool);
    await t!.run(({ pool, pending, flags }) => {
      pending.a = pool.acquire().catch(() => Atomics.store(flags, 3, 42));
    });
    await expectToStay(t!, other!);
    expect(t!.flags[3]).toBe(0);
    await pool.close();
    expect(await settled(t!.exited)).toBe(0);
    expect(t!.flags[3]).toBe(42);
  });

  test('until its pending call is answered', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.run(({ pool, pending, flags }) => {
      pending.a = pool.use((resource) => resource.slow(100)).then(() => Atomics.store(flags, 3, 42));
    });
    t.finish();
    expect(await settled(t.exited)).toBe(0);
    expect(t.flags[3]).toBe(42);
  });

  test('until its attachPool is answered', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread();
    await t.run(({ attachPool, pending, flags }, handle) => {
      pending.a = attachPool(handle).then(() => Atomics.store(flags, 3, 42));
    }, pool.handle);
    t.finish();
    expect(await settled(t.exited)).toBe(0);
    expect(t.flags[3]).toBe(42);
  });
});

/** A process with a pool and a worker, whose code is `worker`. */
const withWorker = (main: string, worker: string) => `
  import { Worker } from 'node:worker_threads';
  import { createPool } from 'cenote';
  const start = (handle) => new Worker(\`(async () => {
    const { workerData, parentPort } = require('node:worker_threads');
    const { attachPool } = await import('cenote/worker');
    const pool = await attachPool(workerData);
    ${worker}
  })()\`, { eval: true, execArgv: [], workerData: handle });
  ${main}
`;

describe('a process ends by itself', () => {
  test('when its workers have ended', async () => {
    const { code, stuck, lines, stderr } = await child(
      withWorker(
        `const pool = await createPool({ min: 1, factory: () => ({ add: (a, b) => a + b }) });
         for (let i = 0; i < 2; i++) start(pool.handle).on('exit', (code) => console.log('exit', code));`,
        `await pool.use((resource) => resource.add(1, 2));`,
      ),
    );
    expect(stderr).toBe('');
    expect(lines).toEqual(['exit 0', 'exit 0']);
    expect(stuck).toBe(false);
    expect(code).toBe(0);
  });

  test('when its workers are unref’d and attached', async () => {
    const { code, stuck, lines } = await child(
      withWorker(
        `const pool = await createPool({ min: 1, factory: () => ({ add: (a, b) => a + b }) });
         const worker = start(pool.handle);
         await new Promise((resolve) => worker.once('message', resolve));
         worker.unref();
         console.log('ready');`,
        `await pool.acquire(); parentPort.postMessage('held'); setInterval(() => {}, 1000);`,
      ),
    );
    expect(lines).toEqual(['ready']);
    expect(stuck).toBe(false);
    expect(code).toBe(0);
  });

  test('when a worker was terminated while it held and waited', async () => {
    const { code, stuck, lines, stderr } = await child(
      withWorker(
        `const pool = await createPool({ max: 1, factory: () => ({ add: (a, b) => a + b }) });
         const worker = start(pool.handle);
         await new Promise((resolve) => worker.once('message', resolve));
         await worker.terminate();
         await pool.acquire();
         console.log('got');`,
        `await pool.acquire(); pool.acquire(); parentPort.postMessage('held');`,
      ),
    );
    expect(stderr).toBe('');
    expect(lines).toEqual(['got']);
    expect(stuck).toBe(false);
    expect(code).toBe(0);
  });

  test('but not before a worker that waits for the owner has been served', async () => {
    const { code, stuck, lines, stderr } = await child(
      withWorker(
        `const pool = await createPool({ max: 1, factory: () => ({ add: (a, b) => a + b }) });
         const held = await pool.acquire();
         start(pool.handle).on('message', (value) => value === 'waiting' ? setTimeout(() => pool.release(held), 50) : console.log(value));`,
        `const waiting = pool.use((resource) => resource.add(20, 22)); parentPort.postMessage('waiting'); parentPort.postMessage(await waiting);`,
      ),
    );
    expect(stderr).toBe('');
    expect(lines).toEqual(['42']);
    expect(stuck).toBe(false);
    expect(code).toBe(0);
  });

  test('with a thread that attached to a pool of a worker, when that worker has ended', async () => {
    const { code, stuck, lines, stderr } = await child(`
      import { Worker } from 'node:worker_threads';
      import { attachPool } from 'cenote/worker';
      const worker = new Worker(\`(async () => {
        const { parentPort } = require('node:worker_threads');
        const { createPool } = await import('cenote');
        const pool = await createPool({ factory: () => ({ add: (a, b) => a + b }) });
        parentPort.postMessage(pool.handle);
        parentPort.once('message', () => {});
      })()\`, { eval: true, execArgv: [] });
      const pool = await attachPool(await new Promise((resolve) => worker.once('message', resolve)));
      console.log(await pool.use((resource) => resource.add(1, 2)));
      worker.postMessage('end');
    `);
    expect(stderr).toBe('');
    expect(lines).toEqual(['3']);
    expect(stuck).toBe(false);
    expect(code).toBe(0);
  });
});
