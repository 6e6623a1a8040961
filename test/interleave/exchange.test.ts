// A thread sleeps in line while another waiter of its own, an asynchronous one, is first.
import { type PoolContext, release, rounds } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { Owner, serve } from './owner.ts';
import { poolRace } from './pool.ts';

const both = async (context: PoolContext): Promise<void> => {
  const pool = borrowerOf(context);
  try {
    const later = pool.acquireAsync();
    // Served at once: it would wait for itself.
    if (!pool.holds(0)) pool.spend(pool.acquireSync());
    pool.spend(await later);
  } finally {
    pool.end();
  }
};

const race = poolRace(import.meta.url, 'a sleeper exchanges with its own waiter', { held: [1] }, { threads: { holder: release(0), both } });
const busy = poolRace(
  import.meta.url,
  'a sleeper exchanges with its own waiter, and another waits',
  { held: [1], maxWaiting: 4 },
  { threads: { holder: release(0), both, other: rounds(1) } },
);

/** As `both`, in a pool that may be suspended, and then refuses those who sleep: not the asynchronous one, once it stands in line. */
const bothSuspended = async (context: PoolContext): Promise<void> => {
  const { assert } = context;
  const pool = borrowerOf(context, 'ERR_POOL_SUSPENDED');
  try {
    const later = pool.acquireAsync();
    const isInLine = pool.waits > 0;
    const outcome = later.then(
      (slot) => pool.spend(slot),
      (error) => assert(!isInLine, `sent away out of the line: ${error}`),
    );
    if (!pool.holds(0)) pool.spend(pool.acquireSync());
    await outcome;
  } finally {
    pool.end();
  }
};
const suspended = poolRace(
  import.meta.url,
  'a sleeper exchanges with its own waiter, while the pool is suspended',
  { held: [1] },
  {
    threads: { holder: release(0), both: bothSuspended, owner: (context) => new Owner(context).suspend('now', true) },
    timeouts: ['owner'],
  },
);

const tries = async (context: PoolContext): Promise<void> => {
  const pool = borrowerOf(context);
  try {
    const tried = pool.tryAcquireAsync();
    if (!pool.holds(0)) pool.spend(pool.acquireSync());
    pool.spend(await tried);
  } finally {
    pool.end();
  }
};

/** What the try waits for is being made. */
const made = poolRace(
  import.meta.url,
  'a sleeper takes what its own try was granted',
  { empty: 1, maxWaiting: 4 },
  { threads: { tries, other: rounds(1) }, daemons: { owner: serve } },
);

describe('a sleeper and an asynchronous waiter on one thread', () => {
  test('alone: every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('with another thread: random schedules', async () => {
    await holds(busy, random({ schedules: 400 }));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'the sleeper takes only its own',
      'sleepInLine',
      'const $INSTEAD = $SLEEPER.$INSTEAD($CELL);',
      'const $INSTEAD = NONE as number;',
    ),
    mutant('the other does not get its place', 'Waiters.exchange', 'this.#enter($WAITER);', ''),
  );
});

describe('a sleeper and an asynchronous waiter on one thread, and those who sleep are refused', () => {
  test('every schedule with one preemption, and at random', async () => {
    expect((await holds(suspended, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(suspended, random({ schedules: 4000 }));
  });

  caught(
    suspended,
    exhaustive({ preemptions: 1 }),
    mutant(
      'the mark stays with the place',
      'Line.trade',
      '[this.$AT.marks, this.$AT.joined, this.$AT.tags]',
      '[this.$AT.joined, this.$AT.tags]',
    ),
    mutant('the place keeps its word', 'Line.exchange', '$NEXT_ROUND($WORD) | $IN_STATE($WORD & $THREAD_MASK, $WAITING)', '$WORD'),
  );
});

describe('a sleeper and a try on one thread', () => {
  test('with an owner that makes: random schedules', async () => {
    await holds(made, random({ schedules: 600 }));
  });

  caught(
    made,
    random({ schedules: 20_000 }),
    mutant('the sleeper leaves its place without leaving it', 'Waiters.exchange', 'this.withdraw($CELL);', '{}'),
  );
});
