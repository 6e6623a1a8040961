import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/demo/postgres.ts';
import { corpus, leftovers, PATIENTLY, startDemo } from './support.ts';

// The demo on a server that DATABASE_URL names, for a user who is granted seven connections: enough for one pool and the monitor, and one too few for eight threads.
let server: PostgresServer;
let admin: pg.Client;
let url: string;

beforeAll(async () => {
  server = await startPostgres();
  admin = new pg.Client(server.url);
  await admin.connect();
  await admin.query(`create role guest login password 'hunter2' connection limit 7`);
  await admin.query('grant create on database postgres to guest');
  url = server.url.replace(/\/\/.*@/, '//guest:hunter2@');
});

afterAll(async () => {
  await admin?.end();
  await server?.stop();
});

const schemas = async () => (await admin.query(`select nspname from pg_namespace where nspname like 'cenote%'`)).rows;

test('works in a schema of its own, where the usual way is refused', async () => {
  const { code, stdout, stderr } = await startDemo([corpus()], { env: { DATABASE_URL: url } }).ended;

  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/the server refuses: too many connections for role "guest"/);
  expect(stdout).toMatch(/most connections the server saw +[1-4] +refused by the server\n/);
  expect(stdout).not.toContain('hunter2');
  expect(await schemas()).toEqual([]);
  expect(leftovers()).toEqual([]);
});

test.each([
  ['SIGINT', 'in a schema of our own'],
  ['SIGKILL', '25 %'],
] as const)('drops the schema after %s, too', async (signal, moment) => {
  const demo = startDemo([corpus()], { env: { DATABASE_URL: url } });
  await demo.says(moment);
  expect(await schemas()).toHaveLength(1);
  demo.child.kill(signal);

  expect(await demo.ended).toMatchObject(signal === 'SIGINT' ? { code: 130 } : { signal });
  await expect.poll(schemas, PATIENTLY).toEqual([]);
});
