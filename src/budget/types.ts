/** The public types of cenote/budget. */
import type { PoolBudget } from '../main/index.ts';
import type { BudgetError } from './errors.ts';

/** What keeps the permits: `postgresBudget` or `redisBudget` make one. */
export interface BudgetEngine {
  /** 'postgres' or 'redis'. */
  readonly name: string;
}

/** Options of createBudget. A wrong type is a TypeError, a wrong range a RangeError; both name the option and the value. */
export interface BudgetOptions {
  /** Where the permits are kept. */
  engine: BudgetEngine;
  /**
   * What is shared: by members with the same key, on the same engine. All must say the same limit, or createBudget rejects with
   * `ERR_BUDGET_MISMATCH`. After `resize` the limit that a living member was created with is accepted, too, and means the present one.
   */
  key: string;
  /** Permits in all, over all members. From 1 to 100,000. When no member lives, that of the next one counts. */
  limit: number;
  /**
   * What each member gets of what it wants as soon as others can spare it; idle resources are not wanted. Lowered, and taken in turns,
   * where all floors together are more than the limit. Default 1, at most `limit`.
   */
  floor?: number | undefined;
  /** The member's weight in the fair share, which is max-min by weight and never more than the member wants. Default 1. */
  weight?: number | undefined;
  /**
   * A member that has not renewed for so long, in milliseconds by the server's clock, has lost its permits. It gives them up by itself at
   * nine tenths of that, so an outage of half of it loses nothing. A process that ends without `close` keeps its permits until then.
   * Renewed at a third of it, from a thread of its own, so that a blocked owner loses nothing. Default 15,000, least 1000, at most
   * 86,400,000.
   */
  ttl?: number | undefined;
  /** The owner's thread may be blocked for so long, in milliseconds, before its permits are given up. Default 60,000, least 1000. */
  ownerTimeout?: number | undefined;
  /**
   * The engine is out of reach. 'wait': a pool that needs a permit waits, as for a resource that is slow to make, and createBudget
   * rejects with `ERR_BUDGET_UNREACHABLE` within about ten seconds. 'open': go on without a cap, up to the pool's `max`, and say so by the
   * event 'unreachable'; createBudget resolves then, too, but for a wrong password or bad settings. Default 'wait'.
   */
  onUnreachable?: 'wait' | 'open' | undefined;
  /**
   * Permits are lost. 'destroy': idle resources go at once, borrowed ones as they come back. 'revoke': borrowed ones at once, too. 'keep':
   * only the event 'lost' says so; nothing new is made before the permits are regained. Default 'destroy'.
   */
  onLost?: 'destroy' | 'revoke' | 'keep' | undefined;
  /** A label for `members()`. Default: the host's name and the process id. */
  member?: string | undefined;
}

/** A member of a budget: what `createPool({ budget })` takes. Disposing it closes it. */
export interface Budget extends PoolBudget, AsyncDisposable {
  /** The option `key`. */
  readonly key: string;
  /** Permits in all, as this member last heard. */
  readonly limit: number;
  /** Permits that this member has. 0 while they are lost. */
  readonly granted: number;
  /** Resources of this process that exist, or are being made or destroyed. */
  readonly used: number;
  /** All that live, ordered by label, by one reading of the server, after this member has reported. Rejects with BudgetError. */
  members(): Promise<BudgetMember[]>;
  /**
   * Sets the limit for all members. What is above it goes as it comes back. Rejects with BudgetError, or with TypeError or RangeError for a
   * number that is no limit.
   */
  resize(limit: number): Promise<void>;
  /**
   * Gives everything back and leaves. Rejects with `ERR_BUDGET_IN_USE` as long as a pool that uses it has a resource, or a call of its
   * factory or destructor that it has given up runs on: close that first. May be called again.
   */
  close(): Promise<void>;
  /** Adds a listener. */
  on<E extends keyof BudgetEvents>(event: E, listener: (info: BudgetEvents[E]) => void): this;
  /** Removes a listener. */
  off<E extends keyof BudgetEvents>(event: E, listener: (info: BudgetEvents[E]) => void): this;
}

/** One member, as the server has it. */
export interface BudgetMember {
  /** Its label. */
  member: string;
  /** Permits that it has. */
  granted: number;
  /** Resources that it said it has. */
  used: number;
  /** How many it said it needs; what is in use is included. */
  wanted: number;
  /** Milliseconds since it last reported. */
  seenAgo: number;
  /** Is it this one? */
  you: boolean;
}

/** The events of a budget, with what a listener gets. */
export interface BudgetEvents {
  /** The engine has granted more. */
  granted: {
    /** Permits that this member now has. */
    granted: number;
    /** How many of these are new. */
    added: number;
    /** The epoch of this grant. */
    epoch: number;
  };
  /** Others are short, and this member has more than its share: what is too much goes. */
  shed: {
    /** Permits that this member has. */
    granted: number;
    /** What it may keep while others are short. */
    share: number;
  };
  /** All permits are lost. */
  lost: {
    /** How many these were. */
    granted: number;
    /** `ERR_BUDGET_LOST`, whose message says why. */
    error: BudgetError;
  };
  /** This member is back, with so many permits. */
  regained: {
    /** Permits that this member now has. What it still had out is among them. */
    granted: number;
    /** The epoch of this grant. */
    epoch: number;
  };
  /** The engine has failed to answer twice in a row. It is asked again and again. */
  unreachable: {
    /** `ERR_BUDGET_UNREACHABLE`, with what went wrong as its cause. */
    error: BudgetError;
  };
  /** The engine answers again. */
  reachable: {
    /** Permits that it had kept until then; 0 if they were lost. What it gets by this answer is told by 'regained' or 'granted'. */
    granted: number;
  };
  /** Something that no caller waits for. Without a listener: a process warning, never a crash. */
  error: BudgetError;
}
