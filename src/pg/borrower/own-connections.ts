/** The connections of a pool whose sockets this thread has descriptors of: one for each, for as long as the connection lives. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { OwnConnection, type Speaker, type Thread } from '../driver/own-connection.ts';
import { closeDescriptor } from '../driver/parking-socket.ts';
import { Custody } from '../messages/custody.ts';
import type { Answer } from '../messages/protocol.ts';
import { Parts } from './parts.ts';
import type { Above, RemoteSession, Sessions } from './sessions.ts';

/** How long a connection that was not offered is not asked for again, in ms. */
const LATER = 1000;

/** Which connection a borrowed session has: its slot, and how many the slot has had. */
export type Which = readonly [slot: number, generation: number];

interface Kept {
  readonly generation: number;
  readonly connection: OwnConnection | undefined;
  /** Not before this time. */
  readonly askAt: number;
}

/** How many profiles a thread remembers the numbers of. */
const MOST_PROFILES = 1000;

export class OwnConnections implements Above {
  readonly pool: string;
  /** Undefined on a thread without parts that can be cancelled. */
  readonly parts: Parts | undefined;
  readonly #sessions: Sessions;
  readonly #thread: Thread;
  /** What a socket hears is heard in the context in which it was made, and that must not be one of its first borrower. */
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly #kept: Kept[] = [];
  /** Borrows that wait for the owner's answer, by slot. */
  readonly #asking: (Speaker | undefined)[] = [];
  /** The owner gives them, and tells the number of a borrow's profile with the socket. */
  readonly #profiles = new Map<string, number>([['', 0]]);
  /** Until then it is not worth while to ask: the owner had no socket to offer. */
  #refusedUntil = 0;

  constructor(thread: Thread, sessions: Sessions) {
    this.#thread = thread;
    this.#sessions = sessions;
    this.pool = sessions.name;
    if (!sessions.hasParts) return;
    this.parts = new Parts(sessions);
    sessions.tell!(this);
  }

  get attachment(): number {
    return this.#thread.attachment;
  }

  /** This thread's handle on that connection, if it has one that is of use. */
  of([slot, generation]: Which): OwnConnection | undefined {
    const kept = this.#kept[slot];
    if (kept?.connection === undefined) return undefined;
    if (kept.generation === generation && kept.connection.lost === undefined) return kept.connection;
    kept.connection.destroy();
    delete this.#kept[slot];
    return undefined;
  }

  /** The owner has offered no socket lately, of whatever connection. */
  get isRefused(): boolean {
    return performance.now() < this.#refusedUntil;
  }

  /** It is worth asking for that connection's socket. */
  mayAsk([slot, generation]: Which): boolean {
    const kept = this.#kept[slot];
    return kept === undefined || kept.generation !== generation || kept.connection !== undefined || kept.askAt <= performance.now();
  }

  /** The connection is clean, and in that profile, and the borrow has it from now on. Undefined: the owner has to be asked. */
  take(which: Which, speaker: Speaker, profile: string): OwnConnection | undefined {
    const connection = this.of(which);
    const number = this.#profiles.get(profile);
    return connection !== undefined && number !== undefined && connection.take(speaker, number) ? connection : undefined;
  }

  /** The owner has answered a call of `adopt`. Gives the connection if this borrow has it from now on. */
  accept(which: Which, speaker: Speaker, profile: string, answer: Answer): OwnConnection | undefined {
    const { socket, status, pid } = answer;
    const known = this.of(which);
    const [slot, generation] = which;
    if (socket === undefined) {
      this.#refusedUntil = performance.now() + LATER;
      this.#kept[slot] = { generation, connection: known, askAt: performance.now() + LATER };
      return undefined;
    }
    if (this.#profiles.size > MOST_PROFILES) for (const [old] of this.#profiles) if (old !== '') this.#profiles.delete(old);
    this.#profiles.set(profile, socket.profile);
    if (known !== undefined) return known.accept(speaker, status, socket) ? known : undefined;
    const custody = new Custody(socket.custody);
    const { descriptor } = socket;
    if (descriptor === undefined || !custody.accept(this.#thread.attachment)) {
      this.refuse(answer);
      return undefined;
    }
    const connection = this.#outside(() => OwnConnection.of(this.#thread, custody, descriptor, socket, pid));
    // The owner has seized it meanwhile.
    if (connection === undefined) return undefined;
    this.#kept[slot] = { generation, connection, askAt: 0 };
    connection.begin(speaker, status, socket);
    return connection;
  }

  /** The owner's answer is of no use any more. */
  refuse({ socket }: Answer): void {
    if (socket?.descriptor === undefined) return;
    const { fd, pass } = socket.descriptor;
    if (new Custody(socket.custody).claim(pass)) closeDescriptor(fd);
  }

  /** What was asked there last is not waited for any more, and may go on: the connection is of no use. */
  giveUp(session: RemoteSession, why: Error): void {
    try {
      this.#sessions.destroy(session, why);
    } catch {
      // The lease is over.
    }
  }

  /** That borrow asks the owner for the socket. */
  asks(slot: number, speaker: Speaker): void {
    this.#asking[slot] = speaker;
  }

  /** It has its answer. The next borrow of that slot may be asking by now. */
  isAnswered(slot: number, speaker: Speaker): void {
    if (this.#asking[slot] === speaker) this.#asking[slot] = undefined;
  }

  /** See Above. */
  leaves(slot: number): boolean {
    // If its borrow has ended it must not take up what it has asked for.
    this.#asking[slot]?.leave();
    return this.#kept[slot]?.connection?.leave() === true;
  }

  /** This thread has left the pool. */
  close(): void {
    for (const { connection } of this.#kept.splice(0).filter(Boolean)) connection?.destroy();
  }
}
