// `node --import ./scripts/typescript.js test/interleave/explore.ts --minutes 10`: random schedules of every race, round after round, from new seeds.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { AnyScenario } from './explorer/explore.ts';

// Test files are loaded for their scenarios only, as in the explorer's threads.
process.env.CENOTE_INTERLEAVE_THREAD = '1';
const { explore } = await import('./explorer/explore.ts');
const { scenarios } = await import('./explorer/scenario.ts');
const { random } = await import('./explorer/strategies/index.ts');

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now() % 1e6) } },
});
const BATCH = 2000;

for (const folder of ['./', './death/'])
  for (const file of readdirSync(new URL(folder, import.meta.url)))
    if (file.endsWith('.test.ts')) await import(new URL(`${folder}${file}`, import.meta.url).href);

const end = performance.now() + Number(values.minutes) * 60_000;
// Those that are meant to fail say so.
const races = scenarios().filter((race) => !race.bad);
const totals = new Map<string, number>(races.map(({ name }) => [name, 0]));
let failed = false;
for (let seed = Number(values.seed); performance.now() < end && !failed; seed += BATCH) {
  for (const race of races) {
    if (performance.now() >= end) break;
    const { schedules, failure } = await explore(
      race as AnyScenario,
      random({ schedules: BATCH, seed, deaths: race.repair === undefined ? 0 : 2 }),
    );
    totals.set(race.name, (totals.get(race.name) ?? 0) + schedules);
    if (failure === undefined) continue;
    console.log(failure.report);
    failed = true;
    break;
  }
}
for (const [name, schedules] of totals) console.log(`${String(schedules).padStart(10)}  ${name}`);
console.log(
  `${[...totals.values()].reduce((sum, schedules) => sum + schedules, 0)} schedules${failed ? ', the last one fails' : ', none fails'}`,
);
process.exitCode = failed ? 1 : 0;
