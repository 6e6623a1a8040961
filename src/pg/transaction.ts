/** Transactions, savepoints within them, and the places in the code that are inside of one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { assertCommitted, beginText, isNested, isWorthRetrying, newSavepoint, pauseBefore, say } from './begin.ts';
import { PgClient } from './client.ts';
import type { Hold } from './hold.ts';
import type { Limits } from './limits.ts';
import type { Scope } from './scope.ts';
import type { TransactionOptions } from './types.ts';

/** Where code runs: what AsyncLocalStorage carries. */
export class Place {
  readonly scope: Scope;
  /** The transaction that this is inside of, if it is: over or not. */
  readonly isTransaction: boolean;
  #isOver = false;
  /** Those that have not ended. */
  #turns = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(scope: Scope, isTransaction: boolean) {
    this.scope = scope;
    this.isTransaction = isTransaction;
  }

  get isOver(): boolean {
    return this.#isOver || this.scope.isOver;
  }

  end(): void {
    this.#isOver = true;
  }

  /** A transaction is under way here, or waits for one that is. */
  get isBusy(): boolean {
    return this.#turns > 0;
  }

  /**
   * Transactions beside each other share a connection, and are not to be inside each other: one after the other. One that has waited too long is passed over.
   * With none before it, the body begins at once: what is asked next comes behind its first call.
   */
  alone<V>(limits: Limits | undefined, body: () => Promise<V>): Promise<V> {
    const before = this.#turns++ === 0 ? undefined : this.#last;
    const turn = (async () => {
      try {
        if (before !== undefined) await (limits === undefined ? before : limits.within(before));
        return await body();
      } finally {
        this.#turns--;
      }
    })();
    this.#last = Promise.allSettled([before, turn]);
    return turn;
  }
}

/** Runs the body in that place, and awaits there what it returns. */
export type Inside = <V>(place: Place, body: () => V | PromiseLike<V>) => Promise<V>;
type Body<V> = (tx: PgClient) => V | PromiseLike<V>;

/** In this scope: a transaction if there is none, or else a savepoint. */
export function transact<V>(place: Place, inside: Inside, body: Body<V>, options: TransactionOptions): Promise<V> {
  const { scope } = place;
  const limits = options.timeout === undefined && options.signal === undefined ? undefined : scope.limits(options);
  return place.alone(limits, async () => {
    const name = newSavepoint();
    // What was set on purpose before this goes with the connection, and what comes after this may count on it.
    const wasInUse = scope.isInUse;
    const { hold, answer } = await scope.enterWith(options, (session, id) => session.begin(id, beginText(options), name), limits);
    let isOutermost = true;
    scope.beginTransaction();
    try {
      const run = (): Promise<V> => runBody(scope, hold, inside, body, options.signal);
      isOutermost = !isNested(answer!);
      return isOutermost ? await outermost(hold, run, options) : await nested(hold, run, name);
    } finally {
      if (isOutermost && !wasInUse) hold.told();
      scope.endTransaction();
      scope.leave();
    }
  });
}

/** Its BEGIN has been answered. */
async function outermost<V>(hold: Hold, run: () => Promise<V>, options: TransactionOptions): Promise<V> {
  const { retries = 0, signal } = options;
  for (let retry = 0; ; ) {
    try {
      if (retry > 0) await hold.run(say(beginText(options)));
      return await once(hold, run);
    } catch (error) {
      if (!isWorthRetrying(error) || ++retry > retries || hold.isBroken) throw error;
    }
    await sleep(pauseBefore(retry), undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function once<V>(hold: Hold, run: () => Promise<V>): Promise<V> {
  let value: V;
  try {
    value = await run();
  } catch (error) {
    // If even that fails, the connection is lost, and the server rolls back by itself.
    if (hold.status !== 'I') await hold.run(say('ROLLBACK')).catch(() => {});
    throw error;
  }
  // The body may have ended it by a statement of its own; and nothing else may.
  hold.assertNotUndone();
  if (hold.status !== 'I') assertCommitted((await hold.run(say('COMMIT'))).command, hold.lastError);
  return value;
}

async function nested<V>(hold: Hold, run: () => Promise<V>, name: string): Promise<V> {
  try {
    const value = await run();
    await hold.run(say(`RELEASE SAVEPOINT ${name}`));
    return value;
  } catch (error) {
    if (hold.status !== 'I') {
      await hold.run(say(`ROLLBACK TO SAVEPOINT ${name}`)).catch(() => {});
      if (hold.status === 'T') await hold.run(say(`RELEASE SAVEPOINT ${name}`)).catch(() => {});
    }
    throw error;
  }
}

/** When the signal aborts, what runs on the server is cancelled, and nothing more of the body is let through. */
async function runBody<V>(scope: Scope, hold: Hold, inside: Inside, body: Body<V>, signal: AbortSignal | undefined): Promise<V> {
  signal?.throwIfAborted();
  const place = new Place(scope, true);
  const tx = new PgClient(hold, (error) => error !== undefined && scope.destroy(error));
  let stop: (() => void) | undefined;
  hold.enterBody();
  const end = (): void => {
    place.end();
    tx.retire();
  };
  try {
    if (signal === undefined) return await inside(place, () => body(tx));
    const aborted = new Promise<never>((_, reject) => {
      stop = () => {
        end();
        void hold.cancel();
        reject(signal.reason);
      };
      signal.addEventListener('abort', stop, { once: true });
    });
    aborted.catch(() => {});
    return await Promise.race([aborted, inside(place, () => body(tx))]);
  } finally {
    hold.leaveBody();
    end();
    if (stop !== undefined) signal?.removeEventListener('abort', stop);
  }
}
