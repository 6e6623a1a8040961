/**
 * Hears the threads that ask to attach: one listener per thread for all pools that the thread owns.
 * It stays when the last pool has ended, so that a late request is answered and not left waiting.
 */
import { randomInt } from 'node:crypto';
import { types } from 'node:util';
import { MessagePort } from 'node:worker_threads';
import { PoolClosedError, type PoolError } from '../../shared/errors.ts';
import { process } from '../../shared/node.ts';
import { show } from '../../shared/show.ts';
import { toWire } from '../../shared/wire/error-wire.ts';
import { ATTACH, type AttachRequest, REJECTED } from '../../shared/wire/protocol.ts';
import { ControlBlock } from '../../shared/words/control-block.ts';
import { isClosed } from '../../shared/words/state.ts';

/** Lets a thread in, or says why not. */
type AttachListener = (threadId: number, port: MessagePort) => PoolError | undefined;

/** Pools that have not ended, by their number. Numbers that are not here belong to one that has, or to another copy of this module. */
const listeners = new Map<number, AttachListener>();
/** Where Node emits the message; its types do not know it. */
const owner: NodeJS.EventEmitter = process;

/** A number that no pool of this thread has. Drawn, as another copy of this module counts for itself. */
export function newPoolId(): number {
  for (;;) {
    const poolId = randomInt(1, 2 ** 31);
    if (!listeners.has(poolId)) return poolId;
  }
}

export function addAttachListener(poolId: number, listener: AttachListener): void {
  // Ahead of the program's own listeners: one that throws keeps a message from those behind it.
  if (!owner.listeners('workerMessage').includes(heard)) owner.prependListener('workerMessage', heard);
  listeners.set(poolId, listener);
}

export function removeAttachListener(poolId: number): void {
  listeners.delete(poolId);
}

/** `source` is Node's number of the sender, which a message cannot forge. */
function heard(message: unknown, source: number): void {
  if (!isAttachRequest(message)) return;
  const listener = listeners.get(message.poolId);
  const refusal = listener === undefined ? refusalOf(message) : listener(source, message.port);
  if (refusal === undefined) return;
  message.port.postMessage([[REJECTED, toWire(refusal)]]);
  message.port.close();
}

/**
 * The block of a pool that has ended says that it is closed, so no list of ended pools is kept.
 * Undefined: the pool may be of another copy of this module.
 */
function refusalOf({ name, buffer }: AttachRequest): PoolError | undefined {
  const block = types.isSharedArrayBuffer(buffer) ? ControlBlock.open(buffer) : undefined;
  const isEnded = block instanceof ControlBlock && isClosed(block.state.load());
  return isEnded ? new PoolClosedError(`pool ${show(name)} is closed`, name) : undefined;
}

function isAttachRequest(message: unknown): message is AttachRequest {
  if (typeof message !== 'object' || message === null) return false;
  const { type, port } = message as Partial<AttachRequest>;
  return type === ATTACH && port instanceof MessagePort;
}
