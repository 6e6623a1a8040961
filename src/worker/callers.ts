/** The ways of calling by what this thread has borrowed: with a promise, or blocking it, for as long as it takes or until a deadline. */
import { CallTimeoutError, RemoteCallError } from '../shared/errors.ts';
import { show } from '../shared/show.ts';
import type { BlockingCalls } from './blocking-calls.ts';
import type { Calls } from './calls.ts';
import type { Caller } from './remote.ts';

/** The attachment, as far as it matters here. */
interface Lessee {
  /** Why nothing can be called by this lease; undefined: it can. */
  refusalOf(slot: number, serial: number, method: string): Error | undefined;
}

export class Callers {
  readonly asynchronous: Caller;
  readonly synchronous: Caller;
  readonly #name: string;
  readonly #pool: Lessee;
  readonly #calls: Calls;
  readonly #blockingCalls: BlockingCalls;
  readonly #assertOwnerAlive: () => void;

  /** `exposed`: what the pool's `expose` lists. */
  constructor(
    name: string,
    pool: Lessee,
    exposed: readonly string[] | undefined,
    calls: Calls,
    blockingCalls: BlockingCalls,
    assertOwnerAlive: () => void,
  ) {
    this.#name = name;
    this.#pool = pool;
    this.#calls = calls;
    this.#blockingCalls = blockingCalls;
    this.#assertOwnerAlive = assertOwnerAlive;
    const listed = new Set(exposed);
    const exposes = (method: string): boolean => listed.has(method);
    this.asynchronous = {
      pool,
      exposes,
      refuse: (method) => {
        const refused = Promise.reject(this.#notCallable(method));
        refused.catch(() => {});
        return refused;
      },
      label: `Remote of pool ${show(name)}`,
      call: (slot, serial, method, args) => this.#call(slot, serial, method, args),
    };
    this.synchronous = {
      pool,
      exposes,
      refuse: (method) => {
        throw this.#notCallable(method);
      },
      label: `SyncRemote of pool ${show(name)}`,
      call: (slot, serial, method, args) => this.#callSync(slot, serial, method, args),
    };
  }

  /** Calls that block until then. `overdue` hears of those that had no answer by then. */
  bounded(deadline: () => number, overdue: (error: Error) => void = () => {}): Caller {
    const call = (slot: number, serial: number, method: string, args: unknown[]): unknown => {
      try {
        return this.#callSync(slot, serial, method, args, deadline());
      } catch (error) {
        if (error instanceof CallTimeoutError) overdue(error);
        throw error;
      }
    };
    return { ...this.synchronous, call };
  }

  #call(slot: number, serial: number, method: string, args: unknown[]): Promise<unknown> {
    const refusal = this.#pool.refusalOf(slot, serial, method);
    return refusal === undefined ? this.#calls.call(slot, method, args) : Promise.reject(refusal);
  }

  #callSync(slot: number, serial: number, method: string, args: readonly unknown[], deadline?: number): unknown {
    const refusal = this.#pool.refusalOf(slot, serial, method);
    if (refusal !== undefined) throw refusal;
    return this.#blockingCalls.call(slot, method, args, this.#assertOwnerAlive, deadline);
  }

  #notCallable(method: string): RemoteCallError {
    return new RemoteCallError(`pool ${show(this.#name)}: ${method}() is not a method that workers may call`, this.#name);
  }
}
