/** The show of examples/budget, in a short form: eight processes on a limit of ten, counted by PostgreSQL itself. Long: npm run show:budget. */
import { expect, test } from 'vitest';
import { show } from '../../examples/budget/show.ts';
import { postgres } from '../support/postgres.ts';

test('eight processes with max 10 on a limit of 10, killed, stopped and continued: never more than ten connections, and nothing is left', async () => {
  const shown = await show((await postgres()).url, 1);
  expect(shown).toMatchObject({ kills: 1, left: { connections: 0, rows: 0 }, errors: [] });
  // Only what a process had out when the machine stood still for its whole lease may be beyond the limit: so many more, each time.
  const bound = 10 + shown.strayed;
  for (const most of [shown.most, shown.mostOfTheMoving, shown.mostGranted])
    expect([most >= 10, most <= bound], `${most}`).toEqual([true, true]);
  expect(shown.looks).toBeGreaterThan(500);
  expect(Math.min(...shown.equal)).toBeGreaterThanOrEqual(1);
  expect(shown.greedy[0]).toBeGreaterThanOrEqual(8);
});
