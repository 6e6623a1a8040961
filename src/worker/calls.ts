/** Remote calls as the caller sees them: a number for each, and what to do with its answer. */
import type { MessagePort } from 'node:worker_threads';
import { RemoteCallError } from '../shared/errors.ts';
import type { Lending } from '../shared/lending/lending.ts';
import { written } from '../shared/lending/traces.ts';
import { clearTimeout, setTimeout } from '../shared/node.ts';
import type { Hold } from '../shared/options/hold-limits.ts';
import { show } from '../shared/show.ts';
import { abortReason, SharedAbortListeners } from '../shared/waiting/abort-signals.ts';
import { type Cancellation, canceller, throwIfCancelled, throwReason } from '../shared/waiting/cancellation.ts';
import type { KeepAlive } from '../shared/waiting/keep-alive.ts';
import { isCloneable } from '../shared/wire/error-wire.ts';
import { ABANDON, CALL, CALL_ONCE, CANCEL } from '../shared/wire/protocol.ts';
import { Claim } from '../shared/words/claim.ts';
import { NONE } from '../shared/words/line.ts';
import { type Answer, Awaited, type AwaitedCall, NO_CALL } from './awaited.ts';
import { type CallRequest, Outbox } from './outbox.ts';

interface PendingCall {
  /** NONE for a one-shot call: the owner borrows for it. */
  readonly slot: number;
  readonly serial: number;
  /** As the owner names it: see `Lending.leases`. */
  readonly lease: number;
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

export class Calls {
  readonly #pool: string;
  readonly #keepAlive: KeepAlive;
  /** Gives up what this thread has borrowed in that slot. */
  readonly giveUp: (slot: number, why: unknown) => void;
  readonly #pending = new Map<number, PendingCall>();
  readonly #signals = new SharedAbortListeners((signal) => this.#aborted(signal));
  readonly #lending: Lending;
  /** Calls of the present lease of each slot that have not been answered yet, those that this thread sleeps for included. */
  readonly underWay: Int32Array;
  /** What it sleeps for: see BlockingCalls. */
  readonly #awaited = new Awaited();
  readonly outbox: Outbox;
  #lastId = NO_CALL;

  constructor(pool: string, port: MessagePort, lending: Lending, keepAlive: KeepAlive, giveUp: (slot: number, why: unknown) => void) {
    this.#pool = pool;
    this.outbox = new Outbox(port, this);
    this.#lending = lending;
    this.underWay = new Int32Array(lending.leases.length);
    this.#keepAlive = keepAlive;
    this.giveUp = giveUp;
  }

  /** For a call that is about to be sent. */
  #newId(): number {
    return ++this.#lastId;
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
      const id = this.#newId();
      const partSignal = this.#listenTo(part);
      const lease = this.#lending.leases[slot];
      this.#pending.set(id, { slot, serial: this.#lending.serials[slot], lease, resolve, reject, partSignal });
      this.#keepAlive.ref();
      this.underWay[slot]++;
      this.outbox.sendCall(id, slot, lease, method, args);
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
      const id = this.#newId();
      const own = [...args];
      const part = canceller?.present();
      throwIfCancelled(part);
      if (signal !== undefined) this.#signals.add(signal);
      const partSignal = this.#listenTo(part);
      const claim = timeout > 0 || signal !== undefined || partSignal !== undefined ? new Claim() : undefined;
      const timer = timeout > 0 ? setTimeout(() => this.#cancel(id, late), timeout) : undefined;
      this.#pending.set(id, { slot: NONE, serial: 0, lease: 0, resolve, reject, signal, partSignal, at, claim, timer });
      this.#keepAlive.ref();
      const { tag } = this.#lending;
      const terms = claim === undefined && tag === 0 && hold === undefined ? undefined : { claim: claim?.buffer, tag, hold };
      this.outbox.sendOnce([CALL_ONCE, id, terms, method, own], own, method);
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
    this.outbox.flush();
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
    if (slot === NONE) this.outbox.send([claim?.withdraw() ? CANCEL : ABANDON, id]);
    const isLent = slot !== NONE && this.#lending.isCurrent(slot, serial);
    this.settle(id, { ok: false, error: reason });
    // What it may still be doing is not known: the resource is of no use to a later borrower.
    if (isLent && this.#lending.isCurrent(slot, serial)) this.giveUp(slot, reason);
  }

  /** The owner may be busy, so it is not asked: by the claim either it has begun, and is waited for, or it never will. */
  #cancel(id: number, reason: () => unknown): void {
    if (!this.#pending.get(id)?.claim?.withdraw()) return;
    this.outbox.send([CANCEL, id]);
    this.settle(id, { ok: false, error: reason() });
  }

  // ── those that this thread sleeps for

  /** On what this thread has borrowed in that slot. It is about to be sent; `endSleep` follows. */
  beginSleep(slot: number): AwaitedCall {
    this.underWay[slot]++;
    return this.#awaited.begin(this.#newId(), slot, this.#lending.serials[slot], this.#lending.leases[slot]);
  }

  /** Without an answer it stays under way: it may still run, and a release has to wait for it. */
  endSleep(call: AwaitedCall): void {
    this.#awaited.end(call);
  }

  /** The method may still run: a release waits for it, as for every call under way, and its answer is dropped. */
  leaveUnderWay({ id, slot, serial, lease }: AwaitedCall): void {
    this.#pending.set(id, { slot, serial, lease, resolve: drop, reject: drop });
    this.#keepAlive.ref();
  }

  // ── how they end

  /** It cannot be cloned, or not be sent. */
  refuse(request: CallRequest, cause: unknown): void {
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
    this.settle(id, { ok: false, error });
  }

  /**
   * Some calls will have no answer, and which is not known. They may still run: a release has to wait for them, as if they were under way.
   */
  doubt(why: string): void {
    const underWay = this.underWay.slice();
    try {
      this.abandon(() => new RemoteCallError(`pool ${show(this.#pool)}: ${why}, and it may have been this call's`, this.#pool));
    } finally {
      this.underWay.set(underWay);
    }
  }

  /** An answer that no caller waits for (any more) is dropped. */
  settle(id: number, answer: Answer): void {
    const call = this.#pending.get(id);
    if (call === undefined) return this.#settleAwaited(this.#awaited.find(id), answer);
    // This first: at the end of the stack nothing more may come to pass.
    if (answer.ok) call.resolve(answer.value);
    else call.reject(answer.error);
    this.#pending.delete(id);
    this.#keepAlive.unref();
    if (call.signal !== undefined) this.#signals.remove(call.signal);
    if (call.partSignal !== undefined) this.#signals.remove(call.partSignal);
    if (call.timer !== undefined) clearTimeout(call.timer);
    this.#isNotUnderWay(call);
  }

  /** The first answer counts. Its caller takes it when it is its turn. */
  #settleAwaited(call: AwaitedCall | undefined, answer: Answer): void {
    if (call === undefined || call.answer !== undefined) return;
    call.answer = answer;
    this.#isNotUnderWay(call);
  }

  #isNotUnderWay({ slot, serial }: { readonly slot: number; readonly serial: number }): void {
    if (slot !== NONE && this.#lending.isCurrent(slot, serial)) this.underWay[slot]--;
  }

  /**
   * This lease has been taken back: its calls under way have ended, those that this thread sleeps for included. The slot may have been
   * borrowed anew since, and the calls of that lease go on.
   */
  revoke(slot: number, lease: number, error: unknown): void {
    const answer: Answer = { ok: false, error };
    for (const call of this.#awaited) if (call.slot === slot && call.lease === lease) this.#settleAwaited(call, answer);
    for (const [id, call] of [...this.#pending]) if (call.slot === slot && call.lease === lease) this.settle(id, answer);
  }

  /** No answer will come any more. */
  abandon(error: () => unknown): void {
    for (const call of this.#awaited) this.#settleAwaited(call, { ok: false, error: error() });
    for (const id of [...this.#pending.keys()]) this.settle(id, { ok: false, error: error() });
  }
}

const drop = (): void => {};
