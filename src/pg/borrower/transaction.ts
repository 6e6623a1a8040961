/** Transactions, savepoints within them, and the places in the code that are inside of one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from '../messages/question.ts';
import type { TransactionOptions } from '../types.ts';
import { assertCommitted, beginText, isNested, isWorthRetrying, newSavepoint, pauseBefore } from './begin.ts';
import { PgClient } from './client.ts';
import type { Hold } from './hold.ts';
import type { Limits } from './limits.ts';
import type { Scope } from './scope.ts';

/** Where code runs: what AsyncLocalStorage carries. */
export class Place {
  readonly scope: Scope;
  /** The place is inside of a transaction, over or not. */
  readonly isTransaction: boolean;
  /** The place of the transaction around this one. */
  readonly #around: Place | undefined;
  #isOver = false;
  /** How many transactions right within this place have not ended. */
  #turns = 0;
  #last: Promise<unknown> | undefined;

  constructor(scope: Scope, isTransaction: boolean, around?: Place) {
    this.scope = scope;
    this.isTransaction = isTransaction;
    this.#around = around;
  }

  /** A transaction within another one ends with it, and the outer one's connection goes on to something else. */
  get isOver(): boolean {
    return this.#isOver || this.scope.isOver || this.#around?.isOver === true;
  }

  assertGoesOn(): void {
    if (this.isOver)
      throw new Error('this transaction is over: a query in its body was made too late; await every query before the body returns');
  }

  /** Throws while a transaction within this one is under way: what it has written so far must not be committed without the rest of it. */
  assertQuiet(): void {
    if (this.isBusy)
      throw new Error(
        'a transaction within this one had not ended when its body returned, so all of it is rolled back: await every transaction before the body returns',
      );
  }

  end(): void {
    this.#isOver = true;
  }

  /** A transaction is under way here, or waits for one that is. */
  get isBusy(): boolean {
    return this.#turns > 0;
  }

  /** Resolves when no transaction is under way. */
  async quiet(): Promise<void> {
    while (this.isBusy) await this.#last;
  }

  /**
   * Transactions beside each other share a connection, and must not be inside each other: one runs after the other. A transaction that has
   * waited too long is passed over. With none before it, the body begins at once: what is asked next comes behind its first call.
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
    this.#last = before === undefined ? turn.then(ignore, ignore) : Promise.allSettled([before, turn]);
    return turn;
  }
}

const ignore = (): void => {};

/** Runs the body in that place, and awaits there what it returns. */
export type Inside = <V>(place: Place, body: () => V | PromiseLike<V>) => Promise<V>;
type Body<V> = (tx: PgClient) => V | PromiseLike<V>;

/** Runs the body in this scope: in a transaction, or in a savepoint if a transaction is open. */
export function transact<V>(place: Place, inside: Inside, body: Body<V>, options: TransactionOptions): Promise<V> {
  const { scope } = place;
  const limits = options.timeout === undefined && options.signal === undefined ? undefined : scope.limits(options);
  return place.alone(limits, async () => {
    // This call may have waited for another transaction, and the one around it may have ended meanwhile.
    if (place.isTransaction) place.assertGoesOn();
    const name = newSavepoint();
    // What was set on purpose before this goes with the connection, and what comes after this may count on it.
    const wasInUse = scope.isInUse;
    const { hold, answer } = await scope.enterWith(options, (session, id) => session.begin(id, beginText(options), name), limits);
    let isOutermost = true;
    scope.beginTransaction();
    try {
      const run = (): Promise<V> => runBody(place, hold, inside, body, options.signal);
      isOutermost = !isNested(answer!);
      return isOutermost ? await outermost(hold, run, options) : await nested(hold, run, name, place);
    } finally {
      if (isOutermost && !wasInUse) hold.told();
      scope.endTransaction();
      scope.leave();
    }
  });
}

/** Runs the body of an outermost transaction, whose BEGIN has been answered. */
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
  // The body may have ended the transaction by a statement of its own. Nothing else may.
  hold.assertNotUndone();
  if (hold.status !== 'I') assertCommitted((await hold.run(say('COMMIT'))).command, hold.lastError);
  return value;
}

async function nested<V>(hold: Hold, run: () => Promise<V>, name: string, around: Place): Promise<V> {
  try {
    const value = await run();
    // The savepoint has gone with the transaction around it. A statement now would be in another transaction.
    around.assertGoesOn();
    await hold.run(say(`RELEASE SAVEPOINT ${name}`));
    return value;
  } catch (error) {
    if (hold.status !== 'I' && !around.isOver) {
      await hold.run(say(`ROLLBACK TO SAVEPOINT ${name}`)).catch(() => {});
      if (hold.status === 'T') await hold.run(say(`RELEASE SAVEPOINT ${name}`)).catch(() => {});
    }
    throw error;
  }
}

/** When the signal aborts, what runs on the server is cancelled, and no later query of the body is let through. */
async function runBody<V>(around: Place, hold: Hold, inside: Inside, body: Body<V>, signal: AbortSignal | undefined): Promise<V> {
  signal?.throwIfAborted();
  const { scope } = around;
  const place = new Place(scope, true, around);
  const tx = new PgClient(
    hold,
    (error) => error !== undefined && scope.destroy(error),
    () => place.assertGoesOn(),
  );
  let stop: (() => void) | undefined;
  hold.enterBody();
  const end = (): void => {
    place.end();
    tx.retire();
  };
  try {
    const run = (): Promise<V> =>
      inside(place, () => body(tx)).then((value) => {
        place.assertQuiet();
        return value;
      });
    if (signal === undefined) return await run();
    const aborted = new Promise<never>((_, reject) => {
      stop = () => {
        end();
        void hold.cancel();
        reject(signal.reason);
      };
      signal.addEventListener('abort', stop, { once: true });
    });
    aborted.catch(() => {});
    return await Promise.race([aborted, run()]);
  } finally {
    hold.leaveBody();
    end();
    if (stop !== undefined) signal?.removeEventListener('abort', stop);
  }
}
