/** Two naive ways to share `n` permits between threads that block: by message from the main thread, and a barging semaphore. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';

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

const FREE = 0;
const SLEEPERS = PAD;

export function bargingWords(permits: number): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(2 * PAD * Int32Array.BYTES_PER_ELEMENT));
  words[FREE] = permits;
  return words;
}

/** Whoever comes first takes it: no line, so a thread that has just released wins again, and others may starve. */
export function bargingPermits(words: Int32Array): Permits {
  return {
    acquire() {
      for (;;) {
        const free = Atomics.load(words, FREE);
        if (free > 0) {
          if (Atomics.compareExchange(words, FREE, free, free - 1) === free) return 0;
        } else {
          Atomics.add(words, SLEEPERS, 1);
          Atomics.wait(words, FREE, 0);
          Atomics.sub(words, SLEEPERS, 1);
        }
      }
    },
    release() {
      Atomics.add(words, FREE, 1);
      if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, FREE, 1);
    },
  };
}
