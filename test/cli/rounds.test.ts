/** Rounds that are interrupted. Of what is shipped, as threads are started from there. */
import { setImmediate as breathe } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sweep } from '../../dist/cli/measure/rounds.js';
import { Scoreboard, type ScoreboardHandle } from '../../dist/cli/measure/scoreboard.js';
import type { Setting } from '../../dist/cli/measure/setting.js';

const setting: Setting = { mode: 'async', threads: 1, slots: 1, hold: 0, distribution: 'fixed' };

test('a round that was cut short counts for nobody', async () => {
  const interruption = new AbortController();
  /** In its third slice, after the warm-up and the first round, somebody presses Ctrl-C: cenote has its second round behind it by then. */
  class Interrupting {
    readonly #scoreboard: Scoreboard;
    #slices = 0;

    constructor({ workerData }: { workerData: { scoreboard: ScoreboardHandle; claims: Int32Array } }) {
      workerData.claims[0] = setting.slots;
      this.#scoreboard = new Scoreboard(workerData.scoreboard);
    }

    async run({ caller }: { caller: number }): Promise<void> {
      if (this.#scoreboard.ready() === 0 && ++this.#slices === 3) interruption.abort();
      await breathe();
      this.#scoreboard.record(caller, 0.001, 0);
    }

    async destroy(): Promise<void> {}
  }
  const plan = { settings: [setting], against: ['piscina'] as const, Piscina: Interrupting as never, seconds: 0.06, rounds: 3 };
  const rounds: Record<string, number> = {};
  for await (const results of sweep(plan, interruption.signal)) for (const result of results) rounds[result.contestant] = result.rounds;
  expect(rounds).toEqual({ cenote: 1, piscina: 1 });
});
