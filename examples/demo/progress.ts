import { type JobRunner, showProgress } from 'cenote/jobs';
import { count, say } from './say.ts';

/** Bars on a terminal; elsewhere a line at each quarter, without control characters. `tick` is called for each file. */
export function startProgress(runner: JobRunner, total: number): Disposable & { tick(): void } {
  let done = 0;
  let told = 0;
  const tick = (): void => {
    const quarter = Math.floor((++done / total) * 4);
    if (quarter > told) say(`  ${25 * (told = quarter)} %  ${count(done)} of ${count(total)} files`);
  };
  const isTerminal = process.stdout.isTTY && process.env.TERM !== 'dumb';
  return Object.assign(showProgress(runner, { stream: process.stdout, total }), { tick: isTerminal ? () => {} : tick });
}
