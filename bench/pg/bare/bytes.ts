/**
 * Connections that stay with their thread, and whose answers are not decoded: what is left is the sockets and the server. What many lanes
 * ask within one tick goes out together, and each connection has as many queries under way as come to it.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import { serialize } from 'pg-protocol';
import type { Access, Rows, Way } from '../way.ts';

interface Given {
  readonly url: string;
  readonly application: string;
  readonly count: number;
}

/** `count`: connections in each thread. */
export const bytes = (name: string, count: number): Way => ({
  name,
  module: import.meta.url,
  open: async ({ url }, application) => ({ join: () => ({ given: { url, application, count } satisfies Given }), close: async () => {} }),
});

export async function enter({ url, application, count }: Given): Promise<Access> {
  const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: url, application_name: application }));
  for (const client of clients) client.on('error', () => {});
  await Promise.all(clients.map((client) => client.connect()));
  const conversations = clients.map((client) => new Conversation(socketOf(client)));
  return {
    query: (text, values) => conversations.reduce((one, other) => (other.underWay < one.underWay ? other : one)).ask(text, values ?? []),
    transaction: () => Promise.reject(new Error('Its statements would be those of others, too')),
    async end() {
      for (const client of clients) client.removeAllListeners('end');
      for (const client of clients) socketOf(client).destroy();
    },
  };
}

const socketOf = (client: pg.Client): Socket => (client as unknown as { connection: { stream: Socket } }).connection.stream;

/** Letters of the protocol. */
const [READY, ERROR, DATA] = [0x5a, 0x45, 0x44];
const HEAD = 5;

class Conversation {
  readonly #socket: Socket;
  readonly #asked: { resolve(rows: Rows): void; reject(error: Error): void }[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #rows = 0;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.removeAllListeners('data').on('data', (chunk: Buffer) => this.#hear(chunk));
    socket.on('close', () => {
      for (const { reject } of this.#asked.splice(0)) reject(new Error('the connection is lost'));
    });
  }

  get underWay(): number {
    return this.#asked.length;
  }

  ask(text: string, values: unknown[]): Promise<Rows> {
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(
      Buffer.concat([
        serialize.parse({ text }),
        serialize.bind({ values: values.map(String) }),
        serialize.describe({ type: 'P' }),
        serialize.execute(),
        serialize.sync(),
      ]),
    );
    return new Promise((resolve, reject) => this.#asked.push({ resolve, reject }));
  }

  #hear(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      this.#message(bytes[at]);
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #message(letter: number): void {
    if (letter === DATA) this.#rows++;
    if (letter === ERROR) this.#error = new Error('the server refuses it');
    if (letter !== READY) return;
    const { resolve, reject } = this.#asked.shift()!;
    if (this.#error === undefined) resolve(new Array(this.#rows));
    else reject(this.#error);
    this.#rows = 0;
    this.#error = undefined;
  }
}
