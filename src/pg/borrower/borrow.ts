/** Borrowing a session, with the first call on it. */
import type { QueryResult } from 'pg';
import type { AcquireOptions } from '../../worker/index.ts';
import type { Answer } from '../messages/protocol.ts';
import type { Question } from '../messages/question.ts';
import { resultOf } from './answers.ts';
import { Hold } from './hold.ts';
import type { SaysGranted } from './query-channel.ts';
import type { Sessions } from './sessions.ts';
import { type Call, wayOf } from './way.ts';

/** The connection, and the answer to the call; no answer if there was no call. */
export interface Granted {
  readonly hold: Hold;
  readonly answer: Answer | undefined;
}

/** `max` connections may be broken at once. The attempt after those finds a new one. */
export const isEnough = (sessions: Sessions, attempts: number): boolean => attempts > sessions.stats().max;

/** Borrows, and makes the first call. If the connection turns out to be lost and nothing was sent on it, another one is tried. */
export async function borrow(
  sessions: Sessions,
  options: AcquireOptions | undefined,
  first: Call,
  profile = '',
): Promise<{ hold: Hold; answer: Answer }> {
  for (let attempts = 1; ; attempts++) {
    let hold: Hold | undefined;
    try {
      const answer = await sessions.take(options ?? {}, (session) => {
        hold = new Hold(sessions, session, 0, profile);
        return hold.call(first);
      });
      if (!answer.unsent || isEnough(sessions, attempts)) return { hold: hold!, answer };
    } catch (error) {
      hold?.giveBack();
      throw error;
    }
    hold!.giveBack();
  }
}

/** Runs one statement, in a borrow of its own. `granted` is told when it had a connection; `answered` is shown the answer. */
export async function runOnce(
  sessions: Sessions,
  question: Question,
  profile: string,
  granted: SaysGranted,
  answered?: (answer: Answer) => void,
): Promise<QueryResult<any>> {
  const call = wayOf(sessions).once(question, profile);
  for (let attempts = 1; ; attempts++) {
    const answer = await call(granted);
    if (answer.granted !== undefined) granted(answer.granted);
    if (answer.unsent && !isEnough(sessions, attempts)) continue;
    answered?.(answer);
    return resultOf(answer, question);
  }
}
