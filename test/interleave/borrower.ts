// The shipped PoolBase on a thread of a scenario: what acquireSync, tryAcquireSync and acquire of a worker do with it.
import { adopt, instant, joined, type Lending, numberOf, type PoolContext, served, use } from './actor.ts';

/** Sent away: no slot. */
export const REFUSED = -100;

export interface TestBorrower {
  /** acquireSync: a slot, or REFUSED. */
  acquireSync(): number;
  /** tryAcquireSync: a slot, or NONE. */
  tryAcquireSync(): number;
  /** acquire: a slot. */
  acquireAsync(): Promise<number>;
  /** tryAcquire: a slot, or NONE. */
  tryAcquireAsync(): Promise<number>;
  holds(slot: number): boolean;
  /** How many asynchronous waiters stand in line. */
  readonly waits: number;
  spend(slot: number): void;
  release(slot: number): void;
  activate(): void;
  deactivate(): void;
  recover(): void;
  /** Asynchronous waiters need a handle that keeps the thread alive: gives it up. */
  end(): void;
}

/** No owner dies here, and nothing is put off. */
const thread = { beforeSleep() {}, assertOwnerAlive() {} };

/** Notes when each waiter joins, and when it takes what it was granted: no other thread runs between these and what they note. */
function watch(context: PoolContext, lending: Lending): void {
  const join = lending.join.bind(lending);
  lending.join = (mark) => {
    const began = instant(context);
    const cell = join(mark);
    joined(context, cell, began);
    return cell;
  };
  const collect = lending.collect.bind(lending);
  lending.collect = (cell) => {
    const outcome = collect(cell);
    if (outcome.kind === 'served') served(context, cell);
    return outcome;
  };
}

/** `refusal`: the code of one more error that is a refusal. */
export function borrowerOf(context: PoolContext, refusal = ''): TestBorrower {
  const { code, shared } = context;
  const { NONE } = code.cells;

  class Probe extends code.PoolBase<number> implements TestBorrower {
    constructor() {
      super('pool', code.ControlBlock.attach(shared.buffer), numberOf(context));
      adopt(context, this.lending);
      watch(context, this.lending);
    }

    override call(): Promise<never> {
      throw new Error('no owner here runs one-shot calls');
    }

    acquireSync(): number {
      try {
        return this.acquiring.acquireSync(undefined, thread);
      } catch (error) {
        const { code: why } = error as { code?: string };
        if (why === 'ERR_POOL_UNAVAILABLE' || why === 'ERR_POOL_CLOSED' || why === refusal) return REFUSED;
        throw error;
      }
    }

    tryAcquireSync(): number {
      const slot = this.lending.tryBorrow();
      return slot === NONE ? this.acquiring.tryAcquireSync(thread) : slot;
    }

    async acquireAsync(): Promise<number> {
      return await this.acquire();
    }

    async tryAcquireAsync(): Promise<number> {
      return (await this.tryAcquire()) ?? NONE;
    }

    holds(slot: number): boolean {
      return this.lending.holds(slot);
    }

    get waits(): number {
      return this.waiters.size;
    }

    spend(slot: number): void {
      if (slot < 0) return;
      use(context, slot);
      this.release(slot);
    }

    override release(slot: number): void {
      this.lending.giveBack(slot);
    }

    end(): void {
      this.keepAlive.end();
    }

    protected handOut(slot: number): number {
      return slot;
    }
    protected slotOf(slot: number): number {
      return slot;
    }
    protected giveBack(slot: number): void {
      this.lending.giveBack(slot);
    }
    protected giveUp(): void {}
    protected get maxHold() {
      return { warnAfter: 0, cancelAfter: 0, revokeAfter: 0 };
    }
    protected assertRevocable(): void {}
    protected limitHold(): void {}
    protected renew(): void {}
    protected returnRevoked(): boolean {
      return false;
    }
    suspendedBy(): readonly string[] {
      return [];
    }
    override factoryError(): unknown {
      return undefined;
    }
  }
  return new Probe();
}
