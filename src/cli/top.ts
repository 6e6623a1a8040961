/** `cenote top`: a dashboard in a terminal. */
import type { Snapshot } from '../observe/index.ts';
import { parseTop, TOP_HELP, type TopOptions } from './top/arguments.ts';
import { FeedError, fetchSnapshot, snapshots } from './top/feed.ts';
import { screen } from './top/screen.ts';

const HOME_AND_CLEAR = '\x1b[H\x1b[J';
/** The other screen, without a cursor; and back. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

/** Resolves to the exit code. */
export async function top(args: readonly string[]): Promise<number> {
  const options = parseTop(args);
  if (options === 'help') {
    process.stdout.write(TOP_HELP);
    return 0;
  }
  try {
    const isLive = process.stdout.isTTY === true && process.env.TERM !== 'dumb' && !options.once;
    await (isLive ? live(options) : once(options));
    return 0;
  } catch (error) {
    if (!(error instanceof FeedError)) throw error;
    process.stderr.write(`cenote: ${error.message}\n`);
    return 1;
  }
}

const json = (snapshot: Snapshot): string => `${JSON.stringify(snapshot)}\n`;

async function once(options: TopOptions): Promise<void> {
  const { stdout } = process;
  const snapshot = await fetchSnapshot(options);
  const room = { columns: stdout.columns || 160, rows: undefined, colours: stdout.isTTY === true };
  stdout.write(options.json ? json(snapshot) : screen(snapshot, room));
}

async function live(options: TopOptions): Promise<void> {
  const { stdin, stdout } = process;
  const draw = (snapshot: Snapshot): string =>
    HOME_AND_CLEAR + screen(snapshot, { columns: stdout.columns || 80, rows: stdout.rows || 24, colours: true });
  const [print, enter, leave] = options.json ? [json, '', ''] : [draw, ENTER, LEAVE];
  const signal = untilInterrupted();
  stdout.write(enter);
  try {
    for await (const snapshot of snapshots(options, signal)) stdout.write(print(snapshot));
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    stdout.write(leave);
  }
}

const CTRL_C = '\u0003';

/** Aborts at Ctrl-C, and at q where there are keys. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => controller.abort());
  const { stdin } = process;
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    stdin.on('data', (keys) => {
      const pressed = String(keys);
      if (pressed.includes('q') || pressed.includes(CTRL_C)) controller.abort();
    });
  }
  return controller.signal;
}
