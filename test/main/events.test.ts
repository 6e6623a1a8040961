import { threadId } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { child } from '../support/child.ts';
import { open, record, type Thing, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { settled, turns, until } from '../support/wait.ts';

describe('listeners', () => {
  test('on, once and off give the pool back', async () => {
    const pool = await open(workshop());
    const listener = () => {};
    expect(pool.on('create', listener)).toBe(pool);
    expect(pool.once('create', listener)).toBe(pool);
    expect(pool.off('create', listener)).toBe(pool);
  });

  test('on hears every event, once only the first, off none any more', async () => {
    const pool = await open({ ...workshop(), max: 3 });
    const heard: string[] = [];
    const on = (thing: Thing) => heard.push(`on ${thing.id}`);
    const off = (thing: Thing) => heard.push(`off ${thing.id}`);
    pool.on('create', on);
    pool.once('create', (thing) => heard.push(`once ${thing.id}`));
    pool.on('create', off);
    pool.off('create', off);
    await pool.acquire();
    await pool.acquire();
    expect(heard.sort()).toEqual(['on 1', 'on 2', 'once 1']);
  });

  test("'create' and 'destroy' tell of every resource, with the reason", async () => {
    const pool = await open({ ...workshop(), max: 2 });
    const log = record(pool);
    const [a, b] = [await pool.acquire(), await pool.acquire()];
    pool.destroy(a);
    await until(() => log.destroyed.length === 1);
    await pool.close();
    pool.release(b);
    await until(() => log.destroyed.length === 2);
    expect(log.created).toEqual([a, b]);
    expect(log.destroyed.map(({ resource, reason }) => [resource, reason])).toEqual([
      [a, 'destroyed'],
      [b, 'closed'],
    ]);
  });

  test("'state' tells the next and the previous state, and nothing when it stays", async () => {
    const pool = await open(workshop());
    const states: string[][] = [];
    pool.on('state', (...args) => states.push(args));
    pool.deactivate();
    pool.deactivate();
    pool.recover();
    pool.activate();
    pool.activate();
    await until(() => states.length >= 3);
    await turns();
    expect(states).toEqual([
      ['inactive', 'active'],
      ['recovering', 'inactive'],
      ['active', 'recovering'],
    ]);
  });
});

describe("'error' without a listener", () => {
  test('is a process warning', async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error) => warnings.push(warning);
    process.on('warning', listener);
    onTestFinished(() => {
      process.off('warning', listener);
    });
    const pool = await open({
      ...workshop(),
      name: 'noisy',
      destructor: () => {
        throw new Error('the destructor is broken');
      },
    });
    pool.destroy(await pool.acquire());
    await until(() =>
      warnings.some((warning) =>
        /the destructor is broken/.test(String(warning.message) + String(warning.cause ?? '') + String(warning.stack)),
      ),
    );
  });

  test('never crashes the process', async () => {
    const { code, stuck, lines, stderr } = await child(`
      import { createPool } from 'cenote';
      const fail = () => { throw new Error('broken on purpose') };
      let broken = false;
      const pool = await createPool({
        min: 1,
        factory: () => { if (broken) fail(); return {}; },
        destructor: fail,
        beforeRelease: async () => fail(),
        healthcheckInterval: 5,
        healthcheck: fail,
        circuitBreaker: { reportSuccess: fail, reportFailure: fail, shouldRecover: fail },
      });
      pool.release(await pool.acquire());
      await new Promise((resolve) => setTimeout(resolve, 50));
      broken = true;
      await new Promise((resolve) => setTimeout(resolve, 50));
      await pool.close();
      console.log('alive');
    `);
    expect(stuck).toBe(false);
    expect(stderr).toContain('broken on purpose');
    expect(lines).toEqual(['alive']);
    expect(code).toBe(0);
  });

  test('with a listener there is no warning', async () => {
    const { lines, stderr, code } = await child(`
      import { createPool } from 'cenote';
      const pool = await createPool({ factory: () => ({}), destructor: () => { throw new Error('broken on purpose') } });
      pool.on('error', (error) => console.log(error.message));
      pool.destroy(await pool.acquire());
      await pool.close();
    `);
    expect(lines).toEqual(['broken on purpose']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});

describe("'leak'", () => {
  test('warns about a resource that is out for longer than leakDetectionThreshold', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), leakDetectionThreshold: 3000 });
    const log = record(pool);
    await pool.acquire();
    await time.pass(2999);
    expect(log.leaks).toEqual([]);
    // Looked at four times in a threshold.
    await time.pass(751);
    expect(log.leaks).toHaveLength(1);
    expect(log.leaks[0]!.threadId).toBe(threadId);
    expect(log.leaks[0]!.heldFor).toBeGreaterThanOrEqual(3000);
    expect(log.leaks[0]!.heldFor).toBeLessThanOrEqual(3750);
  });

  test('has the stack of the acquire', async () => {
    const pool = await open({ ...workshop(), leakDetectionThreshold: 20 });
    const log = record(pool);
    const theFunctionThatForgets = async () => {
      await pool.acquire();
    };
    await theFunctionThatForgets();
    await until(() => log.leaks.length > 0);
    expect(log.leaks[0]!.stack).toContain('theFunctionThatForgets');
  });

  test('has the stack of an acquire that had to wait', async () => {
    const pool = await open({ ...workshop(), max: 1, leakDetectionThreshold: 40 });
    const log = record(pool);
    const held = await pool.acquire();
    const theFunctionThatForgets = async () => {
      await pool.acquire();
    };
    const waiting = theFunctionThatForgets();
    await until(() => pool.waitingCount() === 1);
    pool.release(held);
    await settled(waiting);
    await until(() => log.leaks.some(({ stack }) => stack?.includes('theFunctionThatForgets')));
  });

  test('keeps quiet about what comes back in time', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), leakDetectionThreshold: 300 });
    const log = record(pool);
    for (let i = 0; i < 10; i++) {
      const thing = await pool.acquire();
      await time.pass(299);
      pool.release(thing);
    }
    await time.pass(60_000);
    expect(log.leaks).toEqual([]);
  });

  test('leaves the resource alone', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, leakDetectionThreshold: 15 });
    const log = record(pool);
    const thing = await pool.acquire();
    await until(() => log.leaks.length > 0);
    pool.release(thing);
    expect(pool.idleCount()).toBe(1);
    expect(shop.gone).toEqual([]);
  });

  test('warns once about one hand-out', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), leakDetectionThreshold: 15 });
    const log = record(pool);
    await pool.acquire();
    await time.pass(60_000);
    expect(log.leaks).toHaveLength(1);
  });

  test('is off by default', async () => {
    const time = ownTime();
    const pool = await open(workshop());
    const log = record(pool);
    await pool.acquire();
    await time.pass(3_600_000);
    expect(log.leaks).toEqual([]);
  });
});
