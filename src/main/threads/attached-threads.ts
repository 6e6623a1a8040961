/** The attached threads: how they attach, what they ask for, and what is done when they detach or die. */
import type { MessagePort } from 'node:worker_threads';
import { PoolClosedError, PoolError, RemoteCallError } from '../../shared/errors.ts';
import { COUNTER_RECLAIMED } from '../../shared/layout.ts';
import type { Lending } from '../../shared/lending/lending.ts';
import { repair } from '../../shared/lending/repair.ts';
import { structuredClone } from '../../shared/node.ts';
import { reclaims } from '../../shared/observing/channels.ts';
import { holdFrom } from '../../shared/options/hold-limits.ts';
import { asError, show } from '../../shared/show.ts';
import { fromWire, toWire } from '../../shared/wire/error-wire.ts';
import { asBuffers, DEEP, survey, withOwnBytes } from '../../shared/wire/parcel.ts';
import {
  ABANDON,
  ALONE,
  ATTACHED,
  type Buffers,
  CALL,
  CALL_ONCE,
  CALL_SYNC,
  CANCEL,
  DESTROY,
  DETACH,
  DETACHED,
  FAILURE,
  LEFT,
  LIMIT,
  OVERDUE,
  RELEASE,
  RENEW,
  REVOKED,
  type Request,
  SHARED,
  SPARED,
  SUSPENSIONS,
  TRACE,
} from '../../shared/wire/protocol.ts';
import { NONE } from '../../shared/words/line.ts';
import { LEASED, leaseOf, slotState, slotThread } from '../../shared/words/slot.ts';
import { isClosed } from '../../shared/words/state.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { Events } from '../events.ts';
import type { Settings } from '../options.ts';
import type { Resources } from '../resources/resources.ts';
import type { Turn } from '../turn/turn.ts';
import { AttachedThread } from './attached-thread.ts';
import { findMethod, isCall, NO_CALL } from './methods.ts';
import { type HoldKeeper, OneShotCalls, type Stands } from './one-shot-calls.ts';

/**
 * How long a call may still run on a resource that is given up as broken, or whose borrower
 * has gone, before that resource is destroyed, in ms.
 */
const PATIENCE = 1000;
/** How often one thread may be attached: each copy of this module attaches for itself, but no thread needs all the records there are. */
const MOST_COPIES = 8;

/** How the pool is steered, as far as other threads have to know or ask. */
export interface Steering extends HoldKeeper {
  readonly suspendedBy: readonly string[];
  /** What the borrower of a resource is told that was taken back. */
  revokedError(heldFor: number, cause: unknown): Error;
}

export class AttachedThreads<T> {
  readonly #settings: Settings<T>;
  readonly #lending: Lending;
  readonly #resources: Resources<T>;
  readonly #turn: Turn;
  readonly #events: Events<T>;
  readonly #steering: Steering;
  readonly #oneShotCalls: OneShotCalls;
  readonly #members = new Map<number, AttachedThread>();
  readonly #shared = new Map<number, { generation: number; value: unknown; buffers: Buffers }>();

  constructor(
    settings: Settings<T>,
    lending: Lending,
    resources: Resources<T>,
    turn: Turn,
    events: Events<T>,
    steering: Steering,
    stands: Stands,
  ) {
    this.#steering = steering;
    this.#settings = settings;
    this.#lending = lending;
    this.#resources = resources;
    this.#turn = turn;
    this.#events = events;
    const { company } = settings;
    const find = (slot: number, method: string) => this.#methodOf(slot, method);
    this.#oneShotCalls = new OneShotCalls(
      settings.name,
      lending,
      turn,
      steering,
      stands,
      find,
      company && {
        method: company.method,
        most: company.most,
        run: (slot, args, along) => company.run(resources.get(slot) as T, args, along),
      },
    );
  }

  /** Does the owner have this slot for a one-shot call of a thread? */
  isForOneShotCall(slot: number): boolean {
    return this.#oneShotCalls.on(slot) !== undefined;
  }

  // ── coming

  /** A thread asks to attach, with our end of a channel. Gives the reason if it may not. */
  attach(threadId: number, port: MessagePort): PoolError | undefined {
    const { name, maxThreads, expose } = this.#settings;
    const { block } = this.#lending;
    if (isClosed(block.state.load())) return new PoolClosedError(`pool ${show(name)} is closed`, name);
    let copies = 0;
    for (const member of this.#members.values()) if (member.threadId === threadId) copies++;
    if (copies >= MOST_COPIES) return new PoolError(`pool ${show(name)}: thread ${threadId} is attached ${copies} times already`, name);
    const thread = block.threads.attach(threadId, (thread) => this.#members.has(thread));
    if (thread === NONE)
      return new PoolError(`pool ${show(name)}: ${maxThreads} threads are attached already, which is maxThreads: raise it`, name);
    block.bells.reset(thread);
    const member = new AttachedThread(name, thread, threadId, port, block.bells);
    this.#members.set(thread, member);
    port.on('message', (requests: unknown) => this.#receive(member, requests));
    port.on('messageerror', () => member.unreadable());
    port.on('close', () => this.#onPortClosed(member));
    port.unref();
    const { maxHold, share, abort } = this.#settings;
    const terms = { maxHold, revocable: share === undefined || abort !== undefined, suspendedBy: this.#steering.suspendedBy };
    port.postMessage([
      [ATTACHED, thread, expose && [...expose], terms],
      ...[...this.#shared].map(([slot, { generation, value, buffers }]) => [SHARED, slot, generation, value, buffers] as const),
    ]);
    this.#events.emit('attach', threadId, thread);
    return undefined;
  }

  // ── asking

  /**
   * A thread can only harm what it has borrowed itself, whatever it sends. A request that does not fit the lease it names is refused or
   * ignored. What is no request ends the message, or a list with a billion holes would keep the owner busy. Once the thread has left, its
   * number may be another thread's.
   */
  #receive(member: AttachedThread, requests: unknown): void {
    member.expect(undefined);
    if (!Array.isArray(requests)) return;
    for (const request of requests as Request[]) {
      if (!Array.isArray(request) || this.#members.get(member.thread) !== member) return;
      this.#answer(member, request);
    }
  }

  #answer(member: AttachedThread, request: Request): void {
    switch (request[0]) {
      case CALL: {
        const [, first, slot, lease, name, calls, buffers] = request;
        if (!Array.isArray(calls) || !isId(first)) return;
        asBuffers(buffers);
        for (const [index, args] of calls.entries()) if (!this.#call(member, first + index, slot, lease, name, args, false)) return;
        return;
      }
      case CALL_SYNC: {
        const [, id, slot, lease, name, args, buffers] = request;
        asBuffers(buffers);
        if (isId(id)) this.#call(member, id, slot, lease, name, args, true);
        return;
      }
      case RELEASE: {
        const [, slot, lease] = request;
        if (!this.#holds(member, slot, lease)) return;
        return member.whenSettled(slot, lease, () => {
          if (this.#lending.block.slots.seize(slot, lease)) this.#turn.owned.takeBack(slot);
        });
      }
      case DESTROY: {
        const [, slot, lease, error, buffers] = request;
        asBuffers(buffers);
        // Ours from here on: if its thread dies meanwhile, it must not pass for an orphan that may be kept.
        if (!this.#holds(member, slot, lease) || !this.#lending.block.slots.seize(slot, lease)) return;
        return member.whenSettledOr(PATIENCE, slot, lease, (settled) => {
          if (!settled) {
            const { name } = this.#settings;
            const why = `the resource was destroyed while this call ran, and it has not ended within ${PATIENCE} ms`;
            member.giveUp(slot, lease, new RemoteCallError(`pool ${show(name)}: ${why}`, name));
          }
          this.#turn.owned.discard(slot, asError(fromWire(error)));
        });
      }
      case TRACE: {
        const [, question, stack] = request;
        return member.told(question, typeof stack === 'string' ? stack : undefined);
      }
      case DETACH:
        return this.#detach(member);
      case CALL_ONCE: {
        const [, id, terms, method, args, buffers] = request;
        asBuffers(buffers);
        if (isId(id)) this.#oneShotCalls.start(member, id, terms, method, args);
        return;
      }
      case LIMIT: {
        const [, slot, lease, sent] = request;
        const hold = holdFrom(sent);
        if (hold !== undefined && this.#holds(member, slot, lease)) this.#steering.limit(slot, lease, hold);
        return;
      }
      case RENEW: {
        const [, slot, lease] = request;
        if (this.#holds(member, slot, lease)) this.#steering.renew(slot, lease);
        return;
      }
      case CANCEL:
        return this.#oneShotCalls.cancel(member, request[1]);
      case ABANDON:
        return this.#oneShotCalls.abandonOne(member, request[1], PATIENCE);
      case LEFT: {
        const [, slot, lease, job, heldFor, stack, broken] = request;
        if (!this.#holds(member, slot, lease)) return;
        this.#tellLeft(member, slot, job, heldFor, stack);
        const to = broken === true ? DESTROY : RELEASE;
        return this.#answer(member, to === RELEASE ? [to, slot, lease] : [to, slot, lease, toWire(leftAtWork(this.#settings.name, job))]);
      }
      case ALONE: {
        const [, id, name] = request;
        if (isId(id) && typeof name === 'string') member.expect({ id, name });
        return;
      }
    }
  }

  #holds(member: AttachedThread, slot: unknown, lease: unknown): boolean {
    const { slots } = this.#lending.block;
    if (!Number.isInteger(slot) || (slot as number) < 0 || (slot as number) >= slots.count) return false;
    const word = slots.load(slot as number);
    return leaseOf(word) === lease && slotState(word) === LEASED && slotThread(word) === member.thread;
  }

  /** False: that is no call, and what follows it need not be looked at. */
  #call(member: AttachedThread, id: number, slot: number, lease: number, name: string, args: readonly unknown[], isSync: boolean): boolean {
    const pool = this.#settings.name;
    const refuse = (why: string): void =>
      member.answer([FAILURE, id, toWire(new RemoteCallError(`pool ${show(pool)}: ${why}`, pool))], isSync, show(name));
    if (!isCall(name, args)) {
      refuse(NO_CALL);
      return false;
    }
    if (!this.#holds(member, slot, lease)) refuse(`${name}() on a resource that this thread has not borrowed`);
    else member.run(id, slot, lease, `${name}()`, isSync, () => this.#methodOf(slot, name)(args));
    return true;
  }

  #methodOf(slot: number, name: string): (args: readonly unknown[]) => unknown {
    const resource = this.#resources.get(slot);
    const method = findMethod(resource, name, this.#settings.expose);
    if (method !== undefined) return (args) => Reflect.apply(method, resource, args);
    const pool = this.#settings.name;
    throw new RemoteCallError(`pool ${show(pool)}: ${name}() is not a method that workers may call`, pool);
  }

  // ── telling

  tellFactoryFailure(thread: number, cell: number, ticket: number, error: unknown): void {
    this.#members.get(thread)?.tellFactoryFailure(cell, ticket, error);
  }

  tellSpared(thread: number, cell: number, ticket: number): void {
    this.#members.get(thread)?.send([SPARED, cell, ticket]);
  }

  /** Workers get this resource's value before they can get its slot. Gives what is wrong with the value, if something is. */
  share(slot: number, generation: number, resource: T): Error | undefined {
    const { share } = this.#settings;
    if (share === undefined) return undefined;
    const pool = this.#settings.name;
    let shared: { generation: number; value: unknown; buffers: Buffers };
    try {
      const buffers: Uint8Array[] = [];
      const value = withOwnBytes(share(resource), buffers);
      if ((survey(value) & DEEP) !== 0)
        return new TypeError(`pool ${show(pool)}: share gave a value that is nested too deeply for every thread to read`);
      shared = structuredClone({ generation, value, buffers });
    } catch (error) {
      return asError(error);
    }
    this.#shared.set(slot, shared);
    for (const member of this.#members.values()) member.send([SHARED, slot, generation, shared.value, shared.buffers]);
    return undefined;
  }

  /** The labels of the suspensions in force, before the state says so. */
  tellSuspensions(labels: readonly string[]): void {
    for (const member of this.#members.values()) member.send([SUSPENSIONS, labels]);
  }

  /** Its thread may be asleep in a call of this very lease. */
  tellOverdue(slot: number, lease: number, thread: number, heldFor: number): void {
    if (this.isForOneShotCall(slot)) return;
    this.#members.get(thread)?.send([OVERDUE, slot, lease, heldFor]);
    this.#lending.block.bells.ring(thread);
  }

  /** The slot is in hand by now. */
  tellRevoked(slot: number, lease: number, thread: number, heldFor: number, cause: unknown): void {
    if (this.isForOneShotCall(slot)) return this.#oneShotCalls.revoked(slot, lease, this.#steering.revokedError(heldFor, cause));
    const buffers: Uint8Array[] = [];
    const wire = cause === undefined ? undefined : withOwnBytes(toWire(cause), buffers);
    const member = this.#members.get(thread);
    member?.send([REVOKED, slot, lease, heldFor, wire, buffers]);
    this.#lending.block.bells.ring(thread);
    member?.taken(slot, lease);
  }

  /** Node's number of the thread that has this slot, by itself or by a one-shot call. */
  threadIdOf(slot: number, thread: number): number {
    const member = this.#oneShotCalls.on(slot)?.member ?? this.#members.get(thread);
    return member?.threadId ?? this.#lending.block.threads.threadId(thread);
  }

  // ── leak traces

  /** Which thread has this lease, by itself or by a one-shot call, and where it asked for it, if it says so in time. */
  trace(slot: number, lease: number, thread: number, tell: (threadId: number, stack: string | undefined) => void): void {
    const call = this.#oneShotCalls.on(slot);
    const member = call?.member ?? this.#members.get(thread);
    // Only where the word was damaged: no thread has it.
    if (member === undefined) return tell(this.#lending.block.threads.threadId(thread), undefined);
    const then = (stack: string | undefined): void => tell(member.threadId, stack);
    if (call === undefined) member.where(slot, lease, then);
    else member.where(NONE, call.id, then);
  }

  /** A job of that thread has ended without giving this back. */
  #tellLeft(member: AttachedThread, slot: number, job: unknown, heldFor: unknown, stack: unknown): void {
    const leak = {
      threadId: member.threadId,
      heldFor: typeof heldFor === 'number' ? heldFor : 0,
      job: typeof job === 'number' ? job : String(job),
      ...(typeof stack === 'string' ? { stack } : {}),
    };
    this.#events.emit('leak', leak, this.#resources.get(slot) as T);
  }

  // ── going

  /** It has given everything back, as far as it can: what still has calls under way comes back with them. */
  #detach(member: AttachedThread): void {
    const { slots } = this.#lending.block;
    const open = this.#oneShotCalls.cancelAll(member);
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      const word = slots.load(slot);
      if (slotState(word) === LEASED && slotThread(word) === member.thread) open.push({ slot, lease: leaseOf(word) });
    }
    let left = open.length;
    const done = (): void => {
      if (left > 0 || this.#members.get(member.thread) !== member) return;
      member.send([DETACHED]);
      this.#onPortClosed(member);
    };
    for (const { slot, lease } of open)
      member.whenSettled(slot, lease, () => {
        left--;
        done();
      });
    done();
  }

  /** No script of that thread runs any more, or it has said that it leaves: takes back what it left behind. */
  #onPortClosed(member: AttachedThread): void {
    if (this.#members.get(member.thread) !== member) return;
    this.#members.delete(member.thread);
    const { block } = this.#lending;
    this.#oneShotCalls.abandon(member, PATIENCE);
    const borrowed = repair(this.#lending, member.thread);
    block.counters.add(OWNER, COUNTER_RECLAIMED, borrowed.length);
    block.counters.fold(member.thread);
    block.threads.detach(member.thread);
    member.end();
    if (borrowed.length > 0) reclaims.publish({ pool: this.#settings.name, threadId: member.threadId, slots: borrowed.length });
    const release = this.#settings.orphans === 'release';
    for (const { slot, lease } of borrowed)
      member.whenSettledOr(PATIENCE, slot, lease, (settled) => this.#turn.owned.orphaned(slot, release && settled));
    this.#events.emit('detach', member.threadId, borrowed.length, member.thread);
    this.#turn.request();
  }

  /** The pool has ended. */
  detachAll(): void {
    for (const member of this.#members.values()) {
      member.send([DETACHED]);
      member.end();
    }
    this.#members.clear();
  }
}

function leftAtWork(pool: string, job: unknown): Error {
  return new Error(`pool ${show(pool)}: job ${show(job)} has ended while a call that it had made was still running on this resource`);
}

/** Answers are numbered; we count on with the numbers of a run. */
const isId = (id: unknown): id is number => Number.isSafeInteger(id);
