/** Parsers that only the owner's program has: it is asked by way of the session that the rows have come from. */
import { RemoteCallError } from '../../worker/index.ts';
import type { TextColumn } from '../messages/own-columns.ts';
import type { BorrowedSession, Sessions } from './sessions.ts';

/**
 * The call is made at once. If that session has been given back already, any other will do; it has to be borrowed, which may take long.
 */
export async function parsedByOwner(
  sessions: Sessions,
  session: Pick<BorrowedSession, 'parse'>,
  columns: TextColumn[],
): Promise<unknown[][]> {
  try {
    return await session.parse(columns);
  } catch (error) {
    if (!(error instanceof RemoteCallError)) throw error;
    return sessions.call('parse', [columns]);
  }
}
