/** A thread of a runner: loads the job's file when Piscina has called `start`, by entry.cjs, and runs jobs, which come by its own port. */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
  asBuffers,
  asError,
  type CancellablePool,
  type Canceller,
  isCloneable,
  isError,
  setCanceller,
  structuredClone,
  toWire,
  type WireError,
} from '../shared/index.ts';
import { attachPool } from '../worker/index.ts';
import { Context } from './context.ts';
import { type JobFunction, jobOf } from './define.ts';
import { JobError, JobResultError, nameOf, received, sent } from './errors.ts';
import { type Host, Part } from './part.ts';
import { parcelOf } from './payload.ts';
import {
  BELL,
  CANCEL,
  type CancelMessage,
  JOB,
  type JobMessage,
  NO_BELL,
  RETURNED,
  type Setup,
  THREW,
  type ToRunner,
  type ToThread,
} from './protocol.ts';
import { Seat } from './seat.ts';

/** Reasons that are no objects are remembered one by one: the last so many. */
const MOST_REASONS = 64;

/** Undefined, or why this thread cannot run jobs. */
export async function start(setup: Setup): Promise<WireError | undefined> {
  try {
    await new JobThread(setup).load(setup);
    return undefined;
  } catch (error) {
    return sent(error ?? new JobError(`${setup.file} has thrown ${error} while it was loaded`, { job: 0 }));
  }
}

class JobThread implements Host, Canceller {
  readonly port: MessagePort;
  readonly progressInterval: number;
  pools: Readonly<Record<string, unknown>> = {};
  readonly #seats: readonly Seat[];
  readonly #parts: (Part | undefined)[];
  /** What has come, in order. What a job finds in the port has its turn when that job's code has ended. */
  readonly #inbox: ToThread[] = [];
  readonly #storage = new AsyncLocalStorage<Part | undefined>();
  /** No job's async context. */
  readonly #outside = AsyncLocalStorage.snapshot();
  /** Pools, and the numbers of their bells. */
  readonly #attached = new Map<CancellablePool, number>();
  #bells = 0;
  readonly #notesHeap: boolean;
  readonly #excused = new WeakSet<object>();
  readonly #excusedValues = new Set<unknown>();
  /** The one job that runs, if it is not followed: it has begun before there was a pool. */
  #alone: Part | undefined;
  #job: JobFunction | undefined;

  constructor({ port, buffer, seats, progressInterval, notesHeap }: Setup) {
    this.port = port;
    this.progressInterval = progressInterval;
    this.#notesHeap = notesHeap;
    this.#seats = Array.from({ length: seats }, (_, index) => new Seat(buffer, index));
    this.#parts = Array.from({ length: seats }, () => undefined);
    port.on('message', (message: ToThread) => {
      this.#inbox.push(message);
      this.#catchUp();
    });
    port.on('messageerror', (cause: unknown) => {
      throw new Error('what the runner has sent could not be read: the payload of a job may be too deep for this stack', { cause });
    });
    port.unref();
    process.on('unhandledRejection', (reason) => this.#unhandled(reason));
    setCanceller(this);
  }

  async load({ file, pools }: Setup): Promise<void> {
    const attached = await Promise.all(pools.map(async ({ name, isPg, handle }) => [name, await (isPg ? attachPg : attachPool)(handle)]));
    this.pools = Object.freeze(Object.fromEntries(attached));
    this.#job = jobOf((await import(file)) as { default?: unknown });
    if (this.#job === undefined) throw new TypeError(`the default export of ${file} is no job: export default defineJob(...)`);
  }

  // ── one job

  #begin([, index, job, attempt, name, payload]: JobMessage): void {
    const part = new Part(this, this.#seats[index], index, job, attempt, name);
    this.#parts[index] = part;
    let value: unknown;
    try {
      // Cancelled before it has begun: then it does not begin.
      part.check();
      value = this.#call(part, payload, new Context(part));
    } catch (thrown) {
      return this.#threw(part, thrown);
    }
    // Also whatever else can be awaited. A promise costs more than the rest of an empty job.
    if ((typeof value === 'object' && value !== null) || typeof value === 'function') void this.#wait(part, value);
    else this.#returned(part, value);
  }

  /** In an async context of its own: what a job sets there (`enterWith`) is not set for the next one. */
  #call(part: Part, payload: unknown, context: Context): unknown {
    return new AsyncResource('cenote.job').runInAsyncScope(() => {
      // To follow a job through its promises costs as much as the rest of an empty job. There is nothing to follow where there is no pool.
      if (this.#attached.size > 0 || this.#seats.length > 1) return this.#storage.run(part, this.#job!, payload, context);
      this.#alone = part;
      return this.#job!(payload, context);
    });
  }

  async #wait(part: Part, promise: unknown): Promise<void> {
    let value: unknown;
    try {
      value = await promise;
    } catch (thrown) {
      return this.#threw(part, thrown);
    }
    this.#returned(part, value);
  }

  #returned(part: Part, value: unknown): void {
    const heap = this.#end(part);
    try {
      const result = parcelOf(value, undefined);
      const answer: ToRunner = [RETURNED, part.seat, result.value, heap];
      if (result.transferList === undefined) this.port.postMessage(answer);
      else this.port.postMessage(answer, result.transferList as ArrayBuffer[]);
    } catch (cause) {
      const said = `the result of ${nameOf(part)} cannot be cloned to the runner's thread`;
      this.#answer([THREW, part.seat, sent(new JobResultError(said, part, { cause })), heap]);
    }
  }

  #threw(part: Part, thrown: unknown): void {
    const heap = this.#end(part);
    this.#answer([THREW, part.seat, errorOf(part, thrown), heap]);
  }

  #answer(answer: ToRunner): void {
    this.port.postMessage(answer);
  }

  /** Its function has ended. Gives the heap in use, in MB, if that is to be noted. */
  #end(part: Part): number | undefined {
    this.#parts[part.seat] = undefined;
    this.#alone = undefined;
    part.end();
    for (const pool of this.#attached.keys()) pool.takeBackFrom(part, part.name ?? part.job, performance.now() - part.startedAt);
    return this.#notesHeap ? process.memoryUsage().heapUsed / 2 ** 20 : undefined;
  }

  // ── cancelling

  present(): Part | undefined {
    return this.#storage.getStore() ?? this.#alone;
  }

  within<V>(part: Part | undefined, body: () => V): V {
    return this.#storage.run(part, body);
  }

  attached(pool: CancellablePool): void {
    const bell = ++this.#bells;
    this.#attached.set(pool, bell);
    this.port.postMessage([BELL, bell, pool.bell.buffer, pool.bell.at] satisfies ToRunner);
  }

  detached(pool: CancellablePool): void {
    const bell = this.#attached.get(pool);
    if (bell === undefined) return;
    this.#attached.delete(pool);
    this.port.postMessage([NO_BELL, bell] satisfies ToRunner);
  }

  drain(): void {
    for (let got = receiveMessageOnPort(this.port); got !== undefined; got = receiveMessageOnPort(this.port)) this.#inbox.push(got.message);
    for (const message of this.#inbox) if (message[0] === CANCEL) this.#cancel(message, false);
    if (this.#inbox.length > 0) setImmediate(() => this.#outside(() => this.#catchUp()));
  }

  #catchUp(): void {
    for (let message = this.#inbox.shift(); message !== undefined; message = this.#inbox.shift())
      if (message[0] === JOB) this.#begin(message);
      else this.#cancel(message, true);
  }

  /** Nothing if the job does not run, or has been cancelled. */
  #cancel([, seat, job, reason, buffers]: CancelMessage, isAtOnce: boolean): void {
    asBuffers(buffers);
    const part = this.#parts[seat];
    if (part?.job === job) part.cancel(received(reason), isAtOnce);
  }

  // ── what jobs leave behind

  excuse(reason: unknown): void {
    if ((typeof reason === 'object' && reason !== null) || typeof reason === 'function') {
      this.#excused.add(reason);
      return;
    }
    this.#excusedValues.delete(reason);
    this.#excusedValues.add(reason);
    if (this.#excusedValues.size > MOST_REASONS) this.#excusedValues.delete(this.#excusedValues.values().next().value);
  }

  /** As Node does it without a listener, but for what this thread has rejected itself, as the job that waited for it is at an end. */
  #unhandled(reason: unknown): void {
    if (this.#excused.has(reason as object) || this.#excusedValues.has(reason)) return;
    if (process.listenerCount('unhandledRejection') > 1) return;
    queueMicrotask(() => {
      throw asError(reason);
    });
  }
}

async function attachPg(handle: Setup['pools'][number]['handle']): Promise<unknown> {
  const { attachPgPool } = await import('../pg/worker.ts');
  return attachPgPool(handle);
}

function errorOf(part: Part, thrown: unknown): WireError {
  if (thrown === undefined || thrown === null) return sent(new JobError(`${nameOf(part)} has thrown ${thrown}`, part));
  if (isError(thrown) || isCloneable(thrown)) return toWire(thrown);
  const said = `${nameOf(part)} has thrown what cannot be cloned to the runner's thread: ${asError(thrown).message}`;
  return sent(new JobResultError(said, part, { cause: whyNot(thrown) }));
}

/** The DataCloneError. */
function whyNot(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (error) {
    return error;
  }
}
