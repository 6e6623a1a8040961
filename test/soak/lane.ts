/** One task of a thread: borrows at random, checks that what it has is its own, and gives it back in every way there is. */
import type { Pool } from 'cenote';
import type { AttachedPool, Remote, SyncRemote } from 'cenote/worker';
import { ABORTS, BREAKER_MOVES, CALLS, DETACHED, HELD, holderOf, OPERATIONS, REVOKED, TIMEOUTS } from './ledger.ts';
import { Random } from './random.ts';
import type { Holding, Seat } from './seat.ts';
import type { Tool } from './tool.ts';

export const OPERATION_NAMES = [
  'acquire',
  'acquireSync',
  'tryAcquire',
  'tryAcquireSync',
  'use',
  'useSync',
  'lease',
  'one-shot call',
  'abort',
  'two at once',
  'breaker',
  'detach',
  'stats',
] as const;
type Operation = (typeof OPERATION_NAMES)[number];

const ASYNC: readonly Operation[] = [
  'acquire',
  'acquire',
  'acquire',
  'tryAcquire',
  'use',
  'lease',
  'one-shot call',
  'abort',
  'two at once',
  'stats',
];
const SYNC: readonly Operation[] = ['acquireSync', 'acquireSync', 'tryAcquireSync', 'useSync'];

/** What acquire gives: a proxy, a synchronous proxy, the tool itself on the owner, or a shared number. */
type RemoteHandle = Remote<Tool> | SyncRemote<Tool> | Tool | number;
interface HandOut {
  readonly resource: RemoteHandle;
  /** The attachment of this thread under which it was asked for. */
  readonly attachment: number;
  /** A call of it blocks the thread: none that hangs, then. */
  readonly blocks?: boolean;
}
type AnyPool = Pool<RemoteHandle> & AttachedPool<RemoteHandle>;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const stampNow = (): number => Number(process.hrtime.bigint() / 1_000_000n) | 0;

export class Lane {
  readonly #seat: Seat;
  readonly #index: number;
  readonly #random: Random;
  readonly #operations: readonly Operation[];
  readonly #attach: (() => Promise<AttachedPool<Tool>>) | undefined;

  /** Without `attach` it is on the owner: nothing synchronous, no detaching. */
  constructor(seat: Seat, index: number, attach?: () => Promise<AttachedPool<Tool>>) {
    this.#seat = seat;
    this.#index = index;
    this.#attach = attach;
    const { seed, breaker, detaches } = seat.configuration;
    this.#random = new Random(seed ^ Math.imul(seat.life * 8 + index + 1, 0x9e3779b1));
    this.#operations = [
      ...ASYNC,
      ...(attach === undefined ? [] : SYNC),
      ...(breaker ? (['breaker'] as const) : []),
      ...(detaches && attach !== undefined ? (['detach'] as const) : []),
    ];
  }

  get #pool(): AnyPool {
    return this.#seat.pool as unknown as AnyPool;
  }

  /** Until the round is over; gives how it ended. */
  async run(): Promise<'stopped' | 'told'> {
    const { ledger, life } = this.#seat;
    while (!this.#seat.isOver) {
      this.#seat.dieIfTold();
      const operation = this.#random.pick(this.#operations);
      ledger.begin(life, this.#index, OPERATION_NAMES.indexOf(operation), stampNow());
      const before = this.#seat.attachment;
      try {
        await this.#seat.attached;
        await this.#do(operation);
        ledger.count(OPERATIONS);
      } catch (error) {
        if (!this.#isAllowed(error, before)) this.#seat.fail(`${operation} failed`, error);
        // Refused at once, maybe: let others get on.
        await turn();
      }
      ledger.end(life, this.#index);
      if (this.#random.chance(0.2)) await turn();
    }
    return this.#seat.isOwnerDoomed ? this.#untilTold() : 'stopped';
  }

  /** The owner is dying: sooner or later every acquire says so. */
  async #untilTold(): Promise<'told'> {
    for (;;) {
      try {
        const resource = await this.#pool.acquire({ timeout: 5 });
        this.#pool.release(resource);
      } catch (error) {
        if (codeOf(error) === 'ERR_POOL_CLOSED') return 'told';
      }
      await turn();
    }
  }

  #isAllowed(error: unknown, attachment: number): boolean {
    const { configuration, ledger } = this.#seat;
    const left = this.#seat.attachment !== attachment || this.#seat.isOwnerDoomed;
    switch (codeOf(error)) {
      case 'ERR_POOL_ACQUIRE_TIMEOUT':
        ledger.count(TIMEOUTS);
        return true;
      case 'ERR_POOL_UNAVAILABLE':
        return configuration.breaker || configuration.strategy !== 'none';
      case 'ERR_POOL_QUEUE_FULL':
        return configuration.maxWaiting < 1024;
      case 'ERR_POOL_SUSPENDED':
      case 'ERR_POOL_LEASE_REVOKED':
        return configuration.steers;
      case 'ERR_POOL_CREATE_TIMEOUT':
        return configuration.faults > 0;
      case 'ERR_POOL_CLOSED':
      case 'ERR_POOL_REMOTE_CALL':
        return left;
      default:
        return error instanceof Error && error.message.startsWith('chaos: ');
    }
  }

  async #do(operation: Operation): Promise<void> {
    const pool = this.#pool;
    const random = this.#random;
    switch (operation) {
      case 'acquire':
        return this.#hold(await this.#acquire(random.chance(0.5) ? { timeout: random.from(1, 100) } : undefined));
      case 'abort':
        return this.#aborted();
      case 'tryAcquire': {
        const { attachment } = this.#seat;
        const resource = await pool.tryAcquire();
        if (resource !== null) await this.#hold({ resource, attachment });
        return;
      }
      case 'acquireSync':
        return this.#hold({
          resource: pool.acquireSync(this.#patience()) as RemoteHandle,
          attachment: this.#seat.attachment,
          blocks: true,
        });
      case 'tryAcquireSync': {
        const resource = pool.tryAcquireSync();
        if (resource !== null) await this.#hold({ resource: resource as RemoteHandle, attachment: this.#seat.attachment, blocks: true });
        return;
      }
      case 'use': {
        const { attachment } = this.#seat;
        await pool.use(
          async (resource) => {
            if (attachment !== this.#seat.attachment) this.#seat.fail('use went on after a detach');
            await this.#body(resource, attachment);
          },
          { timeout: random.from(1, 200) },
        );
        return;
      }
      case 'useSync':
        pool.useSync((resource) => {
          const id = idOf(resource) as number;
          const holding = this.#swapIn(id);
          this.#seat.dieIfTold();
          if (typeof resource !== 'number' && random.chance(0.5)) this.#call(() => (resource as unknown as SyncRemote<Tool>).fail());
          this.#swapOut(holding);
          if (random.chance(0.1)) throw new Error('chaos: a body');
        }, this.#patience());
        return;
      case 'lease': {
        const { attachment } = this.#seat;
        const lease = await pool.lease({ timeout: random.from(1, 200) });
        // A detach between the hand-out and here takes it away again.
        if (attachment !== this.#seat.attachment) return;
        await this.#body(lease.resource, attachment);
        if (attachment !== this.#seat.attachment) return;
        if (random.chance(0.2)) lease.destroy(new Error('chaos: destroyed'));
        lease[Symbol.dispose]();
        return;
      }
      case 'one-shot call':
        await (pool as unknown as Pool<Tool>).call('solo', [random.from(-3, 4), random.chance(0.1)], { timeout: random.from(1, 200) });
        return;
      case 'two at once':
        return this.#two();
      case 'breaker':
        return this.#moveBreaker();
      case 'detach':
        if (!random.chance(0.1)) return;
        this.#seat.ledger.count(DETACHED);
        await this.#seat.attached;
        return this.#seat.leave(this.#attach!);
      case 'stats': {
        const { count, idle, active, max, waiting } = pool.stats();
        if (idle + active !== count || count > max || idle < 0 || waiting < 0)
          this.#seat.fail(`stats do not add up: idle ${idle}, active ${active}, count ${count}, max ${max}, waiting ${waiting}`);
        return;
      }
    }
  }

  /** Synchronous waits always end: the other lanes of this thread cannot give anything back meanwhile. */
  #patience(): { timeout: number } {
    return { timeout: this.#random.from(1, 40) };
  }

  async #acquire(options?: { timeout?: number; signal?: AbortSignal }): Promise<HandOut> {
    const { attachment } = this.#seat;
    return { resource: await this.#pool.acquire(options), attachment };
  }

  async #aborted(): Promise<void> {
    const controller = new AbortController();
    const acquiring = this.#acquire({ signal: controller.signal });
    const wait = this.#random.from(0, 3);
    const abort = (): void => controller.abort(new Error('chaos: aborted'));
    if (wait === 0) abort();
    else setTimeout(abort, wait);
    this.#seat.ledger.count(ABORTS);
    await this.#hold(await acquiring);
  }

  /** The second with a limit, or two threads might wait for each other. */
  async #two(): Promise<void> {
    const first = await this.#acquire({ timeout: 100 });
    const second = this.#acquire({ timeout: this.#random.from(1, 20) });
    const outcome = second.then(
      (handed) => this.#hold(handed),
      (error: unknown) => {
        if (!this.#isAllowed(error, first.attachment)) throw error;
      },
    );
    // Both settle, whatever the other does.
    const results = await Promise.allSettled([this.#hold(first), outcome]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #moveBreaker(): Promise<void> {
    const random = this.#random;
    if (!random.chance(0.05)) return;
    this.#seat.ledger.count(BREAKER_MOVES);
    this.#pool.deactivate();
    if (random.chance(0.5)) await pause(random.from(0, 3));
    this.#pool.recover();
    if (random.chance(0.5)) await pause(random.from(0, 10));
    this.#pool.activate();
  }

  // ── having something

  #swapIn(id: number): Holding {
    const holding = { id, holder: holderOf(this.#seat.life, this.#index), lost: false };
    holding.lost = !this.#seat.ledger.swapIn(id, holding.holder);
    if (holding.lost) return holding;
    this.#seat.held.add(holding);
    this.#seat.ledger.count(HELD);
    return holding;
  }

  #swapOut(holding: Holding): void {
    if (holding.lost) return;
    this.#seat.ledger.swapOut(holding.id, holding.holder);
    this.#seat.held.delete(holding);
  }

  /** Uses it, and swaps out; the caller gives it back. False: it was lost to a detach. */
  async #body(resource: RemoteHandle, attachment: number): Promise<boolean> {
    const random = this.#random;
    // A detach between the hand-out and here takes it away again.
    if (attachment !== this.#seat.attachment) return false;
    this.#seat.dieIfTold();
    let id: number;
    try {
      id = await idOf(resource);
    } catch (error) {
      if (attachment !== this.#seat.attachment) return false;
      throw error;
    }
    if (attachment !== this.#seat.attachment) return false;
    const holding = this.#swapIn(id);
    for (let step = random.below(4); step > 0 && !holding.lost; step--) {
      this.#seat.dieIfTold();
      await this.#step(resource, holding);
      if (!holding.lost) this.#seat.ledger.assertHeld(id, holding.holder);
    }
    if (holding.lost) return false;
    // Not waited for: the resource must stay ours, as the pool sees it, until it has settled.
    // On the owner it is a method like any other, and the pool knows nothing of it.
    if (typeof resource !== 'number' && this.#attach !== undefined && random.chance(0.2))
      void Promise.resolve((resource as Remote<Tool>).slow(random.from(0, 5), holding.holder)).catch(() => {});
    this.#swapOut(holding);
    return true;
  }

  async #step(resource: RemoteHandle, holding: Holding): Promise<void> {
    const random = this.#random;
    switch (random.below(typeof resource === 'number' ? 3 : 6)) {
      case 0:
        return turn();
      case 1:
        return pause(random.from(0, 4));
      case 2:
        for (const end = performance.now() + random.unit() * 0.2; performance.now() < end; );
        return;
      case 3:
        await this.#call(() => (resource as Remote<Tool>).slow(random.from(0, 3), holding.holder));
        return;
      case 4:
        await this.#call(() => (resource as Remote<Tool>).fail());
        return;
      case 5: {
        const seen = await this.#call(() => (resource as Remote<Tool>).holder());
        if (seen !== undefined && !holding.lost && seen !== holding.holder && seen !== REVOKED)
          this.#seat.fail(`a call on resource ${holding.id} reached one that is held by ${seen}, not ${holding.holder}`);
      }
    }
  }

  /** A method of the resource; what it fails with is its own affair unless it is not the method's. */
  #call<V>(method: () => V | Promise<V>): V | undefined | Promise<V | undefined> {
    const { attachment, ledger } = this.#seat;
    ledger.count(CALLS);
    const failed = (error: unknown): undefined => {
      if (!this.#isAllowed(error, attachment)) throw error;
    };
    try {
      const result = method();
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (error) {
      return failed(error);
    }
  }

  async #hold({ resource, attachment, blocks = false }: HandOut): Promise<void> {
    const random = this.#random;
    const pool = this.#pool;
    let mine: boolean;
    try {
      mine = await this.#body(resource, attachment);
    } catch (error) {
      // A lease that is not given back would look like a leak.
      if (attachment === this.#seat.attachment) pool.release(resource as never);
      throw error;
    }
    if (!mine) return;
    this.#seat.dieIfTold();
    const way = random.unit();
    if (way < 0.15) {
      // The pool gives it a second, then destroys it under the call.
      if (typeof resource !== 'number' && this.#attach !== undefined && !blocks && random.chance(0.05))
        (resource as Remote<Tool>).hang().catch(() => {});
      pool.destroy(resource as never, new Error('chaos: destroyed'));
    } else pool.release(resource as never);
    if (way > 0.95 && typeof resource !== 'number' && this.#attach !== undefined) this.#assertGone(resource);
  }

  /** Giving back twice is refused. Not for shared numbers: another lane of this thread may have the same one by now. */
  #assertGone(resource: RemoteHandle): void {
    try {
      this.#pool.release(resource as never);
    } catch (error) {
      if (codeOf(error) === 'ERR_POOL_NOT_BORROWED') return;
      throw error;
    }
    if (!this.#seat.isOwnerDoomed) this.#seat.fail('a resource could be given back twice');
  }
}

const idOf = (resource: unknown): number | Promise<number> => (typeof resource === 'number' ? resource : (resource as Tool).id());

export function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as { code?: unknown }).code : undefined;
}
