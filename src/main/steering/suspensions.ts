/**
 * The suspensions in force: each is an object of its own, and the pool goes on when the last has ended.
 * What they mean for slots and waiters is in turn/standstill.ts.
 */
import { SuspendTimeoutError } from '../../shared/errors.ts';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { checkDuration, limitOf } from '../../shared/options/durations.ts';
import { checkFew } from '../../shared/options/option-names.ts';
import { show } from '../../shared/show.ts';
import { isAbortSignal, throwIfAborted } from '../../shared/waiting/abort-signals.ts';
import type { KeepAlive } from '../../shared/waiting/keep-alive.ts';
import { SUSPENDED, SUSPENDED_REFUSING } from '../../shared/words/state.ts';
import type { Events } from '../events.ts';
import type { AttachedThreads } from '../threads/attached-threads.ts';
import type { Turn } from '../turn/turn.ts';
import type { SuspendOptions, Suspension } from '../types.ts';
import { notOpen, Pending } from './pending.ts';

const OPTIONS = ['label', 'mode', 'until', 'timeout', 'signal', 'maxDuration'];

interface Terms {
  readonly label: string;
  readonly mode: 'wait' | 'refuse';
  readonly until: 'now' | 'returned' | 'empty';
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly maxDuration: number;
}

interface InForce {
  readonly terms: Terms;
  readonly arrival: Pending<Suspension>;
  timer: NodeJS.Timeout | undefined;
}

export class Suspensions<T> {
  readonly #pool: string;
  readonly #turn: Turn;
  readonly #threads: AttachedThreads<T>;
  readonly #events: Events<T>;
  readonly #keepAlive: KeepAlive;
  readonly #inForce = new Set<InForce>();

  constructor(pool: string, turn: Turn, threads: AttachedThreads<T>, events: Events<T>, keepAlive: KeepAlive) {
    this.#pool = pool;
    this.#turn = turn;
    this.#threads = threads;
    this.#events = events;
    this.#keepAlive = keepAlive;
  }

  /** For the state word. */
  get bits(): number {
    if (this.#inForce.size === 0) return 0;
    return this.#has(({ mode }) => mode === 'refuse') ? SUSPENDED | SUSPENDED_REFUSING : SUSPENDED;
  }

  /** Is nothing to be there for as long as that? */
  get isEmptying(): boolean {
    return this.#has(({ until }) => until === 'empty');
  }

  get labels(): string[] {
    return [...this.#inForce].map(({ terms }) => terms.label);
  }

  #has(is: (terms: Terms) => boolean): boolean {
    for (const { terms } of this.#inForce) if (is(terms)) return true;
    return false;
  }

  /** Rejects with what `suspend` of a pool rejects with. */
  async suspend(options: SuspendOptions = {}): Promise<Suspension> {
    const terms = termsOf(options);
    throwIfAborted(terms.signal);
    const arrival = new Pending<Suspension>(() => this.#end(suspension));
    const suspension: InForce = { terms, arrival, timer: undefined };
    // Before it is in force: a signal that is not Node's may abort as it is listened to, or throw, or do anything else to this pool.
    arrival.unless(terms.signal);
    if (this.#turn.life.state !== 'open') arrival.fail(notOpen(this.#pool, this.#turn));
    if (!arrival.isOver) this.#begin(suspension);
    return this.#keepAlive.during(arrival.promise);
  }

  #begin(suspension: InForce): void {
    const { terms, arrival } = suspension;
    const { label, mode, until, timeout, maxDuration } = terms;
    this.#inForce.add(suspension);
    // Before the state says so: a thread that reads the state finds the label.
    this.#threads.tellSuspensions(this.labels);
    const late = (ms: number) => () =>
      new SuspendTimeoutError(
        `pool ${show(this.#pool)}: after ${ms} ms of suspension ${show(label)} it is not ${WANTED[until]}`,
        this.#pool,
      );
    arrival.within(timeout, late(timeout));
    if (maxDuration > 0)
      suspension.timer = setTimeout(() => {
        arrival.fail(late(maxDuration)());
        this.#end(suspension);
      }, maxDuration).unref();
    this.#events.emit('suspend', { label, mode });
    this.#turn.suspend();
  }

  /** In a turn: has what they wait for come about? */
  looked(): void {
    for (const suspension of [...this.#inForce]) {
      const { terms, arrival } = suspension;
      if (!arrival.isOver && this.#turn.standstill.hasCome(terms.until)) arrival.done(this.#handle(suspension));
    }
  }

  #handle(suspension: InForce): Suspension {
    const resume = (): void => this.#end(suspension);
    return { label: suspension.terms.label, resume, [Symbol.dispose]: resume, [Symbol.asyncDispose]: async () => resume() };
  }

  #end(suspension: InForce): void {
    if (!this.#inForce.delete(suspension)) return;
    clearTimeout(suspension.timer);
    this.#threads.tellSuspensions(this.labels);
    this.#turn.request();
    if (this.#inForce.size === 0 && this.#turn.life.state === 'open') this.#events.emit('resume');
  }

  /** The pool is not open any more. `goesOn`: it serves those in line all the same. */
  endAll(goesOn: boolean): void {
    const all = [...this.#inForce];
    this.#inForce.clear();
    for (const { arrival, timer } of all) {
      clearTimeout(timer);
      arrival.fail(notOpen(this.#pool, this.#turn));
    }
    if (all.length === 0) return;
    this.#threads.tellSuspensions([]);
    if (goesOn) this.#events.emit('resume');
  }
}

const WANTED = { now: 'suspended', returned: 'without a borrower', empty: 'empty' } as const;

function termsOf(options: SuspendOptions): Terms {
  checkFew(options, { of: 'suspend', options: OPTIONS });
  const { label = 'suspend', mode = 'wait', until = 'now', timeout = 0, signal, maxDuration = 0 } = options;
  if (typeof label !== 'string') throw new TypeError(`label must be a string, not ${show(label)}`);
  if (mode !== 'wait' && mode !== 'refuse') throw new TypeError(`mode must be 'wait' or 'refuse', not ${show(mode)}`);
  if (until !== 'now' && until !== 'returned' && until !== 'empty')
    throw new TypeError(`until must be 'now', 'returned' or 'empty', not ${show(until)}`);
  checkDuration('timeout', timeout);
  checkDuration('maxDuration', maxDuration);
  if (signal !== undefined && !isAbortSignal(signal)) throw new TypeError(`signal must be an AbortSignal, not ${show(signal)}`);
  return { label, mode, until, timeout: limitOf(timeout), signal, maxDuration: limitOf(maxDuration) };
}
