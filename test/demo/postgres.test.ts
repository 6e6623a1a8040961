import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startKeeper } from '../../examples/demo/keeper.ts';
import { findPostgres, startPostgres } from '../../examples/demo/postgres.ts';
import { isRoot, leftovers, PATIENTLY, processesFrom, temporaryFolder } from './support.ts';

const KEEPER = new URL('../../examples/demo/postgres-keeper.js', import.meta.url);

test('is a real server, does not meet another one, and is gone after stop', async () => {
  const [server, other] = await Promise.all([startPostgres(), startPostgres()]);
  expect(await ask(server.url, 'select version() as answer')).toContain(`PostgreSQL ${server.version}`);
  expect(await ask(server.url, `select to_tsvector('english', 'pooled connections')::text as answer`)).toBe(`'connect':2 'pool':1`);
  await ask(server.url, 'create table here ()');
  await expect(ask(other.url, 'select from here')).rejects.toThrow('does not exist');
  expect(processesFrom(server.folder)).not.toEqual([]);

  await server.stop();
  expect(existsSync(server.folder)).toBe(false);
  expect(processesFrom(server.folder)).toEqual([]);
  await server.stop();
  expect(await ask(other.url, 'select 1 as answer')).toBe(1);
  await other.stop();
});

test('an abort during the start rejects when all is gone again', async () => {
  const temporary = temporaryFolder();
  const abort = new AbortController();
  const start = startKeeper(KEEPER, { args: [findPostgres().native], env: { TMPDIR: temporary }, signal: abort.signal });
  await expect.poll(() => leftovers(temporary), { ...PATIENTLY, interval: 5 }).not.toEqual([]);
  abort.abort(new Error('changed my mind'));
  await expect(start).rejects.toThrow('changed my mind');
  expect(leftovers(temporary)).toEqual([]);
});

test('does without the links that only install scripts make', async () => {
  const bare = join(temporaryFolder(), 'native');
  cpSync(findPostgres().native, bare, { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() });
  const { value, stop } = await startKeeper<{ url: string }>(KEEPER, { args: [bare] });
  expect(await ask(value.url, 'select 1 as answer')).toBe(1);
  await stop();
});

test('says why it does not start', async () => {
  const start = startKeeper(KEEPER, { args: [findPostgres().native], env: { TMPDIR: '/no/such/folder' } });
  await expect(start).rejects.toThrow(/ENOENT.*\/no\/such\/folder/);
});

// As in a container that runs under some number.
test.runIf(isRoot)('runs for a user id that has no account', async () => {
  const temporary = temporaryFolder();
  const options = { uid: 54_321, gid: 54_321, cwd: '/', env: { TMPDIR: temporary } };
  const keeper = spawn(process.execPath, [fileURLToPath(KEEPER), findPostgres().native], {
    ...options,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await once(keeper.stdout, 'data');
  const { ready } = JSON.parse(line);
  expect(await ask(ready.url, 'select 1 as answer')).toBe(1);
  keeper.stdin.end();
  await once(keeper, 'exit');
  expect(leftovers(temporary)).toEqual([]);
});

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows[0]?.answer;
  } finally {
    await client.end();
  }
}
