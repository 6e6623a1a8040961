/** What a worker hears from the owner: answers, which go to the calls that they are of, and everything else. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { RemoteCallError } from '../shared/errors.ts';
import { show } from '../shared/show.ts';
import { fromWire } from '../shared/wire/error-wire.ts';
import { asBuffers } from '../shared/wire/parcel.ts';
import { ALONE, ANSWER, FAILURE, LOST, type Response } from '../shared/wire/protocol.ts';
import type { Calls } from './calls.ts';
import { isOtherEndThere } from './port-liveness.ts';

const NOW = Promise.resolve();

export class Inbox {
  readonly #pool: string;
  readonly #port: MessagePort;
  readonly #calls: Calls;
  /** Everything that is not an answer. */
  readonly #hear: (response: Response) => void;
  /** The call whose result is the next message, and all of it. */
  #alone: { readonly id: number; readonly name: string } | undefined;

  constructor(pool: string, port: MessagePort, calls: Calls, hear: (response: Response) => void) {
    this.#pool = pool;
    this.#port = port;
    this.#calls = calls;
    this.#hear = hear;
  }

  /** Takes what lies in the port without waiting for the event loop. */
  drain(): void {
    for (;;) {
      try {
        const got = receiveMessageOnPort(this.#port);
        // A thread that is being ended may run on for a moment, in which Node gives it messages without content.
        if (got?.message === undefined) return;
        this.receive(got.message);
      } catch (error) {
        // An announced message is gone, and those behind it come next.
        // Any other says that this is the end of the stack: nothing more is read there.
        const isAnnounced = this.#alone !== undefined;
        try {
          this.unreadable();
        } catch {
          NOW.then(() => this.unreadable());
        }
        if (!isAnnounced) throw error;
      }
    }
  }

  /** A message has come that this thread cannot read: it is nested too deeply for its stack, or there is no memory for it. */
  unreadable(): void {
    const alone = this.#alone;
    this.#alone = undefined;
    if (alone !== undefined) return this.#calls.settle(alone.id, { ok: false, error: this.#tooMuch(`the result of ${alone.name}`) });
    // This thread was at the end of its stack. It is not known which calls were answered, so all of them are rejected.
    this.#calls.doubt('an answer of the owner cannot be read by this thread');
  }

  #tooMuch(what: string): RemoteCallError {
    return new RemoteCallError(
      `pool ${show(this.#pool)}: ${what} cannot be read by this thread: nested too deeply for its stack, or too large`,
      this.#pool,
    );
  }

  /** The owner is trusted; but what is no response at all should not end this thread. */
  receive(responses: readonly Response[]): void {
    this.#alone = undefined;
    if (!Array.isArray(responses)) return;
    for (const response of responses as Response[]) {
      if (!Array.isArray(response)) return;
      switch (response[0]) {
        case ANSWER:
          if (!Array.isArray(response[2])) return;
          asBuffers(response[3]);
          for (const [index, value] of response[2].entries()) this.#calls.settle(response[1] + index, { ok: true, value });
          break;
        case FAILURE:
          asBuffers(response[3]);
          this.#calls.settle(response[1], { ok: false, error: fromWire(response[2]) });
          break;
        case ALONE:
          this.#alone = { id: response[1], name: response[2] };
          break;
        case LOST:
          this.#calls.doubt('a message to the owner could not be read by it');
          break;
        default:
          this.#hear(response);
      }
    }
  }

  /** Is the owner's thread still there? For a thread that does not get to its 'close' event. What is in the port is taken first. */
  isConnected(): boolean {
    this.drain();
    return isOtherEndThere(this.#port);
  }
}
