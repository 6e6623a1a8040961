/** The word that an old lease has been taken back, heard when its slot is lent to the same thread again. */
import { expect, test } from 'vitest';
import { expectWhole, open } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { gate, pendingUntil, settled, turns, until } from '../support/wait.ts';

const scene = async () => {
  const done = gate();
  const made: object[] = [];
  let running = 0;
  const factory = () => {
    const id = made.length + 1;
    const desk = {
      number: () => id,
      hang: (): Promise<never> => new Promise(() => {}),
      async slow() {
        running++;
        await done.promise;
        running--;
        return id;
      },
    };
    made.push(desk);
    return desk;
  };
  const pool = await open({ factory, max: 1, min: 1 });
  return { pool, made, done, running: () => running, t: await thread(pool) };
};

test('ends the calls of that lease, and no blocking call of the next one', async () => {
  const { pool, made, t } = await scene();
  const said = t.run(async ({ pool }) => {
    const old = pool.acquireSync();
    const hung = pool.asynchronous(old).hang();
    // By message, as a call is under way.
    pool.release(old);
    const fresh = pool.acquireSync();
    const number = fresh.number();
    pool.release(fresh);
    return [number, await hung.catch((error: Error) => error.name)];
  });
  await until(() => pool.waitingCount() === 1);
  expect(pool.revoke(made[0] as never)).toBe(true);
  expect(await settled(said)).toEqual([2, 'LeaseRevokedError']);
  await expectWhole(pool);
});

test('leaves the calls of the next lease under way: it goes to no other borrower before they have ended', async () => {
  const { pool, made, done, t } = await scene();
  const said = t.run(async ({ pool, flags, block, tell }) => {
    // So that the hold below is not one of those that are timed: its end would look at the port.
    for (let round = 0; round < 2; round++) pool.release(await pool.acquire());
    const old = await pool.acquire();
    flags[1] = 1;
    block(0);
    pool.release(old);
    const fresh = await pool.acquire();
    const call = fresh.slow();
    // Takes all that lies in the port.
    const number = pool.synchronous(fresh).number();
    pool.release(fresh);
    tell('given back');
    return [number, await call];
  });
  await until(() => t.flags[1] === 1);
  expect(pool.revoke(made[0] as never)).toBe(true);
  await until(() => pool.idleCount() === 1);
  t.raise(0);
  await until(() => t.told.length === 1);
  const next = pool.acquire();
  await pendingUntil(turns(), next);
  done.open();
  pool.release(await settled(next));
  expect(await settled(said)).toEqual([2, 2]);
  await expectWhole(pool);
});

test('ends no call of a later lease that has been given back as well', async () => {
  const { pool, made, done, running, t } = await scene();
  const said = t.run(async ({ pool, flags, block, tell }) => {
    for (let round = 0; round < 2; round++) pool.release(pool.acquireSync());
    const old = pool.acquireSync();
    const hung = pool.asynchronous(old).hang();
    flags[1] = 1;
    block(0);
    pool.release(old);
    const fresh = pool.acquireSync();
    const call = pool.asynchronous(fresh).slow();
    pool.release(fresh);
    tell(await hung.catch((error: Error) => error.name));
    return call;
  });
  await until(() => t.flags[1] === 1);
  expect(pool.revoke(made[0] as never)).toBe(true);
  await until(() => pool.idleCount() === 1);
  t.raise(0);
  await until(() => t.told.length === 1 && running() === 1);
  done.open();
  expect(await settled(said)).toBe(2);
  expect(t.told).toEqual(['LeaseRevokedError']);
  await expectWhole(pool);
});
