/**
 * One-shot calls: the owner borrows for them, on behalf of a thread that need not be awake meanwhile. A one-shot call is a message: while
 * it waits and while it runs, the cell and the slot are the owner's. A plain word beside the slot names the thread that the owner has it
 * for, so that every thread can tell which thread holds what.
 */

import { PoolClosedError, RemoteCallError } from '../../shared/errors.ts';
import { BEHALF_GONE } from '../../shared/layout.ts';
import type { Lending } from '../../shared/lending/lending.ts';
import { AbortController } from '../../shared/node.ts';
import { type Hold, holdFrom } from '../../shared/options/hold-limits.ts';
import { show } from '../../shared/show.ts';
import type { AcquireOptions } from '../../shared/types.ts';
import { toWire } from '../../shared/wire/error-wire.ts';
import { FAILURE } from '../../shared/wire/protocol.ts';
import { Claim } from '../../shared/words/claim.ts';
import { NONE } from '../../shared/words/line.ts';
import type { Turn } from '../turn.ts';
import type { AttachedThread } from './attached-thread.ts';
import { isCall, NO_CALL } from './methods.ts';

/** Why a one-shot call left the line: its caller has cancelled it. */
const ASKED_FOR = Symbol('asked for');

/** A slot for the owner, on behalf of that thread. `run` is called in the moment of the grant. Rejects with what acquire rejects with. */
export type BorrowFor = (options: AcquireOptions, run: (slot: number) => void, thread: number) => Promise<void>;

/** What to run on the resource in a slot. Throws RemoteCallError. */
type FindMethod = (slot: number, method: string) => (args: readonly unknown[]) => unknown;

export interface Errand {
  readonly id: number;
  /** Where it runs; NONE while it waits. */
  slot: number;
  lease: number;
  /** What it is for: see SLOT_TAG. */
  readonly tag: number;
  /** Its own limits, if it has any. */
  readonly hold: Hold | undefined;
  /** Undefined: its caller waits for ever. */
  readonly claim: Claim | undefined;
  /** Takes the call out of the line, if it had to join. */
  readonly waiting: AbortController | undefined;
}

/** The one-shot call that a slot is out for. */
export interface Running {
  readonly member: AttachedThread;
  readonly id: number;
  readonly errand: Errand;
}

/** The part of the owner that looks after leases that have limits of their own. */
export interface HoldKeeper {
  limit(slot: number, lease: number, hold: Hold): void;
  renew(slot: number, lease: number): void;
}

/** What came with a call, as far as it can be that. */
function termsOf(terms: unknown): { claim: unknown; tag: number; hold: Hold | undefined } {
  const { claim, tag, hold } = (typeof terms === 'object' && terms !== null ? terms : {}) as Record<string, unknown>;
  return { claim, tag: typeof tag === 'number' ? tag | 0 : 0, hold: holdFrom(hold) };
}

export class OneShotCalls {
  readonly #pool: string;
  readonly #lending: Lending;
  readonly #turn: Turn;
  readonly #holds: HoldKeeper;
  readonly #borrow: BorrowFor;
  readonly #find: FindMethod;
  readonly #errands = new Map<AttachedThread, Map<number, Errand>>();
  /**
   * By slot, the one-shot call that it is out for: no other code on the owner's thread has the slot to give back.
   * Not the shared word, which may be damaged.
   */
  readonly #running: (Running | undefined)[];

  constructor(pool: string, lending: Lending, turn: Turn, holds: HoldKeeper, borrow: BorrowFor, find: FindMethod) {
    this.#holds = holds;
    this.#pool = pool;
    this.#lending = lending;
    this.#turn = turn;
    this.#borrow = borrow;
    this.#find = find;
    this.#running = new Array(lending.leases.length).fill(undefined);
  }

  /** The one-shot call that this slot is out for, if there is one. */
  on(slot: number): Running | undefined {
    return this.#running[slot];
  }

  // ── on the way

  start(member: AttachedThread, id: number, terms: unknown, method: string, args: readonly unknown[]): void {
    // A number that is in use is not answered: the answer would be for the call that has it.
    // That call must stay in this table, or it would never end.
    if (this.#errands.get(member)?.has(id)) return;
    if (!isCall(method, args)) {
      const error = new RemoteCallError(`pool ${show(this.#pool)}: ${NO_CALL}`, this.#pool);
      return member.answer([FAILURE, id, toWire(error)], false, show(method));
    }
    const { claim: claimed, tag, hold } = termsOf(terms);
    const claim = Claim.open(claimed);
    if (claim?.isWithdrawn) return;
    const slot = this.#lending.tryBorrow();
    const errand: Errand = { id, slot: NONE, lease: 0, tag, hold, claim, waiting: slot === NONE ? new AbortController() : undefined };
    this.#of(member).set(id, errand);
    if (slot !== NONE) return this.#run(member, errand, slot, method, args);
    const run = (granted: number): void => this.#run(member, errand, granted, method, args);
    // The caller's thread keeps the limits.
    this.#borrow({ timeout: 0, signal: errand.waiting!.signal }, run, member.thread).catch((error: unknown) => {
      this.#remove(member, errand);
      if (error !== ASKED_FOR) member.answer([FAILURE, id, toWire(error)], false, `${method}()`);
    });
  }

  #run(member: AttachedThread, errand: Errand, slot: number, method: string, args: readonly unknown[]): void {
    // Granted in the very moment in which its thread went, or its caller cancelled it.
    const hasGone = errand.waiting?.signal.aborted && !this.#errands.has(member);
    if (hasGone || errand.claim?.begin() === false) {
      this.#remove(member, errand);
      return this.#lending.giveBack(slot);
    }
    errand.slot = slot;
    errand.lease = this.#lending.leases[slot];
    this.#running[slot] = { member, id: errand.id, errand };
    this.#lending.block.slots.actFor(slot, member.thread);
    if (errand.tag !== 0) this.#lending.setTag(slot, errand.tag);
    if (errand.hold !== undefined) this.#holds.limit(slot, errand.lease, errand.hold);
    member.run(errand.id, slot, errand.lease, `${method}()`, false, () => this.#find(slot, method)(args));
    member.whenSettled(slot, errand.lease, () => {
      if (this.#end(member, errand)) this.#lending.giveBack(slot);
    });
  }

  /** False: it had ended before. Otherwise the caller ends the owner's lease of the slot. */
  #end(member: AttachedThread, errand: Errand): boolean {
    if (errand.slot === NONE) return false;
    this.#running[errand.slot] = undefined;
    this.#lending.block.slots.actFor(errand.slot, 0);
    errand.slot = NONE;
    this.#remove(member, errand);
    return true;
  }

  /** What runs there has been taken from it: its slot is in hand already, and its caller, if there still is one, is told so. */
  revoked(slot: number, error: Error): void {
    const running = this.#running[slot];
    if (running === undefined) return;
    const { member, errand } = running;
    const isCalled = this.#errands.has(member);
    this.#lending.forget(slot);
    this.#end(member, errand);
    if (isCalled) member.answer([FAILURE, errand.id, toWire(error)], false, 'a call');
  }

  /** Its thread has died, and the method has not ended in time. */
  #orphan(member: AttachedThread, errand: Errand): void {
    const { slot } = errand;
    if (this.#end(member, errand) && this.#lending.block.slots.seize(slot, this.#lending.forget(slot))) this.#turn.orphaned(slot, false);
  }

  #of(member: AttachedThread): Map<number, Errand> {
    let errands = this.#errands.get(member);
    if (errands === undefined) {
      errands = new Map();
      this.#errands.set(member, errands);
    }
    return errands;
  }

  #remove(member: AttachedThread, errand: Errand): void {
    const errands = this.#errands.get(member);
    if (errands?.get(errand.id) === errand) errands.delete(errand.id);
  }

  // ── going

  /** Out of the line, if it is still there. */
  cancel(member: AttachedThread, id: number): void {
    this.#errands.get(member)?.get(id)?.waiting?.abort(ASKED_FOR);
  }

  /** Its caller does not wait for it any more, and it may run for long: it gets `patience` ms to end. */
  abandonOne(member: AttachedThread, id: number, patience: number): void {
    const errand = this.#errands.get(member)?.get(id);
    if (errand === undefined) return;
    errand.waiting?.abort(ASKED_FOR);
    if (errand.slot !== NONE) this.#orphanAfter(patience, member, errand);
  }

  #orphanAfter(patience: number, member: AttachedThread, errand: Errand): void {
    member.whenSettledOr(patience, errand.slot, errand.lease, (settled) => {
      if (!settled) this.#orphan(member, errand);
    });
  }

  /** All that wait: the thread leaves. Gives what runs. */
  cancelAll(member: AttachedThread): { slot: number; lease: number }[] {
    const running: { slot: number; lease: number }[] = [];
    const left = new PoolClosedError(`pool ${show(this.#pool)}: this thread has detached from it`, this.#pool);
    for (const { slot, lease, waiting } of [...(this.#errands.get(member)?.values() ?? [])])
      if (slot === NONE) waiting?.abort(left);
      else running.push({ slot, lease });
    return running;
  }

  /** The thread is gone: its calls that wait leave the line, and those that run get `patience` ms to end. */
  abandon(member: AttachedThread, patience: number): void {
    const errands = this.#errands.get(member);
    if (errands === undefined) return;
    this.#errands.delete(member);
    for (const errand of errands.values()) {
      errand.waiting?.abort();
      if (errand.slot === NONE) continue;
      this.#lending.block.slots.actFor(errand.slot, BEHALF_GONE);
      this.#orphanAfter(patience, member, errand);
    }
  }
}
