// The shipped PoolBase on a thread of a scenario: what acquireSync, tryAcquireSync and acquire of a worker do with it.
import { adopt, instant, joined, numberOf, type PoolContext, served, use } from './actor.ts';

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
  spend(slot: number): void;
  release(slot: number): void;
  activate(): void;
  deactivate(): void;
  recover(): void;
  /** Asynchronous waiters need a handle that keeps the thread alive: gives it up. */
  end(): void;
}

export function borrowerOf(context: PoolContext): TestBorrower {
  const { code, shared } = context;
  const { NONE, REASON_NOTHING, MARK_SYNC } = code.cells;

  class Probe extends code.PoolBase<number> implements TestBorrower {
    constructor() {
      super('pool', code.ControlBlock.attach(shared.buffer), numberOf(context));
      adopt(context, this.lending);
    }

    override call(): Promise<never> {
      throw new Error('no owner here runs errands');
    }

    acquireSync(): number {
      try {
        this.assertOpen();
        const slot = this.lending.tryBorrow();
        if (slot !== NONE) return slot;
        const began = instant(context);
        const cell = this.enqueue(MARK_SYNC);
        joined(context, cell, began);
        return this.#sleep(cell);
      } catch (error) {
        const { code: why } = error as { code?: string };
        if (why === 'ERR_POOL_UNAVAILABLE' || why === 'ERR_POOL_CLOSED') return REFUSED;
        throw error;
      }
    }

    tryAcquireSync(): number {
      const slot = this.lending.tryBorrow();
      if (slot !== NONE) return slot;
      const began = instant(context);
      const cell = this.tryEnqueue();
      joined(context, cell, began);
      return cell === NONE ? NONE : this.#sleep(cell);
    }

    #sleep(cell: number): number {
      let exchanged = false;
      const outcome = code.sleepInLine(this.lending, cell, 0, {
        assertOwnerAlive() {},
        instead: (at) => {
          const slot = this.waiters.size > 0 ? this.waiters.exchange(at) : NONE;
          exchanged = slot !== NONE;
          return slot;
        },
      });
      if (outcome < 0) return code.reasonOf(outcome) === REASON_NOTHING ? NONE : this.#expected(outcome);
      // What it got instead was another's turn.
      if (!exchanged) served(context, cell);
      return outcome;
    }

    #expected(outcome: number): number {
      const { REASON_CLOSED, REASON_UNAVAILABLE } = code.cells;
      const reason = code.reasonOf(outcome);
      context.assert(reason === REASON_CLOSED || reason === REASON_UNAVAILABLE, `an outcome of ${outcome}`);
      return REFUSED;
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
    protected override factoryError(): unknown {
      return undefined;
    }
  }
  return new Probe();
}
