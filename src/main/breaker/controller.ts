/** The owner's side of the circuit breaker: asks the strategy, or judges by the probes where there is none, and announces changes. */
import { clearInterval, setInterval } from '../../shared/node.ts';
import { asError, show } from '../../shared/show.ts';
import { type CircuitBreaker, CircuitBreakerState } from '../../shared/types.ts';
import type { PoolState } from '../../shared/words/state.ts';
import { breakerOf, INACTIVE, RECOVERING } from '../../shared/words/state.ts';
import type { Events } from '../events.ts';
import { isThenable } from '../resources/hooks.ts';
import type { CircuitBreakerStrategy } from '../types.ts';

/** Milliseconds between two questions to a strategy whether an open breaker may try again. */
const ASK_EVERY = 1000;

/** Calls `body` every `ms` milliseconds, until what it returns is called. Keeps no process alive. */
export type Repeat = (ms: number, body: () => void) => () => void;

const onTimer: Repeat = (ms, body) => {
  const timer = setInterval(body, ms).unref();
  return () => clearInterval(timer);
};

export class BreakerController {
  readonly #breaker: CircuitBreaker;
  readonly #state: PoolState;
  readonly #limit: number;
  readonly #events: Pick<Events<unknown>, 'emit'>;
  #strategy: CircuitBreakerStrategy | undefined;
  #told: CircuitBreakerState = CircuitBreakerState.ACTIVE;
  #successes = 0;
  #isOver = false;
  readonly #repeat: Repeat;
  /** While the strategy is being asked: what ends that. */
  #stop: (() => void) | undefined;

  /** `limit`: how many probes must succeed in a row where there is no strategy (recoveryProbes). */
  constructor(breaker: CircuitBreaker, state: PoolState, limit: number, events: Pick<Events<unknown>, 'emit'>, repeat: Repeat = onTimer) {
    this.#breaker = breaker;
    this.#state = state;
    this.#limit = limit;
    this.#events = events;
    this.#repeat = repeat;
  }

  get strategy(): CircuitBreakerStrategy | undefined {
    return this.#strategy;
  }

  set strategy(strategy: CircuitBreakerStrategy | undefined) {
    this.#strategy = strategy;
    this.#watch();
  }

  /** Announces a change of the breaker, if there has been one, on whichever thread it was made. */
  announce(): void {
    const state = this.#breaker.getState();
    if (state === this.#told) return;
    const previous = this.#told;
    this.#told = state;
    this.#successes = 0;
    this.#watch();
    this.#events.emit('state', state, previous);
  }

  // ── reports

  success(wasProbe: boolean): void {
    if (this.#strategy !== undefined) return this.#tell((strategy) => strategy.reportSuccess(this.#breaker));
    if (wasProbe && this.#isRecovering() && ++this.#successes >= this.#limit) this.#breaker.activate();
  }

  failure(error: Error, wasProbe: boolean): void {
    if (this.#strategy !== undefined) return this.#tell((strategy) => strategy.reportFailure(this.#breaker, error));
    if (!wasProbe || !this.#isRecovering()) return;
    // Now, and not when this is announced: by then the pool may be RECOVERING anew.
    this.#successes = 0;
    this.#breaker.deactivate();
  }

  /** Read each time: of two probes that come back in one turn, the first may have ended RECOVERING. */
  #isRecovering(): boolean {
    return breakerOf(this.#state.load()) === RECOVERING;
  }

  /** A failure to make something ends RECOVERING as that of a probe does. */
  factoryFailed(error: Error): void {
    this.failure(error, true);
  }

  /** A strategy that is asynchronous against its contract may fail later, but no less quietly. */
  #tell(report: (strategy: CircuitBreakerStrategy) => unknown): void {
    const failed = (error: unknown): void => this.#events.emit('error', asError(error));
    try {
      const done = report(this.#strategy!);
      if (isThenable(done)) Promise.resolve(done).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  // ── while INACTIVE

  #watch(): void {
    const wanted = !this.#isOver && this.#strategy?.shouldRecover !== undefined && breakerOf(this.#state.load()) === INACTIVE;
    if (wanted) this.#stop ??= this.#repeat(ASK_EVERY, () => this.#ask());
    else this.#stopAsking();
  }

  #ask(): void {
    this.#tell((strategy) => {
      if (breakerOf(this.#state.load()) !== INACTIVE) return;
      const answer: unknown = strategy.shouldRecover?.();
      if (answer === true) this.#breaker.recover();
      else if (answer !== false && answer !== undefined) refuse(answer);
    });
  }

  /** The pool has ended: the strategy is not asked any more. */
  end(): void {
    this.#isOver = true;
    this.#stopAsking();
  }

  #stopAsking(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

/**
 * An answer of `shouldRecover` that is none. A promise of one is not waited for: what it says may be out of date by the time it says so.
 */
function refuse(answer: unknown): never {
  const isPromise = isThenable(answer);
  // Its rejection has been reported by the error below.
  if (isPromise) Promise.resolve(answer).catch(() => {});
  throw new TypeError(
    `shouldRecover of a circuit breaker's strategy must return true or false, not ${isPromise ? 'a promise' : show(answer)}: ` +
      'it counts as false. Find out ahead, and return what is known: it is asked again in a second',
  );
}
