/** The one-shot calls of one thread that a resource serves in one go: the first, which was granted it, and those that it takes along. */
import type { Companion, Company } from '../../shared/options/company.ts';
import type { AttachedThread } from './attached-thread.ts';

/** A one-shot call, as far as it matters here. */
export interface Guest {
  readonly member: AttachedThread;
  /** Where it runs; NONE while it does not. */
  readonly slot: number;
  readonly lease: number;
}

/** All one-shot calls, as far as it matters here. */
export interface Host<G extends Guest> {
  /** The next call of that one's thread, out of the line, if it `fits`. */
  takeAlong(first: G, fits: (args: readonly unknown[]) => boolean): G | undefined;
  /** The resource of that party is at it. False: it is not to run there. */
  beginAlong(party: Party<G>, guest: G): boolean;
  /** It has been taken along, and does not wait there any more. */
  backInLine(guest: G): void;
  /** To one that has begun in company. */
  answer(guest: G, value: unknown): void;
}

export class Party<G extends Guest> implements Company {
  readonly #calls: Host<G>;
  readonly #slot: number;
  readonly #lease: number;
  readonly #first: G;
  /** How many it may still take along. */
  #left: number;
  readonly #along = new Set<Along<G>>();
  #isOver = false;

  constructor(calls: Host<G>, first: G, most: number) {
    this.#calls = calls;
    this.#first = first;
    this.#slot = first.slot;
    this.#lease = first.lease;
    this.#left = most;
  }

  get slot(): number {
    return this.#slot;
  }

  get lease(): number {
    return this.#lease;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  next(fits: (args: readonly unknown[]) => boolean): Companion | undefined {
    if (this.#isOver || this.#left === 0) return undefined;
    const call = this.#calls.takeAlong(this.#first, fits);
    if (call === undefined) return undefined;
    this.#left--;
    const along = new Along(this.#calls, this, call, call.member.enter(this.#slot, this.#lease));
    this.#along.add(along);
    return along;
  }

  left(along: Along<G>): void {
    this.#along.delete(along);
  }

  /** The resource has been taken from them: those that have not begun stand in line again. */
  disband(): void {
    this.#isOver = true;
    for (const along of [...this.#along].reverse()) along.back();
  }
}

class Along<G extends Guest> implements Companion {
  readonly #calls: Host<G>;
  readonly #party: Party<G>;
  readonly #call: G;
  /** The resource's lease does not end before this is called. */
  readonly #leave: () => void;
  #hasBegun = false;
  #isBack = false;
  #hasEnded = false;

  constructor(calls: Host<G>, party: Party<G>, call: G, leave: () => void) {
    this.#calls = calls;
    this.#party = party;
    this.#call = call;
    this.#leave = leave;
  }

  begin(): boolean {
    this.#hasBegun = !this.#party.isOver && this.#calls.beginAlong(this.#party, this.#call);
    this.#party.left(this);
    return this.#hasBegun;
  }

  back(): void {
    if (this.#hasBegun || this.#isBack || this.#hasEnded) return;
    this.#isBack = true;
    this.#calls.backInLine(this.#call);
  }

  end(answer?: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#party.left(this);
    if (this.#hasBegun) this.#calls.answer(this.#call, answer);
    this.#leave();
  }
}
