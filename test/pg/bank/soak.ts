/** `npm run soak:pg -- [--minutes N] [--seed N]`: the bank for as long as you like, in rounds of 20 seconds. Ctrl-C ends it with what it has. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../../examples/demo/postgres.ts';
import { bank, describe } from './run.ts';

const ROUND = 20_000;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } });
const number = (option: string, text: string): number => {
  const value = Number(text);
  if (Number.isNaN(value) || value < 0) throw new RangeError(`--${option} must be a number, not ${text}`);
  return value;
};
const end = performance.now() + number('minutes', values.minutes) * 60_000;
let seed = values.seed === undefined ? randomInt(2 ** 31) : number('seed', values.seed);

let isInterrupted = false;
process.on('SIGINT', () => {
  // A second one does what it always does.
  if (isInterrupted) process.exit(130);
  isInterrupted = true;
});

const server = await startPostgres();
do {
  console.log(`seed ${seed}`);
  const duration = Math.max(1000, Math.min(ROUND, end - performance.now()));
  const report = await bank({ url: server.url, seed, duration, interrupted: () => isInterrupted });
  console.log(describe(report));
  if (report.failures.length > 0) {
    console.log(`FAILED\n${report.failures.slice(0, 10).join('\n')}`);
    process.exitCode = 1;
  }
  seed++;
} while (performance.now() < end && !isInterrupted && !process.exitCode);
await server.stop();
