/** What `pool.lending` says where this thread's own driver speaks. */
import { inspect } from 'node:util';
import type { PgLending } from '../types.ts';

export class LocalLending implements PgLending {
  readonly way = 'local';
  readonly #why: string | undefined;

  /** `why`: why the bytes go by the owner; undefined if they go on the socket. */
  constructor(why: string | undefined) {
    this.#why = why;
  }

  get over(): 'socket' | 'owner' {
    return this.#why === undefined ? 'socket' : 'owner';
  }

  get why(): string | undefined {
    return this.#why === undefined ? undefined : `the owner passes the bytes on: ${this.#why}`;
  }

  [inspect.custom](): object {
    const { way, over, why } = this;
    return { way, over, ...(why !== undefined && { why }) };
  }
}
