/** Who waits for ever: the fix-point over who holds what and who waits for what. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findKnots, type Hold, labelsOf, type Standing, type Wait } from '../../src/shared/observing/knots.ts';

let leases = 0;
let tickets = 0;
const hold = (slot: number, thread: number, tag = 0): Hold => ({ slot, lease: ++leases, thread, tag });
const asleep = (thread: number, tag = 0): Wait => ({ ticket: ++tickets, thread, tag, asleep: true, tries: false });
const awaits = (thread: number, tag = 0): Wait => ({ ticket: ++tickets, thread, tag, asleep: false, tries: false });
const pool = (name: string, holds: Hold[], waits: Wait[], hasSupply = false): Standing => ({ name, hasSupply, holds, waits });
const found = (...standings: Standing[]) => findKnots(standings).map(({ threads, pools, certainty }) => ({ threads, pools, certainty }));

describe('certain: they sleep', () => {
  test('two threads that wait for what the other holds', () => {
    const [knot, ...others] = findKnots([pool('north', [hold(0, 7)], [asleep(9)]), pool('south', [hold(0, 9)], [asleep(7)])]);
    expect(others).toEqual([]);
    expect(knot).toMatchObject({ threads: [7, 9], pools: ['north', 'south'], certainty: 'certain' });
    expect(knot!.text).toContain('thread 7 holds north[0] and waits for south');
    expect(knot!.text).toContain('thread 9 holds south[0] and waits for north');
  });

  test('one thread that holds all that it waits for', () => {
    expect(found(pool('a', [hold(0, 3), hold(1, 3)], [asleep(3)]))).toEqual([{ threads: [3], pools: ['a'], certainty: 'certain' }]);
  });

  test('three in a ring', () => {
    const standings = [1, 2, 3].map((thread) => pool(`p${thread}`, [hold(0, thread)], [asleep((thread % 3) + 1)]));
    expect(found(...standings)).toEqual([{ threads: [1, 2, 3], pools: ['p1', 'p2', 'p3'], certainty: 'certain' }]);
  });

  test.each<[string, Standing[]]>([
    ['one slot is with a thread that runs', [pool('a', [hold(0, 1), hold(1, 5)], [asleep(2)]), pool('b', [hold(0, 2)], [asleep(1)])]],
    ['something is there, or on its way', [pool('a', [hold(0, 1)], [asleep(2)], true), pool('b', [hold(0, 2)], [asleep(1)])]],
    ['nobody waits', [pool('a', [hold(0, 1)], [])]],
    ['the holder only tries elsewhere', [pool('a', [hold(0, 1)], [asleep(2)]), pool('b', [hold(0, 2)], [{ ...asleep(1), tries: true }])]],
    ['it waits for what another holds, who runs', [pool('a', [hold(0, 1)], [asleep(2)])]],
  ])('not if %s', (_, standings) => expect(found(...standings)).toEqual([]));

  test('who only waits is not in it', () => {
    const standings = [
      pool('north', [hold(0, 7)], [asleep(9), asleep(4)]),
      pool('south', [hold(0, 9)], [asleep(7)]),
      pool('west', [hold(0, 4)], [asleep(5)]),
    ];
    // 4 waits behind them, and holds what only 5 wants, which holds nothing.
    expect(found(...standings)).toEqual([{ threads: [7, 9], pools: ['north', 'south'], certainty: 'certain' }]);
  });

  test('two knots that have nothing to do with each other are two', () => {
    const standings = [1, 3].flatMap((a) => [pool(`p${a}`, [hold(0, a)], [asleep(a + 1)]), pool(`q${a}`, [hold(0, a + 1)], [asleep(a)])]);
    expect(found(...standings).map(({ threads }) => threads)).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test('what a sleeper awaits elsewhere does not free it', () => {
    const elsewhere = pool('c', [], [awaits(7)], true);
    expect(found(pool('a', [hold(0, 7)], [asleep(9)]), pool('b', [hold(0, 9)], [asleep(7)]), elsewhere)).toHaveLength(1);
  });
});

describe('suspected: one of them awaits a promise', () => {
  test('two threads', () => {
    expect(found(pool('a', [hold(0, 1)], [awaits(2)]), pool('b', [hold(0, 2)], [asleep(1)]))).toEqual([
      { threads: [1, 2], pools: ['a', 'b'], certainty: 'suspected' },
    ]);
  });

  test('one thread over two pools is told, over one pool it is not', () => {
    expect(found(pool('a', [hold(0, 1)], [awaits(1)]))).toEqual([]);
    expect(found(pool('a', [hold(0, 1)], [awaits(1)]), pool('b', [hold(0, 1)], [awaits(1)]))).toEqual([
      { threads: [1], pools: ['a', 'b'], certainty: 'suspected' },
    ]);
  });

  test('a thread that may be served anywhere is not stuck', () => {
    expect(found(pool('a', [hold(0, 1)], [awaits(2)]), pool('b', [hold(0, 2)], [awaits(1)]), pool('c', [], [awaits(1)], true))).toEqual([]);
  });

  test('a certain knot stays certain, whoever is suspected behind it', () => {
    const certain = [pool('a', [hold(0, 1)], [asleep(2), awaits(3)]), pool('b', [hold(0, 2)], [asleep(1)])];
    const behind = [pool('c', [hold(0, 3)], [awaits(4)]), pool('d', [hold(0, 4)], [awaits(3)])];
    expect(found(...certain, ...behind)).toEqual([
      { threads: [1, 2], pools: ['a', 'b'], certainty: 'certain' },
      { threads: [3, 4], pools: ['a', 'c', 'd'], certainty: 'suspected' },
    ]);
  });
});

describe('certain: one job or scope holds and waits', () => {
  test('by its tag, whatever else its thread does', () => {
    const standings = [pool('a', [hold(0, 1, 17)], [awaits(1, 18)]), pool('b', [hold(0, 1, 18)], [awaits(1, 17)])];
    expect(found(...standings)).toEqual([{ threads: [1], pools: ['a', 'b'], certainty: 'certain' }]);
  });

  test('a job that does not wait may give back', () => {
    expect(found(pool('a', [hold(0, 1, 17)], [awaits(1, 18)]))).toEqual([]);
  });
});

test('the second pool of a name is its second, by position', () => {
  expect(labelsOf(['a', 'b', 'a', 'a'])).toEqual(['a', 'b', 'a#2', 'a#3']);
  expect(found(pool('a', [hold(0, 7)], [asleep(9)]), pool('a', [hold(0, 9)], [asleep(7)]))[0]!.pools).toEqual(['a', 'a#2']);
});

/**
 * By definition: those stuck are the union of all sets of waiting threads in which every wait is for a pool that is held by the set
 * alone.
 */
function stuckByDefinition(standings: readonly Standing[], threads: readonly number[]): Set<number> {
  const stuck = new Set<number>();
  for (let mask = 1; mask < 1 << threads.length; mask++) {
    const set = new Set(threads.filter((_, index) => mask & (1 << index)));
    const blocks = ({ hasSupply, holds }: Standing): boolean =>
      !hasSupply && holds.length > 0 && holds.every(({ thread }) => set.has(thread));
    const isClosed = [...set].every((thread) => {
      const waited = standings.filter(({ waits }) => waits.some((wait) => wait.thread === thread));
      return waited.length > 0 && waited.every(blocks);
    });
    if (isClosed) for (const thread of set) stuck.add(thread);
  }
  return stuck;
}

test('it finds by its rounds what the definition says', () => {
  const threads = [1, 2, 3, 4];
  const standing = fc.record({
    hasSupply: fc.constantFrom(false, false, false, true),
    holders: fc.array(fc.constantFrom(...threads), { maxLength: 3 }),
    waiters: fc.uniqueArray(fc.constantFrom(...threads), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(standing, { minLength: 1, maxLength: 4 }), (all) => {
      // A thread sleeps in one line at most.
      const sleeping = new Set<number>();
      const standings = all.map(({ hasSupply, holders, waiters }, index) => {
        const waits = waiters.filter((thread) => !sleeping.has(thread));
        for (const thread of waits) sleeping.add(thread);
        return pool(
          `p${index}`,
          holders.map((thread, slot) => hold(slot, thread)),
          waits.map((thread) => asleep(thread)),
          hasSupply,
        );
      });
      const stuck = stuckByDefinition(standings, threads);
      const knots = findKnots(standings);
      // Nobody is in a knot who is not stuck; and where anybody is stuck, there is a knot.
      for (const { threads: members } of knots) for (const thread of members) expect(stuck).toContain(thread);
      expect(knots.length > 0).toBe(stuck.size > 0);
      expect(knots.every(({ certainty }) => certainty === 'certain')).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
