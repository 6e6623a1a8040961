/** Only the message to the main thread and the answer to it: what a way that passes the main thread for each query does at the least. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Access, Rows, Way } from '../way.ts';

const ROW: Rows = [{}];

export const message: Way = {
  name: 'message there and back',
  module: import.meta.url,
  async open() {
    const ports: MessagePort[] = [];
    return {
      join() {
        const { port1, port2 } = new MessageChannel();
        port1.on('message', (number: number) => port1.postMessage(number));
        ports.push(port1);
        return { given: port2, port: port2 };
      },
      async close() {
        for (const port of ports) port.close();
      },
    };
  },
};

export async function enter(port: MessagePort): Promise<Access> {
  const asked: ((rows: Rows) => void)[] = [];
  // Answers come in the order of the questions.
  port.on('message', () => asked.shift()!(ROW));
  return {
    query: () =>
      new Promise((resolve) => {
        asked.push(resolve);
        port.postMessage(asked.length);
      }),
    transaction: () => Promise.reject(new Error('There is no database behind it')),
    end: async () => port.close(),
  };
}
