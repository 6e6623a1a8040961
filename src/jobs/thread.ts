/** A thread of a runner: loads the job's file, and runs jobs. Piscina calls `run` for each task, by entry.cjs. */
import { AsyncLocalStorage } from 'node:async_hooks';
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
import { isSurelyCloneable } from './plain.ts';
import { BELL, CANCEL, type JobTask, NO_BELL, RESULT, type Setup, type ToRunner, type ToThread } from './protocol.ts';
import { RETURNED, SENT, Seat, setHeap, THREW } from './seat.ts';

/** What Piscina.move marks. */
const TRANSFERABLE = Symbol.for('Piscina.transferable');
const VALUE = Symbol.for('Piscina.valueOf');
/** Reasons that are no objects are remembered one by one: the last so many. */
const MOST_REASONS = 64;

export function run(task: Setup | JobTask): unknown {
  return Array.isArray(task) ? thread!.run(task as JobTask) : start(task as Setup);
}

let thread: JobThread | undefined;

/** Undefined, or why this thread cannot run jobs. */
async function start(setup: Setup): Promise<WireError | undefined> {
  try {
    thread = new JobThread(setup);
    await thread.load(setup);
    return undefined;
  } catch (error) {
    return sent(error);
  }
}

class JobThread implements Host, Canceller {
  readonly port: MessagePort;
  readonly progressInterval: number;
  pools: Readonly<Record<string, unknown>> = {};
  readonly #words: Int32Array;
  readonly #seats: readonly Seat[];
  readonly #parts: (Part | undefined)[];
  /** By seat, a cancel that came when its job did not run (yet): the job comes by another port. */
  readonly #early: ({ readonly job: number; readonly reason: unknown } | undefined)[] = [];
  readonly #storage = new AsyncLocalStorage<Part | undefined>();
  readonly #attached = new Set<CancellablePool>();
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
    this.#words = new Int32Array(buffer);
    this.#seats = Array.from({ length: seats }, (_, index) => new Seat(buffer, index));
    this.#parts = Array.from({ length: seats }, () => undefined);
    port.on('message', (message: ToThread) => this.#receive(message, true));
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

  async run([index, job, attempt, name, payload]: JobTask): Promise<unknown> {
    const seat = this.#seats[index];
    const part = new Part(this, seat, index, job, attempt, name);
    this.#parts[index] = part;
    let value: unknown;
    let outcome: number = RETURNED;
    const early = this.#early[index];
    if (early?.job === job) part.cancel(early.reason, true);
    try {
      // Cancelled before it has begun: then it does not begin.
      part.check();
      const context = new Context(part);
      // To follow a job through its promises costs as much as the rest of an empty job. There is nothing to follow where there is no pool.
      if (this.#attached.size > 0 || this.#seats.length > 1) value = this.#storage.run(part, this.#job!, payload, context);
      else {
        this.#alone = part;
        value = this.#job!(payload, context);
      }
      // Also whatever else can be awaited.
      if (typeof value === 'object' && value !== null) value = await value;
    } catch (thrown) {
      outcome = THREW;
      value = thrown;
    }
    this.#end(part, index);
    if (outcome === RETURNED && !isSurelyCloneable(value)) {
      try {
        this.#send(index, job, value);
        outcome = SENT;
        value = undefined;
      } catch (cause) {
        outcome = THREW;
        value = new JobResultError(`the result of ${nameOf(part)} cannot be cloned to the runner's thread`, part, { cause });
      }
    }
    seat.end(outcome);
    return outcome === THREW ? errorOf(part, value) : value;
  }

  #send(index: number, job: number, value: unknown): void {
    // Only a value that was given to Piscina.move has both.
    const moved = typeof value === 'object' && value !== null && TRANSFERABLE in value && VALUE in value;
    const result = moved ? (value as { [VALUE]: unknown })[VALUE] : value;
    const transfer = moved ? [(value as { [TRANSFERABLE]: ArrayBuffer })[TRANSFERABLE]] : [];
    this.port.postMessage([RESULT, index, job, result] satisfies ToRunner, transfer);
  }

  #end(part: Part, index: number): void {
    this.#parts[index] = undefined;
    this.#alone = undefined;
    part.end();
    for (const pool of this.#attached) pool.takeBackFrom(part, part.name ?? part.job, performance.now() - part.startedAt);
    if (this.#notesHeap) setHeap(this.#words, Math.round(process.memoryUsage().heapUsed / 2 ** 20));
  }

  // ── cancelling

  present(): Part | undefined {
    return this.#storage.getStore() ?? this.#alone;
  }

  within<V>(part: Part | undefined, body: () => V): V {
    return this.#storage.run(part, body);
  }

  attached(pool: CancellablePool): void {
    this.#attached.add(pool);
    this.port.postMessage([BELL, pool.bell.buffer, pool.bell.at] satisfies ToRunner);
  }

  detached(pool: CancellablePool): void {
    this.#attached.delete(pool);
    this.port.postMessage([NO_BELL, pool.bell.buffer, pool.bell.at] satisfies ToRunner);
  }

  drain(): void {
    for (let got = receiveMessageOnPort(this.port); got?.message !== undefined; got = receiveMessageOnPort(this.port))
      this.#receive(got.message, false);
  }

  #receive(message: ToThread, isAtOnce: boolean): void {
    if (message[0] !== CANCEL) return;
    const [, seat, job, reason, buffers] = message;
    asBuffers(buffers);
    const part = this.#parts[seat];
    if (part?.job === job) part.cancel(received(reason), isAtOnce);
    else this.#early[seat] = { job, reason: received(reason) };
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
