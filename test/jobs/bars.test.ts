import { Writable } from 'node:stream';
import { showProgress } from 'cenote/jobs';
import { expect, test } from 'vitest';
import { until } from '../support/wait.ts';
import { open, run } from './support.ts';

class Screen extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 120;
  readonly rows = 40;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  // What cli-progress asks of a terminal.
  cursorTo(): boolean {
    return true;
  }
  moveCursor(): boolean {
    return true;
  }
  clearLine(): boolean {
    return true;
  }
  clearScreenDown(): boolean {
    return true;
  }

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

test('on a terminal there is a line for all jobs and one for each that says how far it is; elsewhere there is nothing', async () => {
  const runner = open({ progressInterval: 10 });
  const [terminal, file] = [new Screen(true), new Screen(false)];
  const abort = new AbortController();
  {
    using _bars = showProgress(runner, { stream: terminal as never, total: 4 });
    using _none = showProgress(runner, { stream: file as never });
    await run(runner, () => 1);
    const working = run(
      runner,
      async (context) => {
        context.progress(3, 8, 'half \u001b[31mway');
        await pause(60_000);
      },
      [],
      { name: 'report', signal: abort.signal },
    );
    await until(() => terminal.text.includes('3 of 8'));
    expect(terminal.text).toContain('1 of 4 jobs');
    expect(terminal.text).toContain('report: half [31mway');
    abort.abort();
    await working.catch(() => {});
    await until(() => terminal.text.includes('2 of 4 jobs'));
  }
  const said = terminal.text.length;
  await run(runner, () => 2);
  expect(terminal.text.length).toBe(said);
  expect(file.text).toBe('');
  expect(() => showProgress(runner, { total: -1 })).toThrow('total must be a number from 0');
});
