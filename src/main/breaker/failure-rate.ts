/** Opens when too large a share of what was reported lately failed. */

import { type Clock, now } from '../../shared/clock.ts';
import { checkDuration } from '../../shared/options/durations.ts';
import { checkFew, type OptionNames } from '../../shared/options/option-names.ts';
import { show } from '../../shared/show.ts';
import { type CircuitBreaker, CircuitBreakerState } from '../../shared/types.ts';
import type { CircuitBreakerStrategy } from '../types.ts';
import { whole } from '../whole.ts';
import { ResetTimer } from './reset-timer.ts';

/** The window is counted in so many parts: memory does not grow with the traffic, and the window is exact to a tenth. */
const PARTS = 10;

/** With the names of cockatiel and opossum for the same. */
const NAMES: OptionNames = {
  of: 'failureRate',
  options: ['rate', 'window', 'minimum', 'resetTimeout'],
  others: {
    threshold: 'use rate, from 0 to 1, for a share; consecutiveFailures has threshold, for a number',
    errorThresholdPercentage: 'use rate, from 0 to 1',
    duration: 'use window, in milliseconds',
    rollingCountTimeout: 'use window, in milliseconds',
    volumeThreshold: 'use minimum, the number of reports in a window',
    minimumRps: 'use minimum, the number of reports in a window',
    halfOpenAfter: 'use resetTimeout, in milliseconds',
  },
};

interface Options {
  rate?: number;
  window?: number;
  minimum?: number;
  resetTimeout?: number;
}

/**
 * Opens when at least `minimum` reports (default 10) came in the last `window` ms (default 10,000) and `rate` (0..1, default 0.5) or more
 * of them failed; probes again after `resetTimeout` ms (default 30,000). While RECOVERING, the first success closes the breaker and the
 * first failure opens it again. Throws TypeError or RangeError that names a wrong option. One strategy object serves one pool.
 */
export function failureRate(options: Options = {}): CircuitBreakerStrategy {
  return failureRateOn(now, options);
}

/** The same on a clock that the caller brings. */
export function failureRateOn(clock: Clock, options: Options): CircuitBreakerStrategy {
  checkFew(options, NAMES);
  const { rate = 0.5, window = 10_000 } = options;
  const minimum = whole('minimum', options.minimum, 10, 1);
  if (typeof rate !== 'number') throw new TypeError(`rate must be a number, not ${show(rate)}`);
  if (!(rate > 0 && rate <= 1)) throw new RangeError(`rate must be above 0 and at most 1, not ${show(rate)}`);
  checkDuration('window', window);
  if (window === 0) throw new RangeError('window must be more than 0 milliseconds');
  const pause = new ResetTimer(clock, options.resetTimeout);

  const parts = Array.from({ length: PARTS }, () => ({ period: -1, reports: 0, failures: 0 }));

  const report = (failures: 0 | 1): void => {
    const period = Math.floor((clock() * PARTS) / window);
    const part = parts[period % PARTS];
    if (part.period !== period) Object.assign(part, { period, reports: 0, failures: 0 });
    part.reports++;
    part.failures += failures;
  };
  const isTooMuch = (): boolean => {
    const oldest = Math.floor((clock() * PARTS) / window) - PARTS + 1;
    let reports = 0;
    let failures = 0;
    for (const part of parts) {
      if (part.period < oldest) continue;
      reports += part.reports;
      failures += part.failures;
    }
    return reports >= minimum && failures / reports >= rate;
  };
  const forget = (): void => {
    for (const part of parts) Object.assign(part, { reports: 0, failures: 0 });
  };

  return {
    reportSuccess(source: CircuitBreaker) {
      if (source.getState() === CircuitBreakerState.RECOVERING) {
        forget();
        source.activate();
      }
      report(0);
    },
    reportFailure(source: CircuitBreaker) {
      report(1);
      const state = source.getState();
      if (state === CircuitBreakerState.RECOVERING || (state === CircuitBreakerState.ACTIVE && isTooMuch())) {
        forget();
        pause.start();
        source.deactivate();
      }
    },
    shouldRecover: () => pause.takeIfElapsed(),
  };
}
