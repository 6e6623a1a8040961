/** How long a breaker that has opened is left open. */
import { checkDuration } from '../../shared/acquire-options.ts';
import { now } from '../../shared/clock.ts';

export class Pause {
  readonly #length: number;
  /** Undefined: not by us. Then the time runs from the first time we are asked. */
  #since: number | undefined;

  constructor(resetTimeout = 30_000) {
    checkDuration('resetTimeout', resetTimeout);
    this.#length = resetTimeout;
  }

  begin(): void {
    this.#since = now();
  }

  /** True once; then the next one begins. */
  isOver(): boolean {
    this.#since ??= now();
    if (now() - this.#since < this.#length) return false;
    this.#since = undefined;
    return true;
  }
}
