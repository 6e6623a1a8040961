/** Some seconds of the bank. BANK_SEED=n has it another way; `npm run soak:pg -- --minutes N` for longer. */
import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { postgres } from '../support/postgres.ts';
import { bank, describe, NEEDED } from './bank/run.ts';

const seed = Number(process.env.BANK_SEED ?? randomInt(2 ** 31));

test('a bank keeps its money, whatever is killed, cancelled or forgotten', async () => {
  console.log(`bank: seed ${seed}`);
  const report = await bank({ url: (await postgres()).url, seed, duration: 4000 });
  console.log(describe(report));
  expect(report.failures, `seed ${seed}: ${describe(report)}`).toEqual([]);
  // Nothing of it is idle talk: there was something to lose.
  for (const name of [...NEEDED, 'entries']) expect(report.figures[name], name).toBeGreaterThan(0);
});
