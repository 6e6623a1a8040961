/**
 * The main thread hands out permits, in the order in which the requests arrive there. This is what a program does without shared memory. It
 * takes a message to ask, one to answer, and one to give back, for which no thread waits. A thread that blocks sleeps on a word of its own
 * until its answer is there.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { PAD } from '../measure/scoreboard.ts';
import type { Setting } from '../measure/setting.ts';
import type { Borrowing, Lender } from './contestant.ts';

/** A message to the main thread is this, or the number of the slot that comes back. */
const WANTED = -1;

interface Invitation {
  readonly port: MessagePort;
  readonly bells: Int32Array;
  readonly bell: number;
}

export function openMessages({ mode, slots, threads }: Setting): Lender {
  const bells = new Int32Array(new SharedArrayBuffer(threads * PAD * Int32Array.BYTES_PER_ELEMENT));
  const ports: MessagePort[] = [];
  const free = Array.from({ length: slots }, (_, slot) => slot);
  const line: number[] = [];
  const answer = (thread: number, slot: number): void => {
    ports[thread].postMessage(slot);
    if (mode === 'async') return;
    Atomics.add(bells, thread * PAD, 1);
    Atomics.notify(bells, thread * PAD);
  };
  return {
    invite(thread) {
      const { port1, port2 } = new MessageChannel();
      ports[thread] = port1;
      port1.on('message', (message: number) => {
        if (message === WANTED) line.push(thread);
        else free.push(message);
        while (line.length > 0 && free.length > 0) answer(line.shift()!, free.pop()!);
      });
      return { data: { port: port2, bells, bell: thread * PAD } satisfies Invitation, transfer: [port2] };
    },
    close() {
      for (const port of ports) port.close();
    },
  };
}

export function joinMessages({ port, bells, bell }: Invitation, { mode }: Setting): Borrowing {
  const release = (slot: number): void => port.postMessage(slot);
  const leave = (): void => port.close();
  if (mode === 'sync') {
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
      release,
      leave,
    };
  }
  let served: (slot: number) => void = () => {};
  port.on('message', (slot: number) => served(slot));
  return {
    acquire() {
      port.postMessage(WANTED);
      return new Promise<number>((resolve) => {
        served = resolve;
      });
    },
    release,
    leave,
  };
}
