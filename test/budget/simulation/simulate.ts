/** Many runs: npm run simulate -- [number] [first seed]. A failure names its seed. */
import { simulate } from './run.ts';

const [count = 200, first = 1] = process.argv.slice(2).map(Number);
let failures = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    console.log(JSON.stringify({ seed, ...(await simulate(seed)) }));
  } catch (error) {
    failures++;
    console.log((error as Error).message);
  }
}
console.log(`${count - failures} passed, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
