/**
 * Single statements, for which no connection was borrowed, on a thread that speaks to connections by itself. Those that find none idle
 * share one place in the line. The connection that the place is granted serves several of them, at most `batch`: those that may are sent
 * together (see Batch), the others one after the other. So threads take turns, and a connection that changes hands is of use for more than
 * one statement.
 */
import type { Cancellation } from '../../shared/index.ts';
import type { Companion, Company } from '../../shared/options/company.ts';
import { AcquireTimeoutError } from '../../worker/index.ts';
import { repacked } from '../messages/frames.ts';
import type { Answer } from '../messages/protocol.ts';
import { Hold } from './hold.ts';
import { Limits } from './limits.ts';
import type { OwnConnections } from './own-connections.ts';
import type { ParseByOwner } from './owners-parsers.ts';
import type { SaysGranted } from './query-channel.ts';
import type { RemoteSession, Sessions, SharedPlace, Sharer, SingleArguments, WaitingSharer } from './sessions.ts';
import { wayOf } from './way.ts';

/** Twice as many go along as would with an even spread over all connections: they save each other a way there and back. */
const SHARE = 2;

/**
 * The asker's driver reads the answer. `parse` has the owner's program parse something of it, for which the connection must still be
 * borrowed. An answer with nothing for the owner's program is heard by the asker itself, when the connection has been given back.
 */
export type Hear = (answer: Answer, parse: ParseByOwner) => Answer | Promise<Answer>;

export class Singles {
  readonly #sessions: Sessions;
  readonly #connections: OwnConnections;
  readonly #batch: number;
  readonly #place: SharedPlace;

  /** `batch`: how many one borrow may serve. */
  constructor(sessions: Sessions, connections: OwnConnections, batch: number) {
    this.#sessions = sessions;
    this.#connections = connections;
    this.#batch = batch;
    this.#place = sessions.sharedPlace!();
  }

  /** `granted` is told when it has a connection; or the answer says so. `hear`: see there. */
  ask(args: SingleArguments, granted: SaysGranted, hear: Hear): Promise<Answer> {
    const [profile, bytes, mode, timeout] = args;
    // The owner would be asked for each.
    if (this.#connections.isRefused) return this.#sessions.call('speakOnce', [profile, repacked(bytes), mode, timeout]);
    const { parts } = this.#connections;
    if (parts === undefined)
      return new Promise((resolve, reject) => this.#ask(new Single(this, args, granted, hear, undefined, resolve, reject)));
    const cancelled = parts.present?.cancelled();
    if (cancelled !== undefined) return Promise.reject(cancelled.reason);
    let single: Single;
    const ask = (): Promise<Answer> =>
      new Promise((resolve, reject) => {
        single = new Single(this, args, granted, hear, parts.present, resolve, reject);
        // The part waits for it, and not for the connection: that is no part's.
        parts.outside(() => this.#ask(single));
      });
    return parts.follow(ask, () => single.leave());
  }

  #ask(single: Single): void {
    const session = this.#sessions.borrowIdle!();
    if (session === undefined) single.waits(this.#place.wait(single));
    else single.granted(session);
  }

  /** The first has been granted the connection. */
  serve(session: RemoteSession, first: Single): void {
    const { returning } = wayOf(this.#sessions);
    const [profile] = first.args;
    const hold = new Hold(this.#sessions, session, 0, profile);
    // Before this thread blocks, it ends this borrow.
    returning!.add(hold);
    const isHere = hold.takesSocket();
    this.#serveNext(first, hold, new OneTurn(hold, first, this.#place, this.#batch - 1));
    // The owner may be busy: this is a part of the wait for a connection.
    if (!isHere) hold.boundAsking((known) => this.#limits().within(known));
  }

  #serveNext(single: Single, hold: Hold, turn: OneTurn): void {
    single.turn = turn;
    hold.speakAlong({ args: single.args, company: turn.round(), told: (answer) => single.answered(answer, hold) }).then(
      (answer) => {
        single.answered(answer, hold);
        this.#serveAnother(single, hold, turn);
      },
      (error) => {
        this.#serveAnother(single, hold, turn);
        single.reject(error);
      },
    );
  }

  /** Before the asker of the last hears of it, as it may want the connection again at once. */
  #serveAnother(last: Single, hold: Hold, turn: OneTurn): void {
    const returning = wayOf(this.#sessions).returning!;
    last.turn = undefined;
    const next = returning.has(hold) && hold.isFit ? turn.another() : undefined;
    if (next !== undefined) this.#serveNext(next, hold, turn);
    else if (returning.delete(hold)) void hold.giveBack();
  }

  #limits(): Limits {
    return new Limits(undefined, this.#sessions.acquireTimeout, this.#ownerBusy);
  }

  readonly #ownerBusy = (timeout: number): Error => {
    const { name } = this.#sessions;
    return new AcquireTimeoutError(
      `pool ${JSON.stringify(name)}: the owner has not answered within ${timeout} ms: it is busy, or gives connections to other threads`,
      name,
    );
  };
}

class Single implements Sharer {
  readonly args: SingleArguments;
  /** It is its turn on a connection. */
  readonly begins: SaysGranted;
  readonly #hear: Hear;
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void;
  readonly reject: (error: unknown) => void;
  /** The part of the program that asks. Statements of several parts do not go together: what ends one would end the others. */
  readonly part: Cancellation | undefined;
  readonly #singles: Singles;
  /** What it is served in. */
  turn: OneTurn | undefined;
  #waiting: WaitingSharer | undefined;

  constructor(
    singles: Singles,
    args: SingleArguments,
    begins: SaysGranted,
    hear: Hear,
    part: Cancellation | undefined,
    resolve: (answer: Answer | PromiseLike<Answer>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#singles = singles;
    this.args = args;
    this.begins = begins;
    this.#hear = hear;
    this.part = part;
    this.resolve = resolve;
    this.reject = reject;
  }

  waits(waiting: WaitingSharer | undefined): void {
    this.#waiting = waiting;
  }

  /** Its asker waits no longer. */
  leave(): void {
    this.#waiting?.leave();
    this.turn?.cancel();
  }

  /** It may go with that one. */
  fits({ part, args: [profile] }: Single): boolean {
    return part === this.part && profile === this.args[0];
  }

  granted(session: RemoteSession): void {
    this.begins();
    this.#singles.serve(session, this);
  }

  refused(error: unknown): void {
    this.reject(error);
  }

  answered(answer: Answer | Promise<Answer>, hold: Hold): void {
    try {
      this.resolve(answer instanceof Promise ? hold.during(answer.then((each) => this.#heardOn(hold, each))) : this.#heardOn(hold, answer));
    } catch (error) {
      this.reject(error);
    }
  }

  /** If the owner's program may have to parse something of it, it is heard while the connection is borrowed. */
  #heardOn(hold: Hold, answer: Answer): Answer | Promise<Answer> {
    if (answer.own === undefined || answer.error !== undefined) return answer;
    const heard = this.#hear(answer, (columns) => hold.parse(columns));
    return heard instanceof Promise ? hold.during(heard) : heard;
  }
}

/** What one borrow serves. */
class OneTurn implements Company {
  readonly #hold: Hold;
  readonly #first: Single;
  readonly #place: SharedPlace;
  #left: number;
  /** How many of those may be sent with the next. */
  #along = 0;
  #isCancelled = false;

  /** `left`: how many it may serve beside the first. */
  constructor(hold: Hold, first: Single, place: SharedPlace, left: number) {
    this.#hold = hold;
    this.#first = first;
    this.#place = place;
    this.#left = left;
  }

  get hold(): Hold {
    return this.#hold;
  }

  /** For those that are sent together. */
  round(): Company {
    this.#along = Math.min(this.#left, Math.ceil(this.#place.waitingForEach * SHARE));
    return this;
  }

  next(fits: (args: readonly unknown[]) => boolean): Companion | undefined {
    if (this.#along <= 0) return undefined;
    const waiting = this.#take((single) => fits(single.args));
    if (waiting === undefined) return undefined;
    this.#along--;
    return new Along(waiting, this);
  }

  /** One more, when all before it are answered. */
  another(): Single | undefined {
    const waiting = this.#take(() => true);
    if (!waiting?.begin()) return undefined;
    const single = waiting.sharer as Single;
    single.turn = this;
    single.begins();
    return single;
  }

  #take(fits: (single: Single) => boolean): WaitingSharer | undefined {
    if (this.#left <= 0 || this.#isCancelled) return undefined;
    const waiting = this.#place.takeAlong((sharer) => this.#first.fits(sharer as Single) && fits(sharer as Single));
    if (waiting !== undefined) this.#left--;
    return waiting;
  }

  /** The part that has asked all of it is at an end: what the server is at is cancelled, and nothing more begins. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    void this.#hold.cancel();
  }
}

class Along implements Companion {
  readonly #waiting: WaitingSharer;
  readonly #turn: OneTurn;
  #hasBegun = false;

  constructor(waiting: WaitingSharer, turn: OneTurn) {
    this.#waiting = waiting;
    this.#turn = turn;
  }

  begin(): boolean {
    this.#hasBegun = this.#waiting.begin();
    if (!this.#hasBegun) return false;
    const single = this.#waiting.sharer as Single;
    single.turn = this.#turn;
    single.begins();
    return true;
  }

  back(): void {
    if (!this.#hasBegun) this.#waiting.back();
  }

  end(answer?: unknown): void {
    const single = this.#waiting.sharer as Single;
    single.turn = undefined;
    if (answer !== undefined) single.answered(answer as Answer | Promise<Answer>, this.#turn.hold);
    else if (this.#hasBegun) single.reject(new Error('Connection terminated unexpectedly'));
  }
}
