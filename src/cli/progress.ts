/** How far the run is, on standard error. On a terminal it is one line that changes, elsewhere a line for each setting that is done. */
import { clearInterval, setInterval } from 'node:timers';
import type { Setting } from './measure/setting.ts';
import { exactDuration } from './report/units.ts';

export interface Progress {
  /** Prints a line that stays. */
  say(text: string): void;
  begin(setting: Setting): void;
  done(setting: Setting): void;
  stop(): void;
}

export function startProgress(stream: NodeJS.WriteStream, total: number, secondsEach: (setting: Setting) => number): Progress {
  return stream.isTTY && process.env.TERM !== 'dumb' ? oneLine(stream, total, secondsEach) : lines(stream, total);
}

const describe = ({ mode, threads, slots, hold }: Setting): string =>
  `${mode}, ${threads} ${threads === 1 ? 'thread' : 'threads'} on ${slots} ${slots === 1 ? 'slot' : 'slots'}, ${exactDuration(hold)}`;

function lines(stream: NodeJS.WriteStream, total: number): Progress {
  let count = 0;
  return {
    say: (text) => void stream.write(`${text}\n`),
    begin() {},
    done: (setting) => void stream.write(`${String(++count).padStart(String(total).length)} of ${total}: ${describe(setting)}\n`),
    stop() {},
  };
}

const BAR = 24;
const CLEAR = '\r\x1b[K';

function oneLine(stream: NodeJS.WriteStream, total: number, secondsEach: (setting: Setting) => number): Progress {
  let count = 0;
  let current: Setting | undefined;
  let since = performance.now();
  const draw = (): void => {
    // Within a setting the clock moves the bar. It stops short of 1, which only done() reaches.
    const within = current === undefined ? 0 : Math.min(0.99, (performance.now() - since) / 1000 / secondsEach(current));
    const share = (count + within) / total;
    const full = Math.round(share * BAR);
    const text = `${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${Math.floor(share * 100)} %  ${current === undefined ? '' : describe(current)}`;
    stream.write(CLEAR + text.slice(0, Math.max(10, (stream.columns || 80) - 1)));
  };
  const timer = setInterval(draw, 200);
  timer.unref();
  return {
    say(text) {
      stream.write(`${CLEAR}${text}\n`);
      draw();
    },
    begin(setting) {
      current = setting;
      since = performance.now();
      draw();
    },
    done() {
      count++;
      current = undefined;
      draw();
    },
    stop() {
      clearInterval(timer);
      stream.write(CLEAR);
    },
  };
}
