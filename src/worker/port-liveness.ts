/** A quirk of Node that tells a thread at once whether the other end of a port is still there: the event for it would wait for the loop. */
import type { MessagePort } from 'node:worker_threads';
import { MessageChannel } from '../shared/node.ts';

/** Both ends are kept: a channel whose other end is collected is closed. */
const PROBE = new MessageChannel();

/**
 * Offers the port for transfer together with something that cannot be cloned. That always fails, and Node says "detached" if the other end
 * has gone.
 */
export function isOtherEndThere(port: MessagePort): boolean {
  const { stackTraceLimit } = Error;
  // The stack is never read, and is most of what this costs. Where Error is frozen this does nothing, and an assignment would throw.
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    PROBE.port1.postMessage(() => {}, [port]);
  } catch (error) {
    return !/detached/.test((error as Error).message);
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
  return true;
}
