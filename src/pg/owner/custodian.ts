/**
 * On the owner: the socket of one connection, while a borrower's thread may speak there by itself. What the owner does on the connection
 * begins with `regain`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../driver/backend.ts';
import type { Descriptors } from '../driver/descriptors.ts';
import { Custody, type Left } from '../messages/custody.ts';

/** How often it is looked whether a borrower has done, where nothing tells, in ms. */
const LOOK = 5;

export class Custodian {
  readonly #custody = new Custody();
  readonly #backend: Backend;
  readonly #descriptors: Descriptors;

  constructor(backend: Backend, descriptors: Descriptors) {
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
  offer(attachment: number, hasDescriptor: boolean): { descriptor: number | undefined } | undefined {
    const descriptor = hasDescriptor ? undefined : this.#descriptors.of(this.#backend.client);
    if (!hasDescriptor && descriptor === undefined) return undefined;
    this.#backend.park();
    // It is the owner's turn.
    this.#custody.offer(attachment);
    return { descriptor };
  }

  /** Reads again, if no borrower speaks. Between uses this is how the owner learns that the server has hung up. */
  recall(): void {
    if (this.#custody.recall()) this.#backend.readOn();
  }

  /**
   * The socket is the owner's again. Gives how a borrower has left the session; undefined if it is clean or the owner has had it. Throws if
   * a borrower speaks there, which does not give it back any more.
   */
  regain(): Left | undefined {
    if (this.#custody.state === 'OWNERS') return undefined;
    this.recall();
    const left = this.#custody.receive();
    if (left !== undefined) this.#backend.readOn();
    else if (this.isAway) throw new Error('the borrower of this connection has not given back its socket');
    return left;
  }

  /** Resolves when no borrower speaks there. */
  async whenBack(isOver: () => boolean): Promise<void> {
    while (this.isAway && !isOver()) await sleep(LOOK);
  }

  /** The connection ends, whatever its borrower is at. True if that is not known: see `Wire.tear`. */
  seize(): boolean {
    const wasAway = this.#custody.seize();
    this.#backend.readOn();
    return wasAway;
  }
}
