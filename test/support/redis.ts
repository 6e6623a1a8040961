/** A real Redis for the tests of a file, where redis-server (or valkey-server) is installed: in a temp folder, on a port of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { test } from 'vitest';
import { onFileFinished } from './file-finished.ts';
import { freePort } from './free-port.ts';
import { until } from './wait.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Ends it, and keeps nothing. */
  down(): Promise<void>;
  up(): Promise<void>;
}

const binary = ['redis-server', 'valkey-server'].find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

export const hasRedis = binary !== undefined;
if (!hasRedis) console.log('redis-server is not installed: what needs Redis is skipped (apt-get install redis-server)');

/** A test that is skipped where there is no Redis. */
export const withRedis = test.skipIf(!hasRedis);

let server: Promise<RedisServer> | undefined;
let running: ChildProcess | undefined;
process.on('exit', () => running?.kill('SIGKILL'));

export const redisServer = (): Promise<RedisServer> => (server ??= startRedis());

async function startRedis(): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cenote-redis-'));
  onFileFinished(() => {
    running?.kill('SIGKILL');
    server = undefined;
    rmSync(folder, { recursive: true, force: true });
  });
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const self: RedisServer = {
    url,
    port,
    down: () =>
      new Promise((resolve) => {
        running!.once('exit', () => resolve());
        running!.kill('SIGKILL');
      }),
    up: async () => {
      running = spawn(binary!, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder], {
        stdio: 'ignore',
      });
      await until(async () => {
        const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
        client.on('error', () => {});
        try {
          await client.connect();
          return (await client.ping()) === 'PONG';
        } finally {
          client.disconnect();
        }
      });
    },
  };
  await self.up();
  return self;
}

/** Its address; undefined: there is no Redis here. */
export const redis = async (): Promise<string | undefined> => (hasRedis ? (await redisServer()).url : undefined);
