/** Remote calls as the caller sees them: a number for each, what to do with its answer, and the port they go through. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { now } from '../shared/clock.ts';
import { CallTimeoutError, RemoteCallError } from '../shared/errors.ts';
import type { Lending } from '../shared/lending/lending.ts';
import { written } from '../shared/lending/traces.ts';
import { clearTimeout, MessageChannel, setTimeout } from '../shared/node.ts';
import type { Hold } from '../shared/options/hold-limits.ts';
import { show } from '../shared/show.ts';
import { abortReason, SharedAbortListeners } from '../shared/waiting/abort-signals.ts';
import { SLICE } from '../shared/waiting/blocking.ts';
import { type Cancellation, canceller, throwReason } from '../shared/waiting/cancellation.ts';
import type { KeepAlive } from '../shared/waiting/keep-alive.ts';
import { fromWire, isCloneable } from '../shared/wire/error-wire.ts';
import { asBuffers, DEEP, repack, survey, VIEWS } from '../shared/wire/parcel.ts';
import {
  ABANDON,
  ALONE,
  ANSWER,
  CALL,
  CALL_ONCE,
  CALL_SYNC,
  CANCEL,
  FAILURE,
  LOST,
  type Request,
  type Response,
} from '../shared/wire/protocol.ts';
import type { Bells } from '../shared/words/bell.ts';
import { Claim } from '../shared/words/claim.ts';
import { NONE } from '../shared/words/line.ts';

/** How long a synchronous call watches its bell before it sleeps, in ms: an owner with nothing else to do answers within that. */
const SPIN = 0.05;

interface PendingCall {
  /** NONE for a one-shot call: the owner borrows for it. */
  readonly slot: number;
  readonly serial: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly signal?: AbortSignal | undefined;
  /** That of the part of the program that has made the call, if it can be cancelled. */
  readonly partSignal?: AbortSignal | undefined;
  /** Of a one-shot call, where it was asked for, if that is to be remembered. */
  readonly at?: Error | undefined;
  /** Of a one-shot call with limits. */
  readonly claim?: Claim | undefined;
  readonly timer?: NodeJS.Timeout | undefined;
}

/** How long the caller of a one-shot call waits for it to begin. */
export interface Patience {
  /** In ms; 0: for ever. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The error for when that time is over. */
  late(): unknown;
}

/** A request with arguments. */
type CallRequest = Extract<Request, readonly [typeof CALL | typeof CALL_SYNC | typeof CALL_ONCE, ...unknown[]]>;

type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export class Calls {
  readonly #pool: string;
  readonly #port: MessagePort;
  readonly #bells: Bells;
  readonly #me: number;
  readonly #keepAlive: KeepAlive;
  /** Everything that is not an answer. */
  readonly #receive: (response: Response) => void;
  /** Gives up what this thread has borrowed in that slot. */
  readonly #giveUp: (slot: number, why: unknown) => void;
  readonly #pending = new Map<number, PendingCall>();
  readonly #signals = new SharedAbortListeners((signal) => this.#aborted(signal));
  readonly #lending: Lending;
  /** Calls of the present lease of each slot that have not been answered yet. */
  readonly underWay: Int32Array;
  #outbox: Request[] = [];
  /** Something was sent in this tick already: what comes now is put together behind it. */
  #isGathering = false;
  #lastId = 0;
  #awaited = 0;
  #awaitedSlot = 0;
  #answer: Answer | undefined;
  /** The call whose result is the next message, and all of it. */
  #alone: { readonly id: number; readonly name: string } | undefined;

  constructor(
    pool: string,
    port: MessagePort,
    bells: Bells,
    lending: Lending,
    keepAlive: KeepAlive,
    receive: (response: Response) => void,
    giveUp: (slot: number, why: unknown) => void,
  ) {
    this.#pool = pool;
    this.#port = port;
    this.#bells = bells;
    this.#me = lending.me;
    this.#lending = lending;
    this.underWay = new Int32Array(lending.leases.length);
    this.#keepAlive = keepAlive;
    this.#receive = receive;
    this.#giveUp = giveUp;
  }

  /** That lease is over: what is still under way does not count any more. */
  forget(slot: number): void {
    this.underWay[slot] = 0;
  }

  /** On what this thread has borrowed in that slot. The arguments are in a list that no other code has. */
  call(slot: number, method: string, args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const part = canceller?.present();
      throwReason(part?.untold());
      const id = ++this.#lastId;
      const partSignal = this.#listenTo(part);
      this.#pending.set(id, { slot, serial: this.#lending.serials[slot], resolve, reject, partSignal });
      this.#keepAlive.ref();
      this.underWay[slot]++;
      this.#sendCall(id, slot, this.#lending.leases[slot], method, args);
    });
  }

  /** On whatever the owner borrows for it. */
  callOnce(
    method: string,
    args: readonly unknown[],
    { timeout, signal, late }: Patience,
    hold: Hold | undefined,
    at: Error | undefined,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const own = [...args];
      const part = canceller?.present();
      throwReason(part?.cancelled());
      if (signal !== undefined) this.#signals.add(signal);
      const partSignal = this.#listenTo(part);
      const claim = timeout > 0 || signal !== undefined || partSignal !== undefined ? new Claim() : undefined;
      const timer = timeout > 0 ? setTimeout(() => this.#cancel(id, late), timeout) : undefined;
      this.#pending.set(id, { slot: NONE, serial: 0, resolve, reject, signal, partSignal, at, claim, timer });
      this.#keepAlive.ref();
      const { tag } = this.#lending;
      const terms = claim === undefined && tag === 0 && hold === undefined ? undefined : { claim: claim?.buffer, tag, hold };
      const request: CallRequest = [CALL_ONCE, id, terms, method, own];
      if (secure(own)) this.send(request);
      else this.#sendNow(request, own, method);
    });
  }

  /** The stack of the one-shot call with this number, while it is under way. */
  whereAsked(id: number): string | undefined {
    const at = this.#pending.get(id)?.at;
    return at === undefined ? undefined : written(at);
  }

  #aborted(signal: AbortSignal): void {
    for (const [id, call] of [...this.#pending]) {
      if (call.partSignal === signal) this.#abandon(id, call, abortReason(signal));
      else if (call.signal === signal) this.#cancel(id, () => abortReason(signal));
    }
    this.flush();
  }

  /**
   * The signal of this part, which is listened to until the call that it is for has settled. One that has aborted is of a part that cleans
   * up.
   */
  #listenTo(part: Cancellation | undefined): AbortSignal | undefined {
    const signal = part?.signal;
    if (signal === undefined || signal.aborted) return undefined;
    this.#signals.add(signal);
    return signal;
  }

  /** The part that has made this call has been cancelled: it waits no longer, whether the call has begun or not. */
  #abandon(id: number, { slot, serial, claim }: PendingCall, reason: unknown): void {
    if (slot === NONE) this.send([claim?.withdraw() ? CANCEL : ABANDON, id]);
    const isLent = slot !== NONE && this.#lending.isCurrent(slot, serial);
    this.#settle(id, { ok: false, error: reason });
    // What it may still be doing is not known: the resource is of no use to a later borrower.
    if (isLent && this.#lending.isCurrent(slot, serial)) this.#giveUp(slot, reason);
  }

  /** The owner may be busy, so it is not asked: by the claim either it has begun, and is waited for, or it never will. */
  #cancel(id: number, reason: () => unknown): void {
    if (!this.#pending.get(id)?.claim?.withdraw()) return;
    this.send([CANCEL, id]);
    this.#settle(id, { ok: false, error: reason() });
  }

  /**
   * Blocks this thread until the owner has answered, or until `deadline` (by `now`): then it throws CallTimeoutError.
   * `assertOwnerAlive` is asked now and then, and may throw.
   */
  callSync(
    slot: number,
    method: string,
    args: readonly unknown[],
    assertOwnerAlive: () => void,
    deadline = Number.POSITIVE_INFINITY,
  ): unknown {
    if (now() >= deadline) throw this.#overdue(`there is no time left for ${method}(), which has not been called`);
    const part = canceller?.present();
    throwReason(part?.untold());
    const id = ++this.#lastId;
    this.#awaited = id;
    this.#awaitedSlot = slot;
    this.#answer = undefined;
    try {
      this.#sendNow([CALL_SYNC, id, slot, this.#lending.leases[slot], method, args], args, method);
      return this.#sleepForAnswer(id, slot, method, assertOwnerAlive, deadline, part);
    } finally {
      // Left without an answer: it may still run, and a release has to wait for it.
      if (this.#awaited === id) this.underWay[slot]++;
      this.#awaited = 0;
    }
  }

  #sleepForAnswer(
    id: number,
    slot: number,
    method: string,
    assertOwnerAlive: () => void,
    deadline: number,
    part: Cancellation | undefined,
  ): unknown {
    for (;;) {
      const seen = this.#bells.read(this.#me);
      this.drain();
      const answer = this.#answer as Answer | undefined;
      if (answer !== undefined) {
        this.#answer = undefined;
        if (answer.ok) return answer.value;
        throw answer.error;
      }
      // After `seen` was read, like the port: what ends the part sets its word, and then rings.
      const cancelled = part?.cancelled();
      if (cancelled !== undefined) {
        this.#leaveUnderWay(id, slot);
        this.#giveUp(slot, cancelled.reason);
        throw cancelled.reason;
      }
      const time = now();
      if (time >= deadline) throw this.#stopWaiting(id, slot, method);
      const end = Math.min(time + SPIN, deadline);
      while (this.#bells.read(this.#me) === seen && now() < end);
      this.#bells.sleep(this.#me, seen, Math.min(SLICE, Math.max(0, deadline - now())));
      if (this.#bells.read(this.#me) === seen) assertOwnerAlive();
    }
  }

  /** The method may still run. So a release waits for it, as for every call under way; its answer is dropped. */
  #stopWaiting(id: number, slot: number, method: string): CallTimeoutError {
    this.#leaveUnderWay(id, slot);
    return this.#overdue(`the owner has not answered ${method}() in time; it may still be running`);
  }

  #leaveUnderWay(id: number, slot: number): void {
    this.#awaited = 0;
    this.#pending.set(id, { slot, serial: this.#lending.serials[slot], resolve: drop, reject: drop });
    this.#keepAlive.ref();
    this.underWay[slot]++;
  }

  #overdue(why: string): CallTimeoutError {
    return new CallTimeoutError(`pool ${show(this.#pool)}: ${why}`, this.#pool);
  }

  // ── sending

  /** One more of the run of calls that is about to be sent, or the first of another. */
  #sendCall(id: number, slot: number, lease: number, method: string, args: unknown[]): void {
    if (!secure(args)) return this.#sendNow([CALL, id, slot, lease, method, [args]], args, method);
    const last = this.#outbox.at(-1);
    if (
      last === undefined ||
      last[0] !== CALL ||
      last[1] + last[5].length !== id ||
      last[2] !== slot ||
      last[3] !== lease ||
      last[4] !== method
    )
      return this.send([CALL, id, slot, lease, method, [args]]);
    last[5].push(args);
  }

  /** A call whose arguments may change as soon as its caller goes on. */
  #sendNow(request: CallRequest, args: readonly unknown[], method: string): void {
    const found = survey(args);
    let whole = request;
    try {
      if ((found & VIEWS) !== 0) whole = withOwnBytes(request);
    } catch (cause) {
      return this.#refuse(request, cause);
    }
    if ((found & DEEP) === 0) return this.send(whole, true);
    this.send([ALONE, request[1], `${method}()`], true);
    this.send(whole, true);
  }

  /**
   * At once; or if that need not be, and it is not the first such one of this tick, with all of the tick in one message behind that. The
   * first goes ahead as this thread may compute from now on; and where the owner is asleep, what takes longest is to wake it, and meanwhile
   * the others are put together. Order is kept either way.
   */
  send(request: Request, atOnce = false): void {
    this.#outbox.push(request);
    if (atOnce || !this.#isGathering) this.flush();
    if (atOnce || this.#isGathering) return;
    this.#isGathering = true;
    // A third of what queueMicrotask costs.
    NOW.then(this.#gathered);
  }

  readonly #gathered = (): void => {
    this.#isGathering = false;
    this.flush();
  };

  flush(): void {
    if (this.#outbox.length === 0) return;
    const requests = this.#outbox;
    this.#outbox = [];
    try {
      this.#port.postMessage(requests);
    } catch {
      // One of them cannot be cloned: the others must not suffer.
      for (const request of requests) this.#post(request);
    }
  }

  #post(request: Request): void {
    if (request[0] === CALL && request[5].length > 1) {
      const [type, first, slot, lease, method, calls] = request;
      for (const [index, args] of calls.entries()) this.#post([type, first + index, slot, lease, method, [args]]);
      return;
    }
    try {
      this.#port.postMessage([request]);
    } catch (cause) {
      if (request[0] !== CALL && request[0] !== CALL_SYNC && request[0] !== CALL_ONCE) throw cause;
      this.#refuse(request, cause);
    }
  }

  /** It cannot be cloned, or not be sent. */
  #refuse(request: CallRequest, cause: unknown): void {
    const [, id] = request;
    const [method, args] =
      request[0] === CALL_ONCE ? [request[3], request[4]] : [request[4], request[0] === CALL ? request[5][0] : request[5]];
    const index = args.findIndex((argument) => !isCloneable(argument));
    // All can be cloned: then it is the port that will not send, as other code has patched it.
    const why =
      index === -1
        ? `${method}() cannot be sent to the owner's thread: ${show((cause as Error | undefined)?.message)}`
        : `argument ${index + 1} of ${method}() cannot be cloned to the owner's thread: ${show(args[index])}`;
    const error = new RemoteCallError(`pool ${show(this.#pool)}: ${why}`, this.#pool, { cause });
    this.#settle(id, { ok: false, error });
  }

  // ── receiving

  /** Takes what lies in the port without waiting for the event loop. */
  drain(): void {
    for (;;) {
      try {
        const got = receiveMessageOnPort(this.#port);
        // A thread that is being ended may run on for a moment, in which Node gives it messages without content.
        if (got?.message === undefined) return;
        this.receive(got.message);
      } catch (error) {
        // An announced message is gone, and those behind it come next.
        // Any other says that this is the end of the stack: nothing more is read there.
        const isAnnounced = this.#alone !== undefined;
        try {
          this.unreadable();
        } catch {
          NOW.then(() => this.unreadable());
        }
        if (!isAnnounced) throw error;
      }
    }
  }

  /** A message has come that this thread cannot read: it is nested too deeply for its stack, or there is no memory for it. */
  unreadable(): void {
    const alone = this.#alone;
    this.#alone = undefined;
    if (alone !== undefined) return this.#settle(alone.id, { ok: false, error: this.#tooMuch(`the result of ${alone.name}`) });
    // This thread was at the end of its stack. It is not known which calls were answered, so all of them are rejected.
    this.#doubt('an answer of the owner cannot be read by this thread');
  }

  #tooMuch(what: string): RemoteCallError {
    return new RemoteCallError(
      `pool ${show(this.#pool)}: ${what} cannot be read by this thread: nested too deeply for its stack, or too large`,
      this.#pool,
    );
  }

  /**
   * Some calls will have no answer, and which is not known. They may still run: a release has to wait for them, as if they were under way.
   */
  #doubt(why: string): void {
    const underWay = this.underWay.slice();
    if (this.#awaited !== 0) underWay[this.#awaitedSlot]++;
    try {
      this.abandon(() => new RemoteCallError(`pool ${show(this.#pool)}: ${why}, and it may have been this call's`, this.#pool));
    } finally {
      this.underWay.set(underWay);
    }
  }

  /** The owner is trusted; but what is no response at all should not end this thread. */
  receive(responses: readonly Response[]): void {
    this.#alone = undefined;
    if (!Array.isArray(responses)) return;
    for (const response of responses as Response[]) {
      if (!Array.isArray(response)) return;
      switch (response[0]) {
        case ANSWER:
          if (!Array.isArray(response[2])) return;
          asBuffers(response[3]);
          for (const [index, value] of response[2].entries()) this.#settle(response[1] + index, { ok: true, value });
          break;
        case FAILURE:
          asBuffers(response[3]);
          this.#settle(response[1], { ok: false, error: fromWire(response[2]) });
          break;
        case ALONE:
          this.#alone = { id: response[1], name: response[2] };
          break;
        case LOST:
          this.#doubt('a message to the owner could not be read by it');
          break;
        default:
          this.#receive(response);
      }
    }
  }

  /** An answer that no caller waits for (any more) is dropped. */
  #settle(id: number, answer: Answer): void {
    if (id === this.#awaited) {
      this.#answer = answer;
      this.#awaited = 0;
      return;
    }
    const call = this.#pending.get(id);
    if (call === undefined) return;
    // This first: at the end of the stack nothing more may come to pass.
    if (answer.ok) call.resolve(answer.value);
    else call.reject(answer.error);
    this.#pending.delete(id);
    this.#keepAlive.unref();
    if (call.signal !== undefined) this.#signals.remove(call.signal);
    if (call.partSignal !== undefined) this.#signals.remove(call.partSignal);
    if (call.timer !== undefined) clearTimeout(call.timer);
    if (call.slot !== NONE && this.#lending.isCurrent(call.slot, call.serial)) this.underWay[call.slot]--;
  }

  /**
   * What was borrowed in this slot has been taken back, and that lease is over:
   * its calls under way have ended, one that this thread sleeps for included.
   */
  revoke(slot: number, error: unknown): void {
    this.forget(slot);
    const answer: Answer = { ok: false, error };
    if (this.#awaited !== 0 && this.#awaitedSlot === slot) this.#settle(this.#awaited, answer);
    for (const [id, call] of [...this.#pending])
      if (call.slot === slot && !this.#lending.isCurrent(slot, call.serial)) this.#settle(id, answer);
  }

  /** No answer will come any more. */
  abandon(error: () => unknown): void {
    if (this.#awaited !== 0) this.#settle(this.#awaited, { ok: false, error: error() });
    for (const id of [...this.#pending.keys()]) this.#settle(id, { ok: false, error: error() });
  }

  /**
   * Is the other end still there? For a thread that does not get to its 'close' event. What is in the port is taken first; then we offer
   * the port for transfer together with something that cannot be cloned. That always fails, and says "detached" if the other end has gone.
   */
  isConnected(): boolean {
    this.drain();
    const { stackTraceLimit } = Error;
    // The stack is never read, and is most of what this costs. Where Error is frozen this does nothing, and an assignment would throw.
    Reflect.set(Error, 'stackTraceLimit', 0);
    try {
      PROBE.port1.postMessage(() => {}, [this.#port]);
    } catch (error) {
      return !/detached/.test((error as Error).message);
    } finally {
      Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
    }
    return true;
  }
}

const NOW = Promise.resolve();

/** Both ends are kept: a channel whose other end is collected is closed. */
const PROBE = new MessageChannel();

const drop = (): void => {};

/** With exactly the bytes of its views, and a list of those that are Buffers. */
function withOwnBytes(request: CallRequest): CallRequest {
  const buffers: Uint8Array[] = [];
  const parts: unknown[] = [...request];
  const at = request[0] === CALL_ONCE ? 4 : 5;
  parts[at] = repack(parts[at], buffers);
  return [...parts, buffers] as unknown as CallRequest;
}

/**
 * Makes copies where later changes would reach what is to be sent. False if only a clone could do that: then it has to be sent before the
 * caller goes on. So has a Proxy that throws when it is looked at: sending it will say so.
 */
function secure(args: unknown[]): boolean {
  try {
    return copyLists(args);
  } catch {
    return false;
  }
}

function copyLists(args: unknown[]): boolean {
  for (const [index, argument] of args.entries()) {
    if (isImmutable(argument)) continue;
    if (!isPlainList(argument)) return false;
    args[index] = [...argument];
  }
  return true;
}

/** An array of immutable things, of which a shallow copy is all that a clone would be: no holes, no properties besides. */
function isPlainList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.every(isImmutable) && Object.keys(value).length === value.length;
}

function isImmutable(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol');
}
