import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { ENTRIES } from './entries.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The tests run against what is shipped: dist/ is built once before them. */
export default async function build(): Promise<() => void> {
  execFileSync(process.execPath, [`${root}scripts/build.js`], { stdio: 'inherit' });
  await bundleThreads();
  // For folderOfThisRun in ./threads/compile.ts.
  const run = String(process.pid);
  process.env.CENOTE_TEST_RUN = run;
  return () => {
    for (const name of readdirSync(root)) if (name.startsWith(`dist.run-${run}-`)) rmSync(root + name, { recursive: true, force: true });
  };
}

/**
 * dist.threads/: dist/ and what the threads of the tests run, in a few files. A thread that loads the fifty of dist/ takes twice as long to start, and
 * the tests start thousands. Like dist/, it stays for the next time.
 */
async function bundleThreads(): Promise<void> {
  const fresh = `${root}dist.threads.${process.pid}`;
  await bundle({
    entryPoints: [`${root}test/support/thread-entry.js`],
    outdir: fresh,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    packages: 'external',
    logLevel: 'warning',
    plugins: [
      {
        name: 'cenote is dist/',
        setup({ onResolve }) {
          onResolve({ filter: /^cenote(\/|$)/ }, ({ path }) => ({ path: root + ENTRIES[path] }));
        },
      },
    ],
  });
  const old = `${fresh}.old`;
  if (existsSync(`${root}dist.threads`)) renameSync(`${root}dist.threads`, old);
  renameSync(fresh, `${root}dist.threads`);
  rmSync(old, { recursive: true, force: true });
}
