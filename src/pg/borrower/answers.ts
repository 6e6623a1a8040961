/** What an answer comes to: a result, or what is thrown. */
import type { QueryResult } from 'pg';
import { receiveError } from '../messages/database-error.ts';
import type { Answer } from '../messages/protocol.ts';
import type { Question } from '../messages/question.ts';
import { receiveResults } from '../messages/results.ts';

/** The result. Throws what the server said. */
export function resultOf(answer: Answer, { mode, types }: Pick<Question, 'mode' | 'types'>): QueryResult<any> {
  const { outcome, error } = answer;
  if (outcome !== undefined) {
    if ('thrown' in outcome) {
      // It says where in the program the statement was asked, as pg has it, and not where its answer was read.
      if (outcome.thrown instanceof Error) Error.captureStackTrace(outcome.thrown);
      throw outcome.thrown;
    }
    return outcome.result as QueryResult<any>;
  }
  if (error !== undefined) throw receiveError(error);
  return receiveResults(answer.results!, mode, types) as QueryResult<any>;
}

/** What this thread's own driver has thrown. */
export const thrownIn = ({ outcome }: Answer): Error | undefined =>
  outcome !== undefined && 'thrown' in outcome ? (outcome.thrown as Error) : undefined;
