/** A member that gets no answer: createBudget rejects when it says so, and waits for nothing more. */
import { createBudget } from 'cenote/budget';
import { expect, onTestFinished, test } from 'vitest';
import type { Engine, Report } from '../../src/budget/engines/engine.ts';
import { PostgresEngine } from '../../src/budget/engines/postgres.ts';
import { RedisEngine } from '../../src/budget/engines/redis.ts';
import { Member } from '../../src/budget/member.ts';
import { Words } from '../../src/budget/words.ts';
import { relay } from '../support/relay.ts';
import { outcome, rejection, settled, turns, until } from '../support/wait.ts';
import { Place, World } from './simulation/world.ts';
import { engineAt, member, newKey, throughRelay } from './support.ts';

const SETTINGS = { key: 'k', id: '000000000001', label: 'one', limit: 5, floor: 1, weight: 1, ttl: 15_000, ownerTimeout: 60_000 };

/** Says what it was asked, and answers nothing. */
function silent(): { engine: Engine; reports: Report[] } {
  const reports: Report[] = [];
  const step = (report: Report): Promise<never> => {
    reports.push(report);
    return new Promise(() => {});
  };
  return { engine: { tells: true, listen: () => () => {}, drop: () => {}, step } as unknown as Engine, reports };
}

test('one that was never answered leaves at once, in the middle of a step and between two', async () => {
  // The third step begins after 7.5 s, and is given up after 12.5 s.
  for (const at of [100, 2510, 9000]) {
    const world = new World();
    const { engine, reports } = silent();
    const one = new Member(SETTINGS, new Words(), engine, world.clock(new Place()), () => {});
    one.start();
    await world.run(world.now + at, () => {});
    const { length } = reports;
    let hasLeft = false;
    void one.leave().then(() => {
      hasLeft = true;
    });
    await turns();
    expect([hasLeft, reports.length]).toEqual([true, length]);
    await world.run(world.now + 30_000, () => {});
    expect(reports).toHaveLength(length);
  }
});

test('what was asked of one that leaves before it was answered rejects', async () => {
  const world = new World();
  const { engine } = silent();
  const one = new Member(SETTINGS, new Words(), engine, world.clock(new Place()), () => {});
  one.start();
  await world.run(world.now + 100, () => {});
  const asked = one.request({ resize: 3 });
  await one.leave();
  expect(await rejection(settled(asked))).toMatchObject({ message: 'this process has left the budget' });
});

test('one that was answered once gives back what it has', async () => {
  const world = new World();
  const { engine, reports } = silent();
  const answer = { outcome: 'ok', limit: 5, epoch: 1, granted: 2, share: 5, pressed: false, over: false, members: 1 };
  engine.step = async (report): Promise<never> => {
    reports.push(report);
    return answer as never;
  };
  const one = new Member(SETTINGS, new Words(), engine, world.clock(new Place()), () => {});
  one.start();
  await turns();
  await settled(one.leave());
  expect(reports.map(({ leave }) => leave)).toEqual([false, true]);
});

test('each report says which was answered last, as long as what was answered is good', async () => {
  const world = new World();
  const { engine, reports } = silent();
  const words = new Words();
  const answer = { outcome: 'ok', limit: 5, epoch: 1, granted: 0, share: 5, pressed: false, over: false, members: 1 };
  engine.step = async (report): Promise<never> => {
    reports.push(report);
    if (reports.length === 2) throw new Error('no answer');
    return answer as never;
  };
  const one = new Member(SETTINGS, words, engine, world.clock(new Place()), () => {});
  one.start();
  await turns();
  for (const _ of [2, 3, 4]) await outcome(one.request()).finally(() => world.run(world.now + 200, () => words.beat()));
  words.lose();
  await outcome(one.request());
  // The second has failed, and was tried again.
  expect(reports.slice(0, 4).map(({ noted }) => noted)).toEqual([0, 1, 1, 3]);
  expect(reports.at(-1)!.noted).toBe(0);
  one.stop();
});

test.each(['postgres', 'redis'] as const)('%s: an engine that is still connecting ends at once', async (name) => {
  const net = await relay({ port: 1 });
  onTestFinished(() => net.close());
  net.freeze();
  const engine =
    name === 'postgres'
      ? new PostgresEngine('t', async () => `postgres://u:p@127.0.0.1:${net.port}/d`)
      : new RedisEngine({ by: 'url', url: `redis://127.0.0.1:${net.port}` });
  const step = outcome(engine.step({ key: 'k' } as Report));
  await until(() => net.come > 0);
  await settled(engine.end());
  net.cut();
  expect((await step).error).toBeDefined();
});

test('createBudget rejects, and another can be made right behind it when the network is back', async () => {
  const { url, net } = await throughRelay('postgres');
  net.freeze();
  const key = newKey();
  const error = await rejection(createBudget({ engine: engineAt('postgres', url), key, limit: 3 }));
  expect(error).toMatchObject({ code: 'ERR_BUDGET_UNREACHABLE', cause: { message: expect.stringContaining('no answer within') } });
  net.cut();
  net.thaw();
  const { budget } = await member('postgres', { key, engine: engineAt('postgres', url) });
  expect(await until(() => budget.members())).toMatchObject([{ you: true }]);
});
