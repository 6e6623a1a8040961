/** When a client's queries are through, and the end of its connection. When that is through, the connection's backend is gone. */
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import type { Client } from 'pg';
import { internals } from './internals.ts';

/** How long a cancelled query may take to notice before it is cancelled again, in ms. */
const CANCEL_AGAIN = 500;

/**
 * Cancels what still runs on the connection, and resolves when the server has closed it. If that takes longer than `limit` ms, the
 * connection is cut. `isTorn`: another thread was at it, so it is not known what runs, and the server's answers are not read.
 */
export async function endClient(client: Client, cancel: () => Promise<void>, limit: number, isTorn = false): Promise<void> {
  const { connection, readyForQuery, processID } = internals(client);
  internals(client).ref();
  const cut = setTimeout(() => connection.stream.destroy(), limit);
  // A client that has no process yet has nothing at work.
  const cancelling = (readyForQuery && !isTorn) || processID === null ? undefined : cancelUntilEnded(cancel);
  try {
    if (cancelling !== undefined && !isTorn) await whenReadyOrGone(client).reached;
    await hangUp(client);
  } finally {
    clearTimeout(cut);
    clearInterval(cancelling);
  }
}

/**
 * Says goodbye, and waits for the server to hang up. The driver's own `end` cuts a connection that is at work or has failed, and its
 * backend then stays for a little longer.
 */
async function hangUp(client: Client): Promise<void> {
  const { connection } = internals(client);
  if (connection.stream.destroyed) return;
  await new Promise<void>((resolve) => {
    connection.once('end', () => resolve());
    connection.end();
  });
}

/** How often a cancel request is made again while the query goes on. */
const CANCELS = 20;

/** Cancels until the query under way has ended. A request may overtake its query, and then does nothing. */
export async function cancelUntilReady(client: Client, cancel: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < CANCELS; tries++) {
    await cancel();
    if (await isReadyWithin(client, CANCEL_AGAIN)) return;
  }
}

async function isReadyWithin(client: Client, ms: number): Promise<boolean> {
  const { reached, forget } = whenReadyOrGone(client);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([reached.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    forget();
  }
}

function cancelUntilEnded(cancel: () => Promise<void>): NodeJS.Timeout {
  const again = (): void => void cancel().catch(() => {});
  again();
  return setInterval(again, CANCEL_AGAIN);
}

/** Resolves when the server is ready for something else, or the connection has ended. `forget` stops the wait. */
function whenReadyOrGone(client: Client): { reached: Promise<void>; forget: () => void } {
  const { connection, readyForQuery } = internals(client);
  if (readyForQuery || connection.stream.destroyed) return { reached: Promise.resolve(), forget: () => {} };
  let forget = (): void => {};
  const reached = new Promise<void>((resolve) => {
    const ready = (): void => {
      forget();
      // The driver's own listener has read the message by then, whichever listener comes first.
      setImmediate(resolve);
    };
    const gone = (): void => {
      forget();
      resolve();
    };
    forget = () => {
      connection.off('readyForQuery', ready);
      connection.off('end', gone);
    };
    connection.on('readyForQuery', ready);
    connection.on('end', gone);
  });
  return { reached, forget };
}

/** Cuts the connection, as nothing was asked on it yet. */
export const cutOff = (client: Client): void => internals(client).connection.stream.destroy();

export const isCutOff = (client: Client): boolean => internals(client).connection.stream.destroyed;

/** Resolves when the queries that the user's code did not await are through as well. */
export function drained(client: Client): Promise<void> {
  if (internals(client).readyForQuery) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const over = (settle: () => void): void => {
      client.off('drain', drain);
      client.off('error', fail);
      client.off('end', end);
      settle();
    };
    const drain = (): void => over(resolve);
    const fail = (error: Error): void => over(() => reject(error));
    const end = (): void => over(() => reject(new Error('Connection terminated unexpectedly')));
    client.on('drain', drain);
    client.on('error', fail);
    client.on('end', end);
  });
}
