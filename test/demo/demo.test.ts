import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CORPUS_FILES, closedPort, corpus, isRoot, leftovers, mayRead, NOBODY, ROOT, startDemo, temporaryFolder } from './support.ts';

describe('indexing a folder', () => {
  test('stores every file both ways, with four connections and with many, and leaves nothing', async () => {
    const { code, stdout, stderr } = await startDemo([corpus(), '--search', 'albatross', '--search', 'kittiwake', '--search', 'shearwater'])
      .ended;

    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('embedded, no installation');
    expect(stdout.match(new RegExp(`${CORPUS_FILES} files, [\\d.]+ MB in [\\d.]+ s`, 'g'))).toHaveLength(2);
    const [, one, each] = /most connections the server saw +(\d+) +(\d+)\n/.exec(stdout)!.map(Number);
    expect(one).toBeGreaterThanOrEqual(1);
    expect(one).toBeLessThanOrEqual(4);
    expect(each).toBeGreaterThan(4);
    expect(each).toBeLessThanOrEqual(32);
    // The answers, read back out of the compressed bodies.
    expect(stdout).toMatch(/"albatross": 1 files?\n.*deep\/down\/seabirds\.md\n +The wandering albatross circles a cenote\./);
    expect(stdout).toMatch(/"shearwater": 1 files?\n.*zeros\.txt/);
    // No bar, and none of the folder's own control characters either.
    expect(stdout).toMatch(/50 % {2}\d+ of 97 files/);
    expect(stdout).toMatch(/it's \[31m odd \.js/);
    expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(leftovers()).toEqual([]);
  });
});

describe('what it cannot do, it says in one line', () => {
  test('a folder that is missing', () => refuses(() => ['/no/such/folder'], /^There is no folder \/no\/such\/folder\n$/));
  test('a file in place of a folder', () => refuses(() => [join(ROOT, 'package.json')], /package\.json is not a folder\n$/));
  test('a folder without source files', () => refuses((empty) => [empty], /^There are no source or text files to index in .*\n$/));
  test('a number of files that is none', () =>
    refuses((folder) => [folder, '--files', 'many'], /^--files wants a number of at least 1, not many\n$/));
  test('a number of jobs that is none', () =>
    refuses((folder) => [folder, '--jobs', '0'], /^--jobs wants a number of at least 1, not 0\n$/));
  test('a port that is none', () =>
    refuses((folder) => [folder, '--dashboard', '70000'], /^--dashboard wants a port from 0 to 65535 .*, not 70000\n$/));
  test('an unknown option', () => refuses(() => ['--flies'], /^Unknown option '--flies'.*\n$/));
  test('an address that is none', () =>
    refuses(() => [corpus()], /^DATABASE_URL is no PostgreSQL address.*\n$/, { DATABASE_URL: 'hunter2' }));

  test.skipIf(isRoot && !mayRead(NOBODY))('a folder that may not be read', async () => {
    const locked = (folder: string) => {
      mkdirSync(join(folder, 'locked'));
      writeFileSync(join(folder, 'locked', 'file.ts'), 'secret');
      chmodSync(join(folder, 'locked'), 0);
      // Or whoever is not root could not remove it. Runs before the removal, which was registered earlier.
      onTestFinished(() => chmodSync(join(folder, 'locked'), 0o700));
      return [join(folder, 'locked')];
    };
    await refuses(locked, /^The folder .*locked cannot be read \(EACCES\)\n$/, {}, isRoot ? NOBODY : undefined);
  });

  test('a server that is not there', async () => {
    const url = `postgres://somebody:hunter2@127.0.0.1:${await closedPort()}/shop`;
    await refuses(
      () => [corpus()],
      /^No way to work on the PostgreSQL server at 127\.0\.0\.1:\d+\/shop \(DATABASE_URL\): .*ECONNREFUSED.*\n$/,
      { DATABASE_URL: url },
    );
  });

  async function refuses(args: (folder: string) => string[], message: RegExp, env: NodeJS.ProcessEnv = {}, uid?: number) {
    const folder = temporaryFolder();
    const { code, stdout, stderr } = await startDemo(args(folder), { env, uid }).ended;
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout + stderr).not.toContain('hunter2');
    expect(code).toBe(1);
    expect(leftovers()).toEqual([]);
  }
});
