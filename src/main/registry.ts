/**
 * Where threads that want to attach knock: one listener per thread for all pools that the thread owns.
 * It stays when the last pool has ended, so that a late knock is answered and not left waiting.
 */
import { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../shared/control-block.ts';
import { PoolClosedError, show, toWire } from '../shared/errors.ts';
import { KNOCK, type Knock, REFUSED } from '../shared/protocol.ts';
import { isClosed } from '../shared/state.ts';

type Door = (threadId: number, port: MessagePort) => void;

/** Pools that have not ended. Ids that are not here belong to one that has, or to another copy of this module. */
const doors = new Map<number, Door>();
let isListening = false;

export function openDoor(poolId: number, door: Door): void {
  if (!isListening) process.on('workerMessage', heard);
  isListening = true;
  doors.set(poolId, door);
}

export function closeDoor(poolId: number): void {
  doors.delete(poolId);
}

/** `source` is Node's number of the sender, which a message cannot forge. */
function heard(message: unknown, source: number): void {
  if (!isKnock(message)) return;
  const { poolId, port, name, buffer } = message;
  const door = doors.get(poolId);
  if (door !== undefined) return door(source, port);
  // A pool that has ended is closed, and its block says so, whoever's it was. No need to remember it.
  const block = buffer instanceof SharedArrayBuffer ? ControlBlock.open(buffer) : undefined;
  if (!(block instanceof ControlBlock) || !isClosed(block.state.load())) return;
  port.postMessage([[REFUSED, toWire(new PoolClosedError(`pool ${show(name)} is closed`, name))]]);
  port.close();
}

function isKnock(message: unknown): message is Knock {
  if (typeof message !== 'object' || message === null) return false;
  const { type, port } = message as Partial<Knock>;
  return type === KNOCK && port instanceof MessagePort;
}
