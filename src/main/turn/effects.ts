/** What the owner's turn needs from outside of the control block: resources, hooks, timers, events. */
import type { DestroyReason } from '../../shared/words/counters.ts';

/** What a hook says of a resource. Undefined: the resource is fine. Otherwise what is wrong with it, which has been reported already. */
export type Verdict = Error | undefined;

/**
 * What the turn needs from outside of the control block. A slot is "in hand" when it is CREATING or CHECKING: then only the owner moves it.
 */
export interface TurnEffects {
  /** Bits of the state word that hold for the whole life of the pool. */
  readonly imposed: number;
  /** SUSPENDED, that and SUSPENDED_REFUSING, or 0: while the pool is open. */
  readonly suspended: number;
  /** Is nothing to be there while it is suspended? */
  readonly isEmptying: boolean;
  /** Factory calls under way, each of which will bring a resource, or fail. */
  readonly creating: number;
  /** Are as many factory calls under way as `maxCreating` allows, or is there no permit for another? */
  readonly isCreatingEnough: boolean;
  /** Is an answer under way that may bring permits? */
  readonly isAsking: boolean;
  /** Why something has to go, if there is more than there are permits for. */
  readonly excess: DestroyReason | undefined;

  /** Emits the event of a breaker that has moved since the last call. */
  announceBreaker(): void;
  /** Has returns pass by the owner, or not, as `excess` and the rest say now. */
  guardReturns(): void;
  /** A hand-out has ended well, or badly. May move the breaker. */
  succeeded(wasProbe: boolean): void;
  failed(error: Error, wasProbe: boolean): void;

  /** Is there a resource in this slot? */
  has(slot: number): boolean;
  /** Is the resource in this slot known to be broken, and has that been reported? */
  isEvicted(slot: number): boolean;
  /** Asks the hook about a resource in hand. `then` is called once: at once, or later and outside of any turn. */
  beforeAcquire(slot: number, then: (verdict: Verdict) => void): void;
  beforeRelease(slot: number, then: (verdict: Verdict) => void): void;
  /** A slot that is CREATING gets a resource, and `arrived` is called; or becomes EMPTY again, and then a turn is asked for. */
  create(slot: number): void;
  /** `then` is called at once, or when what was asked of the resource for its last borrower has ended: until then it is no other's. */
  whenCancelled(slot: number, then: () => void): void;
  /** In hand -> EMPTY, by way of the destructor; then a turn is asked for. */
  destroy(slot: number, reason: DestroyReason): void;
  /** Makes resources up to `min`. */
  refill(): void;
  /** Everything has been looked at: what was waited for may have come about. */
  looked(): void;
  /** Every factory call under way fails now. */
  abandonCreations(): void;

  /** The word of this slot could not be true: its resource has been destroyed, if there was one. */
  damaged(slot: number): void;
  /** Asks for a turn in a millisecond or so. */
  lookAgain(): void;
  /** The pool is not open any more; `closed` settles when it is closed. */
  leftOpen(closed: Promise<void>): void;
  /** Nothing is left, and nothing will come back: no turn follows. */
  ended(): void;
}
