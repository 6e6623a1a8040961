/** `npm run linear -- --minutes N [--histories N] [--seed N] [--restless 0.02]`: histories of real threads, checked, for as long as you like. Ctrl-C ends it with what it has. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { run, summary } from './run.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, histories: { type: 'string' }, seed: { type: 'string' }, restless: { type: 'string' } },
});

const number = (option: string, text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isNaN(value) || value < 0) throw new RangeError(`--${option} must be a number, not ${text}`);
  return value;
};

const histories = number('histories', values.histories, Number.POSITIVE_INFINITY);
const minutes = number('minutes', values.minutes, values.histories === undefined ? 1 : Number.POSITIVE_INFINITY);
const seed = number('seed', values.seed, randomInt(2 ** 31));
// Else what a pool is drawn with.
const configuration = values.restless === undefined ? {} : { restless: number('restless', values.restless, 0) };

let interrupted = false;
process.on('SIGINT', () => {
  // A second one does what it always does.
  if (interrupted) process.exit(130);
  interrupted = true;
});

console.log(`seed ${seed}`);
const started = performance.now();
const report = await run({ seed, histories, limit: minutes * 60_000, configuration, interrupted: () => interrupted });
console.log(summary(report, performance.now() - started));
process.exitCode = report.failure === '' ? 0 : 1;
