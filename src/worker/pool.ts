/** A pool seen from a worker: hand-outs through shared memory, calls through a port. */
import type { MessagePort } from 'node:worker_threads';
import { now } from '../shared/clock.ts';
import { type LeaseRevokedError, RemoteCallError } from '../shared/errors.ts';
import { COUNTER_TIMED_OUT } from '../shared/layout.ts';
import { checkAcquireOptions, checkBlockingResult, checkBody, checkCall } from '../shared/options/acquire-options.ts';
import { type Hold, isLimited } from '../shared/options/hold-limits.ts';
import type { BlockingThread } from '../shared/pool/acquiring.ts';
import { PoolBase } from '../shared/pool/pool-base.ts';
import { asError, show } from '../shared/show.ts';
import type { AcquireOptions, Arguments, MethodName, Result } from '../shared/types.ts';
import { throwIfAborted } from '../shared/waiting/abort-signals.ts';
import { type CancellablePool, type Cancellation, canceller, throwIfCancelled } from '../shared/waiting/cancellation.ts';
import { fromWire, toWire } from '../shared/wire/error-wire.ts';
import { asBuffers, withOwnBytes } from '../shared/wire/parcel.ts';
import {
  type AttachTerms,
  DESTROY,
  DETACH,
  DETACHED,
  FACTORY_FAILURE,
  LEFT,
  LIMIT,
  OVERDUE,
  RELEASE,
  RENEW,
  REVOKED,
  type Response,
  SPARED,
  SUSPENSIONS,
  TRACE,
  WHERE,
} from '../shared/wire/protocol.ts';
import type { ControlBlock } from '../shared/words/control-block.ts';
import { NONE } from '../shared/words/line.ts';
import { CLOSED } from '../shared/words/state.ts';
import { BlockingCalls } from './blocking-calls.ts';
import { Callers } from './callers.ts';
import { Calls } from './calls.ts';
import { Inbox } from './inbox.ts';
import { type Caller, callerOf, currentSlot, RemoteHandle, remoteSerial, remoteSlot } from './remote.ts';
import { SharedPlace } from './shared-place.ts';
import type { AttachedPool, Remote, SyncRemote } from './types.ts';

/** How it stands with this thread's attachment: it goes on, or why it has ended. */
type Attachment = 'attached' | 'detached' | 'pool-ended' | 'owner-gone';

/** For which part of the program a lease was handed out. */
interface Holder {
  readonly part: Cancellation;
  readonly serial: number;
}

/** What stands on top of a pool, and speaks to resources by other ways than calls. */
export interface Above {
  /**
   * A part of the program has ended without giving back what it has in this slot. True: something is under way there that is not a call,
   * and the resource is of no use any more.
   */
  leaves(slot: number): boolean;
}

export class WorkerPool<T> extends PoolBase<Remote<T>> implements AttachedPool<T>, CancellablePool {
  readonly #port: MessagePort;
  protected readonly calls: Calls;
  protected readonly inbox: Inbox;
  readonly #callers: Callers;
  /** Those two of them that each hand-out needs: a step less on the way that most borrows take. */
  readonly #caller: Caller;
  readonly #syncCaller: Caller;
  readonly #blocking: BlockingThread;
  readonly #left: Promise<void>;
  #hasLeft: () => void = () => {};
  readonly #onLeave: () => void;
  readonly #terms: AttachTerms;
  #suspendedBy: readonly string[];
  #attachment: Attachment = 'attached';
  /** By slot: the last lease that was handed out for a part of the program that can be cancelled. */
  readonly #holders: (Holder | undefined)[] = [];
  #above: Above | undefined;

  /**
   * `exposed`: what the pool's `expose` lists. `onLeave` is called once, when this attachment is not to be given to any caller any more.
   */
  constructor(
    name: string,
    block: ControlBlock,
    me: number,
    port: MessagePort,
    exposed: readonly string[] | undefined,
    terms: AttachTerms,
    onLeave: () => void,
  ) {
    super(name, block, me);
    this.#terms = terms;
    this.#suspendedBy = terms.suspendedBy;
    this.#port = port;
    this.#onLeave = onLeave;
    this.#left = new Promise((resolve) => {
      this.#hasLeft = resolve;
    });
    this.calls = new Calls(name, port, this.lending, this.keepAlive, (slot, why) => this.giveUp(slot, asError(why)));
    this.inbox = new Inbox(name, port, this.calls, (response) => this.heard(response));
    this.#blocking = {
      // What the owner should do before we can be served may still lie here.
      beforeSleep: () => {
        this.calls.outbox.flush();
        this.signals.tell();
        if (this.#attachment !== 'attached') throw this.refusals.detached();
      },
      assertOwnerAlive: () => this.#assertOwnerAlive(),
    };
    const blockingCalls = new BlockingCalls(name, this.lending, this.calls, () => this.#hear());
    this.#callers = new Callers(name, this, exposed, this.calls, blockingCalls, this.#blocking.assertOwnerAlive);
    this.#caller = this.#callers.asynchronous;
    this.#syncCaller = this.#callers.synchronous;
    if (canceller === undefined) return;
    this.lending.tagWith(() => canceller?.present()?.tag ?? 0);
    canceller.attached(this);
  }

  get attachment(): number {
    return this.lending.me;
  }

  // ── borrowing synchronously

  acquireSync(options?: Pick<AcquireOptions, 'timeout' | 'maxHold'>): SyncRemote<T> {
    if (options === undefined) {
      const slot = this.lending.tryBorrow();
      if (slot !== NONE) return this.handOutSync(slot);
    }
    return this.handOutSync(this.#acquireSync(options));
  }

  #acquireSync(options: Pick<AcquireOptions, 'timeout' | 'maxHold'> | undefined): number {
    const hold = this.ownHold(options);
    const slot = this.acquiring.acquireSync(options, this.#blocking);
    if (hold !== undefined) this.limitHold(slot, hold);
    return slot;
  }

  tryAcquireSync(options?: Pick<AcquireOptions, 'maxHold'>): SyncRemote<T> | null {
    if (options !== undefined) return this.#tryLimited(options);
    const slot = this.lending.tryBorrow();
    return slot < 0 ? this.#tryInLine() : this.handOutSync(slot);
  }

  #tryInLine(): SyncRemote<T> | null {
    const slot = this.acquiring.tryAcquireSync(this.#blocking);
    return slot === NONE ? null : this.handOutSync(slot);
  }

  #tryLimited(options: Pick<AcquireOptions, 'maxHold'>): SyncRemote<T> | null {
    const hold = this.ownHold(options);
    const borrowed = this.lending.tryBorrow();
    const slot = borrowed === NONE ? this.acquiring.tryAcquireSync(this.#blocking) : borrowed;
    if (slot === NONE) return null;
    if (hold !== undefined) this.limitHold(slot, hold);
    return this.handOutSync(slot);
  }

  useSync<V>(body: (resource: SyncRemote<T>) => V, options?: Pick<AcquireOptions, 'timeout' | 'maxHold'>): V {
    checkBody(body);
    const deadline = this.#deadline(options);
    const slot = this.#acquireSync(options);
    const serial = this.lending.serials[slot];
    let overdue: Error | undefined;
    const caller =
      deadline === undefined
        ? this.#syncCaller
        : this.#callers.bounded(
            () => deadline,
            (error) => (overdue = error),
          );
    // A method still runs there, in a state that is not known.
    const giveBack = (): void => (overdue === undefined ? this.giveBack(slot) : this.giveUp(slot, overdue));
    let value: V;
    try {
      value = body(this.handOutSync(slot, caller));
      checkBlockingResult(value);
    } catch (error) {
      this.endBody(slot, serial, giveBack);
      throw error;
    }
    const revoked = this.endBody(slot, serial, giveBack);
    if (revoked !== undefined) throw revoked;
    return value;
  }

  #deadline(options: Pick<AcquireOptions, 'timeout'> | undefined): number | undefined {
    return options?.timeout ? now() + options.timeout : undefined;
  }

  // ── what is handed out

  protected override handOut(slot: number): Remote<T> {
    if (canceller !== undefined) this.noteHolder(slot);
    this.traces?.note(slot, this.lending.leases[slot], new Error('borrowed here'));
    return new RemoteHandle<Remote<T>>(this.#caller, slot, this.lending.serials[slot]);
  }

  protected handOutSync(slot: number, caller = this.#syncCaller): SyncRemote<T> {
    if (canceller !== undefined) this.noteHolder(slot);
    this.traces?.note(slot, this.lending.leases[slot], new Error('borrowed here'));
    return new RemoteHandle<SyncRemote<T>>(caller, slot, this.lending.serials[slot]);
  }

  /**
   * Notes for which part of the program this thread has borrowed it. Throws its reason if that part has been cancelled, and then it has
   * not.
   */
  protected noteHolder(slot: number): void {
    const part = canceller?.present();
    this.#holders[slot] = part && { part, serial: this.lending.serials[slot] };
    try {
      throwIfCancelled(part);
    } catch (reason) {
      this.giveBack(slot);
      throw reason;
    }
  }

  synchronous(resource: Remote<T> | SyncRemote<T>, options?: Pick<AcquireOptions, 'timeout'>): SyncRemote<T> {
    checkAcquireOptions(options);
    return this.#again(resource, options?.timeout ? this.#callers.bounded(() => this.#deadline(options)!) : this.#syncCaller);
  }

  asynchronous(resource: Remote<T> | SyncRemote<T>): Remote<T> {
    return this.#again(resource, this.#caller);
  }

  /** The same lease. Over or not: its calls say so. */
  #again<R extends Remote<T> | SyncRemote<T>>(resource: Remote<T> | SyncRemote<T>, caller: Caller): R {
    if (callerOf(resource)?.pool !== this)
      throw new TypeError(`pool ${show(this.name)}: ${show(resource)} is not something that this pool has handed out`);
    return new RemoteHandle<R>(caller, remoteSlot(resource), remoteSerial(resource));
  }

  /** One that is idle, if there is one and no waiter is before this thread. Waits for nothing. For what stands on top of a pool. */
  borrowIdle(): Remote<T> | undefined {
    const slot = this.lending.tryBorrow();
    return slot === NONE ? undefined : this.handOut(slot);
  }

  /** A place in the line that waiters of this thread share. For what stands on top of a pool. */
  sharedPlace(): SharedPlace<Remote<T>> {
    return new SharedPlace(this.block, this.lending.me, this.acquiring, this.refusals, this, {
      handOut: (slot) => this.handOut(slot),
      giveBack: (slot) => this.giveBack(slot),
    });
  }

  /** Parts of the program on this thread can be cancelled: see Canceller. For what stands on top of a pool. */
  get hasParts(): boolean {
    return canceller !== undefined;
  }

  /** The part that the present code belongs to. For what stands on top of a pool. */
  presentPart(): Cancellation | undefined {
    return canceller?.present();
  }

  /** Runs the body as code that belongs to no part. For what stands on top of a pool. */
  outsideParts<V>(body: () => V): V {
    return canceller === undefined ? body() : canceller.within(undefined, body);
  }

  /** From now on this hears of leases that end without their borrowers. For what stands on top of a pool. */
  tell(above: Above): void {
    this.#above = above;
  }

  /** It is still this thread's. False: it was given back, or taken back. For what stands on top of a pool. */
  isBorrowed(resource: Remote<T> | SyncRemote<T>): boolean {
    return this.lending.isCurrent(remoteSlot(resource), remoteSerial(resource));
  }

  /** Which resource that is: its slot, and its number among those that the slot has had. For what stands on top of a pool. */
  identify(resource: Remote<T> | SyncRemote<T>): readonly [slot: number, generation: number] {
    const slot = remoteSlot(resource);
    return [slot, this.block.generation(slot)];
  }

  protected override slotOf(resource: Remote<T> | SyncRemote<T>): number {
    return currentSlot(resource, this, this.lending.serials);
  }

  // ── giving back

  /** The way that most returns take, written out: it fits into its caller so (see `Lending`). */
  override release(resource: Remote<T> | SyncRemote<T>): void {
    const slot = this.slotOf(resource);
    if (slot < 0 || this.calls.underWay[slot] !== 0) this.#releaseOtherwise(slot, resource);
    else this.lending.giveBack(slot);
  }

  #releaseOtherwise(slot: number, resource: Remote<T> | SyncRemote<T>): void {
    if (slot === NONE) super.release(resource as Remote<T>);
    else this.#giveBackLater(slot);
  }

  protected override giveBack(slot: number): void {
    if (this.calls.underWay[slot] === 0) this.lending.giveBack(slot);
    else this.#giveBackLater(slot);
  }

  #giveBackLater(slot: number): void {
    // The owner does it for us when the calls have settled: this thread may be asleep by then, or compute, so it is told at once.
    this.calls.forget(slot);
    this.calls.outbox.send([RELEASE, slot, this.lending.forget(slot)], true);
  }

  protected override giveUp(slot: number, error: Error): void {
    this.calls.forget(slot);
    const buffers: Uint8Array[] = [];
    const wire = withOwnBytes(toWire(error), buffers);
    this.calls.outbox.send([DESTROY, slot, this.lending.forget(slot), wire, buffers], true);
  }

  // ── what a part of the program leaves behind

  get bell(): { buffer: SharedArrayBuffer; at: number } {
    return { buffer: this.block.buffer, at: this.block.bells.at(this.lending.me) };
  }

  takeBackFrom(part: Cancellation, job: string | number, heldFor: number): number {
    let left = 0;
    for (let slot = 0; slot < this.#holders.length; slot++) {
      const holder = this.#holders[slot];
      if (holder?.part !== part) continue;
      this.#holders[slot] = undefined;
      // Given back; and another part may have been granted the slot, and not have come to its code yet.
      if (!this.lending.isCurrent(slot, holder.serial)) continue;
      left++;
      const stack = this.traces?.stackOf(slot, this.lending.leases[slot]);
      const isSpokenTo = this.#above?.leaves(slot) === true;
      const broken = isSpokenTo || this.calls.underWay[slot] > 0;
      this.calls.forget(slot);
      this.calls.outbox.send([LEFT, slot, this.lending.forget(slot), job, heldFor, stack, broken], true);
    }
    return left;
  }

  // ── calling

  override async call<K extends MethodName<Remote<T>>>(
    method: K,
    args: Arguments<Remote<T>, K>,
    options?: AcquireOptions,
  ): Promise<Result<Remote<T>, K>> {
    checkCall(method, args);
    const { timeout = this.block.constants.acquireTimeout, signal } = checkAcquireOptions(options);
    throwIfAborted(signal);
    this.acquiring.assertOpen();
    const late = (): Error => {
      this.countOne(COUNTER_TIMED_OUT);
      return this.refusals.timedOut(timeout);
    };
    const hold = this.ownHold(options);
    const at = this.traces === undefined ? undefined : new Error('called here');
    return this.calls.callOnce(method, args, { timeout, signal, late }, hold, at) as Promise<Result<Remote<T>, K>>;
  }

  /** Why nothing can be called by this lease; undefined: it can. */
  refusalOf(slot: number, serial: number, method: string): Error | undefined {
    if (this.#attachment !== 'attached') return this.refusals.detached();
    if (this.lending.isCurrent(slot, serial)) return undefined;
    const revoked = this.revocations.get(serial);
    if (revoked !== undefined) return revoked;
    return new RemoteCallError(`pool ${show(this.name)}: ${method}() on a resource that has been given back`, this.name);
  }

  // ── what comes through the port

  /** Something has come that cannot be read. */
  unreadable(): void {
    this.inbox.unreadable();
  }

  receive(responses: readonly Response[]): void {
    this.inbox.receive(responses);
  }

  /** Whatever is not an answer. */
  protected heard(response: Response): void {
    switch (response[0]) {
      case FACTORY_FAILURE:
        asBuffers(response[4]);
        this.factoryErrors.set(response[1], response[2], fromWire(response[3]));
        break;
      case SPARED:
        this.factoryErrors.delete(response[1], response[2]);
        break;
      case WHERE: {
        // At once: this thread may be asleep in the line or in a call, or about to compute.
        const [, question, slot, lease] = response;
        const stack = slot === NONE ? this.calls.whereAsked(lease) : this.traces?.stackOf(slot, lease);
        return this.calls.outbox.send([TRACE, question, stack], true);
      }
      case REVOKED: {
        const [, slot, lease, heldFor, cause, buffers] = response;
        asBuffers(buffers);
        const error = this.refusals.revoked(heldFor, cause === undefined ? undefined : fromWire(cause));
        // Even if it has been given back: then its calls under way are what kept it.
        this.calls.revoke(slot, lease, error);
        if (this.#isOurs(slot, lease)) this.revoked(slot, error);
        break;
      }
      case OVERDUE: {
        const [, slot, lease, heldFor] = response;
        if (this.#isOurs(slot, lease)) this.overdue(slot, heldFor);
        break;
      }
      case SUSPENSIONS:
        if (Array.isArray(response[1])) this.#suspendedBy = response[1];
        break;
      case DETACHED:
        // Unless we have asked for it.
        this.#endAttachment('pool-ended');
        this.#port.close();
        this.#hasLeft();
        break;
    }
  }

  // ── limits

  #isOurs(slot: number, lease: number): boolean {
    return this.lending.holds(slot) && this.lending.leases[slot] === lease;
  }

  protected override get maxHold(): Hold {
    return this.#terms.maxHold;
  }

  protected override assertRevocable(hold: Hold): void {
    if (!this.#terms.revocable && hold.revokeAfter !== 0) throw this.refusals.notRevocable();
  }

  /** At once: this thread may compute from now on. */
  protected override limitHold(slot: number, hold: Hold): void {
    if (isLimited(hold)) this.calls.outbox.send([LIMIT, slot, this.lending.leases[slot], hold], true);
  }

  protected override renew(slot: number): void {
    this.calls.outbox.send([RENEW, slot, this.lending.leases[slot]], true);
  }

  protected override returnRevoked(resource: Remote<T> | SyncRemote<T>): boolean {
    return callerOf(resource)?.pool === this && this.revocations.giveBack(remoteSerial(resource));
  }

  /** What was sent before the slot changed hands lies in the port. */
  protected override lost(slot: number): void {
    this.#tryDrain();
    if (this.lending.holds(slot) && this.lending.isLost(slot)) this.signals.puttingOff(() => super.lost(slot));
  }

  protected override revoked(slot: number, error: LeaseRevokedError, value?: unknown): void {
    this.calls.forget(slot);
    super.revoked(slot, error, value);
  }

  override suspendedBy(): readonly string[] {
    this.#tryDrain();
    return this.#suspendedBy;
  }

  /** Takes what lies in the port where this thread is in the middle of something: the program is told later. */
  protected drain(): void {
    this.signals.puttingOff(() => this.inbox.drain());
  }

  /** The same where it is about to sleep: the program is told now. */
  #hear(): void {
    this.signals.tell();
    this.inbox.drain();
  }

  #tryDrain(): void {
    try {
      this.drain();
    } catch {
      // The end of the stack: what is asked for is not worth an error of its own.
    }
  }

  override factoryError(cell: number, ticket: number): unknown {
    this.drain();
    return super.factoryError(cell, ticket);
  }

  // ── the end

  /** Resolves when this attachment has ended, by whatever. */
  get left(): Promise<void> {
    return this.#left;
  }

  override detachReason(): string | undefined {
    switch (this.#attachment) {
      case 'attached':
        return undefined;
      case 'detached':
        return 'this thread has detached from it';
      case 'pool-ended':
        return 'it is closed';
      case 'owner-gone':
        return 'the thread that owned it is gone';
    }
  }

  /** Once this thread has left a pool that goes on, its counters may be another thread's. */
  override countOne(counter: number): void {
    if (this.#attachment !== 'detached') super.countOne(counter);
  }

  /** The port has closed. */
  disconnected(): void {
    if (this.#attachment === 'attached') this.#ownerGone();
    this.calls.abandon(() => this.refusals.detached());
    this.#hasLeft();
    this.keepAlive.end();
  }

  #ownerGone(): void {
    // No owner will make, check or reclaim anything any more: say so to every thread.
    this.block.state.set(CLOSED);
    this.#endAttachment('owner-gone');
    this.calls.abandon(() => this.refusals.detached());
  }

  protected override isOwnerGone(): boolean {
    return this.#attachment === 'owner-gone';
  }

  protected override lookUp(): void {
    this.signals.puttingOff(() => this.#lookUp());
  }

  #lookUp(): void {
    try {
      if (this.#attachment !== 'attached' || this.inbox.isConnected()) return;
      // What has just been taken from the port may have ended the attachment: then the port is closed on this side.
      if (!this.isDetached()) this.#ownerGone();
    } catch {
      // At the end of the stack, say. This is asked in the middle of a borrow or a return, which must not suffer: it is asked again soon.
    }
  }

  /** Asked by what sleeps: see `#hear`. */
  #assertOwnerAlive(): void {
    this.signals.tell();
    this.#lookUp();
    if (this.#attachment !== 'attached') throw this.refusals.detached();
  }

  #endAttachment(how: Exclude<Attachment, 'attached'>): void {
    if (this.#attachment !== 'attached') return;
    this.#attachment = how;
    this.lending.detach();
    this.bellListener.end();
    canceller?.detached(this);
    this.#onLeave();
    this.waiters.abandon(() => this.refusals.detached());
    for (const [slot, serial] of this.lending.serials.entries()) if (serial !== 0) this.giveBack(slot);
    this.leaveWatched();
  }

  detach(): Promise<void> {
    if (this.#attachment === 'attached') {
      this.#endAttachment('detached');
      this.calls.outbox.send([DETACH], true);
    }
    return this.keepAlive.during(this.#left);
  }
}
