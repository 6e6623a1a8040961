import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^cenote$/, replacement: here('./dist/main/index.js') },
      { find: /^cenote\/worker$/, replacement: here('./dist/worker/index.js') },
      { find: /^cenote\/pg$/, replacement: here('./dist/pg/main.js') },
      { find: /^cenote\/pg\/worker$/, replacement: here('./dist/pg/worker.js') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/support/build.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
