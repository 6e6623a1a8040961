/** The benchmark's own bookkeeping: a referee has to be right before anybody plays. */
import { describe, expect, test } from 'vitest';
import { BUCKETS, bucketOf, quantile } from '../../src/cli/measure/histogram.ts';
import { createScoreboard, Scoreboard } from '../../src/cli/measure/scoreboard.ts';

const ledgerFor = (slots: number, threads = 4): Scoreboard => new Scoreboard(createScoreboard(slots, threads));

/** Everybody asks, in the order of the numbers; then they are served in this order. Who was overtaken, and by how many. */
function overtaken(slots: number, order: readonly number[]): Record<number, number> {
  const scoreboard = ledgerFor(slots);
  const tickets = order.map(() => scoreboard.ask());
  const jump = scoreboard.lastJump();
  const found: Record<number, number> = {};
  for (const which of order) {
    const by = scoreboard.served(tickets[which], jump);
    if (by > 0) found[which] = by;
  }
  return found;
}

describe('who was overtaken', () => {
  test('nobody, when all are served in order', () => {
    expect(overtaken(1, [0, 1, 2, 3])).toEqual({});
    expect(overtaken(3, [0, 1, 2, 3])).toEqual({});
  });

  test('with one slot, whoever has to let a later one pass', () => {
    expect(overtaken(1, [1, 0, 2, 3])).toEqual({ 0: 1 });
    expect(overtaken(1, [1, 2, 3, 0])).toEqual({ 0: 3 });
  });

  test('with two, not one who may have had the other slot and be slow to wake', () => {
    expect(overtaken(2, [1, 2, 3, 4, 0])).toEqual({});
  });

  test('with two, but when two were passed: they cannot both have had a slot', () => {
    expect(overtaken(2, [2, 3, 4, 0, 1])).toEqual({ 0: 3, 1: 3 });
  });

  test('not one who came after it had happened', () => {
    const scoreboard = ledgerFor(1);
    const [first, second] = [scoreboard.ask(), scoreboard.ask()];
    expect(scoreboard.served(second, 0)).toBe(0);
    const third = scoreboard.ask();
    const jump = scoreboard.lastJump();
    expect(scoreboard.served(first, 0)).toBe(1);
    expect(scoreboard.served(third, jump)).toBe(0);
  });
});

describe('the witness', () => {
  test('sees two in one slot, from whatever thread', () => {
    const scoreboard = ledgerFor(2);
    scoreboard.enter(0, 0);
    scoreboard.enter(1, 1);
    scoreboard.leave(0, 0);
    scoreboard.enter(0, 2);
    expect(scoreboard.read().clashes).toBe(0);
    scoreboard.enter(0, 3);
    expect(scoreboard.read().clashes).toBe(1);
  });

  test('does not take a slot that there is not', () => {
    for (const slot of [-1, 2, Number.NaN]) expect(() => ledgerFor(2).enter(slot, 0)).toThrow('there is no slot');
  });
});

describe('the books', () => {
  test('begin when everybody has had a turn, and end with the stop; a wait that ends later still counts', () => {
    const scoreboard = ledgerFor(1, 2);
    scoreboard.record(0, 5, 0);
    scoreboard.record(0, 5, 0);
    expect(scoreboard.ready()).toBe(1);
    scoreboard.record(1, 5, 0);
    expect(scoreboard.ready()).toBe(2);
    scoreboard.go();
    scoreboard.record(0, 1, 0);
    scoreboard.record(0, 2, 7);
    scoreboard.record(1, 3, 0);
    scoreboard.stop();
    scoreboard.record(1, 400, 0);
    const { done, waits, longest, overtaken, worst } = scoreboard.read();
    expect(done).toEqual([2, 1]);
    expect(waits.reduce((sum, count) => sum + count)).toBe(4);
    expect({ longest, overtaken, worst }).toEqual({ longest: 400, overtaken: 1, worst: 7 });
    scoreboard.reset();
    expect(scoreboard.read()).toMatchObject({ done: [0, 0], longest: 0, overtaken: 0 });
  });
});

describe('the histogram', () => {
  test('gives quantiles within 2.3 %', () => {
    const counts = new Float64Array(BUCKETS);
    // Microseconds from 1 to 1000, each a thousand times as frequent as it is.
    for (let us = 1; us <= 1000; us++) counts[bucketOf(us / 1000)]++;
    for (const share of [0.1, 0.5, 0.99]) expect(Math.abs(quantile(counts, share) / share - 1)).toBeLessThan(0.023);
  });

  test('takes what is out of range for the nearest that is in it, and nothing for 0', () => {
    expect(bucketOf(-1)).toBe(0);
    expect(bucketOf(1e12)).toBe(BUCKETS - 1);
    expect(quantile(new Float64Array(BUCKETS), 0.5)).toBe(0);
  });
});
