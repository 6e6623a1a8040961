import { Actor, type PoolContext, release, rounds, wait } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { serve } from './owner.ts';
import { poolRace } from './pool.ts';

const tries = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.tryAcquireSync());
};

const line = poolRace(
  import.meta.url,
  'a try against the line',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), waiter: wait(0), tries }, daemons: { owner: serve } },
);

/** Holds the only slot until the one who tries has been told: if that one waits for a return, both wait for ever. */
const keeps = (context: PoolContext): void => {
  const actor = new Actor(context);
  const { notes } = context.shared;
  // The look at the line comes with this step, so that somebody may join before the compare-exchange.
  context.step('begins');
  const slot = actor.acquire();
  while (Atomics.load(notes, 0) === 0) Atomics.wait(notes, 0, 0);
  actor.spend(slot);
};
const impatient = (context: PoolContext): void => {
  tries(context);
  Atomics.store(context.shared.notes, 0, 1);
  Atomics.notify(context.shared.notes, 0);
};
/** The slot is seen to be idle, and is taken before the one who tries has joined. */
const contended = poolRace(
  import.meta.url,
  'a try that comes too late',
  { held: [1] },
  { threads: { holder: release(0), keeps, impatient }, daemons: { owner: serve } },
);
const alone = poolRace(import.meta.url, 'a try against a borrower', {}, { threads: { keeps, impatient }, daemons: { owner: serve } });

const two = poolRace(
  import.meta.url,
  'two tries and a borrower',
  {},
  { threads: { tries, tries2: tries, round: rounds(1) }, daemons: { owner: serve } },
);

describe('tryAcquire', () => {
  test('against the line: every schedule with one preemption', async () => {
    expect((await holds(line, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('against a borrower: every schedule with two preemptions', async () => {
    expect((await holds(alone, exhaustive())).complete).toBe(true);
  });

  test('two of them: random schedules', async () => {
    await holds(two, random({ schedules: 1000 }));
  });

  test('too late: random schedules', async () => {
    await holds(contended, random({ schedules: 1500, style: 'uniform' }));
  });

  caught(
    contended,
    random({ schedules: 30_000, style: 'uniform' }),
    mutant(
      'a try that does not ask the owner',
      'shared/borrower.ts',
      '// The owner says no where there is nothing.\n    lending.callOwner();',
      '',
    ),
    mutant('a try like any other waiter', 'shared/borrower.ts', 'const cell = lending.join(MARK_TRIES);', 'const cell = lending.join(0);'),
  );
});
