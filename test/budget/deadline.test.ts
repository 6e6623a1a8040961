/** A lease that is not renewed is given up when it ends by the member's own clock, and not at its next look: the engine grants it to others soon after. */
import { expect, test } from 'vitest';
import type { Engine } from '../../src/budget/engines/engine.ts';
import { Holdings } from '../../src/budget/holdings.ts';
import { Member } from '../../src/budget/member.ts';
import { Words } from '../../src/budget/words.ts';
import { Place, World } from './simulation/world.ts';

test.each([1000, 1111, 1500, 2500, 10_000])('with a ttl of %i ms', async (ttl) => {
  const world = new World();
  const place = new Place();
  const words = new Words();
  let answers = 0;
  const engine = {
    tells: true,
    listen: () => () => {},
    drop: () => {},
    step: async () => {
      if (answers++ > 0) throw new Error('out of reach');
      return { outcome: 'ok', limit: 5, epoch: 1, granted: 2, share: 5, pressed: false, over: false, members: 1 };
    },
  } as unknown as Engine;
  const holdings = new Holdings({ key: 'k', isOpen: false, onLost: 'keep' }, words, world.clock(place), () => {});
  const settings = { key: 'k', id: '000000000001', label: 'one', limit: 5, floor: 1, weight: 1, ttl, ownerTimeout: 60_000 };
  let lostAt = Number.POSITIVE_INFINITY;
  let expiredAt = Number.POSITIVE_INFINITY;
  const member = new Member(settings, words, engine, world.clock(place), (news) => {
    if (news.type === 'lost') lostAt = world.now;
    else if (news.type === 'answer') holdings.answered();
  });
  member.start();
  holdings.start();
  const end = world.now + 3 * ttl;
  await world.run(end, () => {
    if (words.deadline > 0 && holdings.isLost) expiredAt = Math.min(expiredAt, world.now);
  });
  expect(words.deadline).toBeGreaterThan(0);
  expect(lostAt - words.deadline).toBeLessThan(1);
  expect(expiredAt - words.deadline).toBeLessThan(1);
});

test('permits that are lost again before the owner has looked are let go of again: the member waits for that', async () => {
  const world = new World();
  const words = new Words();
  const said: string[] = [];
  const holdings = new Holdings({ key: 'k', isOpen: false, onLost: 'destroy' }, words, world.clock(new Place()), (order) =>
    said.push(order),
  );
  const lose = (): void => {
    words.deadline = world.now + 1000;
    words.raise(2);
    words.regain();
    words.lose();
  };
  lose();
  holdings.lost();
  lose();
  holdings.lost();
  expect(said.filter((order) => order === 'let-go')).toHaveLength(2);
});
