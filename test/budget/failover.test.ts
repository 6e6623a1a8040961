/** A server that is not what it was, on a connection that stays: it is made anew, by the name, which may lead elsewhere by now. */
import { createBudget, postgresBudget } from 'cenote/budget';
import { Redis } from 'ioredis';
import type { ClientConfig } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { connections, killAll, newName, postgres } from '../support/postgres.ts';
import { redisServer, withRedis } from '../support/redis.ts';
import { settled, until } from '../support/wait.ts';
import { engineAt, listening, member, newKey, poolOn, throughRelay } from './support.ts';

/** Where each connection leads, one after the other; the last, all that follow. */
function leadingTo(...options: string[]): { connection: () => Promise<ClientConfig>; name: string; asked(): number } {
  const name = newName();
  let asked = 0;
  const connection = async (): Promise<ClientConfig> => {
    const { url } = await postgres();
    return { connectionString: url, application_name: name, options: options[Math.min(asked++, options.length - 1)] };
  };
  return { connection, name, asked: () => asked };
}

const READER = '-c default_transaction_read_only=on';
/** A role that may do nothing there: an error of no kind that speaks of the connection. */
const STRANGER = '-c role=pg_monitor';

test('a first connection that leads to a server that only reads is followed by another', async () => {
  const { connection, asked } = leadingTo(READER, READER, '');
  // It need not be in before a busy machine has made three connections.
  const { budget } = await member('postgres', { key: newKey(), engine: postgresBudget({ connection }), onUnreachable: 'open' });
  expect(await until(() => budget.members())).toMatchObject([{ you: true }]);
  expect(asked()).toBeGreaterThanOrEqual(3);
});

test.each([
  ['only reads', READER],
  ['refuses, whatever it says', STRANGER],
])('a connection made again, to a server that %s, is made again', async (_, options) => {
  const { connection, name, asked } = leadingTo('', options, '');
  const { budget, events } = await member('postgres', { key: newKey(), engine: postgresBudget({ connection }) });
  const pool = await poolOn(budget);
  pool.release(await settled(pool.acquire()));
  await killAll(name);
  await until(() => budget.members());
  expect(asked()).toBeGreaterThanOrEqual(3);
  await until(async () => (await connections(name)) === 1);
  expect(events.map(({ event }) => event)).not.toContain('lost');
  const all = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
  for (const thing of all) pool.release(thing);
});

withRedis.each([
  ['has become a replica', ['replicaof', '127.0.0.1', '1'], ['replicaof', 'no', 'one']],
  ['refuses, whatever it says', ['acl', 'setuser', 'default', '-evalsha', '-eval'], ['acl', 'setuser', 'default', '+@all']],
])('a Redis that %s, and keeps its clients, is connected to anew', async (_, demote, promote) => {
  const { url, net } = await throughRelay('redis');
  const admin = new Redis((await redisServer()).url);
  onTestFinished(async () => {
    await admin.call(...(promote as [string]));
    admin.disconnect();
  });
  const budget = await createBudget({ engine: engineAt('redis', url), key: newKey(), limit: 3, ttl: 60_000 });
  onTestFinished(() => budget.close().catch(() => {}));
  const { heard } = listening(budget);
  const pool = await poolOn(budget);
  const first = await settled(pool.acquire());
  const { come } = net;
  await admin.call(...(demote as [string]));
  const second = pool.acquire();
  await heard('unreachable');
  // As often as it takes: each time by the name.
  await until(() => net.come >= come + 4);
  await admin.call(...(promote as [string]));
  for (const thing of [first, await settled(second)]) pool.release(thing);
  expect(await until(() => budget.members())).toMatchObject([{ you: true, granted: 2 }]);
});
