/**
 * This thread's stay in a pool. The pool that attachPgPool gives uses it, and each client that an ORM makes by pgClient: they know nothing
 * of each other, and the end of one is not the end of the others. When the last has left, the thread leaves the pool.
 */
import type { AttachedPool } from '../../worker/index.ts';
import type { SessionMethods } from '../messages/protocol.ts';
import type { PgLending } from '../types.ts';
import type { Sessions } from './sessions.ts';
import { wayOf } from './way.ts';

export class Stay {
  readonly attached: AttachedPool<SessionMethods>;
  /** Where connections are spoken to, whatever uses them. */
  readonly lending: PgLending;
  #users = 0;
  #detached: Promise<void> | undefined;

  constructor(attached: AttachedPool<SessionMethods>, lending: PgLending) {
    this.attached = attached;
    this.lending = lending;
  }

  /** Nothing enters any more. Attaching again makes another one. */
  get isOver(): boolean {
    return this.#detached !== undefined;
  }

  enter(): void {
    this.#users++;
  }

  /** For the last user, resolves when all that this thread has under way has come back; for others, at once. */
  async leave(): Promise<void> {
    if (--this.#users > 0) return;
    for (const returning of wayOf(this.attached as unknown as Sessions).returning?.all() ?? []) returning.finishLater();
    this.#detached = this.attached.detach();
    await this.#detached;
  }
}
