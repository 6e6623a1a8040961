/** One contestant for a moment, with threads that are none: what is done when they fail, hang, or are cut short. */
import { expect, test } from 'vitest';
import type { Arena } from '../../src/cli/contestants/contestant.ts';
import { createScoreboard, Scoreboard } from '../../src/cli/measure/scoreboard.ts';
import { runSlice } from '../../src/cli/measure/slice.ts';

const LONG = 60_000;
const never = new AbortController().signal;

/** Everybody's work is this. */
function arena(work: (scoreboard: Scoreboard) => Promise<void>): Arena {
  const scoreboard = new Scoreboard(createScoreboard(1, 2));
  return { contestant: 'mutex', scoreboard, work: () => work(scoreboard), close: async () => {} };
}

/** Two that take turns until the stop. */
const busy = async (scoreboard: Scoreboard): Promise<void> => {
  while (!scoreboard.stopped()) {
    for (const thread of [0, 1]) scoreboard.record(thread, 0.5, 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
};

test('counts what was done between go and stop, for as long as it was told to', async () => {
  const found = await runSlice(arena(busy), 300, LONG, never);
  // Its timer may be early by as long as this thread was paused before it was set.
  expect(found!.seconds).toBeGreaterThanOrEqual(0.2);
  expect(found!.done[0]).toBeGreaterThan(0);
  expect(found!.done[0]).toBe(found!.done[1]);
  expect(found!.longest).toBe(0.5);
  expect(found!.cpu).toBeGreaterThan(0);
});

test('whoever fails does so at once, though the others go on', async () => {
  const error = new Error('broken');
  const failing = arena((scoreboard) => Promise.race([busy(scoreboard), Promise.reject(error)]));
  await expect(runSlice(failing, LONG, LONG, never)).rejects.toBe(error);
  expect(failing.scoreboard.stopped()).toBe(true);
});

test('whoever is not served after the end hangs, and is named', async () => {
  await expect(
    runSlice(
      arena(() => new Promise(() => {})),
      1,
      20,
      never,
    ),
  ).rejects.toThrow('mutex hangs');
});

test('the signal ends it, and what was cut short does not count', async () => {
  const controller = new AbortController();
  const cut = arena(async (scoreboard) => {
    const working = busy(scoreboard);
    setTimeout(() => controller.abort(), 5);
    await working;
  });
  expect(await runSlice(cut, LONG, LONG, controller.signal)).toBeUndefined();
});
