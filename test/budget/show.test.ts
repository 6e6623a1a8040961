/** The show of examples/budget, in a short form: eight processes on a limit of ten, counted by PostgreSQL itself. Long: npm run show:budget. */
import { expect, test } from 'vitest';
import { show } from '../../examples/budget/show.ts';
import { postgres } from '../support/postgres.ts';

test('eight processes with max 10 on a limit of 10, killed, stopped and continued: never more than ten connections, and nothing is left', async () => {
  const shown = await show((await postgres()).url, 1);
  expect(shown).toMatchObject({ kills: 1, left: { connections: 0, rows: 0 }, errors: [] });
  // A machine that stands still for a whole lease makes them lose their permits: what they have out is then beyond the limit.
  const bound = 10 + 10 * shown.strayed;
  for (const most of [shown.most, shown.mostOfTheMoving]) expect([most >= 10, most <= bound]).toEqual([true, true]);
  expect(shown.looks).toBeGreaterThan(500);
  expect(Math.min(...shown.equal)).toBeGreaterThanOrEqual(1);
  expect(shown.greedy[0]).toBeGreaterThanOrEqual(8);
});
