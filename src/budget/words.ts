/**
 * What the owner and the thread that speaks with the engine share, in one SharedArrayBuffer for each budget. Each word has one writer,
 * but for ALLOWED: the thread raises it by what the engine has granted, the owner lowers it to what it keeps, and neither undoes the
 * other. Thus what is being granted and what is being given back may cross, and ALLOWED is never more than what the engine has noted.
 * docs/state-machines.md has the table. While there is no such thread its words are the owner's.
 */

/** Permits that this member has. */
const ALLOWED = 0;
/** By the owner: resources that exist, or are being made or destroyed. */
const USED = 1;
/** By the owner: resources that are needed. */
const WANT = 2;
/** By the owner: goes up while its event loop runs. */
const HEART = 3;
/** By the owner: how often it has asked for more. */
const ASKED = 4;
/** By the thread: how many of these have an answer, or failed. */
const ANSWERED = 5;
/** By the thread: permits were lost, and not regained yet. */
const LOST = 6;
/** By the thread: the part that this member may have while others are short of permits. */
const SHARE = 7;
/** By the thread: others are short. */
const PRESSED = 8;
/** By the thread: the engine does not answer. */
const UNREACHABLE = 9;
/** By the thread: permits in all. */
const LIMIT = 10;
/** By the thread: more is held than that. */
const OVER = 11;
const WORDS = 12;
/** By the thread, as floats: until when the permits hold, the epoch of the last grant, and the number of the last report. */
const DEADLINE = WORDS / 2;
const EPOCH = DEADLINE + 1;
const SEQ = DEADLINE + 2;
const BYTES = (WORDS + 6) * 4;

export class Words {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  get allowed(): number {
    return Atomics.load(this.#words, ALLOWED);
  }

  /** By the thread. What else it has written before is seen by a reader that sees this. */
  raise(by: number): void {
    Atomics.add(this.#words, ALLOWED, by);
  }

  /** By the owner: what it has beyond `most` goes back. True: there was something. */
  lower(most: number): boolean {
    for (;;) {
      const allowed = this.allowed;
      if (allowed <= most) return false;
      if (Atomics.compareExchange(this.#words, ALLOWED, allowed, most) === allowed) return true;
    }
  }

  /**
   * By the thread: everything is lost, whatever the owner gives back just now. In this order: a thread that takes over after the first of
   * the two must not report that nothing is kept.
   */
  lose(): void {
    Atomics.store(this.#words, LOST, 1);
    Atomics.store(this.#words, ALLOWED, 0);
  }

  /** By a thread that goes on where another has ended, in the middle of a loss, perhaps: then it finishes that. True: permits are lost. */
  takeOver(): boolean {
    const { isLost } = this;
    if (isLost) this.lose();
    return isLost;
  }

  /** What the engine is told that is kept: after a loss what still exists, as it does not know of it any more. */
  kept(joinsAgain: boolean): number {
    return joinsAgain && this.isLost ? this.used : this.allowed;
  }

  /** By the thread, after it has raised ALLOWED from 0. */
  regain(): void {
    Atomics.store(this.#words, LOST, 0);
  }

  get isLost(): boolean {
    return Atomics.load(this.#words, LOST) !== 0;
  }

  get used(): number {
    return Atomics.load(this.#words, USED);
  }

  set used(count: number) {
    Atomics.store(this.#words, USED, count);
  }

  get want(): number {
    return Atomics.load(this.#words, WANT);
  }

  set want(count: number) {
    Atomics.store(this.#words, WANT, count);
  }

  get heart(): number {
    return Atomics.load(this.#words, HEART);
  }

  beat(): void {
    Atomics.add(this.#words, HEART, 1);
  }

  get asked(): number {
    return Atomics.load(this.#words, ASKED);
  }

  ask(): void {
    Atomics.add(this.#words, ASKED, 1);
  }

  get answered(): number {
    return Atomics.load(this.#words, ANSWERED);
  }

  set answered(count: number) {
    Atomics.store(this.#words, ANSWERED, count);
  }

  get share(): number {
    return Atomics.load(this.#words, SHARE);
  }

  set share(count: number) {
    Atomics.store(this.#words, SHARE, count);
  }

  get isPressed(): boolean {
    return Atomics.load(this.#words, PRESSED) !== 0;
  }

  set isPressed(is: boolean) {
    Atomics.store(this.#words, PRESSED, Number(is));
  }

  get isUnreachable(): boolean {
    return Atomics.load(this.#words, UNREACHABLE) !== 0;
  }

  set isUnreachable(is: boolean) {
    Atomics.store(this.#words, UNREACHABLE, Number(is));
  }

  get isOver(): boolean {
    return Atomics.load(this.#words, OVER) !== 0;
  }

  set isOver(is: boolean) {
    Atomics.store(this.#words, OVER, Number(is));
  }

  get limit(): number {
    return Atomics.load(this.#words, LIMIT);
  }

  set limit(count: number) {
    Atomics.store(this.#words, LIMIT, count);
  }

  /**
   * A moment of the clock. The owner may read one half of it old and one half new only in the moment of a renewal, when either is in the
   * future.
   */
  get deadline(): number {
    return this.#floats[DEADLINE];
  }

  set deadline(at: number) {
    this.#floats[DEADLINE] = at;
  }

  get epoch(): number {
    return this.#floats[EPOCH];
  }

  set epoch(epoch: number) {
    this.#floats[EPOCH] = epoch;
  }
  /** Each report has a number higher than all before, of an earlier thread, too: the engine takes none that comes late. */
  nextSeq(): number {
    return ++this.#floats[SEQ];
  }
}
