/** The thread that renews ends through an error that no code catches, again and again, and is started again. */
import { type BudgetOptions, createBudget } from 'cenote/budget';
import { expect, onTestFinished, test } from 'vitest';
import { settled, until } from '../support/wait.ts';
import { engineAt, type Heard, listening, newKey, poolOn, throughRelay } from './support.ts';

/** An authentication of a kind that there is not: the driver throws where no code can catch it, and its thread ends. */
const DEADLY = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 99]);

type Net = Awaited<ReturnType<typeof throughRelay>>['net'];

async function behindRelay(options: Partial<BudgetOptions>): Promise<Heard & { net: Net }> {
  const { url, net } = await throughRelay('postgres');
  const budget = await createBudget({ engine: engineAt('postgres', url), key: newKey(), limit: 3, ...options });
  onTestFinished(() => budget.close().catch(() => {}));
  return { ...listening(budget), net };
}

test('another goes on where it ended: nothing is lost, what is asked meanwhile is granted, and the engine knows one member', async () => {
  const { budget, net, heard, events } = await behindRelay({ ttl: 60_000 });
  const pool = await poolOn(budget);
  const out = await Promise.all([pool.acquire(), pool.acquire()]);
  net.answer(DEADLY);
  net.cut();
  const third = pool.acquire();
  const error = await heard('error');
  expect([error.code, error.message]).toEqual([
    'ERR_BUDGET_UNREACHABLE',
    expect.stringContaining('the thread that speaks with the engine has ended, and is started again'),
  ]);
  await heard('unreachable');
  expect(await settled(pool.tryAcquire())).toBeNull();
  net.answer(undefined);
  await heard('reachable');
  out.push(await third);
  expect(events.map(({ event }) => event)).not.toContain('lost');
  expect(budget).toMatchObject({ granted: 3, used: 3 });
  expect(await budget.members()).toMatchObject([{ granted: 3, used: 3, you: true }]);
  for (const thing of out) pool.release(thing);
});

test('while there is none the owner itself says that permits are lost, and gets them again from the next', async () => {
  const { budget, net, heard } = await behindRelay({ ttl: 3000 });
  const pool = await poolOn(budget);
  const destroyed: string[] = [];
  pool.on('destroy', (_, reason) => destroyed.push(reason));
  const [out, idle] = await Promise.all([pool.acquire(), pool.acquire()]);
  pool.release(idle);
  net.answer(DEADLY);
  net.cut();
  const { granted, error } = await heard('lost');
  expect([granted, error.code]).toEqual([2, 'ERR_BUDGET_LOST']);
  await until(() => pool.count() === 1);
  expect([budget.granted, budget.used, destroyed]).toEqual([0, 1, ['lost']]);
  net.answer(undefined);
  await heard('regained');
  expect(budget.granted).toBeGreaterThanOrEqual(1);
  pool.release(out);
  const again = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
  for (const thing of again) pool.release(thing);
});

test('a budget that is closed meanwhile is closed', async () => {
  const { budget, net, heard } = await behindRelay({ ttl: 60_000 });
  net.answer(DEADLY);
  net.cut();
  await heard('error', 2);
  await settled(budget.close());
  expect(budget.granted).toBe(0);
});

test("with onUnreachable 'open' createBudget gives one that goes on without the engine", async () => {
  const { url, net } = await throughRelay('postgres');
  net.answer(DEADLY);
  const budget = await settled(createBudget({ engine: engineAt('postgres', url), key: newKey(), limit: 1, onUnreachable: 'open' }));
  onTestFinished(() => budget.close().catch(() => {}));
  const pool = await poolOn(budget, { max: 2 });
  const out = await Promise.all([pool.acquire(), pool.acquire()]);
  net.answer(undefined);
  await listening(budget).heard('reachable');
  for (const thing of out) pool.release(thing);
});
