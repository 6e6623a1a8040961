/** What the plots show, in words. */

import type { Contestant, Setting } from '../measure/setting.ts';
import type { Result } from '../measure/summary.ts';
import { list } from '../options.ts';
import type { Report } from './report.ts';
import { counted, duration, exactDuration, short } from './units.ts';

export const held = ({ hold, distribution }: Setting): string =>
  hold === 0 ? 'not held at all' : `held for ${exactDuration(hold, 'µs')}${distribution === 'exponential' ? ' on average' : ''}`;

const sameSetting = (a: Setting, b: Setting): boolean =>
  a.mode === b.mode && a.threads === b.threads && a.slots === b.slots && a.hold === b.hold;

/** The result with most threads for each slot, and among those with the longest hold. */
function hardest(results: readonly Result[]): Result {
  const pressure = ({ threads, slots }: Setting): number => threads / slots;
  return results.toSorted((a, b) => pressure(b) - pressure(a) || b.threads - a.threads || b.hold - a.hold)[0];
}

const rivalsIn = (results: readonly Result[]): Contestant[] =>
  [...new Set(results.map(({ contestant }) => contestant))].filter((name) => name !== 'cenote');

/** The ratio of cenote to the rival, in words. The reader asks about cenote. */
function advantage(ratio: number): string {
  if (ratio >= 0.95 && ratio <= 1.05) return 'about as many as';
  return `${short(ratio)} times as many as`;
}

export function lead({ results }: Report): string {
  const setting = hardest(results.filter(({ contestant }) => contestant === 'cenote'));
  const there = results.filter((result) => sameSetting(result, setting));
  const against = there
    .filter(({ contestant, timesCenote }) => contestant !== 'cenote' && timesCenote)
    .map(({ contestant, timesCenote }) => `${advantage(1 / timesCenote!)} ${contestant}`);
  return `With ${counted(setting.threads, 'thread')} on ${counted(setting.slots, 'slot')} ${held(setting)} (${setting.mode}), cenote does ${short(
    setting.operationsPerSecond,
  )} operations a second${against.length > 0 ? `: ${list(against)}` : ''}. Half of its waits are shorter than ${duration(setting.wait.p50, 'µs')}; the longest took ${duration(setting.wait.max, 'µs')}.`;
}

export function ofThroughput({ results }: Report): string {
  const sentences = rivalsIn(results).map((rival) => {
    const ratios = results
      .filter(({ contestant, timesCenote }) => contestant === rival && timesCenote)
      .map((result) => ({ result, ratio: 1 / result.timesCenote! }))
      .sort((a, b) => a.ratio - b.ratio);
    if (ratios.length === 0) return '';
    const [worst, best] = [ratios[0], ratios.at(-1)!];
    if (ratios.length === 1) return `cenote does ${short(worst.ratio)} times the operations of ${rival}.`;
    return `Against ${rival}, cenote does from ${short(worst.ratio)} times the operations (${where(worst.result)}) to ${short(best.ratio)} times (${where(best.result)}).`;
  });
  return ['Higher is better. Scales are logarithmic, and the same where the hold is.', ...sentences].join(' ');
}

const where = ({ mode, threads, slots, hold }: Setting): string => `${mode}, ${threads} on ${slots}, ${exactDuration(hold, 'µs')}`;

export function ofWaits({ results }: Report): string {
  const longest = [...new Set(results.map(({ contestant }) => contestant))].map((name) => {
    const worst = Math.max(...results.filter(({ contestant }) => contestant === name).map(({ wait }) => wait.max));
    return `${duration(worst, 'µs')} with ${name}`;
  });
  return `Lower is better. Half of the waits are shorter than the solid line, all but 1 in 100 shorter than the dashed one. The longest single wait of the run was ${list(longest)}.`;
}

export function ofShares({ results }: Report): string {
  const crowded = results.filter(({ threads }) => threads > 1);
  const worst = [...new Set(crowded.map(({ contestant }) => contestant))].map((name) => {
    const ratios = crowded
      .filter(({ contestant, shares }) => contestant === name && shares.length > 0)
      .map(({ mostOverLeast }) => mostOverLeast);
    return `${ratios.includes(null) ? 'everything to nothing' : `${short(Math.max(...(ratios as number[])))} to 1`} (${name})`;
  });
  return `A mark for each thread: what it got done, over what an equal share would have been. All on the dashed line would be fair; the figure beside is the luckiest thread against the unluckiest. At its least even, that was ${list(worst)}.`;
}
