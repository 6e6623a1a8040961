/**
 * Where threads that want to attach knock: one listener per thread for all pools that the thread owns.
 * It stays when the last pool has ended, so that a late knock is answered and not left waiting.
 */
import type { MessagePort } from 'node:worker_threads';
import { PoolClosedError, show, toWire } from '../shared/errors.ts';
import { KNOCK, type Knock, REFUSED } from '../shared/protocol.ts';

type Door = (threadId: number, port: MessagePort) => void;

/** A name: that pool was ours, and has ended. Ids that are not here belong to another copy of this module. */
const doors = new Map<number, Door | string>();

export function openDoor(poolId: number, door: Door): void {
  if (doors.size === 0) process.on('workerMessage', heard);
  doors.set(poolId, door);
}

export function closeDoor(poolId: number, name: string): void {
  doors.set(poolId, name);
}

function heard(message: unknown): void {
  if (!isKnock(message)) return;
  const door = doors.get(message.poolId);
  if (door === undefined) return;
  if (typeof door !== 'string') return door(message.threadId, message.port);
  message.port.postMessage([[REFUSED, toWire(new PoolClosedError(`pool ${show(door)} is closed`, door))]]);
  message.port.close();
}

function isKnock(message: unknown): message is Knock {
  return typeof message === 'object' && message !== null && (message as Partial<Knock>).type === KNOCK;
}
