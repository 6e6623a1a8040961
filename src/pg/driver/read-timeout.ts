/** `query_timeout`, as the driver has it. */

const SAID = 'Query read timeout';

export const readTimeout = (): Error => new Error(SAID);

/** The driver has stopped waiting, but the server goes on: no other borrower may have this connection. */
export const isReadTimeout = (error: unknown): error is Error => error instanceof Error && error.message === SAID && !('severity' in error);
