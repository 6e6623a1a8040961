// An asynchronous waiter listens to its bell, and then looks once more: it may have been served before anybody listened.
import { type PoolContext, release } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { caught, describe, exhaustive, expect, holds, mutant, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const awaits = async (context: PoolContext): Promise<void> => {
  const pool = borrowerOf(context);
  try {
    pool.spend(await pool.acquireAsync());
  } finally {
    pool.end();
  }
};

const race = poolRace(
  import.meta.url,
  'an asynchronous waiter is served while it begins to listen',
  { held: [1] },
  { threads: { holder: release(0), awaits } },
);

describe('an asynchronous waiter', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  caught(
    race,
    exhaustive(),
    mutant('it listens, and does not look again', 'Acquiring.listen', 'this.$WAITERS.pollSoon();', ''),
    mutant('a ring that notifies sleepers only', 'ringAt', '($SLEEPING | $LISTENING)', '$SLEEPING'),
  );
});
