import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/support/longest-first.ts';
import { TIERS, tiers } from './test/support/tiers.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const files = tiers();

const resolve = {
  alias: [
    { find: /^cenote$/, replacement: here('./dist/main/index.js') },
    { find: /^cenote\/worker$/, replacement: here('./dist/worker/index.js') },
    { find: /^cenote\/budget$/, replacement: here('./dist/budget/main.js') },
    { find: /^cenote\/pg$/, replacement: here('./dist/pg/main.js') },
    { find: /^cenote\/observe$/, replacement: here('./dist/observe/index.js') },
    { find: /^cenote\/jobs$/, replacement: here('./dist/jobs/main.js') },
    { find: /^cenote\/jobs\/worker$/, replacement: here('./dist/jobs/worker.js') },
    { find: /^cenote\/pg\/worker$/, replacement: here('./dist/pg/worker.js') },
  ],
};

export default defineConfig({
  test: {
    // Once for all tiers: they do not inherit it.
    globalSetup: ['./test/support/build.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    sequence: { sequencer: LongestFirst },
    projects: TIERS.map((name) => ({
      resolve,
      test: {
        name,
        include: files[name],
        // One process for many files, where none leaves anything to the next but what it may use as well: the explorer's threads.
        isolate: name !== 'unit' && name !== 'proof',
        pool: 'forks' as const,
        // More than cores, as many tests wait for a server, a thread or a timer.
        maxWorkers: Math.max(3, Math.floor(availableParallelism() / 2)),
        // For what hangs, not for what is slow: a test that waits has bounds of its own.
        testTimeout: 300_000,
        hookTimeout: 120_000,
      },
    })),
  },
});
