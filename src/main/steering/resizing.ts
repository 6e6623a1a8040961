/** New limits for a pool that runs, and the callers that wait until they hold. The turn destroys what is too many. */
import { ResizeTimeoutError } from '../../shared/errors.ts';
import { checkDuration, limitOf } from '../../shared/options/durations.ts';
import { checkFew } from '../../shared/options/option-names.ts';
import { show } from '../../shared/show.ts';
import type { KeepAlive } from '../../shared/waiting/keep-alive.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import type { Events } from '../events.ts';
import type { Replenisher } from '../resources/replenisher.ts';
import type { Resources } from '../resources/resources.ts';
import type { Turn } from '../turn/turn.ts';
import { whole } from '../whole.ts';
import { notOpen, Pending } from './pending.ts';

export class Resizing<T> {
  readonly #pool: string;
  readonly #block: ControlBlock;
  readonly #turn: Turn;
  readonly #events: Events<T>;
  readonly #keepAlive: KeepAlive;
  readonly #resources: Resources<T>;
  readonly #replenisher: Replenisher<T>;
  readonly #waiting = new Set<{ readonly arrival: Pending<void>; readonly failures: number }>();

  constructor(
    pool: string,
    block: ControlBlock,
    turn: Turn,
    events: Events<T>,
    keepAlive: KeepAlive,
    resources: Resources<T>,
    replenisher: Replenisher<T>,
  ) {
    this.#pool = pool;
    this.#block = block;
    this.#turn = turn;
    this.#events = events;
    this.#keepAlive = keepAlive;
    this.#resources = resources;
    this.#replenisher = replenisher;
  }

  /** Rejects with what `resize` of a pool rejects with. */
  async resize(
    wanted: { min?: number | undefined; max?: number | undefined },
    options: { timeout?: number | undefined } = {},
  ): Promise<void> {
    checkFew(wanted, { of: 'resize', options: ['min', 'max'], others: { timeout: 'it is an option of the second argument' } });
    checkFew(options, { of: 'resize', options: ['timeout'], others: { timeoutMillis: 'use timeout, in milliseconds' } });
    const { timeout = 0 } = options;
    checkDuration('timeout', timeout);
    const { limits, constants } = this.#block;
    const previous = { min: limits.min, max: limits.max };
    const { ceiling } = constants;
    const max = whole('max', wanted.max, previous.max, 1);
    const min = whole('min', wanted.min, previous.min, 0);
    if (max > ceiling)
      throw new RangeError(`max must not be more than ceiling, which is ${ceiling}, but is ${max}: give createPool a higher ceiling`);
    if (min > max) throw new RangeError(`min must not be more than max, which is ${max}, but is ${min}`);
    if (this.#turn.life.state !== 'open') throw notOpen(this.#pool, this.#turn);
    limits.set(min, max);
    if (min !== previous.min || max !== previous.max) this.#events.emit('resize', { min, max }, previous);
    const arrival = new Pending<void>().within(limitOf(timeout), () => this.#late(timeout));
    const waiting = { arrival, failures: this.#replenisher.failures };
    this.#waiting.add(waiting);
    this.#turn.request();
    return this.#keepAlive.during(arrival.promise.finally(() => this.#waiting.delete(waiting)));
  }

  #late(timeout: number): ResizeTimeoutError {
    const { min, max } = this.#block.limits;
    const { count } = this.#block.snapshot.count();
    const why = `after ${timeout} ms there are ${count} resources, and there are to be from ${min} to ${max}. The new limits hold`;
    return new ResizeTimeoutError(`pool ${show(this.#pool)}: ${why}`, this.#pool);
  }

  /** In a turn: is it so? By the present limits, whatever they were when they were asked for. */
  looked(): void {
    if (this.#waiting.size === 0) return;
    const { limits, snapshot } = this.#block;
    if (snapshot.count().count > limits.max) return;
    const isFull = this.#resources.count >= limits.min || !this.#replenisher.isRefilling;
    for (const { arrival, failures } of [...this.#waiting]) if (isFull || this.#replenisher.failures > failures) arrival.done();
  }

  endAll(): void {
    for (const { arrival } of [...this.#waiting]) arrival.fail(notOpen(this.#pool, this.#turn));
  }
}
