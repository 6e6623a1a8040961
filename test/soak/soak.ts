/** `npm run soak -- --minutes N [--rounds N] [--seed N] [--duration MS]`: everything that can go wrong, for as long as you like. Ctrl-C ends it with what it has. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { soak, summary } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    rounds: { type: 'string' },
    seed: { type: 'string' },
    duration: { type: 'string', default: '2000' },
  },
});

const number = (option: string, text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isNaN(value) || value < 0) throw new RangeError(`--${option} must be a number, not ${text}`);
  return value;
};

const rounds = number('rounds', values.rounds, Number.POSITIVE_INFINITY);
const minutes = number('minutes', values.minutes, values.rounds === undefined ? 1 : Number.POSITIVE_INFINITY);
const seed = number('seed', values.seed, randomInt(2 ** 31));
const duration = number('duration', values.duration, 2000);

let interrupted = false;
process.on('SIGINT', () => {
  // A second one does what it always does.
  if (interrupted) process.exit(130);
  interrupted = true;
});

console.log(`seed ${seed}`);
const started = performance.now();
const report = await soak({ seed, rounds, limit: minutes * 60_000, duration, interrupted: () => interrupted, print: console.log });
console.log(summary(report, performance.now() - started));
process.exitCode = report.failure === '' ? 0 : 1;
