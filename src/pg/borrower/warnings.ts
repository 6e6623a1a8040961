/** What a program asks for in vain. A warning of the process tells it, once a thread. */
import type { EventEmitter } from 'node:events';

const told = new Set<string>();

/** `code` names the warning, so that programs can filter it. */
export function warnOnce(code: string, message: string): void {
  if (told.has(code)) return;
  told.add(code);
  process.emitWarning(message, { code });
}

const IN_A_WORKER = new Map<string | symbol, readonly [code: string, message: string]>([
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

/** What the server has said before its borrower listened is kept in part. With no listener at all, none is missed. */
export function warnOfUnheard(client: Pick<EventEmitter, 'listenerCount'>, { count }: Readonly<Record<string, unknown>>): void {
  if (client.listenerCount('notice') + client.listenerCount('notification') === 0) return;
  warnOnce(
    'CENOTE_PG_UNHEARD',
    `a client has missed ${count} notices or notifications, which came with many others and were asked for before it listened: listen before the query that brings them`,
  );
}
