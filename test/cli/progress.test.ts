/** What is seen while it runs: on a terminal one line that changes. (Elsewhere: see bench.test.ts.) */
import { expect, onTestFinished, test } from 'vitest';
import type { Setting } from '../../src/cli/measure/setting.ts';
import { startProgress } from '../../src/cli/progress.ts';

const setting: Setting = { mode: 'async', threads: 4, slots: 1, hold: 1500, distribution: 'fixed' };

function terminal(columns: number) {
  let written = '';
  const stream = { isTTY: true, columns, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  /** The line as it is seen now. */
  const line = (): string => written.split('\n').at(-1)!.split('\r\x1b[K').at(-1)!;
  return { stream, line, all: () => written };
}

test('on a terminal one line tells how far it is, and is gone at the end', () => {
  const { TERM } = process.env;
  process.env.TERM = 'xterm';
  onTestFinished(() => {
    if (TERM === undefined) delete process.env.TERM;
    else process.env.TERM = TERM;
  });
  const { stream, line, all } = terminal(200);
  const progress = startProgress(stream, 2, () => 1000);
  progress.begin(setting);
  expect(line()).toMatch(/^░{24} 0 % {2}async, 4 threads on 1 slot, 1\.5 ms$/);
  progress.say('something to keep');
  expect(all()).toContain('something to keep\n');
  progress.done(setting);
  expect(line()).toMatch(/^█{12}░{12} 50 %/);
  progress.done(setting);
  expect(line()).toMatch(/^█{24} 100 %/);
  progress.stop();
  expect(line()).toBe('');
});

test.each([
  [30, 29],
  [0, 79],
])('a terminal of %i columns gets no line that it would break', (columns, most) => {
  const { stream, line } = terminal(columns);
  const progress = startProgress(stream, 2, () => 1000);
  progress.begin({ ...setting, mode: 'async', hold: 1.23456789012345e-5 });
  expect(line().length).toBeLessThanOrEqual(most);
  progress.stop();
});
