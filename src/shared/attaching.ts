/** The function of Node by which a thread asks an owner to let it attach, and what to say where Node has none. */
import * as threads from 'node:worker_threads';
import { PoolError } from './errors.ts';
import { process } from './node.ts';
import { show } from './show.ts';

/**
 * A function of the module; @types/node has put it into the wrong interface. It came with Node 20.19 and 22.5, and is "active development".
 */
const { postMessageToThread } = threads as unknown as Partial<Pick<threads.Worker, 'postMessageToThread'>>;

/**
 * Throws PoolError with the code ERR_POOL_NODE_VERSION.
 * A pool that no thread could attach to is refused where it is made, and not by its first worker.
 */
export function messenger(pool: string): threads.Worker['postMessageToThread'] {
  if (postMessageToThread !== undefined) return postMessageToThread;
  throw new PoolError(
    `pool ${show(pool)}: Node.js ${process.version} does not have postMessageToThread, by which threads attach: ` +
      'use 20.19 or a later 20, or 22.5 or later',
    pool,
    { code: 'ERR_POOL_NODE_VERSION' },
  );
}
