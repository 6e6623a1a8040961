/** Parsers that only the owner's program has: it is asked by way of the session that the rows have come from. */
import type { TextColumn } from '../messages/own-columns.ts';
import type { RemoteSession, Sessions } from './sessions.ts';

/** Has the owner's program parse columns. */
export type ParseByOwner = (columns: TextColumn[]) => Promise<unknown[][]>;

/**
 * The call is made at once. If that session has been given back already, any other will do; it has to be borrowed, which may take long.
 * One that is still borrowed is the only one to ask: this thread may have no other, and keeps it until it is answered.
 */
export function parsedByOwner(sessions: Sessions, session: RemoteSession, columns: TextColumn[]): Promise<unknown[][]> {
  return sessions.isBorrowed?.(session) === false ? sessions.call('parse', [columns]) : session.parse(columns);
}
