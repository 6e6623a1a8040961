/**
 * Whatever is done with a pool, in whatever order: it is as a simple model says, after each step. A failure prints the seed and the path that repeat it,
 * and the shortest sequence of commands that fails. CENOTE_MODEL_RUNS=n does more, CENOTE_MODEL_SEED=n does others.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { thread } from '../support/thread.ts';
import { commands, settings } from './commands.ts';
import { Model } from './model.ts';
import { Real } from './real.ts';

const factor = Number(process.env.CENOTE_MODEL_RUNS ?? 1);
const seed = process.env.CENOTE_MODEL_SEED === undefined ? {} : { seed: Number(process.env.CENOTE_MODEL_SEED) };

describe('a pool is as its model says', () => {
  test('on the owner', { timeout: 300_000 * factor }, async () => {
    await fc.assert(
      fc.asyncProperty(settings, commands(['owner'], 40), async (chosen, list) => {
        const model = new Model(chosen);
        const real = await new Real().open(chosen);
        await fc.asyncModelRun(() => ({ model, real }), list);
        await real.finishAll(model);
      }),
      { numRuns: 250 * factor, ...seed },
    );
  });

  test('on the owner and a worker', { timeout: 300_000 * factor }, async () => {
    const worker = await thread<never>();
    await fc.assert(
      fc.asyncProperty(settings, commands(['owner', 'worker'], 25), async (chosen, list) => {
        const model = new Model(chosen);
        const real = await new Real(worker).open(chosen);
        await fc.asyncModelRun(() => ({ model, real }), list);
        await real.finishAll(model);
      }),
      { numRuns: 40 * factor, ...seed },
    );
  });
});
