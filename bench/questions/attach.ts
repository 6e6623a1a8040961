/**
 * How long does a thread take to join a pool and have its first resource? On a thread that has never attached to anything, and on one that has done so many times.
 *
 * To be set against what it is made of, a port opened to the main thread and one round trip through it; and against the thread itself, with nothing in it but Node, from `new Worker` to its first message.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import type { Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave, measure, scale } from '../frame/rounds.ts';
import { type BenchThread, startBareThread, withThreads } from '../frame/thread.ts';

const MAX = 10;
const PORT = 'a port and a round trip';
const THREAD = 'starting a bare thread';
const FIRST = ['cenote', PORT, THREAD] as const;

export const attach: Question = {
  name: 'attach',
  asks: 'attaching to a pool, first acquire included, over a port with one round trip and over starting the thread',
  async run(effort): Promise<Row[]> {
    const pool = await createPool({ factory: () => ({}), min: MAX, max: MAX });
    const first = await interleave(FIRST, effort.rounds, async (name) => {
      if (name === THREAD) return startAndEnd();
      const once = name === 'cenote' ? 'attachAndLeave' : 'openAndClose';
      return withThreads(1, ([thread]) =>
        withDoor(thread, async () => (await thread.run<number>(import.meta.url, once, [pool.handle])) * 1e3),
      );
    });
    const again = await withThreads(1, ([thread]) =>
      withDoor(thread, () => thread.run<Figures>(import.meta.url, 'overAndOver', [pool.handle, effort])),
    );
    await pool.close();
    return [...compare('attach: first time on a thread', 'us', first), ...compare('attach: again', 'us', scale(again, 1e-3))];
  },
};

async function startAndEnd(): Promise<number> {
  const began = performance.now();
  const thread = await startBareThread();
  const took = performance.now() - began;
  await thread.terminate();
  return took * 1e3;
}

/** While `body` runs, the thread may send ports through a door of its own; what comes through these is sent back. */
async function withDoor<V>(thread: BenchThread, body: () => Promise<V>): Promise<V> {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', (port: MessagePort) => port.on('message', (message) => port.postMessage(message)));
  try {
    await thread.run(import.meta.url, 'setUp', [port2], [port2]);
    return await body();
  } finally {
    port1.close();
  }
}

// ── on the thread

let door: MessagePort;

export function setUp(port: MessagePort): void {
  door = port;
}

/** Milliseconds until the first resource is there. */
export async function attachAndLeave(handle: PoolHandle<object>): Promise<number> {
  const began = performance.now();
  const pool = await attachPool(handle);
  const resource = await pool.acquire();
  const took = performance.now() - began;
  pool.release(resource);
  await pool.detach();
  return took;
}

export async function openAndClose(): Promise<number> {
  const began = performance.now();
  const { port1, port2 } = new MessageChannel();
  door.postMessage(port2, [port2]);
  port1.postMessage('hello');
  await once(port1, 'message');
  const took = performance.now() - began;
  port1.close();
  return took;
}

/** Here both include leaving again. */
export async function overAndOver(handle: PoolHandle<object>, effort: { rounds: number; slice: number }): Promise<Figures> {
  return measure(
    {
      cenote: { async: true, ops: 1, run: () => attachAndLeave(handle) },
      [PORT]: { async: true, ops: 1, run: () => openAndClose() },
    },
    effort,
  );
}
