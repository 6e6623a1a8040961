/** On the owner: the driver's client of one connection, as the wire sees it. */
import type { Client } from 'pg';
import { internals } from './internals.ts';
import type { WireEnd, WireSocket } from './wire.ts';

export class DriverEnd implements WireEnd {
  readonly socket: WireSocket;
  readonly #client: Client;
  /** The driver's own listeners for what comes. */
  readonly #driver: ((bytes: Buffer) => void)[];

  constructor(client: Client) {
    this.#client = client;
    this.socket = internals(client).connection.stream as unknown as WireSocket;
    this.#driver = this.socket.listeners('data') as ((bytes: Buffer) => void)[];
    if (this.#driver.length === 0) throw new Error('cenote/pg does not find where this version of pg listens to its socket');
    this.socket.removeAllListeners('data');
  }

  toDriver(bytes: Buffer): void {
    for (const listener of this.#driver) listener.call(this.socket, bytes);
  }

  setReady(isReady: boolean): void {
    (internals(this.#client) as { readyForQuery: boolean }).readyForQuery = isReady;
  }
}
