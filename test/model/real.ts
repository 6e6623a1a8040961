/** A real pool, driven as the model is: waiters by number, on the owner and, if there is one, on a worker. */
import { inspect, isDeepStrictEqual } from 'node:util';
import type { CircuitBreakerStrategy, Pool } from 'cenote';
import { createPool } from 'cenote';
import type { Thread } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';
import { CODES } from './commands.ts';
import type { Behaviour, Breaker, End, Making, Model, Settings } from './model.ts';

export type Side = 'owner' | 'worker';

interface Tool {
  readonly number: number;
  uses: number;
}

interface Attempt {
  readonly side: Side;
  readonly controller: AbortController;
  /** An error that is none of the ends. */
  end: End | Error | undefined;
  tool: Tool | undefined;
  ended: Promise<void>;
}

function assertNotBorrowed(release: () => void): void {
  try {
    release();
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_POOL_NOT_BORROWED') return;
    throw error;
  }
  throw new Error('given back twice, and nobody minds');
}

class Aborted extends Error {}
class FactoryFailed extends Error {}

export class Real {
  factory: Making = 'at once';
  beforeAcquire: Behaviour = 'well';
  beforeRelease: Behaviour = 'well';
  readonly #attempts: Attempt[] = [];
  readonly #tools: Tool[] = [];
  #creations: { readonly signal: AbortSignal; end(well: boolean): void }[] = [];
  #reported = { successes: 0, failures: 0 };
  #closed = 0;
  #unmade = 0;
  readonly #endings: Promise<void>[] = [];
  /** Of what nobody waits for: `agree` says them. */
  readonly #failures: unknown[] = [];
  readonly #worker: Thread<Tool> | undefined;
  pool!: Pool<Tool>;

  constructor(worker?: Thread<Tool>) {
    this.#worker = worker;
  }

  async open(settings: Settings): Promise<this> {
    const answer = (how: Behaviour): boolean => {
      if (how === 'throws') throw new Error('a hook, on purpose');
      return how === 'well';
    };
    this.pool = await createPool<Tool>({
      name: 'model',
      max: settings.max,
      maxWaiting: settings.maxWaiting,
      maxUses: settings.maxUses,
      recoveryProbes: settings.probes,
      share: (tool) => tool.number,
      factory: ({ signal }) => this.#make(signal),
      destructor: () => void this.#unmade++,
      ...(settings.beforeAcquire && { beforeAcquire: () => answer(this.beforeAcquire) }),
      ...(settings.beforeRelease && { beforeRelease: () => answer(this.beforeRelease) }),
    });
    // Hooks and factories fail on purpose.
    this.pool.on('error', () => {});
    this.pool.on('close', () => void this.#closed++);
    await this.#worker?.run(async ({ attachPool, keep }, handle) => void keep('pool', await attachPool(handle)), this.pool.handle);
    return this;
  }

  #tool(): Tool {
    const tool = { number: this.#tools.length, uses: 0 };
    this.#tools.push(tool);
    return tool;
  }

  #make(signal: AbortSignal): Tool | Promise<Tool> {
    if (this.factory === 'at once') return this.#tool();
    if (this.factory === 'fails') throw new FactoryFailed('the factory, on purpose');
    return new Promise((resolve, reject) => {
      const end = (well: boolean): void => (well ? resolve(this.#tool()) : reject(new FactoryFailed('the factory, later')));
      this.#creations.push({ signal, end });
    });
  }

  // ── borrowing

  /** The number of the waiter that comes next. */
  get next(): number {
    return this.#attempts.length;
  }

  acquire(side: Side, timeout = 0): number {
    const controller = new AbortController();
    const acquired =
      side === 'owner'
        ? this.pool.acquire({ timeout, signal: controller.signal })
        : this.#onWorker('acquire', this.#attempts.length, timeout, controller.signal);
    return this.#attempt(side, controller, acquired);
  }

  tryAcquire(side: Side): number {
    const acquired = side === 'owner' ? this.pool.tryAcquire() : this.#onWorker('tryAcquire', this.#attempts.length, 0);
    return this.#attempt(side, new AbortController(), acquired);
  }

  /** Workers share numbers. */
  async #onWorker(method: 'acquire' | 'tryAcquire', id: number, timeout: number, signal?: AbortSignal): Promise<Tool | null> {
    signal?.addEventListener('abort', () => {
      const aborted = this.#worker!.run(
        ({ kept }, id) => kept<AbortController>(`abort ${id}`).abort(new Error('aborted on the worker')),
        id,
      );
      aborted.catch((error) => this.#failures.push(error));
    });
    const number = await this.#worker!.run(
      async ({ keep, kept }, method, id, timeout) => {
        const pool = kept<{ acquire(options: object): Promise<number>; tryAcquire(): Promise<number | null> }>('pool');
        const { signal } = keep(`abort ${id}`, new AbortController());
        return method === 'acquire' ? pool.acquire({ timeout, signal }) : pool.tryAcquire();
      },
      method,
      id,
      timeout,
    );
    return number === null ? null : this.#tools[number];
  }

  #attempt(side: Side, controller: AbortController, acquired: Promise<Tool | null>): number {
    const attempt: Attempt = { side, controller, end: undefined, tool: undefined, ended: Promise.resolve() };
    attempt.ended = acquired.then(
      (tool) => {
        attempt.end = tool === null ? 'null' : 'got';
        if (tool === null) return;
        attempt.tool = tool;
        tool.uses++;
      },
      (error: Error & { code?: string }) => {
        if (error instanceof Aborted || error.message === 'aborted on the worker') attempt.end = 'aborted';
        else if (error.message.startsWith('the factory, ')) attempt.end = 'factory';
        else attempt.end = CODES[error.code ?? ''] ?? error;
      },
    );
    return this.#attempts.push(attempt) - 1;
  }

  async end(id: number): Promise<void> {
    await settled(this.#attempts[id].ended);
  }

  abort(id: number): void {
    this.#attempts[id].controller.abort(new Aborted());
  }

  uses(id: number): number {
    return this.#attempts[id].tool!.uses;
  }

  release(id: number): Promise<void> {
    return this.#giveBack(id, 'release');
  }

  destroy(id: number): Promise<void> {
    return this.#giveBack(id, 'destroy');
  }

  async #giveBack(id: number, how: 'release' | 'destroy'): Promise<void> {
    const { side, tool } = this.#attempts[id];
    if (side === 'owner') return this.pool[how](tool!);
    return this.#worker!.run(({ kept }, how, number) => kept<Record<string, (of: number) => void>>('pool')[how](number), how, tool!.number);
  }

  /** The second time it is not borrowed any more. Both at once: nobody else can be lent it in between. */
  async releaseTwice(id: number): Promise<void> {
    const { side, tool } = this.#attempts[id];
    if (side === 'owner') {
      this.pool.release(tool!);
      assertNotBorrowed(() => this.pool.release(tool!));
      return;
    }
    const code = await this.#worker!.run(({ kept }, number) => {
      const pool = kept<{ release(of: number): void }>('pool');
      pool.release(number);
      try {
        pool.release(number);
      } catch (error) {
        return (error as { code?: string }).code;
      }
      return 'nobody minds';
    }, tool!.number);
    if (code !== 'ERR_POOL_NOT_BORROWED') throw new Error(`given back twice: ${code}`);
  }

  // ── what the owner does

  finish(index: number, well: boolean): void {
    const under = this.#creations.filter(({ signal }) => !signal.aborted);
    const creation = under[index % under.length];
    this.#creations = this.#creations.filter((other) => other !== creation);
    creation.end(well);
  }

  move(to: Breaker): void {
    if (to === 'active') this.pool.activate();
    else if (to === 'inactive') this.pool.deactivate();
    else this.pool.recover();
  }

  setStrategy(on: boolean): void {
    const counting: CircuitBreakerStrategy = {
      reportSuccess: () => void this.#reported.successes++,
      reportFailure: () => void this.#reported.failures++,
    };
    this.pool.setCircuitBreakerStrategy(on ? counting : null);
  }

  close(): void {
    this.#endings.push(this.pool.close());
  }

  drain(): void {
    this.#endings.push(this.pool.drain());
  }

  // ── comparing

  /** What the statistics have under these names, and what has come of everybody. */
  #seen(names: readonly string[]): object {
    const stats = this.pool.stats() as unknown as Record<string, unknown>;
    const ends = this.#attempts.map(({ end }) => end);
    return { ...Object.fromEntries(names.map((name) => [name, stats[name]])), ends, reported: { ...this.#reported } };
  }

  /** Soon, and then for good, the pool is as the model says. */
  async agree(model: Model, after: string): Promise<void> {
    const { idle, making, out, line, count, acquired, released, created, destroyed, timedOut, rejected, factoryFailures, closed } = model;
    const active = making + out.size;
    const ends = this.#attempts.map((_, id) => model.ended.get(id));
    const stats = {
      idle,
      active,
      count,
      waiting: line.length,
      acquired,
      released,
      created,
      destroyed,
      timedOut,
      rejected,
      factoryFailures,
      closed,
      state: model.breaker,
    };
    const expected = { ...stats, ends, reported: { ...model.reported } };
    const seen = (): object => this.#seen(Object.keys(stats));
    const isSo = (): boolean => isDeepStrictEqual(seen(), expected);
    await until(isSo).catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, `after ${after} something nobody waited for has failed`);
    if (!isSo()) throw new Error(`after ${after} the pool is\n${inspect(seen())}\nand should be\n${inspect(expected)}`);
    this.#assertDistinct(model);
  }

  /** Nobody has what somebody else has. */
  #assertDistinct(model: Model): void {
    const tools = [...model.out.keys()].map((id) => this.#attempts[id].tool!);
    if (new Set(tools).size !== tools.length) throw new Error(`lent twice: ${inspect(tools)}`);
  }

  /** Everything is given back, and the pool closed: then everything has ended. */
  async finishAll(model: Model): Promise<void> {
    for (const id of [...model.out.keys()]) {
      const uses = this.uses(id);
      await this.release(id);
      model.release(id, uses);
      await this.agree(model, 'giving everything back');
    }
    this.close();
    model.close();
    await this.agree(model, 'closing');
    for (const id of [...model.out.keys()]) {
      await this.release(id);
      model.release(id, 0);
    }
    for (const { end } of this.#creations) end(true);
    await settled(Promise.all([...this.#endings, ...this.#attempts.map(({ ended }) => ended)]));
    await this.agree(model, 'the end');
    await until(() => this.#closed === 1 && this.#unmade === this.#tools.length);
  }
}
