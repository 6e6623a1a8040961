// Every cell of the line is taken: who finds none is refused, and nobody else suffers.
import { Actor, instant, joined, type PoolContext, release, wait } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

/** Joins if there is a cell. */
const ifThereIsRoom = (context: PoolContext): void => {
  const actor = new Actor(context);
  const began = instant(context);
  const cell = actor.lending.join(0);
  joined(context, cell, began);
  if (cell === context.code.cells.NONE) return;
  actor.lending.match();
  actor.spend(actor.wait(cell));
};

/** Leaves, and joins again if there is a cell by then. */
const moves =
  (cell: number) =>
  (context: PoolContext): void => {
    const actor = new Actor(context);
    if (!actor.lending.leave(cell)) return actor.spend(actor.wait(cell));
    ifThereIsRoom(context);
  };

/** With three threads, the owner and one slot there are five cells. All of them are taken. */
const full = poolRace(
  import.meta.url,
  'a full line',
  { held: [1], waiting: [2, 2, 2, 2, 2], maxWaiting: 0, threads: 3 },
  {
    threads: {
      holder: release(0),
      waiter: (context) => {
        for (const cell of [0, 1, 2, 3, 4]) wait(cell)(context);
      },
      late: ifThereIsRoom,
    },
  },
);
const moving = poolRace(
  import.meta.url,
  'a full line in which places change hands',
  { held: [1], waiting: [2, 3, 4, 2, 2, 2, 2], maxWaiting: 0, threads: 5 },
  {
    threads: {
      holder: release(0),
      patient: (context) => {
        for (const cell of [0, 3, 4, 5, 6]) wait(cell)(context);
      },
      leaves: moves(1),
      leavesToo: moves(2),
      late: ifThereIsRoom,
    },
  },
);

describe('a full line', () => {
  test('and somebody who comes too late: every schedule with one preemption', async () => {
    expect((await holds(full, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('in which places change hands: random schedules', async () => {
    await holds(moving, random({ schedules: 600 }));
  });

  caught(
    full,
    exhaustive(),
    mutant(
      'who finds no cell takes the last',
      'Line',
      '{ while (this.$FREED_COUNT > 0) { const $CELL = this.$FREED[--this.$FREED_COUNT]; if (this.$CLAIM($CELL, $ME)) return $CELL; } for (let $CELL = 0; $CELL < this.$COUNT; $CELL++) if (this.$CLAIM($CELL, $ME)) return $CELL; return $NONE; }',
      '{ while (this.$FREED_COUNT > 0) { const $CELL = this.$FREED[--this.$FREED_COUNT]; if (this.$CLAIM($CELL, $ME)) return $CELL; } for (let $CELL = 0; $CELL < this.$COUNT; $CELL++) if (this.$CLAIM($CELL, $ME)) return $CELL; return this.$COUNT - 1; }',
    ),
  );
});
