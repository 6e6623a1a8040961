// `npm run test:matrix [-- --node=22,24] [vitest arguments]`: all tests on every supported Node, or some, each as a binary from the `node` package of the registry.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJORS = [20, 22, 24, 26];
const chosen = process.argv[2]
  ?.match(/^--node=([\d,]+)$/)?.[1]
  .split(',')
  .map(Number);
const majors = chosen ?? MAJORS;
const args = process.argv.slice(chosen === undefined ? 2 : 3);
const unknown = majors.find((major) => !MAJORS.includes(major));
if (unknown !== undefined) throw new RangeError(`--node takes some of ${MAJORS.join(', ')}, not ${unknown}`);
const root = fileURLToPath(new URL('..', import.meta.url));
const results = [];

for (const major of majors) {
  const folder = mkdtempSync(join(tmpdir(), `cenote-node-${major}-`));
  try {
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    console.log(`installing node ${major} ...`);
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', `node@${major}`], { cwd: folder, stdio: 'inherit' });
    // Some tests start it as another user.
    chmodSync(folder, 0o755);
    const node = join(folder, 'node_modules', 'node', 'bin', 'node');
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    // First in PATH as well, for the tests that start programs of their own.
    const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
    const { status } = spawnSync(node, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
      cwd: root,
      env,
      stdio: 'inherit',
    });
    results.push(`${version} ${status === 0 ? 'passed' : `failed (${status})`}`);
    if (status !== 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
console.log(results.join('\n'));
