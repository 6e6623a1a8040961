import { Presets, SingleBar } from 'cli-progress';
import { count, say } from './say.ts';

export interface Progress {
  tick(): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere a line at each quarter, without control characters. */
export function startProgress(total: number): Progress {
  if (!process.stdout.isTTY || process.env.TERM === 'dumb') return quarters(total);
  const bar = new SingleBar(
    // The terminal's cursor and wrapping are left alone: nobody could put them right after kill -9. Signals are for demo.ts.
    {
      stream: process.stdout,
      format: '  {bar} {percentage} %  {value} of {total} files',
      linewrap: true,
      gracefulExit: false,
      barsize: 40,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0);
  return { tick: () => bar.increment(), stop: () => bar.stop() };
}

function quarters(total: number): Progress {
  let done = 0;
  let told = 0;
  return {
    tick() {
      const quarter = Math.floor((++done / total) * 4);
      if (quarter > told) say(`  ${25 * (told = quarter)} %  ${count(done)} of ${count(total)} files`);
    },
    stop() {},
  };
}
