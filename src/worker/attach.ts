/** Attaching to a pool: send the owner one end of a channel, and wait to be told our number. */
import { types } from 'node:util';
import { isMainThread, type MessagePort, threadId } from 'node:worker_threads';
import { messenger } from '../shared/attaching.ts';
import { AcquireTimeoutError, PoolClosedError, PoolError } from '../shared/errors.ts';
import { FEATURE_SHARE } from '../shared/layout.ts';
import { clearTimeout, MessageChannel, setImmediate, setTimeout } from '../shared/node.ts';
import { checkAcquireOptions } from '../shared/options/acquire-options.ts';
import { show } from '../shared/show.ts';
import type { PoolHandle } from '../shared/types.ts';
import { throwIfAborted } from '../shared/waiting/abort-signals.ts';
import { KeepAlive } from '../shared/waiting/keep-alive.ts';
import { limited } from '../shared/waiting/limited.ts';
import { fromWire } from '../shared/wire/error-wire.ts';
import { ATTACH, ATTACHED, type AttachRequest, REJECTED, type Response } from '../shared/wire/protocol.ts';
import { ControlBlock } from '../shared/words/control-block.ts';
import { isClosed } from '../shared/words/state.ts';
import { WorkerPool } from './pool.ts';
import { SharingPool } from './sharing.ts';
import type { AttachedPool, AttachOptions } from './types.ts';

/** How long a thread that has heard our request may leave it unanswered, in ms: it has no such pool. */
const SILENCE = 1000;

/** An attachment, or one that is on its way. */
interface Joining {
  readonly pool: Promise<WorkerPool<unknown>>;
  /** Calls of attachPool that wait for it. */
  callers: number;
  /** Ends the way, if nothing has come of it yet. */
  giveUp(): void;
}

/** This thread's attachments, by owner and pool: pools of two owners may have drawn the same number. */
const attached = new Map<string, Joining>();

/**
 * Joins a pool from any thread of the process (a Piscina worker, a Worker, a worker of a worker). Idempotent: the same handle, or a clone
 * of it, on the same thread gives the same object. If the owner dies, everything pending and everything later on this thread is refused
 * with PoolClosedError within about a second, sleepers included.
 *
 * Rejects with TypeError for something that is no handle, PoolClosedError for a pool that is closed or whose owner is gone, PoolError for
 * another ABI version, when `maxThreads` are attached, on the owner itself (use the pool there), when a listener of the owner's program was
 * in the way, or on a Node.js that cannot do this. An owner that is busy answers when it gets to its event loop; until then this waits, and
 * keeps the thread alive. `timeout` (in ms; default 0, no limit) ends the wait with AcquireTimeoutError, `signal` with its reason; a later
 * call tries anew.
 */
export async function attachPool<T>(handle: PoolHandle<T>, options?: AttachOptions): Promise<AttachedPool<T>> {
  const { name, owner, block } = read(handle);
  const { timeout, signal } = checkAcquireOptions(options, 'attach');
  throwIfAborted(signal);
  if (owner === threadId) throw new PoolError(`pool ${show(name)} belongs to this very thread: use the pool itself here`, name);
  if (isClosed(block.state.load())) throw new PoolClosedError(`pool ${show(name)} is closed`, name);
  const key = `${owner}:${block.constants.poolId}`;
  let joining = attached.get(key);
  if (joining === undefined) {
    joining = begin(name, owner, block, () => {
      if (attached.get(key) === joining) attached.delete(key);
    });
    attached.set(key, joining);
  }
  return (await within(joining, name, timeout, signal)) as WorkerPool<T>;
}

/** `forget`: this is not to be given to any caller any more. */
function begin(name: string, owner: number, block: ControlBlock, forget: () => void): Joining {
  const { port1: port, port2 } = new MessageChannel();
  const keepAlive = new KeepAlive();
  let isJoined = false;
  const pool = keepAlive.during(join(name, owner, block, port, port2, forget)).finally(() => keepAlive.end());
  pool.then(() => {
    isJoined = true;
  }, forget);
  return {
    pool,
    callers: 0,
    giveUp: () => {
      if (isJoined) return;
      forget();
      // Ends `join`, and an owner that hears of it after all sees that the other end is gone.
      port.close();
    },
  };
}

/** Waits within the caller's own limits. When no caller waits any more, this thread is not attached after all. */
async function within(joining: Joining, name: string, timeout = 0, signal: AbortSignal | undefined): Promise<WorkerPool<unknown>> {
  joining.callers++;
  try {
    return await limited(joining.pool, timeout, signal, () => {
      const why = `its owner has not answered within ${timeout} ms: it may be busy, and answers when it gets to its event loop`;
      return new AcquireTimeoutError(`pool ${show(name)}: this thread is not attached, ${why}`, name);
    });
  } finally {
    if (--joining.callers === 0) joining.giveUp();
  }
}

/** Each property is read once. */
function read(handle: PoolHandle<unknown>): { name: string; owner: number; block: ControlBlock } {
  const no = (why: string): TypeError => new TypeError(`not a pool handle: ${why}. Pass on pool.handle as it is`);
  if (typeof handle !== 'object' || handle === null) throw no(`it is ${show(handle)}`);
  let parts: { name: unknown; owner: unknown; buffer: unknown };
  try {
    const { name, owner, buffer } = handle;
    parts = { name, owner, buffer };
  } catch (cause) {
    throw new TypeError('not a pool handle: it cannot be read. Pass on pool.handle as it is', { cause });
  }
  const { name, owner, buffer } = parts;
  if (typeof name !== 'string') throw no(`its name is ${show(name)}`);
  if (typeof owner !== 'number' || !Number.isSafeInteger(owner) || owner < 0) throw no(`its owner is ${show(owner)}`);
  if (!types.isSharedArrayBuffer(buffer)) throw no(`its buffer is ${show(buffer)}`);
  const block = ControlBlock.open(buffer);
  if (block instanceof ControlBlock) return { name, owner, block };
  if (block.foreign) throw no(block.why);
  throw new PoolError(`pool ${show(name)}: ${block.why}`, name);
}

/** `port2` goes to the owner. Closing `port` ends it, as long as it has not come to anything. */
async function join(
  name: string,
  owner: number,
  block: ControlBlock,
  port: MessagePort,
  port2: MessagePort,
  onLeave: () => void,
): Promise<WorkerPool<unknown>> {
  const postMessageToThread = messenger(name);
  let cut = (): PoolError => ownerGone(name);
  let pool: WorkerPool<unknown> | undefined;
  const welcomed = new Promise<WorkerPool<unknown>>((resolve, reject) => {
    port.on('message', (responses: readonly Response[]) => {
      if (pool !== undefined) return pool.receive(responses);
      if (!Array.isArray(responses) || !Array.isArray(responses[0])) return;
      const [first, ...rest] = responses as [Response, ...Response[]];
      if (first[0] === ATTACHED) {
        // The owner has written our number into its block. If it is not here, this is not that block.
        if (!block.threads.isAttached(first[1]) || block.threads.threadId(first[1]) !== threadId) {
          reject(new TypeError(`not a pool handle: its buffer is a copy of pool ${show(name)}'s. Pass on pool.handle as it is`));
          return port.close();
        }
        const Attached = (block.constants.features & FEATURE_SHARE) === 0 ? WorkerPool : SharingPool;
        pool = new Attached(name, block, first[1], port, first[2], first[3], onLeave);
        port.unref();
        resolve(pool);
        pool.receive(rest);
      } else if (first[0] === REJECTED) {
        reject(fromWire(first[1]));
        port.close();
      }
    });
    port.on('messageerror', () => pool?.unreadable());
    port.on('close', () => {
      if (pool !== undefined) pool.disconnected();
      else reject(cut());
    });
  });
  welcomed.catch(() => {});
  const request: AttachRequest = { type: ATTACH, poolId: block.constants.poolId, threadId, name, buffer: block.buffer, port: port2 };
  try {
    const heard = postMessageToThread(owner, request, [port2]);
    heard.catch(() => {});
    // If the owner dies before it hears, the promise of the message never settles; the channel closes, though.
    await Promise.race([heard, welcomed]);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_WORKER_MESSAGING_ERRORED') {
      port.close();
      throw cause instanceof PoolError || cause instanceof TypeError ? cause : ownerGone(name, cause);
    }
    // A listener has thrown, and it cannot have been ours. If ours came first, the answer is on its way.
    cut = () => inTheWay(name, cause);
  }
  // An owner that has heard of it has answered by then. What came while this thread was busy is delivered before the check phase;
  // and if that was our welcome, the port stays.
  const giveUp = (): void => {
    if (pool === undefined) port.close();
  };
  const timer = setTimeout(() => setImmediate(giveUp), SILENCE);
  return welcomed.finally(() => clearTimeout(timer));
}

function ownerGone(name: string, cause?: unknown): PoolClosedError {
  const where = isMainThread ? 'the worker' : 'the thread';
  return new PoolClosedError(`pool ${show(name)}: ${where} that owned it is gone`, name, cause === undefined ? undefined : { cause });
}

function inTheWay(name: string, cause: unknown): PoolError {
  const where = "a 'workerMessage' listener of the program on the owner's thread";
  return new PoolError(`pool ${show(name)}: ${where} threw before this thread could be heard: let it ignore what it does not know`, name, {
    cause,
  });
}
