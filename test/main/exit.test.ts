import { describe, expect, test } from 'vitest';
import { child } from '../support/child.ts';

const setUp = `
  import { createPool } from 'cenote';
  const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value).unref());
`;

/** Ends by itself, with 0, without having been waited for. */
const expectExit = async (script: string, lines: string[] = ['ready']) => {
  const result = await child(setUp + script);
  expect(result.stderr).toBe('');
  expect(result.lines).toEqual(lines);
  expect(result.stuck, 'still running').toBe(false);
  expect(result.code).toBe(0);
  return result;
};

describe('a process ends by itself', () => {
  test('with an idle pool', async () => {
    await expectExit(`
      await createPool({ min: 2, factory: () => ({}) });
      console.log('ready');
    `);
  });

  test('with an idle pool and all of its timers on', async () => {
    await expectExit(`
      const pool = await createPool({
        min: 2, factory: () => ({}), healthcheck: () => true, healthcheckInterval: 20, idleTimeout: 600_000, maxLifetime: 600_000,
        leakDetectionThreshold: 600_000, acquireTimeout: 600_000, createTimeout: 600_000, beforeAcquire: () => true, beforeRelease: () => true,
      });
      pool.release(await pool.acquire());
      console.log('ready');
    `);
  });

  test('with a resource that is still borrowed', async () => {
    await expectExit(`
      const pool = await createPool({ factory: () => ({}), leakDetectionThreshold: 30 });
      await pool.acquire();
      console.log('ready');
    `);
  });

  test('while a refill is being retried', async () => {
    await expectExit(`
      let broken = false;
      const pool = await createPool({ min: 1, factory: () => { if (broken) throw new Error('down'); return {}; } });
      pool.on('error', () => {});
      broken = true;
      pool.destroy(await pool.acquire());
      console.log('ready');
    `);
  });

  test('while a factory that nobody waits for any more still has time left', async () => {
    await expectExit(
      `
      const pool = await createPool({ max: 1, createTimeout: 600_000, factory: () => new Promise(() => {}) });
      await pool.acquire({ timeout: 20 }).catch((error) => console.log(error.code));
    `,
      ['ERR_POOL_ACQUIRE_TIMEOUT'],
    );
  });

  test('while a refill hangs that still has time left', async () => {
    await expectExit(`
      let calls = 0;
      const pool = await createPool({ min: 1, createTimeout: 600_000, factory: () => (++calls === 1 ? {} : new Promise(() => {})) });
      pool.destroy(await pool.acquire());
      console.log('ready');
    `);
  });

  test('while the breaker is INACTIVE', async () => {
    await expectExit(`
      const pool = await createPool({ factory: () => ({}), circuitBreaker: { reportSuccess() {}, reportFailure() {}, shouldRecover: () => false } });
      pool.deactivate();
      console.log('ready');
    `);
  });

  test('after close', async () => {
    await expectExit(`
      const pool = await createPool({ min: 2, factory: () => ({}), healthcheckInterval: 10, healthcheck: () => true });
      await pool.close();
      console.log('ready');
    `);
  });

  test('after an acquire that timed out', async () => {
    await expectExit(
      `
      const pool = await createPool({ max: 1, factory: () => ({}) });
      await pool.acquire();
      await pool.acquire({ timeout: 20 }).catch((error) => console.log(error.code));
    `,
      ['ERR_POOL_ACQUIRE_TIMEOUT'],
    );
  });

  test('with hundreds of idle pools', async () => {
    await expectExit(`
      await Promise.all(Array.from({ length: 200 }, () => createPool({ min: 1, factory: () => ({}) })));
      console.log('ready');
    `);
  });
});

describe('a process does not end', () => {
  test('before a slow factory has served a pending acquire', async () => {
    await expectExit(
      `
      const pool = await createPool({ factory: () => later(150, { id: 1 }) });
      pool.acquire().then((resource) => console.log('got', resource.id));
    `,
      ['got 1'],
    );
  });

  test('before createPool has settled', async () => {
    await expectExit(
      `
      createPool({ min: 1, factory: () => later(150, {}) }).then((pool) => console.log('created', pool.count()));
    `,
      ['created 1'],
    );
  });

  test('before a pending acquire has timed out', async () => {
    await expectExit(
      `
      const pool = await createPool({ max: 1, factory: () => ({}) });
      await pool.acquire();
      pool.acquire({ timeout: 150 }).catch((error) => console.log(error.code));
    `,
      ['ERR_POOL_ACQUIRE_TIMEOUT'],
    );
  });

  test('while an acquire without a timeout is pending', async () => {
    // The timer keeps no process alive: it comes only where something else does.
    await expectExit(
      `
      const pool = await createPool({ max: 1, factory: () => ({}) });
      await pool.acquire();
      pool.acquire().then(() => console.log('got'));
      setTimeout(() => {
        console.log('still here');
        process.exit();
      }, 100).unref();
      console.log('ready');
    `,
      ['ready', 'still here'],
    );
  });

  test('before a pending acquire has been served by a release', async () => {
    await expectExit(
      `
      const pool = await createPool({ max: 1, factory: () => ({}) });
      const held = await pool.acquire();
      later(150).then(() => pool.release(held));
      pool.acquire().then(() => console.log('got'));
    `,
      ['got'],
    );
  });

  test('before a slow beforeAcquire has let a pending acquire through', async () => {
    await expectExit(
      `
      const pool = await createPool({ min: 1, factory: () => ({}), beforeAcquire: () => later(150) });
      pool.acquire().then(() => console.log('got'));
    `,
      ['got'],
    );
  });

  test('before drain has reached its timeout', async () => {
    await expectExit(
      `
      const pool = await createPool({ factory: () => ({}) });
      await pool.acquire();
      pool.drain({ timeout: 150 }).then(() => console.log('drained'));
    `,
      ['drained'],
    );
  });

  test('before close has waited for a slow destructor', async () => {
    await expectExit(
      `
      const pool = await createPool({ min: 1, factory: () => ({}), destructor: () => later(150) });
      pool.close().then(() => console.log('closed'));
    `,
      ['closed'],
    );
  });
});

describe('nothing is left unhandled', () => {
  test('when a factory fails after its waiter has left', async () => {
    await expectExit(
      `
      let fail;
      const pool = await createPool({ factory: () => new Promise((_, reject) => { fail = reject; }) });
      pool.on('error', () => {});
      await pool.acquire({ timeout: 10 }).catch((error) => console.log(error.code));
      fail(new Error('late'));
      await new Promise((resolve) => setTimeout(resolve, 100));
      console.log('fine');
    `,
      ['ERR_POOL_ACQUIRE_TIMEOUT', 'fine'],
    );
  });

  test('when a factory fails after the pool was closed', async () => {
    await expectExit(
      `
      let fail;
      const pool = await createPool({ factory: () => new Promise((_, reject) => { fail = reject; }) });
      pool.on('error', () => {});
      const waiting = pool.acquire().catch((error) => console.log(error.code));
      await pool.close();
      await waiting;
      fail(new Error('late'));
      await new Promise((resolve) => setTimeout(resolve, 100));
      console.log('fine');
    `,
      ['ERR_POOL_CLOSED', 'fine'],
    );
  });

  test('when hooks fail after their time is up', async () => {
    await expectExit(
      `
      const failLate = () => new Promise((_, reject) => setTimeout(reject, 60, new Error('late')));
      const pool = await createPool({ max: 1, checkTimeout: 20, factory: () => ({}), destructor: failLate, beforeRelease: failLate, beforeAcquire: failLate });
      pool.on('error', () => {});
      pool.release(await pool.acquire());
      pool.release(await pool.acquire());
      await new Promise((resolve) => setTimeout(resolve, 150));
      await pool.close();
      await new Promise((resolve) => setTimeout(resolve, 100));
      console.log('fine');
    `,
      ['fine'],
    );
  });
});
