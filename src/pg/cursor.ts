/** Rows through a server-side cursor. */
import { threadId } from 'node:worker_threads';
import { TransactionRolledBackError } from './begin.ts';
import { receiveError } from './database-error.ts';
import { COPY, type Hold, type RemoteSession, resultOf } from './hold.ts';
import type { Lender } from './lender.ts';
import type { Answer } from './protocol.ts';
import { argumentsOf, type Question } from './question.ts';
import type { Scope } from './scope.ts';

let cursors = 0;

/** On the scope's connection if there is one, else on one of its own. */
export async function* rowsOf(
  lender: Lender,
  scopeNow: () => Scope | undefined,
  question: Question,
  batchSize: number,
): AsyncGenerator<any, void> {
  const name = `cenote_${threadId}_${COPY}_${++cursors}`;
  const fetch = (session: RemoteSession, id: string): Promise<Answer> => session.fetch(id, name, batchSize, ...argumentsOf(question));
  const scope = scopeNow();
  let hold: Hold;
  let answer: Answer | undefined;
  if (scope === undefined) {
    lender.begin();
    try {
      ({ hold, answer } = await lender.borrow(undefined, fetch));
    } catch (error) {
      lender.done();
      throw error;
    }
  } else hold = await scope.enter();
  try {
    answer ??= await hold.call(fetch);
    for (;;) {
      const { rows } = resultOf(answer, question);
      // The server has no more: its cursor can go before anybody looks at the last rows.
      if (answer.done) await close(hold, name);
      yield* rows;
      if (answer.done) return;
      answer = await hold.call(fetch);
    }
  } finally {
    try {
      const closing = answer?.done || hold.isBroken ? undefined : close(hold, name);
      // What the server complained of is told, and not that nothing came of it.
      await (answer?.error === undefined ? closing : closing?.catch(() => {}));
    } finally {
      if (scope === undefined) {
        await hold.giveBack();
        lender.done();
      } else scope.leave();
    }
  }
}

/** Rejects if the cursor's own transaction could not be committed: in a scope, others may have written in it. */
async function close(hold: Hold, name: string): Promise<void> {
  const { error, rolledBack } = await hold.call((session, id) => session.close(id, name));
  if (error !== undefined) throw receiveError(error);
  if (rolledBack) throw new TransactionRolledBackError(hold.lastError);
}
