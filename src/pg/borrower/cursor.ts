/** Rows through a server-side cursor. */
import { threadId } from 'node:worker_threads';
import { receiveError } from '../messages/database-error.ts';
import type { Question } from '../messages/question.ts';
import { resultOf } from './answers.ts';
import type { Granted } from './borrow.ts';
import { COPY, type Hold } from './hold.ts';
import type { Lender } from './lender.ts';
import { TransactionRolledBackError } from './rolled-back.ts';
import type { Place } from './transaction.ts';
import { type Call, wayOf } from './way.ts';

let cursors = 0;

/** The rows come over the scope's connection if there is one, else over a connection of their own. */
export async function* rowsOf(
  lender: Lender,
  placeNow: () => Place | undefined,
  question: Question,
  batchSize: number,
): AsyncGenerator<any, void> {
  const name = `cenote_${threadId}_${COPY}_${++cursors}`;
  const fetch = wayOf(lender.sessions).fetch(name, batchSize, question);
  const place = placeNow();
  const scope = place?.scope;
  const { hold, answer: first } = await (scope === undefined ? begun(lender, fetch) : scope.enterWith(undefined, fetch));
  let answer = first!;
  let isClosed = false;
  try {
    for (;;) {
      isClosed = answer.done === true && !place?.isBusy;
      const { rows } = resultOf(answer, question);
      // The server has no more rows: its cursor can go before the caller looks at the last ones.
      if (isClosed) await close(hold, name);
      // Not `yield*`: the next rows are asked for in the very call of `next` that wants them.
      for (const row of rows) yield row;
      if (answer.done) return;
      answer = await hold.call(fetch);
    }
  } finally {
    try {
      // A transaction beside this loop may be inside of the cursor's own transaction, which ends with the cursor.
      if (place !== undefined && !place.isTransaction && !isClosed) await place.quiet();
      const closing = isClosed || hold.isBroken ? undefined : close(hold, name);
      // If the server has complained, the caller gets that error, and not the one of the close that follows.
      await (answer.error === undefined ? closing : closing?.catch(() => {}));
    } finally {
      if (scope === undefined) {
        await hold.giveBack();
        lender.done();
      } else scope.leave();
    }
  }
}

/** Borrows outside of a scope. The end of the pool waits for it. */
async function begun(lender: Lender, fetch: Call): Promise<Granted> {
  lender.begin();
  try {
    return await lender.borrow(undefined, fetch);
  } catch (error) {
    lender.done();
    throw error;
  }
}

/** Rejects if the cursor's own transaction could not be committed: in a scope, other code may have written in it. */
async function close(hold: Hold, name: string): Promise<void> {
  const { error, rolledBack } = await hold.call((session, id) => session.close(id, name));
  if (error !== undefined) throw receiveError(error);
  if (rolledBack) throw new TransactionRolledBackError(hold.lastError);
}
