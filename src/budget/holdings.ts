/**
 * What the pools of this process hold by one budget: the owner's side. How many each may have, what they need, and what goes back. It
 * knows the shared words and a clock; what has to reach the other thread it tells by `say`.
 */
import type { BudgetedPool, Permit, PoolPermits } from '../main/index.ts';
import type { Clock } from './clock.ts';
import { sharesOf } from './shares.ts';
import { WindowMax } from './window.ts';
import type { Words } from './words.ts';

/** Between two looks at what is needed, in ms: the longest that the heart may rest, and while others are short. */
const LOOK = 250;
const LOOK_PRESSED = 50;
/** What was needed so short a time ago is needed, in ms; and what was not for so long goes back while no other member is short. */
const NEEDED = 250;
const UNNEEDED = 1000;

export interface HoldingsSettings {
  readonly key: string;
  readonly isOpen: boolean;
  readonly onLost: 'destroy' | 'revoke' | 'keep';
}

/**
 * To the thread that speaks with the engine: look at the words; what could be let go of is gone. Where there is no such thread: the lease
 * has run out.
 */
export type Order = 'look' | 'let-go' | 'expired';

export class Holdings {
  readonly #settings: HoldingsSettings;
  readonly #words: Words;
  readonly #clock: Clock;
  readonly #say: (order: Order) => void;
  readonly #pools = new Set<Holding>();
  #needed = new WindowMax(NEEDED);
  #kept = new WindowMax(UNNEEDED);
  /** The last loss has been seen to. */
  #isLost = false;
  /** The lease has run out, and the thread has not said so yet. */
  #hasExpired = true;
  /** The largest want that was asked for, since less was wanted. */
  #askedFor = 0;
  /** The same, for which other pools have been made to look at what they have idle. */
  #regroupedFor = 0;
  #isAsking = false;
  #isSaying = false;
  #isRegrouping = false;
  /** There is no thread that speaks with the engine, for the time being. */
  #isAlone = false;
  readonly #waiting: (() => void)[] = [];
  #cancel = (): void => {};

  constructor(settings: HoldingsSettings, words: Words, clock: Clock, say: (order: Order) => void) {
    this.#settings = settings;
    this.#words = words;
    this.#clock = clock;
    this.#say = say;
  }

  /** Resources that exist, or are being made or destroyed, over all pools. */
  get used(): number {
    let used = 0;
    for (const pool of this.#pools) used += pool.held;
    return used;
  }

  /** Pools that are not over yet. */
  get pools(): number {
    return this.#pools.size;
  }

  /** Their names. */
  get names(): string[] {
    return [...this.#pools].map(({ pool }) => pool.name);
  }

  get isLost(): boolean {
    return this.#words.isLost || this.#hasExpired;
  }

  /** The clock that counts sleep is too dear for `limit`. */
  #seeDeadline(): void {
    this.#hasExpired = this.#clock.now() >= this.#words.deadline;
  }

  /** It is not known how many there may be, and the program has said to go on. */
  get #isUnlimited(): boolean {
    return this.#settings.isOpen && this.#words.isUnreachable;
  }

  /** Most that all pools together may have. While permits are lost: what there is, if it is to be kept. */
  get limit(): number {
    if (this.#isUnlimited) return Number.POSITIVE_INFINITY;
    if (this.isLost) return 0;
    const { allowed, isPressed, isOver, share } = this.#words;
    const most = isOver ? Math.min(allowed, this.used) : allowed;
    return isPressed ? Math.min(most, share) : most;
  }

  enter(pool: BudgetedPool): PoolPermits {
    const holding = new Holding(pool, this);
    this.#pools.add(holding);
    return holding;
  }

  start(): void {
    this.look();
  }

  stop(): void {
    this.#cancel();
  }

  // ── looking

  /** How things are now. Often, and whenever something has changed. */
  look(): void {
    this.#cancel();
    this.#words.beat();
    const had = this.isLost;
    this.#seeDeadline();
    const isUneven = this.#pools.size > 1 && [...this.#pools].some(({ excess }) => excess !== undefined);
    if (isUneven || (this.isLost && !had)) this.#regroupSoon();
    this.#seeLoss();
    this.#report();
    // Nothing is lent of a lease that has ended.
    const left = this.isLost ? LOOK : this.#words.deadline - this.#clock.now();
    this.#cancel = this.#clock.after(Math.min(this.#words.isPressed ? LOOK_PRESSED : LOOK, left), () => this.look());
    if (this.#isAlone && this.#hasExpired && this.#words.deadline > 0 && !this.#words.isLost) this.#say('expired');
  }

  /** The thread has ended: its words are the owner's until there is another. */
  alone(): void {
    this.#isAlone = true;
  }

  /** There is another, which goes on from the words. What was said to the one before may not have been heard. */
  accompanied(): void {
    this.#isAlone = false;
    if (this.#words.isLost && this.#isLost) this.#say('let-go');
  }

  /**
   * The thread has said that permits are lost. It waits for what is to be let go of, whatever the loss before this one has come to: the
   * owner need not have looked between the two.
   */
  lost(): void {
    this.#isLost = false;
    this.answered();
  }

  /** There is an answer: something may have been granted, or be too many. */
  answered(): void {
    this.#isAsking = this.#words.asked !== this.#words.answered;
    this.look();
    for (const pool of this.#pools) pool.changed();
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Every pool looks at what it may have. */
  #regroupSoon(): void {
    if (this.#isRegrouping) return;
    this.#isRegrouping = true;
    void Promise.resolve().then(() => {
      this.#isRegrouping = false;
      for (const pool of this.#pools) pool.changed();
    });
  }

  /** Once for each loss: what is idle goes now, and what is out is not to stay. Then the member may join again. */
  #seeLoss(): void {
    if (!this.#words.isLost) this.#isLost = false;
    if (!this.#words.isLost || this.#isLost) return;
    this.#isLost = true;
    const { onLost } = this.#settings;
    if (onLost !== 'keep' && !this.#isUnlimited) for (const pool of this.#pools) pool.lost(onLost === 'revoke');
    this.#words.used = this.used;
    this.#say('let-go');
  }

  /** What is used and needed; and what is not needed goes back: at once while others are short, else after a while. */
  #report(): void {
    const now = this.#clock.now();
    const used = this.used;
    const wanted = this.#needed.see(now, this.#wanted());
    const kept = this.#kept.see(now, Math.max(used, wanted));
    this.#words.used = used;
    this.#words.want = wanted;
    this.#askedFor = Math.min(this.#askedFor, wanted);
    this.#regroupedFor = Math.min(this.#regroupedFor, wanted);
    const { isPressed, isOver, share } = this.#words;
    if (this.#words.lower(Math.max(used, isOver ? 0 : isPressed ? Math.min(wanted, share) : kept))) this.#saySoon();
  }

  #wanted(): number {
    let wanted = 0;
    for (const pool of this.#pools) wanted += pool.wanted();
    return wanted;
  }

  // ── asking

  /** Is a question under way? Not while the engine is known to be out of reach: that may take long. */
  get isAsking(): boolean {
    return this.#isAsking && !this.#words.isUnreachable;
  }

  /** There is no room. Asks for more, once for each larger want; while it is short, the thread asks again by itself. */
  ask(): void {
    const wanted = this.#needed.see(this.#clock.now(), this.#wanted());
    // What one pool needs another may have idle.
    if (wanted > this.#regroupedFor && this.#pools.size > 1) {
      this.#regroupedFor = wanted;
      this.#regroupSoon();
    }
    if (wanted <= this.#askedFor || wanted <= this.#words.allowed) return;
    this.#askedFor = wanted;
    this.#words.want = wanted;
    this.#words.ask();
    this.#isAsking = true;
    this.#saySoon();
  }

  /** What happens in one go is one order. */
  #saySoon(): void {
    if (this.#isSaying) return;
    this.#isSaying = true;
    void Promise.resolve().then(() => {
      this.#isSaying = false;
      this.#say('look');
    });
  }

  /** Is there room for one more, over all pools? Looked at exactly, as a factory is to be called. */
  get hasRoom(): boolean {
    if (this.#clock.now() < this.#words.deadline) return this.used < this.limit;
    if (!this.#hasExpired) this.look();
    return this.#isUnlimited;
  }

  /** Would there be room for one if another went? What goes while more is held than there is in all is not replaced. */
  get canReplace(): boolean {
    return !this.#words.isOver && this.used <= this.limit;
  }

  /** How many of `count` there are permits for, when what is asked now has been answered. */
  async first(holding: Holding, count: number): Promise<number> {
    while (!holding.hasRoomFor(count) && this.isAsking) await new Promise<void>((go) => this.#waiting.push(go));
    return Math.max(0, Math.min(count, holding.granted - holding.held, this.limit - this.used));
  }

  /** One has come, or is about to. */
  came(): void {
    this.#report();
  }

  /** One has gone. */
  went(): void {
    this.#report();
    if (this.#pools.size > 1) this.#regroupSoon();
  }

  left(holding: Holding): void {
    this.#pools.delete(holding);
    this.#report();
  }

  // ── how many each may have

  /**
   * Most that this pool may have. Where several share, the one ordering decides, as it does among members; what none of them needs, any may
   * have.
   */
  limitOf(holding: Holding): number {
    const { limit } = this;
    if (this.#pools.size === 1 || limit === 0 || limit === Number.POSITIVE_INFINITY) return limit;
    const pools = [...this.#pools];
    const claimants = pools.map(({ held, pool }, index) => {
      const wanted = pool.wanted();
      return { id: String(index).padStart(6, '0'), want: wanted, granted: held, floor: 1, weight: 1, since: 0 };
    });
    const shares = sharesOf(claimants, limit, Number.NEGATIVE_INFINITY);
    return shares[pools.indexOf(holding)] + (limit - shares.reduce((sum, share) => sum + share, 0));
  }

  permit(): Permit {
    return { key: this.#settings.key, epoch: this.#words.epoch };
  }

  /** Kept, in spite of a loss. */
  get isKept(): boolean {
    return this.#settings.onLost === 'keep' && this.isLost;
  }
}

/** What one pool holds. */
class Holding implements PoolPermits {
  readonly pool: BudgetedPool;
  held = 0;
  #leaving = 0;
  /** Of what is held: for the first resources, which are made now. */
  #promised = 0;
  #hasEnded = false;
  readonly #holdings: Holdings;

  constructor(pool: BudgetedPool, holdings: Holdings) {
    this.pool = pool;
    this.#holdings = holdings;
  }

  get granted(): number {
    return this.#hasEnded ? 0 : this.#holdings.limitOf(this);
  }

  get hasRoom(): boolean {
    return this.hasRoomFor(1);
  }

  hasRoomFor(count: number): boolean {
    if (this.#holdings.hasRoom && this.held + count <= this.granted) return true;
    this.#holdings.ask();
    return false;
  }

  get isAsking(): boolean {
    return this.#holdings.isAsking;
  }

  get excess(): 'shed' | 'lost' | undefined {
    if (this.held - this.#leaving <= this.granted || this.#holdings.isKept) return undefined;
    return this.#holdings.isLost ? 'lost' : 'shed';
  }

  get canReplace(): boolean {
    return this.held <= this.granted && this.#holdings.canReplace;
  }

  first(count: number): number | Promise<number> {
    return count === 0 ? 0 : this.#promise(count);
  }

  /** Counted at once: another pool may look for room before they are taken. */
  async #promise(count: number): Promise<number> {
    const few = await this.#holdings.first(this, count);
    this.#promised = few;
    this.held += few;
    this.#holdings.came();
    return few;
  }

  take(): Permit {
    if (this.#promised > 0) this.#promised--;
    else this.held++;
    this.#holdings.came();
    return this.#holdings.permit();
  }

  leaving(): void {
    this.#leaving++;
  }

  gone(): void {
    this.#leaving--;
    this.held--;
    this.#leaveIfEmpty();
    this.#holdings.went();
  }

  end(): void {
    this.#hasEnded = true;
    this.held -= this.#promised;
    this.#promised = 0;
    this.#leaveIfEmpty();
  }

  #leaveIfEmpty(): void {
    if (this.#hasEnded && this.held === 0) this.#holdings.left(this);
  }

  wanted(): number {
    return this.#hasEnded ? 0 : this.pool.wanted();
  }

  changed(): void {
    if (!this.#hasEnded) this.pool.changed();
  }

  lost(revoke: boolean): void {
    if (!this.#hasEnded) this.pool.lost(revoke);
  }
}
