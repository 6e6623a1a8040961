/**
 * One member of a budget, as the thread that speaks with the engine has it: when to say what, and what an answer means. One request at a
 * time. It never sleeps on the owner: what the owner needs and has is in shared words (words.ts).
 */
import type { Clock } from './clock.ts';
import type { Answer, Engine, Joining, Report } from './engines/engine.ts';
import { RefusedError } from './errors.ts';
import type { Words } from './words.ts';

/** A lease is given up locally at this part of its ttl, so that no other member has been granted it before. */
const SAFE = 0.9;
/** Part of the ttl after which a member renews. */
const RENEW = 1 / 3;
/** Longest between two looks at the words, in ms. */
const TICK = 250;
/**
 * Least and most for one step, in ms; between these a sixth of the ttl. With no lease to keep, each failure doubles it: where it takes
 * long to connect, a member of a short ttl would else never come in.
 */
const STEP_LEAST = 500;
const STEP_MOST = 5000;
/** First pause after a failed step, in ms; doubled up to a fifteenth of the ttl, at most a second. */
const FIRST_PAUSE = 30;
const LAST_PAUSE = 1000;
/**
 * A member that is short asks again after so long, in ms: where the engine tells (and for each member of the budget a little), and where it
 * does not.
 */
const ASK_TOLD = 1000;
const ASK_TOLD_EACH = 20;
const ASK_UNTOLD = 150;
/** While others are short a change of the demand is reported after so long, in ms, and for each member a little. */
const REPORT = 250;
const REPORT_EACH = 10;

export interface MemberSettings {
  readonly key: string;
  readonly id: string;
  readonly label: string;
  readonly limit: number;
  readonly floor: number;
  readonly weight: number;
  readonly ttl: number;
  readonly ownerTimeout: number;
}

/** What the owner hears. What it needs to know at once is in the words. */
export type News =
  | { readonly type: 'answer' }
  | { readonly type: 'granted'; readonly granted: number; readonly added: number; readonly epoch: number }
  | { readonly type: 'shed'; readonly granted: number; readonly share: number }
  | { readonly type: 'lost'; readonly granted: number; readonly why: 'expired' | 'blocked' }
  | { readonly type: 'regained'; readonly granted: number; readonly epoch: number }
  | { readonly type: 'unreachable'; readonly error: Error }
  | { readonly type: 'reachable'; readonly granted: number }
  | { readonly type: 'joined' }
  | { readonly type: 'mismatch'; readonly limit: number }
  | { readonly type: 'refused'; readonly error: Error };

interface Request {
  readonly says: Partial<Pick<Report, 'leave' | 'resize'>>;
  done(answer: Answer): void;
  failed(error: Error): void;
}

export class Member {
  readonly #settings: MemberSettings;
  readonly #words: Words;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #hear: (news: News) => void;
  readonly #random: () => number;
  readonly #requests: Request[] = [];
  /** lost: until the owner has let go of what it can. left: for good. */
  #phase: 'joining' | 'in' | 'lost' | 'left' = 'joining';
  #join: Joining = 'new';
  #isBusy = false;
  #isLeaving = false;
  /** The last answer, and when what it answers was sent and what that said. */
  #answer: Answer | undefined;
  #sent = Number.NEGATIVE_INFINITY;
  #said = { hold: 0, want: 0 };
  /** The number of the last report that was answered. */
  #noted = 0;
  #pause = 1;
  #isCalled = false;
  #failures = 0;
  #retryAt = 0;
  #heart = 0;
  #stillFor = 0;
  #lookedAt: number;
  #cancel = (): void => {};
  #unlisten = (): void => {};

  constructor(settings: MemberSettings, words: Words, engine: Engine, clock: Clock, hear: (news: News) => void, random = Math.random) {
    this.#settings = settings;
    this.#words = words;
    this.#engine = engine;
    this.#clock = clock;
    this.#hear = hear;
    this.#random = random;
    this.#lookedAt = clock.now();
    this.#resume();
  }

  /** Goes on from the words: they are new, or a thread that has ended has left them. */
  #resume(): void {
    if (this.#words.deadline === 0) return;
    this.#join = 'none';
    this.#phase = this.#words.takeOver() ? 'lost' : 'in';
  }

  get key(): string {
    return this.#settings.key;
  }

  start(): void {
    this.#unlisten = this.#engine.listen(this.#settings.key, (ids) => this.#called(ids));
    this.look();
  }

  #called(ids: readonly string[] | undefined): void {
    if (ids !== undefined && !ids.includes(this.#settings.id)) return;
    this.#isCalled = true;
    this.look();
  }

  /** The owner has let go of what it could of what was lost. */
  letGo(): void {
    if (this.#phase !== 'lost') return;
    this.#phase = 'in';
    this.#join = 'again';
    this.look();
  }

  /** A step now. Rejects if it fails, or if the member has to join again first. */
  request(says: Request['says'] = {}): Promise<Answer> {
    return new Promise((done, failed) => {
      this.#requests.push({ says, done, failed });
      this.look();
    });
  }

  /**
   * Gives everything back, as well as may be, and is no member any more. One that was never answered has nothing to give back, and waits
   * for nothing: if the engine has taken it in all the same, that ends by the ttl.
   */
  async leave(): Promise<void> {
    if (this.#phase === 'left') return;
    this.#isLeaving = true;
    if (this.#phase !== 'joining') await this.request({ leave: true }).catch(() => {});
    this.stop();
  }

  stop(): void {
    this.#phase = 'left';
    for (const { failed } of this.#requests.splice(0)) failed(hasLeft());
    this.#cancel();
    this.#unlisten();
  }

  // ── when

  /** Something may have to be said: now, or when the timer says. May be called at any time, and often. */
  look(): void {
    if (this.#phase === 'left') return;
    this.#watch();
    const wait = this.#isBusy ? TICK : this.#dueAt() - this.#clock.now();
    if (wait <= 0) void this.#step();
    this.#cancel();
    // Also while a step is under way: the lease may run out, and the owner may stand still.
    this.#cancel = this.#clock.after(Math.min(wait <= 0 ? TICK : wait, TICK, this.#left), () => this.look());
  }

  /** How long the lease is still good, in ms. It is given up when it ends, and no later: the engine grants it to others soon after. */
  get #left(): number {
    return this.#phase === 'in' && !this.#words.isLost ? this.#words.deadline - this.#clock.now() : Number.POSITIVE_INFINITY;
  }

  /**
   * Is the lease still good, and does the owner still run? Time in which this thread itself was stopped does not count against the owner.
   */
  #watch(): void {
    const now = this.#clock.now();
    const { heart } = this.#words;
    if (heart !== this.#heart) this.#stillFor = 0;
    else this.#stillFor += Math.min(now - this.#lookedAt, 2 * TICK);
    this.#heart = heart;
    this.#lookedAt = now;
    if (this.#phase !== 'in' || this.#words.isLost) return;
    if (now >= this.#words.deadline) this.#lose('expired');
    else if (this.#stillFor >= this.#settings.ownerTimeout) {
      this.#lose('blocked');
      // Others need not wait for the ttl.
      this.#requests.unshift({ says: { leave: true }, done: () => {}, failed: () => {} });
    }
  }

  #lose(why: 'expired' | 'blocked'): void {
    const granted = this.#words.allowed;
    this.#phase = 'lost';
    this.#words.lose();
    this.#hear({ type: 'lost', granted, why });
  }

  #dueAt(): number {
    if (this.#phase === 'lost' && this.#requests.length === 0) return Number.POSITIVE_INFINITY;
    if (this.#failures > 0) return this.#retryAt;
    if (this.#requests.length > 0) return 0;
    if (this.#phase === 'joining' || this.#join === 'again' || this.#answer === undefined || this.#isCalled) return 0;
    const { ttl } = this.#settings;
    const { allowed, want } = this.#words;
    const { granted, members, pressed, share } = this.#answer;
    // It gives something back; or it asks, once for each larger want.
    if (allowed < granted || (want > this.#said.want && want > allowed)) return 0;
    let due = this.#sent + ttl * RENEW;
    if (want > allowed)
      due = Math.min(due, this.#sent + this.#pause * (this.#engine.tells ? Math.max(ASK_TOLD, ASK_TOLD_EACH * members) : ASK_UNTOLD));
    if (pressed && Math.min(want, share + 1) !== Math.min(this.#said.want, share + 1))
      due = Math.min(due, this.#sent + Math.max(REPORT, REPORT_EACH * members));
    return due;
  }

  // ── one step

  async #step(): Promise<void> {
    this.#isBusy = true;
    this.#isCalled = false;
    const request = this.#requests.shift();
    const { asked } = this.#words;
    const report = this.#report(request?.says ?? {});
    const sent = this.#clock.now();
    try {
      const answer = await this.#inTime(this.#engine.step(report));
      this.#watch();
      this.#succeeded();
      this.#take(report, sent, answer);
      this.#settle(request, answer);
    } catch (error) {
      this.#watch();
      this.#failed(error as Error, request);
    } finally {
      this.#isBusy = false;
      this.#words.answered = asked;
    }
    this.#hear({ type: 'answer' });
    this.look();
  }

  /** What has changed nothing is tried again, when the member has joined again. */
  #settle(request: Request | undefined, answer: Answer): void {
    if (request === undefined) return;
    if (answer.outcome === 'ok' || request.says.leave === true) request.done(answer);
    else if (this.#phase === 'left') request.failed(hasLeft());
    else this.#requests.unshift(request);
  }

  #report(says: Request['says']): Report {
    const { key, id, label, limit: said, floor, weight, ttl } = this.#settings;
    const { used, want, epoch, limit } = this.#words;
    const leave = says.leave ?? false;
    const hold = leave ? 0 : this.#words.kept(this.#join === 'again');
    this.#said = { hold, want };
    const common = { key, id, label, floor, weight, ttl, said, limit: limit || said, epoch };
    return {
      ...common,
      seq: this.#words.nextSeq(),
      noted: this.#words.isLost ? 0 : this.#noted,
      join: this.#join,
      leave,
      hold,
      used,
      want: leave ? 0 : want,
      resize: says.resize ?? null,
    };
  }

  async #inTime(step: Promise<Answer>): Promise<Answer> {
    const tries = this.#clock.now() < this.#words.deadline ? 0 : this.#failures;
    const most = Math.min(Math.max(this.#settings.ttl / 6, STEP_LEAST) * 2 ** tries, STEP_MOST);
    let cancel = (): void => {};
    try {
      return await Promise.race([
        step,
        new Promise<never>((_, reject) => {
          cancel = this.#clock.after(most, () => {
            this.#engine.drop();
            reject(new Error(`no answer within ${most} ms`));
          });
        }),
      ]);
    } finally {
      cancel();
    }
  }

  #take(report: Report, sent: number, answer: Answer): void {
    // The lease ran out on the way, or the owner stood still: what was granted goes with the rest.
    if (report.leave && this.#isLeaving) this.#phase = 'left';
    if (this.#phase === 'lost' || this.#phase === 'left' || report.leave) return;
    if (answer.outcome === 'mismatch') return this.#mismatched(answer.limit);
    // Also after an answer of ours was lost: the next number is higher.
    if (answer.outcome === 'stale') return void (this.#isCalled = true);
    if (answer.outcome === 'unknown') return void (this.#join = 'again');
    const deadline = sent + this.#settings.ttl * SAFE;
    if (this.#clock.now() >= deadline) return;
    this.#sent = sent;
    this.#pause = 0.75 + this.#random() / 2;
    this.#answer = answer;
    this.#enter(report, answer, deadline);
  }

  /** Until the others have gone, or say the same. */
  #mismatched(limit: number): void {
    this.#failures = 1;
    this.#retryAt = this.#clock.now() + this.#settings.ttl * RENEW;
    this.#hear({ type: 'mismatch', limit });
  }

  #enter(report: Report, answer: Answer, deadline: number): void {
    const words = this.#words;
    const regains = words.isLost;
    const wasIn = this.#phase === 'in';
    this.#phase = 'in';
    this.#join = 'none';
    this.#noted = report.seq;
    const sheds = answer.share < answer.granted && (answer.share < words.share || !words.isPressed);
    words.limit = answer.limit;
    words.share = answer.share;
    words.isPressed = answer.pressed || answer.share < answer.granted;
    words.isOver = answer.over;
    words.deadline = deadline;
    const { granted, epoch, share } = answer;
    // After a loss ALLOWED is 0, and what is held counts as granted anew.
    const added = regains ? granted : granted - report.hold;
    if (added > 0) words.epoch = epoch;
    words.raise(added);
    words.regain();
    if (!wasIn) this.#hear({ type: 'joined' });
    if (regains) this.#hear({ type: 'regained', granted, epoch });
    else if (added > 0) this.#hear({ type: 'granted', granted, added, epoch });
    if (sheds) this.#hear({ type: 'shed', granted, share });
  }

  #succeeded(): void {
    const { isUnreachable, isLost, allowed } = this.#words;
    if (isUnreachable) this.#hear({ type: 'reachable', granted: isLost ? 0 : allowed });
    this.#words.isUnreachable = false;
    this.#failures = 0;
  }

  #failed(error: Error, request: Request | undefined): void {
    request?.failed(error);
    this.#isCalled = false;
    if (error instanceof RefusedError && this.#failures === 0) this.#hear({ type: 'refused', error });
    const most = Math.min(LAST_PAUSE, this.#settings.ttl / 15);
    this.#retryAt = this.#clock.now() + Math.min(FIRST_PAUSE * 2 ** this.#failures, most) * (0.75 + this.#random() / 2);
    // One failure may be a connection that was cut, and is made again.
    if (++this.#failures < 2 || this.#words.isUnreachable) return;
    this.#words.isUnreachable = true;
    this.#hear({ type: 'unreachable', error });
  }
}

const hasLeft = (): Error => new Error('this process has left the budget');
