/** Code that runs while its thread sleeps in the pool, and sleeps there itself: the listener of a lease's signal, or a getter of an argument. */
import { inspect } from 'cenote/observe';
import { expect, test } from 'vitest';
import { expectWhole, open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Scope, thread } from '../support/thread.ts';
import { gate, pendingUntil, settled, turns, until } from '../support/wait.ts';

/** Runs until it is stopped. */
const desks = () => {
  const stopping = gate();
  let end = (_: string): void => {};
  let running = 0;
  const desk = {
    async run() {
      running++;
      const said = await new Promise<string>((resolve) => {
        end = resolve;
      });
      running--;
      return said;
    },
    stop() {
      end('stopped');
    },
    /** Answers later than what it ends. */
    async stopSlowly() {
      end('stopped slowly');
      await stopping.promise;
      return 'stop';
    },
    number: () => 1,
    echo: (value: unknown) => value,
  };
  return { desk, stopping, running: () => running, end: (said: string) => end(said) };
};

test('a call made by a listener that runs while its thread sleeps for another: both have their answers', async () => {
  const { desk } = desks();
  const pool = await open({ factory: () => desk, max: 1, maxHold: { cancelAfter: 50 } });
  const t = await thread(pool);
  const said = t.run(async ({ pool }) => {
    const lease = await pool.lease();
    const here = pool.synchronous(lease.resource);
    lease.signal.addEventListener('abort', () => here.stop());
    const said = here.run();
    lease.release();
    return said;
  });
  expect(await settled(said)).toBe('stopped');
  await expectWhole(pool);
});

test('an answer to the outer call that comes while the inner one sleeps is kept', async () => {
  const { desk, stopping, running } = desks();
  const pool = await open({ factory: () => desk, max: 1, maxHold: { cancelAfter: 50 } });
  const t = await thread(pool);
  const said = t.run(async ({ pool }) => {
    const lease = await pool.lease();
    const here = pool.synchronous(lease.resource);
    const order: string[] = [];
    lease.signal.addEventListener('abort', () => order.push(here.stopSlowly() as never));
    order.push(here.run() as never);
    lease.release();
    return order;
  });
  await until(() => pool.stats().cancelled === 1);
  await until(() => running() === 0);
  await turns();
  stopping.open();
  expect(await settled(said)).toEqual(['stop', 'stopped slowly']);
  await expectWhole(pool);
});

test('a getter of an argument that makes a call of its own', async () => {
  const { desk } = desks();
  const pool = await open({ factory: () => desk, max: 1 });
  const t = await thread(pool);
  const said = t.run(async ({ pool }) => {
    const here = pool.acquireSync();
    const argument = {
      get number() {
        return here.number();
      },
    };
    const said = [here.echo(argument), await pool.asynchronous(here).echo(argument)];
    pool.release(here);
    return said;
  });
  expect(await settled(said)).toEqual([{ number: 1 }, { number: 1 }]);
  await expectWhole(pool);
});

test('what a listener gives back while a call on it is slept for goes to no other borrower before that has ended', async () => {
  const { desk, running, end } = desks();
  const pool = await open({ factory: () => desk, max: 1, maxHold: { cancelAfter: 50 } });
  const t = await thread(pool);
  const said = t.run(async ({ pool, tell }) => {
    const lease = await pool.lease();
    lease.signal.addEventListener('abort', () => {
      lease.release();
      tell('given back');
    });
    return pool.synchronous(lease.resource).run();
  });
  await until(() => t.told.length === 1 && running() === 1);
  const next = pool.acquire();
  await pendingUntil(turns(), next);
  end('ended');
  pool.release(await settled(next));
  expect(await settled(said)).toBe('ended');
  await expectWhole(pool);
});

/** An acquire, or a try, and one of a listener that is told while that sleeps. Says when each has begun, and waits while it has the second. */
const inBoth = async ({ pool, tell, block }: Scope<Service>, tries: boolean): Promise<unknown[]> => {
  const begins = (): void => tell(performance.timeOrigin + performance.now());
  const lease = await pool.lease({ maxHold: { cancelAfter: 50 } });
  const order: unknown[] = [];
  lease.signal.addEventListener('abort', () => {
    begins();
    const inner = pool.acquireSync();
    order.push('inner', inner.add(1, 2));
    tell('has it');
    block(0);
    pool.release(inner);
  });
  begins();
  const outer = tries ? pool.tryAcquireSync() : pool.acquireSync();
  order.push('outer', outer?.add(3, 4));
  if (outer !== null) pool.release(outer);
  lease.release();
  return order;
};

test('an acquire of a listener that sleeps in line takes what the acquire around it was granted, which gets its place', async () => {
  const pool = await open<Service>({ factory: service(), max: 2 });
  const t = await thread(pool);
  const held = await pool.acquire();
  const said = t.run(inBoth, false);
  // The listener stands in line behind the acquire in whose sleep it runs.
  await until(() => t.told.length === 2 && pool.waitingCount() === 2);
  pool.release(held);
  await until(() => t.told.length === 3);
  // What is said of the place is of the one that stands there now.
  const [{ waitedFor }] = inspect(pool).line;
  const began = performance.timeOrigin + performance.now() - waitedFor;
  const [outer, inner] = t.told as number[];
  expect(Math.abs(began - outer)).toBeLessThan(Math.abs(began - inner));
  t.raise(0);
  expect(await settled(said)).toEqual(['inner', 3, 'outer', 7]);
  await expectWhole(pool);
});

test('the same around a try, which then gets nothing', async () => {
  const make = service();
  const made = gate<Service>();
  let calls = 0;
  const pool = await open<Service>({ factory: () => (++calls === 1 ? make() : made.promise), max: 2, min: 1 });
  const t = await thread(pool);
  const said = t.run(inBoth, true);
  await until(() => t.told.length === 2 && pool.waitingCount() === 2);
  made.open(make());
  await until(() => t.told.length === 3);
  t.raise(0);
  expect(await settled(said)).toEqual(['inner', 3, 'outer', undefined]);
  await expectWhole(pool);
});

test('no listener runs in the midst of a borrow that finds an old lease taken back: it may borrow itself', async () => {
  const made: Service[] = [];
  const make = service();
  const pool = await open<Service>({
    factory: () => {
      made.push(make());
      return made.at(-1)!;
    },
    max: 1,
    min: 1,
  });
  const t = await thread(pool);
  const said = t.run(async ({ pool, flags, block }) => {
    const order: unknown[] = [];
    const told = new Promise<void>((resolve) => {
      pool.lease().then((lease) => {
        lease.signal.addEventListener('abort', () => {
          const inner = pool.acquireSync({ timeout: 500 });
          order.push('inner', inner.whoami());
          pool.release(inner);
          resolve();
        });
        flags[1] = 1;
        block(0);
        const outer = pool.acquireSync();
        order.push('outer');
        pool.release(outer);
      });
    });
    await told;
    return order;
  });
  await until(() => t.flags[1] === 1);
  expect(pool.revoke(made[0])).toBe(true);
  await until(() => pool.idleCount() === 1);
  t.raise(0);
  expect(await settled(said)).toEqual(['outer', 'inner', 2]);
  await expectWhole(pool);
});

test('a listener that detaches its thread, which sleeps in line, ends that wait, and not the pool', async () => {
  const pool = await open<Service>({ factory: service(), max: 2 });
  const t = await thread(pool);
  const held = await pool.acquire();
  const said = t.run(async ({ pool, tell, block }) => {
    const lease = await pool.lease({ maxHold: { cancelAfter: 50 } });
    lease.signal.addEventListener('abort', () => {
      pool.detach();
      tell('leaving');
      // Until the owner has said that it knows.
      block(0);
    });
    try {
      pool.acquireSync();
      return 'served';
    } catch (error) {
      return (error as Error).message;
    }
  });
  await until(() => t.told.length === 1 && pool.stats().threads === 0);
  t.raise(0);
  expect(await settled(said)).toContain('this thread has detached from it');
  expect([pool.isClosed(), pool.waitingCount()]).toEqual([false, 0]);
  pool.release(held);
  await expectWhole(pool);
});

test('a listener that detaches its thread just before it sleeps in line ends that wait, and nothing is served to it', async () => {
  const pool = await open<Service>({ factory: service(), max: 2 });
  const t = await thread(pool);
  const said = t.run(async ({ pool, flags, block }) => {
    const lease = await pool.lease({ maxHold: { cancelAfter: 50 } });
    const others = [await pool.acquire()];
    lease.signal.addEventListener('abort', () => void pool.detach());
    flags[1] = 1;
    block(0);
    // It looks up in a return, and finds that its lease is overdue. In one go with what follows, so its listener is not told before.
    const wait = (): string => {
      for (let round = 0; round < 1000; round++) {
        pool.release(others.pop()!);
        others.push(pool.asynchronous(pool.acquireSync()));
      }
      try {
        pool.acquireSync();
        return 'served';
      } catch (error) {
        return (error as Error).message;
      }
    };
    return wait();
  });
  await until(() => t.flags[1] === 1);
  // The owner has said by then that the lease is overdue. If it has not, this is the test before.
  const begun = performance.now();
  await until(() => performance.now() - begun > 400);
  t.raise(0);
  expect(await settled(said)).toContain('this thread has detached from it');
  await expectWhole(pool);
});
