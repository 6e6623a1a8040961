/** Two naive ways to share `n` permits between threads: by message from the main thread, and a barging semaphore. For threads that block, and for those that wait on their event loop. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';

/** The same for a thread that goes on with its event loop. */
export interface PermitsLater {
  acquire(): Promise<number>;
  release(permit: number): void;
}

/** A thread's end of some way to borrow: blocks until there is a permit, which is a number. */
export interface Permits {
  acquire(): number;
  release(permit: number): void;
}

const WANTED = -1;
/** Words of different threads on lines of their own. */
export const PAD = 32;

/** On the main thread: hands permits out in the order in which they were asked for. */
export class PermitDesk {
  readonly bells: Int32Array;
  readonly #ports: MessagePort[] = [];
  readonly #free: number[];
  readonly #line: number[] = [];

  constructor(permits: number, threads: number) {
    this.#free = Array.from({ length: permits }, (_, permit) => permit);
    this.bells = new Int32Array(new SharedArrayBuffer(threads * PAD * Int32Array.BYTES_PER_ELEMENT));
  }

  /** The port to give to a thread. */
  open(thread: number): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports[thread] = port1;
    port1.on('message', (message: number) => {
      if (message === WANTED) this.#line.push(thread);
      else this.#free.push(message);
      while (this.#line.length > 0 && this.#free.length > 0) this.#answer(this.#line.shift()!, this.#free.pop()!);
    });
    return port2;
  }

  #answer(thread: number, permit: number): void {
    this.#ports[thread].postMessage(permit);
    Atomics.add(this.bells, thread * PAD, 1);
    Atomics.notify(this.bells, thread * PAD);
  }

  close(): void {
    for (const port of this.#ports) port.close();
  }
}

/** Asks the desk, and sleeps until it answers. One message each way, and one back: release does not wait. */
export function permitsByMessage(port: MessagePort, bells: Int32Array, thread: number): Permits {
  const bell = thread * PAD;
  return {
    acquire() {
      port.postMessage(WANTED);
      for (;;) {
        const seen = Atomics.load(bells, bell);
        const answer = receiveMessageOnPort(port);
        if (answer !== undefined) return answer.message;
        Atomics.wait(bells, bell, seen);
      }
    },
    release: (permit) => port.postMessage(permit),
  };
}

/** Asks the desk, and goes on: the answer is a message. */
export function permitsByMessageLater(port: MessagePort): PermitsLater {
  const waiting: ((permit: number) => void)[] = [];
  port.on('message', (permit: number) => waiting.shift()!(permit));
  return {
    acquire() {
      const served = new Promise<number>((resolve) => waiting.push(resolve));
      port.postMessage(WANTED);
      return served;
    },
    release: (permit) => port.postMessage(permit),
  };
}

const FREE = 0;
const SLEEPERS = PAD;

export function bargingWords(permits: number): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(2 * PAD * Int32Array.BYTES_PER_ELEMENT));
  words[FREE] = permits;
  return words;
}

function tryToTake(words: Int32Array): boolean {
  for (;;) {
    const free = Atomics.load(words, FREE);
    if (free === 0) return false;
    if (Atomics.compareExchange(words, FREE, free, free - 1) === free) return true;
  }
}

function putBack(words: Int32Array): void {
  Atomics.add(words, FREE, 1);
  if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, FREE, 1);
}

/** Whoever comes first takes it: no line, so a thread that has just released wins again, and others may starve. */
export function bargingPermits(words: Int32Array): Permits {
  return {
    acquire() {
      while (!tryToTake(words)) {
        Atomics.add(words, SLEEPERS, 1);
        Atomics.wait(words, FREE, 0);
        Atomics.sub(words, SLEEPERS, 1);
      }
      return 0;
    },
    release: () => putBack(words),
  };
}

export function bargingPermitsLater(words: Int32Array): PermitsLater {
  return {
    async acquire() {
      while (!tryToTake(words)) {
        Atomics.add(words, SLEEPERS, 1);
        await Atomics.waitAsync(words, FREE, 0).value;
        Atomics.sub(words, SLEEPERS, 1);
      }
      return 0;
    },
    release: () => putBack(words),
  };
}

/** Permits that are passed on in fixed turns: thread 0 to 2 to 0, thread 1 to 3 to 1, for two permits and four threads. A word for each thread: whether it is its turn. */
export function turnWords(threads: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(threads * PAD * Int32Array.BYTES_PER_ELEMENT));
}

/** Only while nobody takes turns. */
export function dealTurns(words: Int32Array, permits: number): void {
  words.fill(0);
  for (let thread = 0; thread < permits; thread++) words[thread * PAD] = 1;
}

/** Now and then whoever waits for its turn looks whether all is over, in ms: nobody may pass anything on then. */
const LOOK_EVERY = 10;

/**
 * What a strict hand-over costs at least: a store, a notify, and a sleep. No line, no asking: the next one is known, and must be woken. `acquire` also returns when it is over.
 */
export function bareTurns(words: Int32Array, permits: number, me: number, isOver: () => boolean): Permits {
  const mine = me * PAD;
  const next = (mine + permits * PAD) % words.length;
  return {
    acquire() {
      while (Atomics.load(words, mine) === 0 && !isOver()) Atomics.wait(words, mine, 0, LOOK_EVERY);
      Atomics.store(words, mine, 0);
      return 0;
    },
    release() {
      Atomics.store(words, next, 1);
      Atomics.notify(words, next);
    },
  };
}
