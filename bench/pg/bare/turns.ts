/**
 * Four connections that go from thread to thread in one strict line, and nothing else: each thread's own pg speaks on their sockets. No
 * session is kept clean, nothing has a time limit, calls are in no order, and no thread may die. Whatever shares connections in a strict
 * line does all of this besides.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import { Descriptors } from '../../../src/pg/driver/descriptors.ts';
import { parkingSocket } from '../../../src/pg/driver/parking-socket.ts';
import type { Access, Way } from '../way.ts';
import { CONNECTIONS } from '../ways/connections.ts';

export const TURNS = 'bare turns';

interface Given {
  readonly line: Int32Array;
  readonly thread: number;
  /** Of the sockets, for this thread. */
  readonly descriptors: readonly number[];
}

/** Where threads can have descriptors of their own; undefined elsewhere. */
export function turns(): Way | undefined {
  const copies = Descriptors.find();
  if (copies.why !== undefined) return undefined;
  return {
    name: TURNS,
    module: import.meta.url,
    async open({ url }, application) {
      const sockets = Array.from({ length: CONNECTIONS }, () => parkingSocket());
      const clients = sockets.map(
        (socket) => new pg.Client({ connectionString: url, application_name: application, stream: () => socket }),
      );
      for (const client of clients) client.on('error', () => {});
      await Promise.all(clients.map((client) => client.connect()));
      for (const socket of sockets) socket.pause();
      const line = newLine();
      let threads = 0;
      return {
        join: () => ({
          given: { line, thread: threads++, descriptors: clients.map((client) => copies.of(client)!) } satisfies Given,
        }),
        async close() {
          for (const socket of sockets) socket.resume();
          await Promise.all(clients.map((client) => client.end()));
        },
      };
    },
  };
}

export async function enter({ line, thread, descriptors }: Given): Promise<Access> {
  const connections = await Promise.all(descriptors.map(connect));
  const turn = new Turn(line, thread);
  const during = async <V>(body: (client: pg.Client) => Promise<V>): Promise<V> => {
    const taken = await turn.take();
    const { client, socket } = connections[taken];
    socket.resume();
    try {
      return await body(client);
    } finally {
      socket.pause();
      turn.give(taken);
    }
  };
  return {
    query: async (text, values) => (await during((client) => client.query(text, values))).rows,
    transaction: (body) =>
      during(async (client) => {
        await client.query('BEGIN');
        await body(async (text, values) => (await client.query(text, values)).rows);
        await client.query('COMMIT');
      }),
    async end() {
      turn.end();
      for (const { socket } of connections) socket.destroy();
    },
  };
}

/** What a server says to a client that need not show a password: welcome, and ready. */
const WELCOME = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

/** A client of this thread on a connection that another thread has made. It does not say hello once more. */
async function connect(descriptor: number): Promise<{ client: pg.Client; socket: Socket }> {
  const socket = parkingSocket(descriptor);
  socket.pause();
  const { connect, setNoDelay, write } = socket;
  Object.assign(socket, { connect: () => socket, setNoDelay: () => socket, write: () => true });
  const client = new pg.Client({ password: '', ssl: false, stream: () => socket });
  client.on('error', () => {});
  const connected = client.connect();
  socket.emit('connect');
  socket.emit('data', WELCOME);
  await connected;
  Object.assign(socket, { connect, setNoDelay, write });
  return { client, socket };
}

/** The line: a lock; a bit for each connection that is free; a ring of the threads that wait; and for each thread what it was granted. */
const [LOCK, FREE, FIRST, LAST, GRANTED] = [0, 1, 2, 3, 4];
const MOST_THREADS = 64;
const RING = GRANTED + MOST_THREADS;
const PLACES = 1024;

function newLine(): Int32Array {
  const line = new Int32Array(new SharedArrayBuffer((RING + PLACES) * Int32Array.BYTES_PER_ELEMENT));
  line[FREE] = (1 << CONNECTIONS) - 1;
  return line;
}

/** A thread's part in the line. Connections have numbers. */
class Turn {
  readonly #line: Int32Array;
  readonly #thread: number;
  readonly #waiting: ((connection: number) => void)[] = [];
  #isOver = false;

  constructor(line: Int32Array, thread: number) {
    this.#line = line;
    this.#thread = thread;
    void this.#listen();
  }

  take(): number | Promise<number> {
    this.#lock();
    const free = this.#line[FREE];
    const taken = 31 - Math.clz32(free);
    if (free !== 0) this.#line[FREE] = free & ~(1 << taken);
    else this.#line[RING + (this.#line[LAST]++ % PLACES)] = this.#thread;
    this.#unlock();
    return free !== 0 ? taken : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** It goes to the thread that has waited for the longest time. */
  give(connection: number): void {
    this.#lock();
    const isWaitedFor = this.#line[FIRST] !== this.#line[LAST];
    const next = isWaitedFor ? this.#line[RING + (this.#line[FIRST]++ % PLACES)] : this.#thread;
    if (!isWaitedFor) this.#line[FREE] |= 1 << connection;
    this.#unlock();
    if (!isWaitedFor) return;
    if (next === this.#thread) return this.#waiting.shift()!(connection);
    Atomics.or(this.#line, GRANTED + next, 1 << connection);
    Atomics.notify(this.#line, GRANTED + next);
  }

  end(): void {
    this.#isOver = true;
    Atomics.notify(this.#line, GRANTED + this.#thread);
  }

  async #listen(): Promise<void> {
    const at = GRANTED + this.#thread;
    while (!this.#isOver) {
      const wait = Atomics.waitAsync(this.#line, at, 0);
      if (wait.async) await wait.value;
      const granted = Atomics.exchange(this.#line, at, 0);
      for (let one = 0; one < CONNECTIONS; one++) if ((granted & (1 << one)) !== 0) this.#waiting.shift()!(one);
    }
  }

  #lock(): void {
    while (Atomics.compareExchange(this.#line, LOCK, 0, 1) !== 0);
  }

  #unlock(): void {
    Atomics.store(this.#line, LOCK, 0);
  }
}
