/** `npm run soak:knots [-- --minutes 10 --seed 1]`: near misses for a long time. Exit code 1 if anything was told of a deadlock. */
import { parseArgs } from 'node:util';
import { nearMisses } from './run.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1e6) } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('--minutes is a number above 0, --seed a whole number');
  process.exit(2);
}
console.log(`seed ${seed}, ${minutes} minutes`);
const outcome = await nearMisses(minutes * 60_000, seed);
console.log(outcome);
process.exitCode = outcome.verdicts.length > 0 ? 1 : 0;
