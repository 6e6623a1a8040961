import { Actor, type PoolContext } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { serve } from './owner.ts';
import { poolRace } from './pool.ts';

const MAX_USES = 2;

const twice = (context: PoolContext): void => {
  const actor = new Actor(context);
  for (let i = 0; i < 2; i++) {
    const slot = actor.acquire();
    const uses = actor.lending.block.words[actor.lending.block.slots.at(slot) + context.code.layout.SLOT_USES];
    context.assert(uses <= MAX_USES, `slot ${slot} is used for the ${uses}rd time, after ${MAX_USES} it was to go`);
    actor.spend(slot);
  }
};

const race = poolRace(
  import.meta.url,
  'the last use of a resource',
  { maxUses: MAX_USES },
  { threads: { a: twice, b: twice }, daemons: { owner: serve } },
);

describe('maxUses', () => {
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
      'the last hand-out is not flagged',
      'Lending.watch',
      'if (this.$BLOCK.$USES($SLOT) >= this.$MAX_USES) this.$SLOTS.$FLAG($SLOT);',
      '',
    ),
    mutant('one use too many', 'Lending.watch', 'this.$BLOCK.$USES($SLOT) >= this.$MAX_USES', 'this.$BLOCK.$USES($SLOT) > this.$MAX_USES'),
  );
});
