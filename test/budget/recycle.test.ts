/** What exists is replaced where a budget says how many there may be: whether it has another permit to give, or not. */
import { expect, test } from 'vitest';
import { gate, settled, staysPending, until } from '../support/wait.ts';
import { ENGINES, type Heard, member, newKey, poolOn } from './support.ts';

const engine = ENGINES[0];

/** An engine that does not answer is not waited for: on a machine that stood still that may be. */
const wasReached = ({ events }: Heard): boolean => !events.some(({ event }) => event === 'unreachable');

test('with permits to spare one more is asked for first: there is always one', async () => {
  const heard = await member(engine, { key: newKey(), limit: 10 });
  const pool = await poolOn(heard.budget, { min: 1 });
  let least = 1;
  let there = pool.count();
  pool.on('create', () => there++);
  pool.on('destroy', () => (least = Math.min(least, --there)));
  expect(await settled(pool.recycle())).toBe(1);
  expect([pool.count(), pool.stats().recycled]).toEqual([1, 1]);
  if (wasReached(heard)) expect(least).toBe(1);
});

test('with permits to spare min stays, and each of several is replaced', async () => {
  const heard = await member(engine, { key: newKey(), limit: 10 });
  const { budget } = heard;
  const pool = await poolOn(budget, { min: 3 });
  let least = 3;
  let there = pool.count();
  pool.on('create', () => there++);
  pool.on('destroy', () => (least = Math.min(least, --there)));
  expect(await settled(pool.recycle())).toBe(3);
  expect(pool.count()).toBe(3);
  if (wasReached(heard)) expect(least).toBe(3);
  // What was asked for one more goes back.
  await until(() => budget.granted === 3);
});

test.each([0, 3])('with all permits in use one is given up, then the others one after the other: min %i', async (min) => {
  const { budget } = await member(engine, { key: newKey(), limit: 3 });
  const pool = await poolOn(budget, { min });
  for (const thing of await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()])) pool.release(thing);
  expect(pool.idleCount()).toBe(3);
  let least = 3;
  let there = 3;
  pool.on('create', () => there++);
  pool.on('destroy', () => (least = Math.min(least, --there)));
  expect(await settled(pool.recycle())).toBe(3);
  if (min > 0) expect([least, pool.count()]).toEqual([2, 3]);
});

test('while the factory fails, no more than one is given up', async () => {
  const { budget } = await member(engine, { key: newKey(), limit: 3 });
  let isDown = false;
  let failures = 0;
  const pool = await poolOn(budget, {
    min: 3,
    factory: async () => {
      if (isDown) throw new Error('down');
      return { number: 0, permit: undefined };
    },
  });
  pool.on('error', () => failures++);
  expect(pool.idleCount()).toBe(3);
  isDown = true;
  const recycled = pool.recycle();
  await until(() => failures >= 3);
  expect(pool.idleCount()).toBe(2);
  isDown = false;
  expect(await settled(recycled)).toBe(3);
  await until(() => pool.idleCount() === 3);
});

test('what is borrowed is replaced when it comes back', async () => {
  const { budget } = await member(engine, { key: newKey(), limit: 2 });
  const pool = await poolOn(budget);
  const out = await Promise.all([pool.acquire(), pool.acquire()]);
  const recycled = pool.recycle();
  await staysPending(recycled);
  for (const thing of out) pool.release(thing);
  expect(await settled(recycled)).toBe(2);
  expect((await settled(pool.acquire())).number).toBeGreaterThan(out[1].number);
});

test('beside another member that wants them all, and beside another pool of the same budget', async () => {
  const key = newKey();
  const [a, b] = [await member(engine, { key, limit: 4 }), await member(engine, { key, limit: 4 })];
  const [p, q, r] = [await poolOn(a.budget, { min: 1 }), await poolOn(a.budget, { min: 1 }), await poolOn(b.budget)];
  const stop = gate();
  const busy = Array.from({ length: 4 }, async () => {
    for (let isOver = false; !isOver; )
      isOver = await r.use(() => Promise.race([stop.promise.then(() => true), new Promise<boolean>((go) => setTimeout(go, 5, false))]));
  });
  await until(() => b.budget.used > 0);
  for (let n = 0; n < 3; n++) for (const pool of [p, q]) await settled(pool.recycle());
  stop.open();
  await Promise.all(busy);
});

test('resize to a min that the budget does not grant resolves with what there may be', async () => {
  const { budget } = await member(engine, { key: newKey(), limit: 2 });
  const pool = await poolOn(budget, { factory: async () => ({ number: 0, permit: undefined }) });
  await settled(pool.resize({ min: 4 }));
  expect([pool.idleCount(), pool.count()]).toEqual([2, 2]);
  await budget.resize(4);
  await until(() => pool.idleCount() === 4);
});
