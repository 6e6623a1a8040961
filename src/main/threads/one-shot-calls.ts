/**
 * One-shot calls: the owner borrows for them, on behalf of a thread that need not be awake meanwhile. A one-shot call is a message: while
 * it waits and while it runs, the cell and the slot are the owner's. A plain word beside the slot names the thread that the owner has it
 * for, so that every thread can tell which thread holds what.
 */

import { PoolClosedError, RemoteCallError } from '../../shared/errors.ts';
import { BEHALF_GONE } from '../../shared/layout.ts';
import type { Lending } from '../../shared/lending/lending.ts';
import type { Company } from '../../shared/options/company.ts';
import { type Hold, holdFrom } from '../../shared/options/hold-limits.ts';
import { show } from '../../shared/show.ts';
import type { Stander, Standing } from '../../shared/waiting/waiters.ts';
import { toWire } from '../../shared/wire/error-wire.ts';
import { ANSWER, FAILURE } from '../../shared/wire/protocol.ts';
import { Claim } from '../../shared/words/claim.ts';
import { NONE } from '../../shared/words/line.ts';
import type { Turn } from '../turn/turn.ts';
import type { AttachedThread } from './attached-thread.ts';
import { isCall, NO_CALL } from './methods.ts';
import { type Host, Party } from './party.ts';
import { Turns } from './turns.ts';

/** Twice as many go along as would with an even spread over all resources: they save each other a way there and back. */
const SHARE = 2;

/** Slots for the owner, on behalf of a thread: see `Acquiring`. */
export interface Stands {
  standFor(thread: number, stander: Stander): number | Standing;
  standAgain(thread: number, stander: Stander): number | Standing;
}

/** Calls in company: see there. */
export interface InCompany {
  readonly method: string;
  readonly most: number;
  run(slot: number, args: readonly unknown[], company: Company): Promise<unknown>;
}

/** What to run on the resource in a slot. Throws RemoteCallError. */
type FindMethod = (slot: number, method: string) => (args: readonly unknown[]) => unknown;

export interface OneShotCall {
  readonly member: AttachedThread;
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
  /** Where it runs; NONE while it waits. */
  slot: number;
  lease: number;
  /** What it is for: see SLOT_TAG. */
  readonly tag: number;
  /** Its own limits, if it has any. */
  readonly hold: Hold | undefined;
  /** Undefined: its caller waits for ever. */
  readonly claim: Claim | undefined;
  /** Its place in the line, while it has one. */
  standing: Standing | undefined;
  /** Its caller does not wait for it any more, or is gone. */
  hasLeft: boolean;
}

/** The one-shot call that a slot is out for. */
export interface Running {
  readonly member: AttachedThread;
  readonly id: number;
  readonly call: OneShotCall;
  /** Those that the resource serves together with it. */
  readonly party: Party<OneShotCall> | undefined;
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

export class OneShotCalls implements Host<OneShotCall> {
  readonly #pool: string;
  readonly #lending: Lending;
  readonly #turn: Turn;
  readonly #holds: HoldKeeper;
  readonly #stands: Stands;
  readonly #find: FindMethod;
  readonly #company: InCompany | undefined;
  /** Whose call is next. Undefined: the one whose place in the pool's line is first. */
  readonly #turns: Turns<AttachedThread, OneShotCall> | undefined;
  readonly #calls = new Map<AttachedThread, Map<number, OneShotCall>>();
  /**
   * By slot, the one-shot call that it is out for: no other code on the owner's thread has the slot to give back.
   * Not the shared word, which may be damaged.
   */
  readonly #running: (Running | undefined)[];

  constructor(
    pool: string,
    lending: Lending,
    turn: Turn,
    holds: HoldKeeper,
    stands: Stands,
    find: FindMethod,
    company?: InCompany | undefined,
  ) {
    this.#company = company;
    this.#turns = company && new Turns(company.most);
    this.#holds = holds;
    this.#pool = pool;
    this.#lending = lending;
    this.#turn = turn;
    this.#stands = stands;
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
    if (this.#calls.get(member)?.has(id)) return;
    if (!isCall(method, args)) {
      const error = new RemoteCallError(`pool ${show(this.#pool)}: ${NO_CALL}`, this.#pool);
      return member.answer([FAILURE, id, toWire(error)], false, show(method));
    }
    const { claim: claimed, tag, hold } = termsOf(terms);
    const claim = Claim.open(claimed);
    if (claim?.isWithdrawn) return;
    const call: OneShotCall = { member, id, method, args, slot: NONE, lease: 0, tag, hold, claim, standing: undefined, hasLeft: false };
    this.#of(member).set(id, call);
    const slot = this.#lending.tryBorrow();
    if (slot !== NONE) return this.#run(member, call, slot, method, args);
    this.#turns?.add(call);
    // The caller's thread keeps the limits.
    this.#wait(call, false);
  }

  /** `isAgain`: it has stood in line before. */
  #wait(call: OneShotCall, isAgain: boolean): void {
    const { member } = call;
    const stander: Stander = { granted: (slot) => this.#granted(call, slot), refused: (error) => this.#refuse(call, error) };
    let got: number | Standing;
    try {
      got = isAgain ? this.#stands.standAgain(member.thread, stander) : this.#stands.standFor(member.thread, stander);
    } catch (error) {
      return this.#refuse(call, error);
    }
    if (typeof got === 'number') return this.#granted(call, got);
    // Standing in line calls out: to a factory, or a hook.
    if (call.hasLeft) got.withdraw();
    else call.standing = got;
  }

  /** It gets nothing. */
  #refuse(call: OneShotCall, error: unknown): void {
    const { member, id, method } = call;
    call.standing = undefined;
    this.#turns?.remove(call);
    this.#remove(member, call);
    member.answer([FAILURE, id, toWire(error)], false, `${method}()`);
  }

  /** The place of this call has been granted a slot. */
  #granted(call: OneShotCall, slot: number): void {
    call.standing = undefined;
    const next = this.#turns?.next() ?? call;
    if (next !== call) {
      this.#leaveLine(next);
      this.#wait(call, true);
    }
    this.#run(next.member, next, slot, next.method, next.args);
  }

  /** At once; without effect if it is not there. */
  #leaveLine(call: OneShotCall): void {
    this.#turns?.remove(call);
    const { standing } = call;
    call.standing = undefined;
    standing?.withdraw();
  }

  #run(member: AttachedThread, call: OneShotCall, slot: number, method: string, args: readonly unknown[]): void {
    // Granted in the very moment in which its thread went, or its caller cancelled it.
    const hasGone = call.hasLeft && !this.#calls.has(member);
    if (hasGone || call.claim?.begin() === false) {
      this.#remove(member, call);
      return this.#lending.giveBack(slot);
    }
    call.slot = slot;
    call.lease = this.#lending.leases[slot];
    const { lease } = call;
    const party = this.#partyOf(call);
    this.#running[slot] = { member, id: call.id, call, party };
    this.#lending.block.slots.actFor(slot, member.thread);
    if (call.tag !== 0) this.#lending.setTag(slot, call.tag);
    if (call.hold !== undefined) this.#holds.limit(slot, call.lease, call.hold);
    member.run(call.id, slot, lease, `${method}()`, false, () =>
      party === undefined ? this.#find(slot, method)(args) : this.#company!.run(slot, args, party),
    );
    member.whenSettled(slot, lease, () => {
      const last = this.#lastOf(call, slot);
      if (this.#end(member, last)) this.#lending.giveBack(slot);
    });
  }

  // ── in company

  /** The one that the resource is at: of those that this one has taken along, or itself. */
  #lastOf(call: OneShotCall, slot: number): OneShotCall {
    const last = this.#running[slot]?.call;
    return last?.lease === call.lease ? last : call;
  }

  /** As many go along as there are, for each resource, of those that wait. */
  #partyOf(call: OneShotCall): Party<OneShotCall> | undefined {
    const company = this.#company;
    if (company === undefined || company.method !== call.method) return undefined;
    const most = Math.min(company.most - 1, Math.ceil((this.#turns!.size * SHARE) / this.#lending.block.limits.max));
    return new Party(this, call, most);
  }

  /** The next call of that thread, out of the line. */
  takeAlong({ member, method, tag }: OneShotCall, fits: (args: readonly unknown[]) => boolean): OneShotCall | undefined {
    const call = this.#turns!.nextOf(
      member,
      (next) =>
        next.method === method && next.hold === undefined && next.tag === tag && next.claim?.isWithdrawn !== true && fits(next.args),
    );
    if (call !== undefined) this.#leaveLine(call);
    return call;
  }

  /** The resource of that party is at it. False: it is not to run there. */
  beginAlong(party: Party<OneShotCall>, call: OneShotCall): boolean {
    const { member } = call;
    const before = this.#running[party.slot];
    if (before?.party !== party || call.slot !== NONE || this.#calls.get(member)?.get(call.id) !== call) return false;
    this.#leaveLine(call);
    if (call.claim?.begin() === false) {
      this.#remove(member, call);
      return false;
    }
    // The one before has its answer.
    before.call.slot = NONE;
    this.#remove(member, before.call);
    call.slot = party.slot;
    call.lease = party.lease;
    this.#running[party.slot] = { member, id: call.id, call, party };
    return true;
  }

  /** It has been taken along, and has waited there for too long. */
  backInLine(call: OneShotCall): void {
    if (call.slot !== NONE || this.#calls.get(call.member)?.get(call.id) !== call) return;
    this.#turns!.addFirst(call);
    this.#wait(call, true);
  }

  /** To one that has begun in company. */
  answer({ member, id, method }: OneShotCall, value: unknown): void {
    member.answer([ANSWER, id, [value]], false, `${method}()`);
  }

  /** False: it had ended before. Otherwise the caller ends the owner's lease of the slot. */
  #end(member: AttachedThread, call: OneShotCall): boolean {
    if (call.slot === NONE) return false;
    this.#running[call.slot] = undefined;
    this.#lending.block.slots.actFor(call.slot, 0);
    call.slot = NONE;
    this.#remove(member, call);
    return true;
  }

  /** What runs there has been taken from it: its slot is in hand already, and its caller, if there still is one, is told so. */
  revoked(slot: number, lease: number, error: Error): void {
    const running = this.#running[slot];
    if (running === undefined) return;
    const { member, call, party } = running;
    const isCalled = this.#calls.has(member);
    this.#lending.forget(slot);
    this.#end(member, call);
    party?.disband();
    if (isCalled) member.answer([FAILURE, call.id, toWire(error)], false, 'a call');
    member.taken(slot, lease);
  }

  /** Its thread has died, and the method has not ended in time. */
  #orphan(member: AttachedThread, call: OneShotCall): void {
    const { slot, lease } = call;
    const party = this.#running[slot]?.party;
    if (!this.#end(member, call)) return;
    if (this.#lending.block.slots.seize(slot, this.#lending.forget(slot))) this.#turn.owned.orphaned(slot, false);
    party?.disband();
    member.taken(slot, lease);
  }

  #of(member: AttachedThread): Map<number, OneShotCall> {
    let calls = this.#calls.get(member);
    if (calls === undefined) {
      calls = new Map();
      this.#calls.set(member, calls);
    }
    return calls;
  }

  #remove(member: AttachedThread, call: OneShotCall): void {
    const calls = this.#calls.get(member);
    if (calls?.get(call.id) === call) calls.delete(call.id);
  }

  // ── going

  /** Out of the line, if it is still there. */
  cancel(member: AttachedThread, id: number): void {
    const call = this.#calls.get(member)?.get(id);
    if (call === undefined || call.slot !== NONE) return;
    call.hasLeft = true;
    this.#leaveLine(call);
    this.#remove(member, call);
  }

  /** Its caller does not wait for it any more, and it may run for long: it gets `patience` ms to end. */
  abandonOne(member: AttachedThread, id: number, patience: number): void {
    const call = this.#calls.get(member)?.get(id);
    if (call === undefined) return;
    if (call.slot === NONE) this.cancel(member, id);
    else this.#orphanAfter(patience, member, call);
  }

  #orphanAfter(patience: number, member: AttachedThread, call: OneShotCall): void {
    member.whenSettledOr(patience, call.slot, call.lease, (settled) => {
      if (!settled) this.#orphan(member, call);
    });
  }

  /** All that wait: the thread leaves. Gives what runs. */
  cancelAll(member: AttachedThread): { slot: number; lease: number }[] {
    const running: { slot: number; lease: number }[] = [];
    const left = new PoolClosedError(`pool ${show(this.#pool)}: this thread has detached from it`, this.#pool);
    for (const call of [...(this.#calls.get(member)?.values() ?? [])]) {
      const { slot, lease } = call;
      if (slot !== NONE) running.push({ slot, lease });
      else {
        this.#leaveLine(call);
        this.#refuse(call, left);
      }
    }
    return running;
  }

  /** The thread is gone: its calls that wait leave the line, and those that run get `patience` ms to end. */
  abandon(member: AttachedThread, patience: number): void {
    const calls = this.#calls.get(member);
    if (calls === undefined) return;
    this.#calls.delete(member);
    for (const call of calls.values()) {
      call.hasLeft = true;
      this.#leaveLine(call);
      if (call.slot === NONE) continue;
      this.#lending.block.slots.actFor(call.slot, BEHALF_GONE);
      this.#orphanAfter(patience, member, call);
    }
  }
}
