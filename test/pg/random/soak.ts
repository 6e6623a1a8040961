/**
 * `npm run soak:programs -- [--programs N] [--seed N] [--lend auto|remote]`: random programs in rounds of some hundreds, by turns in each way
 * of lending. A failure prints the round's seed, and the command that runs that round again. Ctrl-C ends it after the round under way.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../../examples/demo/postgres.ts';
import { round } from './run.ts';

const ROUND = 300;
const WAYS = ['auto', 'remote'] as const;

const { values } = parseArgs({
  options: { programs: { type: 'string', default: '3000' }, seed: { type: 'string' }, lend: { type: 'string' } },
});
const whole = (option: string, text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`--${option} must be a whole number from 0, not ${text}`);
  return value;
};
const wanted = whole('programs', values.programs);
const ways = values.lend === undefined ? WAYS : WAYS.filter((way) => way === values.lend);
if (ways.length === 0) throw new RangeError(`--lend must be auto or remote, not ${values.lend}`);
let seed = values.seed === undefined ? randomInt(2 ** 31) : whole('seed', values.seed);

let isInterrupted = false;
process.on('SIGINT', () => {
  // A second one does what it always does.
  if (isInterrupted) process.exit(130);
  isInterrupted = true;
});

const totals: Record<string, number> = {};
const server = await startPostgres();
try {
  for (let begun = 0; begun < wanted && !isInterrupted && !process.exitCode; seed++) {
    for (const lend of ways) {
      const programs = Math.min(ROUND, Math.max(1, wanted - begun));
      const { failures, figures } = await round(server, { seed, programs, lend });
      begun += programs;
      for (const [name, n] of Object.entries(figures)) totals[name] = (totals[name] ?? 0) + n;
      if (failures.length === 0) continue;
      process.exitCode = 1;
      console.log(`FAILED\n${failures.slice(0, 20).join('\n')}`);
      console.log(`again: npm run soak:programs -- --programs ${programs} --seed ${seed} --lend ${lend}`);
    }
  }
} finally {
  await server.stop();
}
console.log(
  Object.entries(totals)
    .map(([name, n]) => `${name} ${n}`)
    .join(', '),
);
