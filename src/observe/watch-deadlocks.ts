/** Tells of each deadlock once. */
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import { type FoundKnot, type Knot, knotsOver } from '../shared/observing/knots.ts';
import { Point } from '../shared/observing/tracing.ts';
import { checkFew } from '../shared/options/option-names.ts';
import { told } from './inspect.ts';
import { type AnyPool, watch } from './pools.ts';

/** For so long nothing may have moved in a knot before it is told, in ms. */
const STILL = 50;

/** On the thread that watches. `threads` are Node's ids. */
const deadlocks = new Point<{ threads: number[]; pools: string[]; text: string }>('cenote:deadlock');

/** Options of `watchDeadlocks`. */
export interface WatchOptions {
  /** Called with each knot. If it throws, that is a process warning. */
  onDeadlock: (knot: Knot) => void;
  /** Milliseconds between two looks. Default 1000. */
  interval?: number | undefined;
  /** Of which knots to tell: 'suspected' are told with the certain ones. Default 'certain' only. */
  certainty?: 'certain' | 'suspected' | undefined;
}

/**
 * Looks every `interval` and tells of each knot once, and again if it dissolved and came back: by `onDeadlock`, and on the diagnostics
 * channel cenote:deadlock. A knot has been seen twice by then, at least 50 ms apart, with nothing moved in between. Keeps no process
 * alive. Ends when disposed. Throws TypeError or RangeError for bad options, naming the option and the value.
 */
export function watchDeadlocks(pools: readonly AnyPool[], options: WatchOptions): Disposable {
  checkFew(options, { of: 'watchDeadlocks', options: ['onDeadlock', 'interval', 'certainty'] });
  const { onDeadlock, interval = 1000, certainty = 'certain' } = options;
  if (typeof onDeadlock !== 'function') throw new TypeError(`onDeadlock must be a function of the knot, not ${String(onDeadlock)}`);
  if (typeof interval !== 'number') throw new TypeError(`interval must be a number of milliseconds, not ${String(interval)}`);
  if (!(interval >= 1 && interval <= 2_147_483_647))
    throw new RangeError(`interval must be from 1 to 2147483647 milliseconds, not ${interval}`);
  if (certainty !== 'certain' && certainty !== 'suspected')
    throw new TypeError(`certainty must be 'certain' or 'suspected', not ${JSON.stringify(certainty)}`);
  const observed = watch(pools).map((watched) => watched.observed);
  const wanted = (knot: FoundKnot): boolean => certainty === 'suspected' || knot.certainty === 'certain';
  /** By signature: when a knot was first seen, and whether it has been told. */
  let known = new Map<string, { readonly since: number; isTold: boolean }>();
  let again: NodeJS.Timeout | undefined;

  const look = (): void => {
    const at = performance.now();
    const next: typeof known = new Map();
    let isYoung = false;
    for (const knot of knotsOver(observed).filter(wanted)) {
      const entry = known.get(knot.signature) ?? { since: at, isTold: false };
      next.set(knot.signature, entry);
      if (entry.isTold) continue;
      if (at - entry.since < STILL) isYoung = true;
      else {
        entry.isTold = true;
        tell(told(knot), onDeadlock);
      }
    }
    known = next;
    // The second look comes as soon as it may.
    if (isYoung && again === undefined)
      again = setTimeout(() => {
        again = undefined;
        look();
      }, STILL + 1).unref();
  };

  const timer = setInterval(look, interval).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      clearTimeout(again);
      again = undefined;
    },
  };
}

function tell(knot: Knot, onDeadlock: (knot: Knot) => void): void {
  const { threads, pools, text } = knot;
  deadlocks.publish({ threads, pools, text });
  try {
    onDeadlock(knot);
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
