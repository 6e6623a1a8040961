import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { ENTRIES } from './test/support/entries.ts';
import LongestFirst from './test/support/longest-first.ts';
import { isAlone, TIERS, tiers } from './test/support/tiers.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const files = tiers();

const resolve = {
  alias: Object.entries(ENTRIES).map(([name, path]) => ({ find: new RegExp(`^${name}$`), replacement: here(path) })),
};

// One process for many files, but for those that leave something to the next: each fork takes about a second to start.
const settings = {
  setupFiles: ['./test/support/each-file.ts'],
  pool: 'forks' as const,
  // More than cores, as many tests wait for a server, a thread or a timer.
  maxWorkers: Math.max(3, Math.floor(availableParallelism() / 2)),
  // For what hangs, not for what is slow: a test that waits has bounds of its own.
  testTimeout: 300_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  test: {
    // Once for all tiers: they do not inherit it.
    globalSetup: ['./test/support/build.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    sequence: { sequencer: LongestFirst },
    // Tests with threads look at what their process does, and would see what the threads of another file still do.
    projects: TIERS.flatMap((tier) => [
      { resolve, test: { ...settings, name: tier, include: files[tier].filter((file) => !isAlone(file)), isolate: tier === 'threads' } },
      { resolve, test: { ...settings, name: `${tier} alone`, include: files[tier].filter(isAlone), isolate: true } },
    ]),
  },
});
