/** redisBudget({ client }): what a client says of where its server is. The budget has connections of its own. */
import { redisBudget } from 'cenote/budget';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { expect, onTestFinished } from 'vitest';
import { redisServer, withRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';
import { member, newKey, poolOn } from './support.ts';

/** A budget by the client's settings: it works while the client is connected, and when it has gone; and it is as it was after the budget. */
async function served(client: unknown, ping: () => Promise<unknown>, connections: () => Promise<string>): Promise<void> {
  const { budget } = await member('redis', { engine: redisBudget({ client }), key: newKey() });
  const pool = await poolOn(budget);
  pool.release(await pool.acquire());
  expect(await budget.members()).toMatchObject([{ granted: 1, you: true }]);
  // The second may still be coming, and those of a test before this may still be going.
  await until(async () => (await connections()).match(/name=cenote\/budget/g)?.length === 2);
  await pool.close();
  await budget.close();
  expect(await ping()).toBe('PONG');
}

withRedis('of ioredis', async () => {
  const { port } = await redisServer();
  const client = new Redis({ host: '127.0.0.1', port, db: 3, retryStrategy: () => 100 });
  onTestFinished(() => client.disconnect());
  await served(
    client,
    () => client.ping(),
    async () => (await client.client('LIST')) as string,
  );
});

withRedis('of ioredis, which has not connected yet', async () => {
  const { url } = await redisServer();
  const client = new Redis(url, { lazyConnect: true });
  const { budget } = await member('redis', { engine: redisBudget({ client }), key: newKey() });
  expect([client.status, budget.limit]).toEqual(['wait', 3]);
});

withRedis('of redis, by an address', async () => {
  const client = await createClient({ url: (await redisServer()).url, socket: { reconnectStrategy: () => 100 } }).connect();
  onTestFinished(() => client.destroy());
  await served(
    client,
    () => client.ping(),
    async () => String(await client.sendCommand(['CLIENT', 'LIST'])),
  );
});

withRedis('of redis, by settings, which has not connected yet', async () => {
  const { port } = await redisServer();
  const client = createClient({ socket: { host: '127.0.0.1', port }, database: 2 });
  const { budget } = await member('redis', { engine: redisBudget({ client }), key: newKey() });
  const pool = await poolOn(budget);
  pool.release(await pool.acquire());
  expect([client.isOpen, budget.granted]).toEqual([false, 1]);
});

withRedis('a password that is wrong is said at once', async () => {
  const { port } = await redisServer();
  for (const client of [new Redis({ host: '127.0.0.1', port, password: 'wrong', username: 'nobody', lazyConnect: true })])
    await expect(member('redis', { engine: redisBudget({ client }), key: newKey() })).rejects.toMatchObject({
      code: 'ERR_BUDGET_UNREACHABLE',
    });
});
