/** A thread that speaks the protocol by hand, and badly. */
import type { Pool } from 'cenote';
import { type Thread, thread } from '../support/thread.ts';

export interface Rogue {
  readonly thread: Thread<unknown>;
  /** Asks properly to attach, and gets a port of its own. Gives the first answer's type (1: welcome, 2: refused), and the record. */
  attach(): Promise<[type: number, me: unknown]>;
  /** Posts each of these as a message of its own. Gives so many answers, and what has come with them; without a number, what comes within 20 ms. */
  post(messages: readonly unknown[], answers?: number): Promise<unknown[][]>;
  /** Posts a message that text has to make: `clone` would refuse it here, or make it huge. */
  postMade(make: () => unknown): Promise<void>;
}

export async function rogue(pool: Pool<unknown>): Promise<Rogue> {
  const t = (await thread()) as Thread<unknown>;
  const { handle } = pool;
  return {
    thread: t,
    attach: () =>
      t.run(async ({ keep, sleep }, { owner, buffer }) => {
        const { MessageChannel, postMessageToThread, threadId } = process.getBuiltinModule('node:worker_threads') as never as {
          MessageChannel: typeof import('node:worker_threads').MessageChannel;
          postMessageToThread(owner: number, message: unknown, transfer: unknown[]): Promise<void>;
          threadId: number;
        };
        const { port1, port2 } = new MessageChannel();
        const got: unknown[][] = keep('got', []);
        keep('port', port1);
        port1.on('message', (responses: unknown[][]) => got.push(...responses));
        const poolId = new Int32Array(buffer as SharedArrayBuffer)[3];
        await postMessageToThread(owner, { type: 'cenote:attach', poolId, threadId, port: port2 }, [port2]);
        while (got.length === 0) await sleep(1);
        return got.shift() as [number, unknown];
      }, handle),
    post: (messages, answers) =>
      t.run(
        async ({ kept, sleep }, messages, answers) => {
          const port = kept<import('node:worker_threads').MessagePort>('port');
          const got = kept<unknown[][]>('got');
          for (const message of messages) port.postMessage(message);
          if (answers === undefined) await sleep(20);
          else for (const end = performance.now() + 20_000; got.length < answers && performance.now() < end; ) await sleep(1);
          return got.splice(0);
        },
        messages,
        answers,
      ),
    postMade: (make) =>
      t.run(({ kept }, text) => {
        kept<import('node:worker_threads').MessagePort>('port').postMessage(new Function(`return (${text})();`)());
      }, String(make)),
  };
}
