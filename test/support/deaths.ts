import type { Thread } from './thread.ts';

/** Ways for a thread to end without a good-bye. */
export const deaths: readonly [string, <T>(t: Thread<T>) => unknown][] = [
  ['terminate', (t) => t.terminate()],
  [
    'process.exit',
    (t) => {
      void t.exited;
      t.run(() => process.exit(3)).catch(() => {});
    },
  ],
  [
    'an uncaught error',
    (t) => {
      void t.exited;
      t.run(() => {
        setImmediate(() => {
          throw new Error('uncaught on purpose');
        });
        return new Promise<void>(() => {});
      }).catch(() => {});
    },
  ],
  [
    'an unhandled rejection',
    (t) => {
      void t.exited;
      t.run(() => {
        void Promise.reject(new Error('unhandled on purpose'));
        return new Promise<void>(() => {});
      }).catch(() => {});
    },
  ],
];
