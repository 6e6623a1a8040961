/** Opens after so many failures in a row. */
import { type Clock, now } from '../../shared/clock.ts';
import { checkFew, type OptionNames } from '../../shared/options/option-names.ts';
import { type CircuitBreaker, CircuitBreakerState } from '../../shared/types.ts';
import type { CircuitBreakerStrategy } from '../types.ts';
import { whole } from '../whole.ts';
import { ResetTimer } from './reset-timer.ts';

/** With the names of cockatiel and opossum for the same. */
const NAMES: OptionNames = {
  of: 'consecutiveFailures',
  options: ['threshold', 'resetTimeout'],
  others: {
    failureThreshold: 'use threshold',
    maxFailures: 'use threshold',
    halfOpenAfter: 'use resetTimeout, in milliseconds',
    rate: 'that is an option of failureRate',
    window: 'that is an option of failureRate',
    minimum: 'that is an option of failureRate',
  },
};

interface Options {
  threshold?: number;
  resetTimeout?: number;
}

/**
 * Opens after `threshold` failures in a row (default 5); probes again after `resetTimeout` ms (default 30,000).
 * While RECOVERING, the first success closes the breaker and the first failure opens it again.
 * Throws TypeError or RangeError that names a wrong option. One strategy object serves one pool.
 */
export function consecutiveFailures(options: Options = {}): CircuitBreakerStrategy {
  return consecutiveFailuresOn(now, options);
}

/** The same on a clock that the caller brings. */
export function consecutiveFailuresOn(clock: Clock, options: Options): CircuitBreakerStrategy {
  checkFew(options, NAMES);
  const threshold = whole('threshold', options.threshold, 5, 1);
  const pause = new ResetTimer(clock, options.resetTimeout);
  let inARow = 0;
  return {
    reportSuccess(source: CircuitBreaker) {
      inARow = 0;
      if (source.getState() === CircuitBreakerState.RECOVERING) source.activate();
    },
    reportFailure(source: CircuitBreaker) {
      inARow++;
      const state = source.getState();
      if (state === CircuitBreakerState.RECOVERING || (state === CircuitBreakerState.ACTIVE && inARow >= threshold)) {
        inARow = 0;
        pause.start();
        source.deactivate();
      }
    },
    shouldRecover: () => pause.takeIfElapsed(),
  };
}
