/** The owner's side of the circuit breaker: asks the strategy, or judges by the probes where there is none, and announces changes. */
import { clearInterval, setInterval } from '../../shared/node.ts';
import { asError } from '../../shared/show.ts';
import { type CircuitBreaker, CircuitBreakerState } from '../../shared/types.ts';
import type { PoolState } from '../../shared/words/state.ts';
import { breakerOf, INACTIVE, RECOVERING } from '../../shared/words/state.ts';
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

export interface GuardEvents {
  changed(next: CircuitBreakerState, previous: CircuitBreakerState): void;
  failed(error: Error): void;
}

export class BreakerController {
  readonly #breaker: CircuitBreaker;
  readonly #state: PoolState;
  readonly #limit: number;
  readonly #events: GuardEvents;
  #strategy: CircuitBreakerStrategy | undefined;
  #told: CircuitBreakerState = CircuitBreakerState.ACTIVE;
  #successes = 0;
  #isOver = false;
  readonly #repeat: Repeat;
  /** While the strategy is being asked: what ends that. */
  #stop: (() => void) | undefined;

  constructor(breaker: CircuitBreaker, state: PoolState, limit: number, events: GuardEvents, repeat: Repeat = onTimer) {
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
    this.#events.changed(state, previous);
  }

  // ── reports

  success(wasProbe: boolean): void {
    if (this.#strategy !== undefined) return this.#tell((strategy) => strategy.reportSuccess(this.#breaker));
    if (wasProbe && ++this.#successes >= this.#limit) this.#breaker.activate();
  }

  failure(error: Error, wasProbe: boolean): void {
    if (this.#strategy !== undefined) return this.#tell((strategy) => strategy.reportFailure(this.#breaker, error));
    if (wasProbe && breakerOf(this.#state.load()) === RECOVERING) this.#breaker.deactivate();
  }

  /** A failure to make something ends RECOVERING as that of a probe does. */
  factoryFailed(error: Error): void {
    this.failure(error, true);
  }

  /** A strategy that is asynchronous against its contract may fail later, but no less quietly. */
  #tell(report: (strategy: CircuitBreakerStrategy) => unknown): void {
    const failed = (error: unknown): void => this.#events.failed(asError(error));
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
      if (breakerOf(this.#state.load()) === INACTIVE && strategy.shouldRecover?.() === true) this.#breaker.recover();
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
