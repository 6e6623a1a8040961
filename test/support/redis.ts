/** A redis-server for the tests of a file, where the machine has one: started when the first test asks for it, gone with the file. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { until } from './wait.ts';

let server: ChildProcess | undefined;
let folder: string | undefined;
let started: Promise<string | undefined> | undefined;

afterAll(async () => {
  server?.kill('SIGKILL');
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** Its address; undefined: there is no redis-server here. */
export const redis = (): Promise<string | undefined> => (started ??= start());

async function start(): Promise<string | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined;
  folder = mkdtempSync(join(tmpdir(), 'cenote-redis-'));
  const port = await freePort();
  // No file: what is in it goes with it. It ends with this process, as its standard input does.
  server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder], {
    stdio: 'ignore',
  });
  await until(() => answers(port));
  return `redis://127.0.0.1:${port}`;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
