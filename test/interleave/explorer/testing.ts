// What test files import. In the explorer's threads the same files are loaded for their scenarios only; there, tests are nothing.

import type { Mutant } from '../../mutation/mutant.ts';
import { type AnyScenario, type Explored, explore, type Failure } from './explore.ts';
import type { Plan } from './strategies/index.ts';

type Vitest = Pick<typeof import('vitest'), 'describe' | 'expect' | 'test'>;

const nothing: never = new Proxy(() => nothing, { get: () => nothing }) as never;
const inThread = process.env.CENOTE_INTERLEAVE_THREAD === '1';
export const { describe, expect, test }: Vitest = inThread ? { describe: nothing, expect: nothing, test: nothing } : await import('vitest');

export { everyAccess, type Mutant, mutant, together } from '../../mutation/mutant.ts';
export { explore, replay } from './explore.ts';
export { scenario } from './scenario.ts';
export { exhaustive, random } from './strategies/index.ts';

/** `npm test` explores one in so many of the schedules of what must hold, `npm run prove` all of them. What must be found is looked for in all. */
const ONE_IN = process.env.CENOTE_WHOLE === '1' ? 1 : 4;

function part(plan: Plan): Plan {
  switch (plan.kind) {
    case 'exhaustive':
      return { oneIn: ONE_IN, ...plan };
    case 'random':
      return { ...plan, schedules: Math.ceil(plan.schedules / ONE_IN) };
    case 'replay':
      return plan;
  }
}

/** No schedule of the plan fails. `variant`: of code that is equivalent. */
export async function holds(race: AnyScenario, whole: Plan, variant?: Mutant): Promise<Explored> {
  const plan = part(whole);
  const explored = await explore(race, plan, variant);
  say(variant ? `${race.name} [${variant.name}]` : race.name, plan, explored);
  if (explored.failure) throw new Error(explored.failure.report);
  return explored;
}

/** Some schedule of the plan fails: with this mutant, or because the scenario itself is a bad one. */
export async function breaks(race: AnyScenario, plan: Plan, mutant?: Mutant): Promise<Failure> {
  const explored = await explore(race, plan, mutant);
  const name = mutant ? `${race.name} [${mutant.name}]` : race.name;
  say(name, plan, explored);
  if (!explored.failure) throw new Error(`${name}: not found in ${explored.schedules} schedules`);
  return explored.failure;
}

/** With EXPLORER_SAYS set: what a test has explored. */
function say(name: string, plan: Plan, { schedules, distinct, steps, milliseconds, complete, failure }: Explored): void {
  const which = plan.kind === 'exhaustive' ? (complete ? ', all there are' : failure ? '' : ', not all') : '';
  const end = failure ? `: ${failure.kind} after` : ':';
  const rate = Math.round((schedules / milliseconds) * 1000);
  if (process.env.EXPLORER_SAYS === undefined) return;
  console.log(`${name}, ${plan.kind}${end} ${schedules} schedules${which} (${distinct} differ, ${steps} operations, ${rate}/s)`);
}

/** The method bites: a test for each mutant, which this plan must find, unless a part of it, or a few random schedules, have found it before. */
export function caught(race: AnyScenario, plan: Plan, ...mutants: readonly Mutant[]): void {
  for (const bad of mutants)
    test(`caught: ${bad.name}`, async () => {
      for (const sooner of guesses(plan)) {
        const explored = await explore(race, sooner, bad);
        say(`${race.name} [${bad.name}]`, sooner, explored);
        if (explored.failure) return;
      }
      await breaks(race, plan, bad);
    });
}

/** The depth-first search comes late to a preemption early in a schedule. Random schedules may come to it soon, and so may every so manieth place. */
const guesses = (plan: Plan): Plan[] =>
  plan.kind === 'exhaustive'
    ? [
        { kind: 'random', schedules: 1000, deaths: plan.deaths ?? 0, seed: 1 },
        { ...plan, oneIn: 64 },
        { ...plan, oneIn: 8 },
      ]
    : [];
