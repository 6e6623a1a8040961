/**
 * Single statements, for which no connection was borrowed, on a thread that speaks to connections by itself. Those that find none idle
 * share one place in the line. The connection that the place is granted serves several of them, at most `batch`: those that may are sent
 * together (see Batch), the others one after the other. So threads take turns, and a connection that changes hands is of use for more than
 * one statement.
 */
import type { Companion, Company } from '../../shared/options/company.ts';
import { AcquireTimeoutError } from '../../worker/index.ts';
import { repacked } from '../messages/frames.ts';
import type { Answer } from '../messages/protocol.ts';
import { Hold } from './hold.ts';
import { Limits } from './limits.ts';
import type { OwnConnections } from './own-connections.ts';
import type { SaysGranted } from './query-channel.ts';
import type { RemoteSession, Sessions, SharedPlace, Sharer, SingleArguments, WaitingSharer } from './sessions.ts';
import { wayOf } from './way.ts';

/** Twice as many go along as would with an even spread over all connections: they save each other a way there and back. */
const SHARE = 2;

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

  /** `granted` is told when it has a connection; or the answer says so. */
  ask(args: SingleArguments, granted: SaysGranted): Promise<Answer> {
    const [profile, bytes, mode, timeout] = args;
    // The owner would be asked for each.
    if (this.#connections.isRefused) return this.#sessions.call('speakOnce', [profile, repacked(bytes), mode, timeout]);
    return new Promise((resolve, reject) => {
      const single = new Single(this, args, granted, resolve, reject);
      const session = this.#sessions.borrowIdle!();
      if (session === undefined) this.#place.wait(single);
      else single.granted(session);
    });
  }

  /** The first has been granted the connection. */
  async serve(session: RemoteSession, first: Single): Promise<void> {
    const { returning } = wayOf(this.#sessions);
    const [profile] = first.args;
    const hold = new Hold(this.#sessions, session, 0, profile);
    // Before this thread blocks, it ends this borrow.
    returning!.add(hold);
    const isHere = hold.takesSocket();
    const turn = new OneTurn(this.#place, this.#batch - 1);
    for (let single: Single | undefined = first; single !== undefined; ) {
      const asked: Single = single;
      const call = hold.speakAlong({ args: asked.args, company: turn.round(), told: (answer) => asked.resolve(answer) });
      // The owner may be busy: this is a part of the wait for a connection.
      if (!isHere && asked === first) hold.boundAsking((known) => this.#limits().within(known));
      const settle = await call.then(
        (answer) => () => asked.resolve(answer),
        (error) => () => asked.reject(error),
      );
      single = returning!.has(hold) && hold.isFit ? turn.another(profile) : undefined;
      // Before the asker hears of it, as it may want the connection again at once.
      if (single === undefined && returning!.delete(hold)) void hold.giveBack();
      settle();
    }
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
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void;
  readonly reject: (error: unknown) => void;
  readonly #singles: Singles;

  constructor(
    singles: Singles,
    args: SingleArguments,
    begins: SaysGranted,
    resolve: (answer: Answer | PromiseLike<Answer>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#singles = singles;
    this.args = args;
    this.begins = begins;
    this.resolve = resolve;
    this.reject = reject;
  }

  granted(session: RemoteSession): void {
    this.begins();
    void this.#singles.serve(session, this);
  }

  refused(error: unknown): void {
    this.reject(error);
  }
}

/** What one borrow serves beside its first statement. */
class OneTurn implements Company {
  readonly #place: SharedPlace;
  #left: number;
  /** How many of those may be sent with the next. */
  #along = 0;

  constructor(place: SharedPlace, left: number) {
    this.#place = place;
    this.#left = left;
  }

  /** For those that are sent together. */
  round(): Company {
    this.#along = Math.min(this.#left, Math.ceil(this.#place.waitingForEach * SHARE));
    return this;
  }

  next(fits: (args: readonly unknown[]) => boolean): Companion | undefined {
    if (this.#along <= 0) return undefined;
    const waiting = this.#place.takeAlong((sharer) => fits((sharer as Single).args));
    if (waiting === undefined) return undefined;
    this.#left--;
    this.#along--;
    return new Along(waiting);
  }

  /** One more of that profile, when all before it are answered. */
  another(profile: string): Single | undefined {
    if (this.#left <= 0) return undefined;
    const waiting = this.#place.takeAlong((sharer) => (sharer as Single).args[0] === profile);
    if (!waiting?.begin()) return undefined;
    this.#left--;
    const single = waiting.sharer as Single;
    single.begins();
    return single;
  }
}

class Along implements Companion {
  readonly #waiting: WaitingSharer;
  #hasBegun = false;

  constructor(waiting: WaitingSharer) {
    this.#waiting = waiting;
  }

  begin(): boolean {
    this.#hasBegun = this.#waiting.begin();
    if (this.#hasBegun) (this.#waiting.sharer as Single).begins();
    return this.#hasBegun;
  }

  back(): void {
    if (!this.#hasBegun) this.#waiting.back();
  }

  end(answer?: unknown): void {
    const { resolve, reject } = this.#waiting.sharer as Single;
    if (answer !== undefined) resolve(answer as Answer | Promise<Answer>);
    else if (this.#hasBegun) reject(new Error('Connection terminated unexpectedly'));
  }
}
