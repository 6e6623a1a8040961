/** Factory calls under way. */
import { CreateTimeoutError } from '../../shared/errors.ts';
import { AbortController, clearTimeout, setTimeout } from '../../shared/node.ts';
import { show } from '../../shared/show.ts';
import type { Settings } from '../options.ts';
import type { PoolPermits } from '../types.ts';
import { isThenable } from './hooks.ts';

export interface CreationOutcome<T> {
  arrived(slot: number, resource: T): void;
  /** `error` is what the factory threw, which need not be an Error. */
  failed(slot: number, thrown: unknown): void;
}

export class PendingCreations<T> {
  readonly #settings: Settings<T>;
  readonly #permits: PoolPermits;
  /** A call that had been given up has settled, with this, or without a resource. */
  readonly #late: (resource: T | undefined) => void;
  readonly #underWay = new Map<number, (error: Error) => void>();
  /** Factory calls that have not settled, those given up included: a server has to bear them all the same. */
  #calls = 0;

  constructor(settings: Settings<T>, permits: PoolPermits, late: (resource: T | undefined) => void) {
    this.#settings = settings;
    this.#permits = permits;
    this.#late = late;
  }

  /** Are as many factory calls under way as `maxCreating` allows, or is there no permit for another? */
  get isFull(): boolean {
    const { maxCreating } = this.#settings;
    return (maxCreating > 0 && this.#calls >= maxCreating) || !this.#permits.hasRoom;
  }

  /** How many calls were given up and have not settled. */
  get givenUp(): number {
    return this.#calls - this.#underWay.size;
  }

  /** How many are being made. */
  get size(): number {
    return this.#underWay.size;
  }

  /** Calls the factory for a slot that is CREATING. The outcome comes exactly once, at once if the factory is synchronous. */
  start(slot: number, outcome: CreationOutcome<T>): void {
    // Only where the word was damaged meanwhile: what is under way will do.
    if (this.#underWay.has(slot)) return;
    const { factory, createTimeout, name } = this.#settings;
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    const end = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      this.#underWay.delete(slot);
      return true;
    };
    const fail = (thrown: unknown): void => {
      this.#calls--;
      const isInTime = end();
      this.#permits.leaving();
      this.#permits.gone();
      if (isInTime) outcome.failed(slot, thrown);
      else this.#late(undefined);
    };
    const arrive = (resource: T): void => {
      if (resource === null || resource === undefined)
        return fail(new TypeError(`the factory of pool ${show(name)} made ${resource}: it must return a resource`));
      this.#calls--;
      if (end()) outcome.arrived(slot, resource);
      else this.#late(resource);
    };
    const giveUp = (error: Error): void => {
      if (end()) outcome.failed(slot, error);
      controller.abort(error);
    };
    this.#calls++;
    this.#underWay.set(slot, giveUp);
    if (createTimeout > 0)
      timer = setTimeout(
        () => giveUp(new CreateTimeoutError(`pool ${show(name)}: the factory took longer than ${createTimeout} ms`, name)),
        createTimeout,
      ).unref();
    const permit = this.#permits.take();
    const context = permit === undefined ? { signal: controller.signal } : { signal: controller.signal, permit };
    let made: T | PromiseLike<T>;
    try {
      made = factory(context);
      if (isThenable(made)) return void Promise.resolve(made).then(arrive as (made: unknown) => void, fail);
    } catch (error) {
      return fail(error);
    }
    arrive(made);
  }

  /** Every factory call under way has failed now. A resource that still arrives is late. */
  abandonAll(error: Error): void {
    for (const giveUp of [...this.#underWay.values()]) giveUp(error);
  }
}
