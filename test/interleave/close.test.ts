import type { PoolContext } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { emptyWhenClosed } from './closing.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { Owner } from './owner.ts';
import { poolRace } from './pool.ts';

const borrows = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.acquireSync());
};
const gives = (context: PoolContext): void => borrowerOf(context).spend(0);
const owner = (context: PoolContext): void => new Owner(context).close();

const idle = poolRace(import.meta.url, 'closing against a borrower', {}, { threads: { borrows, owner }, after: emptyWhenClosed });
const held = poolRace(
  import.meta.url,
  'closing against a release and a joiner',
  { held: [1] },
  { threads: { gives, borrows, owner }, after: emptyWhenClosed },
);

describe('close', () => {
  test('against a borrower: every schedule with three preemptions', async () => {
    expect((await holds(idle, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });

  test('against a release and a joiner: two preemptions, and random schedules', async () => {
    expect((await holds(held, exhaustive())).complete).toBe(true);
    await holds(held, random({ schedules: 800 }));
  });

  caught(
    idle,
    exhaustive(),
    mutant(
      'an owner that looks at a slot once',
      'Turn.clear',
      'while ($SLOTS.flag($SLOT) === $FOUND_IDLE) if ($SLOTS.check($SLOT)) this.$EFFECTS.destroy($SLOT, $REASON);',
      'if ($SLOTS.flag($SLOT) === $FOUND_IDLE && $SLOTS.check($SLOT)) this.$EFFECTS.destroy($SLOT, $REASON);',
    ),
    mutant('an owner that has ended while something is out', 'Turn.sweep', '$OUT === 0 && this.life.end()', '$OUT >= 0 && this.life.end()'),
  );

  caught(
    held,
    exhaustive(),
    mutant(
      'a joiner that does not read the state again',
      'Acquiring.enqueue',
      '$IS_REFUSING($STATE) && $LENDING.$LEAVE($CELL)',
      '$IS_REFUSING($STATE) && $LENDING.$LEAVE($CELL) && $CELL < 0',
    ),
    mutant(
      'a match that does not tell the owner of the end',
      'Matching.match',
      '$NEEDED || $IS_CLOSED($STATE) || $IS_DRAINING($STATE) || $IS_SUSPENDED($STATE)',
      '$NEEDED && $STATE >= 0',
    ),
  );
});
