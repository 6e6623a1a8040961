/**
 * COPY with the streams of other packages. They read and write the socket themselves; so they work on the owner's thread, where the driver
 * has the socket.
 */

import type { Reading } from '../sql/dirt.ts';

export const NO_COPY =
  'COPY with a stream works on no thread of this pool, as the stream would need the socket: use a pg.Client of its own for that';

/** Stands in the place of the socket. An object that asks it for more than a submission needs is told why there is no socket. */
export const NO_SOCKET: object = new Proxy(
  { writable: true, cork(): void {}, uncork(): void {} },
  {
    get(target, key) {
      if (typeof key === 'symbol' || key in target) return Reflect.get(target, key);
      throw new Error(NO_COPY);
    },
  },
);

/**
 * Refuses COPY FROM STDIN. In the extended protocol the server would wait for a second sync, which the driver does not send. Otherwise the
 * driver tells the server that nothing will come.
 */
export function assertNoCopyIn({ isCopyIn }: Reading): void {
  if (isCopyIn) throw new Error(NO_COPY);
}
