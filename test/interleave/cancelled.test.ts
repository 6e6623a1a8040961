// A thread sleeps in line for a part of the program that is cancelled from outside: a word is set, then its bell is rung.
import { type PoolContext, release, wait } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import type { Outcome } from './explorer/scenario.ts';
import { breaks, caught, describe, exhaustive, expect, holds, mutant, random, test, together } from './explorer/testing.ts';
import { repairByOwner } from './owner.ts';
import { type PoolCode, type PoolMemory, poolRace } from './pool.ts';

const CANCELLED = 5;
const ENDED = 'the part has been cancelled';
/** Number of the sleeper in the pool. */
const SLEEPER = 1;

/** acquireSync in a part whose word is in the notes. */
const sleeper = (context: PoolContext): void => {
  const { code, shared } = context;
  const cancelled = () => (Atomics.load(shared.notes, CANCELLED) === 0 ? undefined : { reason: ENDED });
  const part = { tag: 1, cancelled, untold: cancelled, signal: undefined, hasEnded: false };
  code.setCanceller({ present: () => part, within: (_, body) => body(), attached() {}, detached() {} });
  const pool = borrowerOf(context);
  try {
    pool.spend(pool.acquireSync());
  } catch (error) {
    if (error !== ENDED) throw error;
  } finally {
    pool.end();
    code.setCanceller(undefined as never);
  }
};

const set = ({ shared }: PoolContext): void => void Atomics.store(shared.notes, CANCELLED, 1);
const ring = ({ code, shared }: PoolContext): void => {
  const block = code.ControlBlock.attach(shared.buffer);
  code.ringAt(block.words, block.bells.at(SLEEPER));
};
const canceller = (context: PoolContext): void => {
  set(context);
  ring(context);
};
const wrongWayRound = (context: PoolContext): void => {
  ring(context);
  set(context);
};

/** Nothing is ever given back: only the cancel can end the sleep. */
const nothingComes = { held: [2], threads: 2 };
const leftTheLine = {
  after: ({ assert, code, shared }: Outcome<PoolCode, PoolMemory>) =>
    assert(code.ControlBlock.attach(shared.buffer).line.waiting() === 0, 'somebody waits'),
};
const alone = poolRace(import.meta.url, 'a sleeper is cancelled', nothingComes, { threads: { sleeper, canceller }, ...leftTheLine });
const wrong = poolRace(import.meta.url, 'a sleeper is rung, then cancelled', nothingComes, {
  threads: { sleeper, canceller: wrongWayRound },
  ...leftTheLine,
  bad: true,
});
const granted = poolRace(
  import.meta.url,
  'a sleeper is cancelled while it is granted',
  { held: [2], maxWaiting: 4, waiting: [4] },
  { threads: { sleeper, holder: release(0), canceller, patient: wait(0) } },
);
const dies = poolRace(
  import.meta.url,
  'a sleeper dies as it is cancelled',
  { held: [2], maxWaiting: 4 },
  { threads: { sleeper, holder: release(0), canceller }, mortal: ['sleeper', 'canceller'], repair: repairByOwner },
);

describe('a sleeper that is cancelled', () => {
  test('alone: every schedule with two preemptions', async () => {
    expect((await holds(alone, exhaustive())).complete).toBe(true);
  });

  test('while it is granted, and another waits: random schedules', async () => {
    await holds(granted, random({ schedules: 800 }));
  });

  test('dies, or the one that cancels does: at every step, and at random', async () => {
    expect((await holds(dies, exhaustive({ preemptions: 0, deaths: 1 }))).complete).toBe(true);
    await holds(dies, random({ schedules: 300, deaths: 1, style: 'uniform' }));
  });

  test('caught: the bell is rung before the word is set', async () => {
    await breaks(wrong, exhaustive());
  });

  caught(
    alone,
    exhaustive(),
    together(
      'a sleeper that looks at the word before it has read its bell',
      mutant('', 'sleepInLine', '$SLEEPER.assertGoesOn();', ''),
      mutant(
        '',
        'sleepInLine',
        'const $SEEN = $BELLS.$READ($LENDING.$ME);',
        'sleeper.assertGoesOn();\n    const $SEEN = $BELLS.$READ($LENDING.$ME);',
      ),
    ),
  );

  caught(
    granted,
    random({ schedules: 2000 }),
    mutant('a sleeper that is cancelled stays in line', 'Acquiring.sleep', 'this.#waiters.withdraw($PLACE.cell);', ''),
  );
});
