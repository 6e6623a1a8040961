/**
 * The jobs of a runner, from their submission to their end: the queue, which job gets which thread, and the ways in which one can be over.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { abortReason, clearTimeout, setTimeout } from '../shared/index.ts';
import { Counts, type Ending } from './counts.ts';
import { JobQueueFullError, JobTimeoutError, nameOf, RunnerClosedError, received } from './errors.ts';
import type { Gate } from './gate.ts';
import { Job, type JobGroup, type JobKeeper } from './job.ts';
import type { Listeners } from './listeners.ts';
import type { JobLimits, Settings } from './options.ts';
import { canBeCopied, kept, parcelOf } from './payload.ts';
import { ProgressWatch } from './progress-watch.ts';
import { type Answer, RETURNED } from './protocol.ts';
import type { RunnerThread } from './runner-thread.ts';
import { Signals } from './signals.ts';
import { lostError, Threads, type ThreadsOwner } from './threads.ts';
import type { JobStats, ThreadEnd } from './types.ts';

/** A job that is to be submitted. */
export interface Submission {
  readonly payload: unknown;
  readonly limits: JobLimits;
  readonly transferList?: readonly unknown[] | undefined;
  readonly group?: JobGroup | undefined;
  readonly gate?: Gate<Job> | undefined;
  /** Of its scope, in ms. */
  readonly grace?: number | undefined;
  /** What submits it waits itself when there is no room, so `maxQueue` is not for it. */
  readonly isPaced?: boolean;
}

export class Dispatcher implements JobKeeper, ThreadsOwner {
  readonly settings: Settings;
  readonly signals = new Signals();
  readonly threads: Threads;
  readonly #listeners: Listeners;
  readonly #counts = new Counts();
  readonly #queue = new Set<Job>();
  readonly #running = new Set<Job>();
  /** Jobs at gates. */
  readonly #standing = new Set<Job>();
  readonly #progress: ProgressWatch;
  #isClosed = false;
  #jobs = 0;
  #whenQuiet: (() => void)[] = [];
  /** Threads and jobs belong to no caller. */
  readonly #outside = AsyncLocalStorage.snapshot();

  constructor(settings: Settings, workerData: unknown, listeners: Listeners) {
    this.settings = settings;
    this.#listeners = listeners;
    this.#progress = new ProgressWatch(settings.progressInterval, this.#running, listeners);
    this.threads = new Threads(settings, workerData, this);
    // With such options there may be no thread at all: that is the constructor's to say, where it begins one.
    const unmade = this.#least > 0 ? this.#outside(() => this.threads.start().unmade) : undefined;
    if (unmade !== undefined) {
      this.shut(false);
      void this.end();
      throw unmade.error;
    }
    this.pump();
  }

  wantsProgress(): void {
    this.#progress.wake();
  }

  // ── submitting

  /** Throws what `run` rejects with at once, and then nothing was submitted. */
  submit({ payload, limits, transferList, group, gate, grace, isPaced }: Submission): Job {
    this.assertOpen();
    const { signal } = limits;
    if (signal?.aborted) throw abortReason(signal);
    const free = gate === undefined && this.#queue.size === 0 && this.#hasRoom ? this.threads.withRoom() : undefined;
    if (free === undefined && isPaced !== true) this.#assertRoom(limits);
    const parcel = parcelOf(payload, transferList);
    const retries = canBeCopied(parcel) ? (limits.retryLost ?? this.settings.retryLost) : 0;
    const job = new Job(this, ++this.#jobs, limits, limits.grace ?? grace ?? this.settings.grace, retries, group);
    // To clone a payload may run code of the caller, which may do anything here. So all is as if the job were there, or as if it were not.
    group?.admit(job);
    try {
      if (free !== undefined && retries === 0) {
        // It is cloned to its thread right away.
        job.parcel = parcel;
        this.#startNow(job, free);
      } else {
        job.parcel = kept(parcel);
        this.assertOpen();
        this.#counts.submitted++;
        this.#standing.add(job);
      }
    } catch (error) {
      group?.over(job, undefined);
      throw error;
    }
    this.#heed(job, signal);
    // Else it was cancelled meanwhile, and never starts.
    if (job.state === 'standing') {
      this.#admit(job, gate);
      this.#serve();
    }
    return job;
  }

  #startNow(job: Job, thread: RunnerThread): void {
    this.#counts.submitted++;
    try {
      this.#start(job, thread);
    } catch (error) {
      this.#counts.submitted--;
      this.#serve();
      throw error;
    }
  }

  /** Cancels, those too that came while it was submitted. */
  #heed(job: Job, signal: AbortSignal | undefined): void {
    job.isSubmitting = false;
    if (job.cancelled !== undefined) this.#endCancelled(job, job.cancelled.reason);
    else if (signal !== undefined && job.state !== 'over') this.signals.add(signal, job);
  }

  assertOpen(): void {
    if (this.#isClosed) throw new RunnerClosedError('this runner is closed', { job: 0 });
  }

  /** Jobs for which there is, or may yet be, a thread do not count. */
  #assertRoom({ name }: JobLimits): void {
    const { maxQueue } = this.settings;
    if (maxQueue === 0 || this.waiting < maxQueue + this.#most - this.#running.size) return;
    const why = `${this.waiting} jobs are waiting already, maxQueue is ${maxQueue}: slow down, raise it, or use map, which waits`;
    throw new JobQueueFullError(`the queue of this runner is full: ${why}`, { job: 0, name });
  }

  get #most(): number {
    return this.settings.maxThreads * this.settings.seats;
  }

  get #hasRoom(): boolean {
    return this.#running.size < this.#most;
  }

  get running(): Iterable<Job> {
    return this.#running;
  }

  get waiting(): number {
    return this.#queue.size + this.#standing.size;
  }

  /** Through the gates, from the innermost, as far as it may go. */
  #admit(job: Job, gate: Gate<Job> | undefined): void {
    for (let at = gate; at !== undefined; at = at.outer) {
      if (!at.enter(job)) {
        job.standsAt = at;
        return;
      }
      (job.gates ??= []).push(at);
    }
    job.standsAt = undefined;
    this.#standing.delete(job);
    job.state = 'waiting';
    this.#queue.add(job);
  }

  #leaveGates(job: Job): void {
    if (job.standsAt?.remove(job)) job.standsAt = undefined;
    for (const gate of job.gates?.splice(0) ?? []) {
      const next = gate.leave();
      if (next === undefined) continue;
      (next.gates ??= []).push(gate);
      this.#admit(next, gate.outer);
    }
  }

  // ── starting

  /** Something about the threads has changed. */
  pump(): void {
    this.#serve();
    this.#outside(() => {
      this.threads.replaceDue(false);
      if (this.threads.working < this.#least) this.#grow();
    });
  }

  /** Starts what can start. */
  #serve(): void {
    for (const job of this.#queue) {
      const thread = this.#hasRoom ? this.threads.withRoom() : undefined;
      if (thread === undefined) break;
      this.#queue.delete(job);
      try {
        this.#start(job, thread);
      } catch (error) {
        this.#over(job, 'failed', () => job.reject(error), { error });
      }
    }
    if (this.#queue.size > 0)
      this.#outside(() => {
        this.threads.replaceDue(true);
        this.#grow();
      });
    if (this.#whenQuiet.length > 0 && this.#running.size + this.waiting === 0) for (const then of this.#whenQuiet.splice(0)) then();
  }

  get #least(): number {
    return this.#isClosed || this.threads.isFailing ? 0 : this.settings.minThreads;
  }

  /** As many threads as there is work for; but one at a time, while the file fails to load. */
  #grow(): void {
    const { threads } = this;
    const { maxThreads, seats } = this.settings;
    const hasPlace = (): boolean => threads.hasPlace && threads.working < maxThreads;
    if (threads.isFailing) {
      if (this.#queue.size > 0 && threads.loading === 0 && hasPlace()) threads.begin(true);
      return;
    }
    while (hasPlace() && (threads.working < this.#least || this.#queue.size > threads.loading * seats)) threads.start();
  }

  /** Throws the DataCloneError of its payload, and then it has not started. */
  #start(job: Job, thread: RunnerThread): void {
    job.seat = thread.take(job);
    job.thread = thread;
    job.state = 'running';
    job.startedAt = performance.now();
    job.told = undefined;
    job.said = undefined;
    this.#running.add(job);
    clearTimeout(thread.idleTimer);
    try {
      // What is sent again later is copied.
      thread.give(job.seat, job, job.retries > 0 ? undefined : job.parcel!.transferList);
    } catch (error) {
      this.#leaveThread(job, thread);
      throw error;
    }
    if (job.retries === 0) job.parcel = undefined;
    this.#counts.waitTime.record(job.startedAt - job.submittedAt);
    const { timeout } = job.limits;
    if (timeout > 0) job.timer = setTimeout(() => this.#timeOut(job), timeout);
    this.#progress.wake();
    if (thread.given >= this.settings.recycleJobs) this.#recycle(thread);
  }

  #timeOut(job: Job): void {
    const error = new JobTimeoutError(`${nameOf(job)} has run for more than ${job.limits.timeout} ms`, job);
    this.#cancel(job, error, true);
  }

  // ── ending

  jobAnswered(job: Job, answer: Answer): void {
    const thread = job.thread!;
    // A listener of its progress cannot cancel it any more.
    job.state = 'over';
    this.#progress.tell(job);
    this.#leaveThread(job, thread);
    this.#counts.ran(performance.now() - job.startedAt);
    if (answer[0] === RETURNED) this.#over(job, 'completed', () => job.resolve(answer[2]), undefined);
    else this.#fail(job, { error: received(answer[2]) });
    if (answer[3] !== undefined && answer[3] > this.settings.recycleHeap) this.#recycle(thread);
    this.#serve();
  }

  /** It has thrown. */
  #fail(job: Job, failure: { readonly error: unknown }): void {
    const { cancelled } = job;
    if (cancelled === undefined) this.#over(job, 'failed', () => job.reject(failure.error), failure);
    else if (cancelled.isTimeout) this.#over(job, 'failed', () => job.reject(cancelled.reason), { error: cancelled.reason });
    else this.#over(job, 'cancelled', () => job.reject(cancelled.reason), undefined);
  }

  jobBereft(job: Job): void {
    const thread = job.thread!;
    this.#progress.tell(job);
    this.#leaveThread(job, thread);
    this.#counts.ran(performance.now() - job.startedAt);
    if (job.cancelled !== undefined) this.#fail(job, { error: job.cancelled.reason });
    else this.#lose(job, thread);
  }

  #lose(job: Job, thread: RunnerThread): void {
    const error = lostError(thread, job, `under ${nameOf(job)}`);
    const isItsOwnAct = error.because === 'died' && thread.company <= 1;
    if (isItsOwnAct || job.retries === 0 || this.#isClosed) return this.#over(job, 'lost', () => job.reject(error), { error });
    job.retries--;
    job.attempt++;
    this.#counts.retried++;
    job.state = 'waiting';
    this.#queue.add(job);
  }

  #leaveThread(job: Job, thread: RunnerThread): void {
    clearTimeout(job.timer);
    clearTimeout(job.graceTimer);
    thread.release(job.seat);
    job.thread = undefined;
    this.#running.delete(job);
    if (thread.running === 0) this.threads.idle(thread);
  }

  #over(job: Job, ending: Ending, settle: () => void, failure: { readonly error: unknown } | undefined): void {
    this.#counts.over[ending]++;
    this.#settle(job, settle, failure);
  }

  #settle(job: Job, settle: () => void, failure: { readonly error: unknown } | undefined): void {
    job.state = 'over';
    job.parcel = undefined;
    const { signal } = job.limits;
    if (signal !== undefined) this.signals.remove(signal, job);
    settle();
    this.#leaveGates(job);
    job.group?.over(job, failure);
  }

  // ── cancelling

  cancelJob(job: Job, reason: unknown): void {
    this.#cancel(job, reason, false);
  }

  #cancel(job: Job, reason: unknown, isTimeout: boolean): void {
    if (job.cancelled !== undefined || job.state === 'over') return;
    job.cancelled = { reason, isTimeout };
    if (!job.isSubmitting) this.#endCancelled(job, reason);
  }

  #endCancelled(job: Job, reason: unknown): void {
    if (job.state === 'running') return this.#cancelRunning(job, reason);
    if (!this.#queue.delete(job)) this.#standing.delete(job);
    this.#over(job, 'cancelled', () => job.reject(reason), undefined);
    this.#serve();
  }

  #cancelRunning(job: Job, reason: unknown): void {
    const thread = job.thread!;
    if (thread.state !== 'ready' && thread.state !== 'retiring') return;
    thread.cancel(job.seat, job.job, reason);
    if (job.grace === 0) this.threads.kill(thread);
    else job.graceTimer = setTimeout(() => this.threads.kill(thread), job.grace);
  }

  // ── threads

  threadMoved({ threadId }: RunnerThread, event: 'start' | 'end', reason?: ThreadEnd): void {
    this.#listeners.emit('thread', reason === undefined ? { threadId, event } : { threadId, event, reason });
  }

  loadFailed(error: unknown): boolean {
    const waiting = [...this.#queue];
    for (const job of waiting) {
      if (!this.#queue.delete(job)) continue;
      this.#over(job, 'failed', () => job.reject(error), { error });
    }
    return waiting.length > 0;
  }

  report(error: Error): void {
    this.#listeners.emit('error', error);
  }

  #recycle(thread: RunnerThread): void {
    this.#outside(() => this.threads.recycle(thread));
  }

  // ── closing

  /** Refuses what comes; what waits is cancelled, unless it is to be finished. */
  shut(isFinishing: boolean): void {
    this.#isClosed = true;
    this.threads.shut();
    if (!isFinishing) this.cancelWaiting();
  }

  cancelWaiting(): void {
    for (const job of [...this.#standing, ...this.#queue]) this.#cancel(job, closed(job), false);
  }

  cancelRunning(): void {
    for (const job of [...this.#running]) this.#cancel(job, closed(job), false);
  }

  /** Resolves when no job waits or runs. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenQuiet.push(resolve);
      this.#serve();
    });
  }

  async end(): Promise<void> {
    this.#progress.stop();
    await this.threads.close();
  }

  stats(): JobStats {
    const { over, since, busy, submitted, retried, runTime, waitTime } = this.#counts;
    const time = performance.now();
    let all = busy;
    for (const job of this.#running) all += time - job.startedAt;
    return {
      submitted,
      waiting: this.waiting,
      running: this.#running.size,
      ...over,
      retried,
      threads: this.threads.count,
      killedThreads: this.threads.killed,
      recycledThreads: this.threads.recycled,
      utilization: Math.min(1, all / Math.max(1, (time - since) * this.#most)),
      runTime: runTime.read(),
      waitTime: waitTime.read(),
    };
  }
}

const closed = (job: Job): RunnerClosedError => new RunnerClosedError(`the runner was closed before ${nameOf(job)} had ended`, job);
