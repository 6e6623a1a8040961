/** The listeners to /events: each gets every message; one that does not read is dropped. */
import type { ServerResponse } from 'node:http';
import { clearInterval, setInterval } from 'node:timers';

const MOST = 32;
/** Bytes that may lie unread before a listener is dropped. */
const MOST_UNREAD = 1024 * 1024;
/** Milliseconds between two messages. */
const EVERY = 1000;

export class Listeners {
  readonly #responses = new Set<ServerResponse>();
  readonly #message: () => string;
  #timer: NodeJS.Timeout | undefined;

  constructor(message: () => string) {
    this.#message = message;
  }

  get isFull(): boolean {
    return this.#responses.size >= MOST;
  }

  /** Its head has been written. */
  add(response: ServerResponse): void {
    this.#responses.add(response);
    response.on('close', () => this.#remove(response));
    response.on('error', () => response.destroy());
    this.#send(response, this.#event());
    this.#timer ??= setInterval(() => this.#sendAll(), EVERY).unref();
  }

  #event(): string {
    return `data: ${this.#message()}\n\n`;
  }

  #sendAll(): void {
    const event = this.#event();
    for (const response of this.#responses) this.#send(response, event);
  }

  #send(response: ServerResponse, event: string): void {
    if (response.writableLength > MOST_UNREAD) response.destroy();
    else response.write(event);
  }

  #remove(response: ServerResponse): void {
    this.#responses.delete(response);
    if (this.#responses.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  end(): void {
    for (const response of this.#responses) response.destroy();
  }
}
