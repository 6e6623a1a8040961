/** What a program asks for in vain. A warning of the process tells it, once a thread. */

const told = new Set<string>();

/** `code` names the warning, so that programs can filter it. */
export function warnOnce(code: string, message: string): void {
  if (told.has(code)) return;
  told.add(code);
  process.emitWarning(message, { code });
}

const IN_A_WORKER = new Map<string | symbol, readonly [code: string, message: string]>([
  [
    'connect',
    [
      'CENOTE_PG_CONNECT_IN_WORKER',
      `a worker's pool emits no 'connect', so what this listener sets is not in force: connections are made on the owner's thread. Configure them there with the option onConnect of createPgPool, or in an 'acquire' listener here`,
    ],
  ],
  [
    'remove',
    [
      'CENOTE_PG_REMOVE_IN_WORKER',
      `a worker's pool emits no 'remove': connections are closed on the owner's thread. Listen to the pool that createPgPool gives`,
    ],
  ],
]);

/** Called for each listener on a worker's pool: some events are emitted on the owner only. */
export function warnOfListenerInWorker(event: string | symbol): void {
  const found = IN_A_WORKER.get(event);
  if (found !== undefined) warnOnce(...found);
}

/** Called for each listener on a connection: what the server says unasked is heard late. */
export function warnOfLateEvent(event: string | symbol): void {
  if (event !== 'notification') return;
  warnOnce(
    'CENOTE_PG_NOTIFICATION_IS_LATE',
    `a connection of this pool hears a 'notification' with the answer to its next query, not before: ask something now and then, or LISTEN on a pg.Client of your own`,
  );
}
