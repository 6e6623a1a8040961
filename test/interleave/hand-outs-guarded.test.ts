// With beforeAcquire only the owner matches, and only what it has looked at.
import { Actor, type PoolContext } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { CHECKED, serve } from './owner.ts';
import { poolRace } from './pool.ts';

const round = (context: PoolContext): void => {
  const actor = new Actor(context);
  const slot = actor.acquire();
  const { notes } = context.shared;
  context.assert(notes[CHECKED + slot] === 1, `slot ${slot} was handed out unchecked`);
  notes[CHECKED + slot] = 0;
  actor.spend(slot);
};

const race = poolRace(
  import.meta.url,
  'every hand-out passes the owner',
  { state: ({ state }) => state.HAND_OUTS_GUARDED },
  { threads: { a: round, b: round }, daemons: { owner: serve } },
);

describe('guarded hand-outs', () => {
  test('every schedule with one preemption', async () => {
    expect((await holds(race, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(race, random({ schedules: 1000 }));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'anybody matches',
      'Matching.holdsBack',
      '$IS_EVICTING($STATE) || $GUARDS_HAND_OUTS($STATE) || $IS_SUSPENDED($STATE)',
      '$IS_EVICTING($STATE)',
    ),
    mutant(
      'the fast path is open',
      'Lending.tryBorrow',
      'this.$WORDS[$STATE_WORD] | this.$LEFT | (this.$WORDS[$LINE_WORD] & $NOT_EMPTY)',
      '(this.$WORDS[$LINE_WORD] & $NOT_EMPTY)',
    ),
    mutant(
      'nobody calls the owner',
      'Matching.match',
      'const $NEEDED = this.$SERVE($NEAR);',
      'const $NEEDED = (this.$SERVE($NEAR), false);',
    ),
  );
});
