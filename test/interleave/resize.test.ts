// The owner moves `max` while others borrow, give back and wait: never more than there may be when all is quiet, and nobody is left behind.
import { type PoolContext, release, rounds } from './actor.ts';
import type { Outcome } from './explorer/scenario.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { Owner } from './owner.ts';
import { type PoolCode, type PoolMemory, poolRace } from './pool.ts';

const resizes =
  (max: number) =>
  (context: PoolContext): void => {
    const owner = new Owner(context);
    owner.serve(() => owner.resize(max));
  };

const shrinks = (context: PoolContext): void => new Owner(context).shrinkTo(1);

const atMost =
  (most: number) =>
  ({ assert, code, shared }: Outcome<PoolCode, PoolMemory>): void => {
    const { count } = code.ControlBlock.attach(shared.buffer).snapshot.count();
    assert(count <= most, `there are ${count}, and there may be ${most}`);
  };

const down = poolRace(
  import.meta.url,
  'max goes down while two are out',
  { slots: 2, held: [1, 2] },
  { threads: { a: release(0), b: release(1), owner: shrinks }, after: atMost(1) },
);
const joined = poolRace(
  import.meta.url,
  'max goes down while one is out, one comes back, and one joins',
  { slots: 2, held: [1] },
  { threads: { a: release(0), joins: rounds(1), owner: shrinks }, after: atMost(1) },
);
const flagged = poolRace(
  import.meta.url,
  'max goes down while one that is flagged already comes back, and another stays out',
  { slots: 2, threads: 2, held: [1, 2], waiting: [2], left: [0] },
  { threads: { a: release(0), owner: shrinks }, after: atMost(1) },
);
const up = poolRace(
  import.meta.url,
  'max goes up while one waits',
  { slots: 2, max: 1, empty: 1, held: [1] },
  { threads: { a: release(0), joins: rounds(1) }, daemons: { owner: resizes(2) } },
);

describe('resize', () => {
  test('down against two returns: every schedule with one preemption, and at random', async () => {
    expect((await holds(down, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(down, random({ schedules: 800 }));
  });

  test('down against a return that began before, while another stays out: every schedule with one preemption', async () => {
    expect((await holds(flagged, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('down against a return and a joiner: at random', async () => {
    await holds(joined, random({ schedules: 1200 }));
  });

  test('up against a return and a joiner: every schedule with one preemption', async () => {
    expect((await holds(up, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  caught(
    flagged,
    exhaustive({ preemptions: 1 }),
    mutant('a return that had begun before says nothing', 'Lending.passOn', 'this.matching.callOwnerIfDue($SLOT);', ''),
  );
  caught(
    down,
    exhaustive({ preemptions: 1 }),
    mutant('a return does not see that it is one too many', 'Matching.mustReturn', '$BLOCK.snapshot.isOverfull()', 'false'),
    mutant(
      'what is out is not flagged',
      'Turn.trim',
      'if ($SLOTS.flag($SLOT) !== $FOUND_IDLE) continue;',
      'if (slotState($SLOTS.load($SLOT)) !== IDLE) continue;',
    ),
  );
});
