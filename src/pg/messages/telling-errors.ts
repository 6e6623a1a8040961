/** What an error of the server tells of the connection on which it came. */

/**
 * True if the error is about the statement itself, before it ran. An error that a function or a procedure in it raises, by whatever code,
 * has a context.
 */
export function isAbout(error: unknown, ...codes: string[]): boolean {
  const { code, where } = (error ?? {}) as { code?: string; where?: unknown };
  return codes.includes(code!) && where === undefined;
}

/**
 * The server, or the pooler in front of it, says that what this connection led to is gone: 08000, 08006 and 08007 (the connection behind it
 * has failed), 57P01 to 57P05 (shut down, crashed, starting, database dropped, idle for too long). 08001, 08003 and 08004 are not in the
 * list: they speak of a connection that could not be made or does not exist, and that is one of dblink or of a foreign table. Neither is
 * 08P01: a wrong number of values has that code.
 */
const GONE = ['08000', '08006', '08007', '57P01', '57P02', '57P03', '57P04', '57P05'];

/** An error that a function raises, by whatever code, is not about this connection. */
export const saysGone = (error: unknown): boolean => isAbout(error, ...GONE);

/**
 * The part of the server that refuses a value of a setting. It uses 0A000 to say that a standby cannot be set to READ WRITE, and for other
 * things.
 */
const REFUSES_SETTING = 'call_bool_check_hook';

/**
 * A statement was refused, perhaps because nothing can be written here. A function or a trigger may have tried to write. Another connection
 * may do better.
 */
export function mayBeReadOnly(error: unknown): boolean {
  const { code, routine } = error as { code?: string; routine?: string };
  return code === '25006' || (code === '0A000' && routine === REFUSES_SETTING);
}

/**
 * By `idle_session_timeout` (57P05) the server ends only idle sessions: it has not begun what was sent at that moment. The other codes of
 * 57P do not say that.
 */
export const wasIdle = (error: unknown): boolean => isAbout(error, '57P05');
