/**
 * On the owner: the socket of one connection, while a borrower's thread may speak there by itself. What the owner does on the connection
 * begins with `regain`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../driver/backend.ts';
import type { Descriptors } from '../driver/descriptors.ts';
import { Custody, type Left } from '../messages/custody.ts';
import type { PassedDescriptor } from '../messages/protocol.ts';

/** How often it is looked whether a borrower has done, where nothing tells, in ms. */
const LOOK = 5;

/** How a session was left, and by which attachment, if that matters. */
export interface LeftBy extends Left {
  readonly attachment: number | undefined;
}

/** How a borrower leaves a session that it parks. */
const CLEAN: LeftBy = { status: 'I', dirt: 0, isUndone: false, asksReadOnly: false, attachment: undefined };

export class Custodian {
  readonly #custody: Custody;
  readonly #backend: Backend;
  readonly #descriptors: Descriptors;
  /** The descriptor that was sent last. The thread that it went to may have claimed it. */
  #passed: PassedDescriptor | undefined;
  /** The last borrower has parked the socket, and the session has not heard of it. */
  #hasLeftClean = false;

  constructor(backend: Backend, descriptors: Descriptors, custody = new Custody()) {
    this.#custody = custody;
    this.#backend = backend;
    this.#descriptors = descriptors;
  }

  get buffer(): SharedArrayBuffer {
    return this.#custody.buffer;
  }

  /** A borrower speaks on the socket. */
  get isAway(): boolean {
    return this.#custody.state === 'BORROWERS';
  }

  /** The borrower that has it, or has left the session unclean, is that attachment's. */
  isWith(attachment: number): boolean {
    const { state } = this.#custody;
    return (state === 'BORROWERS' || state === 'HANDED') && this.#custody.attachment === attachment;
  }

  /** Stops reading for that attachment. Gives its descriptor, if it needs one; undefined if there is none to be had. */
  offer(attachment: number, hasDescriptor: boolean): { descriptor: PassedDescriptor | undefined } | undefined {
    if (!hasDescriptor && !this.#pass()) return undefined;
    this.#backend.park();
    // It is the owner's turn.
    this.#custody.offer(attachment);
    return { descriptor: hasDescriptor ? undefined : this.#passed };
  }

  /** False: this connection has no descriptor to give. */
  #pass(): boolean {
    this.#takeBack();
    const fd = this.#descriptors.of(this.#backend.client);
    if (fd === undefined) return false;
    this.#passed = { fd, pass: this.#custody.pass() };
    return true;
  }

  /** What was sent is of no use any more. If the thread has not claimed it, it may be dead, and nothing else closes it. */
  #takeBack(): void {
    const passed = this.#passed;
    this.#passed = undefined;
    if (passed !== undefined && this.#custody.claim(passed.pass)) this.#descriptors.close(passed.fd);
  }

  /** A borrower of another attachment than that one speaks, is about to, or has left the session to the owner. */
  isElsewhere(attachment: number): boolean {
    const { state } = this.#custody;
    return state !== 'OWNERS' && state !== 'PARKED' && this.#custody.attachment !== attachment;
  }

  /** Reads again, if no borrower speaks. Between uses this is how the owner learns that the server has hung up. */
  recall(): void {
    const isParked = this.#custody.state === 'PARKED';
    if (!this.#custody.recall()) return;
    if (isParked) this.#hasLeftClean = true;
    this.#backend.readOn();
  }

  /**
   * The socket is the owner's again. Gives how borrowers have left the session since the owner has had it last; undefined if none has
   * spoken there. Throws if a borrower speaks there, which does not give it back any more.
   */
  regain(): LeftBy | undefined {
    this.recall();
    const { attachment } = this.#custody;
    const left = this.#custody.receive();
    const wasParked = this.#hasLeftClean;
    this.#hasLeftClean = false;
    if (left !== undefined) {
      this.#backend.readOn();
      return { ...left, attachment };
    }
    if (wasParked) return CLEAN;
    if (this.isAway) throw new Error('the borrower of this connection has not given back its socket');
    return undefined;
  }

  /** Resolves when no borrower speaks there. */
  async whenBack(isOver: () => boolean): Promise<void> {
    while (this.isAway && !isOver()) await sleep(LOOK);
  }

  /** The connection ends, whatever its borrower is at. True if that is not known: see `Wire.tear`. */
  seize(): boolean {
    const wasAway = this.#custody.seize();
    this.#takeBack();
    this.#backend.readOn();
    return wasAway;
  }
}
