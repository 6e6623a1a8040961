/** Some seconds of random programs. PROGRAMS_SEED=n has others; `npm run soak:programs -- --programs n` for more. */
import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { postgres } from '../support/postgres.ts';
import { judge, type Unit } from './random/model.ts';
import { round } from './random/run.ts';

const seed = Number(process.env.PROGRAMS_SEED ?? randomInt(2 ** 31));

/** Rounds in which all is killed, and in which nothing is: the seed decides, so there are several. */
test.each(['auto', 'remote'] as const)('random programs, lent %s: what was told is true', async (lend) => {
  const server = await postgres();
  for (let part = 0; part < 2; part++) {
    const { failures, figures } = await round(server, { seed: seed + part, programs: 50, lend, limit: 3000 });
    const again = `npm run soak:programs -- --programs 50 --seed ${seed + part} --lend ${lend}`;
    expect(failures, `again: ${again}`).toEqual([]);
    expect(figures['units committed'], again).toBeGreaterThan(0);
  }
});

test('the model sees what is not so', () => {
  const unit = (name: string, outcome: Unit['outcome'], rows: number[], kind: Unit['kind'] = 'transaction'): Unit => ({
    name,
    kind,
    outcome,
    rows,
  });
  const row = (unit: string, step: number, xid: string) => ({ unit, step, xid });
  expect(judge([unit('a', 'committed', [1, 2]), unit('b', 'rolled back', [])], [row('a', 1, '5'), row('a', 2, '5')])).toEqual([]);
  expect(judge([unit('a', 'unknown', [1, 2])], [])).toEqual([]);
  expect(judge([unit('a', 'committed', [1, 2])], [row('a', 1, '5')])).toHaveLength(1);
  expect(judge([unit('a', 'unknown', [1, 2])], [row('a', 1, '5')])).toHaveLength(1);
  expect(judge([unit('a', 'rolled back', [])], [row('a', 1, '5')])).toHaveLength(1);
  expect(judge([], [row('a', 1, '5'), row('a', 2, '6')])).toHaveLength(1);
  expect(judge([], [row('a', 1, '5'), row('b', 2, '5')])).toHaveLength(1);
});
