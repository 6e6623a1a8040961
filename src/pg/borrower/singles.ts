/**
 * Single statements, for which no connection was borrowed, on a thread that speaks to connections by itself. Where one is idle, the thread
 * borrows it and speaks. Where none is, the owner borrows for it: there the statements of all threads take turns, and go together.
 */
import { AcquireTimeoutError } from '../../worker/index.ts';
import type { Answer } from '../messages/protocol.ts';
import { Hold } from './hold.ts';
import { Limits } from './limits.ts';
import type { OwnConnections } from './own-connections.ts';
import type { RemoteSession, Sessions } from './sessions.ts';

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
    const session = this.#connections.isRefused || this.#connections.isContended ? undefined : this.#borrowIdle();
    if (session === undefined) return this.#sessions.call('speakOnce', args);
    const hold = new Hold(this.#sessions, session);
    const isHere = hold.takesSocket();
    const [, bytes, mode, timeout] = args;
    const answer = hold.callAlone((own, borrow) => own.speak(borrow, '', bytes, mode, timeout));
    // The owner may be busy: this is a part of the wait for a connection.
    if (!isHere) hold.boundAsking((known) => new Limits(undefined, this.#sessions.acquireTimeout, this.#ownerBusy).within(known));
    return answer;
  }

  #borrowIdle(): RemoteSession | undefined {
    const session = this.#sessions.borrowIdle!();
    if (session === undefined) this.#connections.noteContention();
    return session;
  }

  readonly #ownerBusy = (timeout: number): Error => {
    const { name } = this.#sessions;
    return new AcquireTimeoutError(
      `pool ${JSON.stringify(name)}: the owner has not answered within ${timeout} ms: it is busy, or gives connections to other threads`,
      name,
    );
  };
}
