/** How long a breaker that has opened is left open. */

import type { Clock } from '../../shared/clock.ts';
import { checkDuration } from '../../shared/options/durations.ts';

export class ResetTimer {
  readonly #clock: Clock;
  readonly #length: number;
  /** Undefined: not by us. Then the time runs from the first time we are asked. */
  #since: number | undefined;

  constructor(clock: Clock, resetTimeout = 30_000) {
    checkDuration('resetTimeout', resetTimeout);
    this.#clock = clock;
    this.#length = resetTimeout;
  }

  start(): void {
    this.#since = this.#clock();
  }

  /** True once; then the next one begins. */
  takeIfElapsed(): boolean {
    this.#since ??= this.#clock();
    if (this.#clock() - this.#since < this.#length) return false;
    this.#since = undefined;
    return true;
  }
}
