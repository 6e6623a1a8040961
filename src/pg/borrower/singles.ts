/**
 * Single statements, for which no connection was borrowed, on a thread that speaks to connections by itself. Where one is idle, the thread
 * borrows it and speaks. Where none is, the owner borrows for it: there the statements of all threads take turns, and go together.
 */
import type { Answer } from '../messages/protocol.ts';
import { Hold } from './hold.ts';
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
    const [, bytes, mode, timeout] = args;
    const answer = hold.call((own, borrow) => own.speak(borrow, '', bytes, mode, timeout));
    // When it is through.
    void hold.giveBack();
    return answer;
  }
}
