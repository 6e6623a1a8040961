/** Installing beside other versions of what the package works with, or could. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { root } from '../docs/markdown.ts';
import { folder, runProgram } from '../docs/run.ts';

const npm = (cwd: string, ...args: string[]): string =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' });

let tarball: string;
beforeAll(() => {
  const packed = folder();
  const [{ filename }] = JSON.parse(npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', packed)) as {
    filename: string;
  }[];
  tarball = join(packed, filename);
}, 300_000);

/** A project that depends on an empty package of that name and version, and installs cenote from a tarball. */
function projectBeside(name: string, version: string): string {
  const project = folder();
  mkdirSync(join(project, name));
  writeFileSync(join(project, name, 'package.json'), JSON.stringify({ name, version, main: 'index.js' }));
  writeFileSync(join(project, name, 'index.js'), '');
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'project', private: true, dependencies: { [name]: `file:${name}` } }),
  );
  npm(project, 'install', tarball, '--offline', '--no-audit', '--no-fund');
  writeFileSync(
    join(project, 'core.mjs'),
    `import { createPool } from 'cenote';
    const pool = await createPool({ factory: () => 7 });
    console.log(await pool.use((resource) => resource));
    await pool.close();`,
  );
  writeFileSync(
    join(project, 'pg.mjs'),
    `import { createPgPool } from 'cenote/pg';
    await createPgPool({ connection: 'postgres://nowhere' }).then(() => console.log('made'), ({ message }) => console.log(message));
    process.exit();`,
  );
  return project;
}

test.each([
  ['piscina', '4.9.2'],
  ['pg', '7.18.2'],
  ['pg', '9.0.0-beta.1'],
])('beside %s %s it installs, and the core runs', async (name, version) => {
  const project = projectBeside(name, version);
  expect((await runProgram(project, 'core.mjs')).lines).toEqual(['7']);
  const needed = 'cenote/pg needs pg 8.16 or a later 8';
  const said = name === 'pg' ? `${needed}, and found pg ${version}: npm install pg@8` : `${needed} beside it: npm install pg@8`;
  expect((await runProgram(project, 'pg.mjs')).lines).toEqual([said]);
});

test('beside pg 8.16 a pool of connections can be made', async () => {
  const { lines } = await runProgram(projectBeside('pg', '8.16.0'), 'pg.mjs');
  expect(lines).toEqual(['made']);
});
