// Compiles src/ to dist/. Builds into a folder of its own and swaps it in, so that whoever is running from dist/ never sees half of it.
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildPage } from './page.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const fresh = `${root}dist.${process.pid}`;
const old = `${fresh}.old`;
try {
  execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.build.json`, '--outDir', fresh], {
    stdio: 'inherit',
  });
  buildPage(root, `${fresh}/observe`);
  // npm does so where it installs the package; `npx cenote` in this folder runs what stands here.
  const { bin } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  for (const path of Object.values(bin)) chmodSync(path.replace(/^dist/, fresh), 0o755);
  try {
    renameSync(`${root}dist`, old);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  renameSync(fresh, `${root}dist`);
} catch (error) {
  // tsc has already said what is wrong.
  if (error.status === undefined) throw error;
  process.exitCode = 1;
} finally {
  rmSync(fresh, { recursive: true, force: true });
  rmSync(old, { recursive: true, force: true });
}
