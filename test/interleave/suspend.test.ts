// The owner suspends the pool while others borrow, give back and join: once it says so nothing is handed out, and nobody is left behind when it goes on.
import { Actor, type PoolContext, release, rounds } from './actor.ts';
import { borrowerOf, REFUSED } from './borrower.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test, together } from './explorer/testing.ts';
import { Owner, PHASE, SUSPENDED } from './owner.ts';
import { poolRace } from './pool.ts';

const suspends =
  (until: 'now' | 'returned' | 'empty', refusing = false) =>
  (context: PoolContext): void =>
    new Owner(context).suspend(until, refusing);

/** What begins while the pool is suspended is served after that. */
const comesLate = (context: PoolContext): void => {
  const actor = new Actor(context);
  const { assert, shared } = context;
  const isLate = shared.notes[PHASE] === SUSPENDED;
  const slot = actor.acquire();
  assert(!isLate || shared.notes[PHASE] !== SUSPENDED, 'served while the pool was suspended, though it came after that');
  actor.spend(slot);
};

const returned = poolRace(
  import.meta.url,
  "suspended until 'returned', against a borrower",
  {},
  { threads: { borrows: rounds(1), owner: suspends('returned') } },
);
/** What begins with a look at the state and ends at a look at the state: it stands in no line. */
const triesLate = async (context: PoolContext): Promise<void> => {
  const pool = borrowerOf(context);
  // The plain reads come with this step: others may run between them and the compare-exchange.
  context.step('begins');
  pool.spend(pool.tryAcquireSync());
};
const refusedLate = async (context: PoolContext): Promise<void> => {
  const pool = borrowerOf(context);
  context.step('begins');
  const slot = await pool.acquireAsync().catch((error) => {
    context.assert(error.code === 'ERR_POOL_SUSPENDED', String(error));
    return REFUSED;
  });
  pool.spend(slot);
  pool.end();
};
const tried = poolRace(
  import.meta.url,
  "suspended until 'returned', against a late try",
  {},
  { threads: { tries: triesLate, owner: suspends('returned') } },
);
const refused = poolRace(
  import.meta.url,
  "suspended and refusing until 'returned', against a late acquire",
  {},
  { threads: { acquires: refusedLate, owner: suspends('returned', true) } },
);
const given = poolRace(
  import.meta.url,
  "suspended until 'returned', against a return and a joiner",
  { held: [1] },
  { threads: { holder: release(0), joins: rounds(1), owner: suspends('returned') } },
);
const now = poolRace(
  import.meta.url,
  'suspended, against a match under way and a late comer',
  { held: [1], waiting: [2] },
  {
    threads: {
      holder: release(0),
      leaves: (context) => void new Actor(context).lending.withdraw(0),
      late: comesLate,
      owner: suspends('now'),
    },
    timeouts: ['owner'],
  },
);
const sleeper = poolRace(
  import.meta.url,
  'suspended and refusing, against a sleeper',
  { held: [1] },
  {
    threads: {
      holder: release(0),
      sleeps: (context) => {
        const pool = borrowerOf(context, 'ERR_POOL_SUSPENDED');
        const slot = pool.acquireSync();
        if (slot !== REFUSED) pool.spend(slot);
      },
      owner: suspends('returned', true),
    },
  },
);

describe('suspend', () => {
  test('against a borrower: every schedule with two preemptions, and at random where plain reads are steps', async () => {
    expect((await holds(returned, exhaustive())).complete).toBe(true);
    await holds(returned, random({ schedules: 1500 }), everyAccess(['Slots', 'Lending', 'Matching']));
  });

  test('against a late try: every schedule with two preemptions, and at random where plain reads are steps', async () => {
    expect((await holds(tried, exhaustive())).complete).toBe(true);
    await holds(tried, random({ schedules: 4000 }), everyAccess(['Slots', 'Lending', 'Matching']));
  });

  test('refusing, against a late acquire: every schedule with two preemptions, and at random where plain reads are steps', async () => {
    expect((await holds(refused, exhaustive())).complete).toBe(true);
    await holds(refused, random({ schedules: 4000 }), everyAccess(['Slots', 'Lending', 'Matching']));
  });

  test('against a return and a joiner: every schedule with one preemption, and at random', async () => {
    expect((await holds(given, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(given, random({ schedules: 800 }));
  });

  test('against a match under way: at random', async () => {
    await holds(now, random({ schedules: 1500 }));
  });

  test('refusing, against a sleeper: every schedule with one preemption, and at random', async () => {
    expect((await holds(sleeper, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(sleeper, random({ schedules: 800 }));
  });

  caught(
    now,
    random({ schedules: 2000 }),
    mutant(
      'a match goes on while the pool is suspended',
      'Matching.holdsBack',
      '$IS_EVICTING($STATE) || $GUARDS_HAND_OUTS($STATE) || $IS_SUSPENDED($STATE)',
      '$IS_EVICTING($STATE) || $GUARDS_HAND_OUTS($STATE)',
    ),
  );
});

describe('suspend, where plain reads are steps', () => {
  const unflagged = mutant(
    'what is found out is not flagged',
    'Standstill.hasCome',
    '$SLOTS.flag($SLOT) === $FOUND_IDLE ? $IDLE : $STATE',
    '$STATE',
  );
  for (const race of [given, tried, refused])
    caught(race, random({ schedules: 4000 }), everyAccess(['Slots', 'Lending', 'Matching'], unflagged));

  // Either would do for this one borrower; a borrower that remembers a word needs the new version, and one that searches needs the second look.
  const neither = together(
    'neither new versions nor a look at the state behind the borrow',
    mutant('', 'Turn.suspend', 'if ($SLOTS.check($SLOT)) this.owned.toIdle($SLOT);', '{}'),
    mutant('', 'Lending.borrowAnother', 'if ($IS_SUSPENDED(this.$WORDS[$STATE_WORD])) return this.$UNDO($SLOT, $LEASE);', ''),
  );
  caught(returned, random({ schedules: 20_000, style: 'uniform' }), everyAccess(['Slots', 'Lending', 'Matching'], neither));
});
