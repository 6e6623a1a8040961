/**
 * Single statements, for which no connection was borrowed, on a thread that speaks to connections by itself. Where one is idle, the thread
 * borrows it and speaks. Where none is, the owner borrows for it: there the statements of all threads take turns, and go together.
 */
import { AcquireTimeoutError } from '../../worker/index.ts';
import type { Answer } from '../messages/protocol.ts';
import { Hold } from './hold.ts';
import { Limits } from './limits.ts';
import type { OwnConnections } from './own-connections.ts';
import type { RemoteSession, Sessions } from './way.ts';

/** The arguments of a session's `speakOnce`. */
export type SingleArguments = Parameters<RemoteSession['speakOnce']>;

export class Singles {
  readonly #sessions: Sessions;
  readonly #connections: OwnConnections;

  constructor(sessions: Sessions, connections: OwnConnections) {
    this.#sessions = sessions;
    this.#connections = connections;
  }

  ask(args: SingleArguments): Promise<Answer> {
    const session = this.#connections.isRefused ? undefined : this.#sessions.borrowIdle!();
    if (session === undefined) {
      this.#connections.noteContention();
      return this.#sessions.call('speakOnce', args);
    }
    const hold = new Hold(this.#sessions, session);
    return hold.takesSocket() ? this.#speak(hold, args) : this.#askForSocket(hold, args);
  }

  #speak(hold: Hold, [, bytes, mode, timeout]: SingleArguments): Promise<Answer> {
    const answer = hold.call((own, borrow) => own.speak(borrow, '', bytes, mode, timeout));
    // When it is through.
    void hold.giveBack();
    return answer;
  }

  /** The owner may be busy: this is a part of the wait for a connection. */
  async #askForSocket(hold: Hold, args: SingleArguments): Promise<Answer> {
    const { acquireTimeout } = this.#sessions;
    const limits = new Limits(undefined, acquireTimeout, (timeout) => this.#ownerBusy(timeout));
    try {
      const answer = await limits.within(hold.call((own, borrow) => own.hello(borrow)));
      if (answer.error === undefined) return this.#speak(hold, args);
      void hold.giveBack();
      return answer;
    } catch (error) {
      void hold.giveBack();
      throw error;
    }
  }

  #ownerBusy(timeout: number): Error {
    const { name } = this.#sessions;
    return new AcquireTimeoutError(
      `pool ${JSON.stringify(name)}: the owner has not answered within ${timeout} ms: it is busy, or gives connections to other threads`,
      name,
    );
  }
}
