/**
 * A program's listener or callback that throws fails for itself, as with pg: an uncaught exception. What the connection is at goes on, its
 * client hears on, and a statement that was executed was executed.
 */
import { pgClient } from 'cenote/pg';
import type { Client } from 'pg';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { ask, join, killAll, on, open, WHERE } from '../support/postgres.ts';
import { gate, settled, until } from '../support/wait.ts';

beforeAll(async () => {
  await ask('create table said (a int)');
  await ask(`create function says() returns trigger language plpgsql as $$ begin raise notice 'said'; return null; end $$`);
  await ask('create constraint trigger says after insert on said deferrable initially deferred for each row execute function says()');
}, 120_000);

/** Of this thread, from now on. */
function uncaught(): string[] {
  const seen: string[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => void seen.push(error.message));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  return seen;
}

/** Runs on whichever thread. */
const program = async (made: () => Promise<any>, end: (client: any) => unknown, uncaughtHere: string[] | undefined) => {
  const own: string[] = [];
  if (uncaughtHere === undefined) process.on('uncaughtException', (error) => void own.push(error.message));
  const thrown = uncaughtHere ?? own;
  const until = async (condition: () => boolean) => {
    const end = performance.now() + 60_000;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`in vain: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const seen: Record<string, unknown> = {};

  // Each notification throws, and the next is heard.
  const client = await made();
  const payloads: string[] = [];
  const onNotification = ({ payload }: { payload: string }): never => {
    payloads.push(payload);
    throw new Error(`of ${payload}`);
  };
  client.on('notification', onNotification);
  await client.query('listen loud');
  await client.query(`select pg_notify('loud', i::text) from generate_series(1, 3) i`);
  await until(() => payloads.length === 3);
  await client.query(`notify loud, '4'`);
  await until(() => payloads.length === 4);
  await until(() => thrown.length === 4);
  seen.notifications = [payloads.join(), thrown.splice(0).join()];
  client.removeListener('notification', onNotification);
  await client.query('unlisten *');
  await end(client);

  // What was executed was executed.
  const other = await made();
  let notices = 0;
  other.on('notice', () => {
    throw new Error(`notice ${++notices}`);
  });
  const done = [await other.query(`do $$ begin raise notice 'said'; raise notice 'said'; end $$`)];
  await other.query('begin');
  await other.query('insert into said values (1)');
  done.push(await other.query('commit'));
  await until(() => thrown.length === 3);
  seen.notices = [done.map(({ command }) => command).join(), thrown.splice(0).join()];
  await end(other);
  return seen;
};

const EXPECTED = {
  notifications: ['1,2,3,4', 'of 1,of 2,of 3,of 4'],
  notices: ['DO,COMMIT', 'notice 1,notice 2,notice 3'],
};

const CLIENTS = ['a connection', 'a client of pgClient'] as const;
const LENDING = ['auto', 'relayed', 'remote'] as const;

test.each(LENDING.flatMap((lend) => CLIENTS.map((what) => [what, lend] as const)))('%s of a worker, lend %s', async (what, lend) => {
  const pool = await open({ max: 1, lend });
  const seen = await (await join(pool)).pg(
    async (p, { load, handle }, isOwn, code: string) => {
      const { pgClient: clients } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const made = async () => {
        if (!isOwn) return p.connect();
        const client = new (clients(handle as never))();
        await client.connect();
        return client;
      };
      return new Function(`return (${code});`)()(made, (client: any) => (isOwn ? client.end() : client.release()), undefined);
    },
    what !== 'a connection',
    String(program),
  );
  expect(seen).toEqual(EXPECTED);
  expect(pool.pool.stats()).toMatchObject({ created: 1, destroyed: 0 });
});

test.each(CLIENTS)('%s of the owner', async (what) => {
  const pool = await open({ max: 1 });
  const made = async (): Promise<unknown> => {
    if (what === 'a connection') return pool.connect();
    const client = new (pgClient(pool))();
    await client.connect();
    return client;
  };
  const end = (client: any): unknown => (what === 'a connection' ? client.release() : client.end());
  expect(await program(made, end, uncaught())).toEqual(EXPECTED);
  expect(pool.pool.stats()).toMatchObject({ created: 1, destroyed: 0 });
});

test.each(CLIENTS)('the end of the connection is told all the same: %s', async (what) => {
  const seen = uncaught();
  const pool = await open({ max: 1 });
  const client: any = what === 'a connection' ? await pool.connect() : new (pgClient(pool))();
  if (what !== 'a connection') {
    client.on('notification', () => {});
    await client.connect();
    await client.query('listen loud');
  }
  const ended = gate();
  client.on('error', () => {
    throw new Error('of error');
  });
  client.on('end', () => {
    ended.open();
    throw new Error('of end');
  });
  await killAll(pool.pool.name);
  await settled(ended.promise);
  await until(() => seen.length === 2);
  expect(seen).toEqual(['of error', 'of end']);
  if (what === 'a connection') client.release();
  else await client.end();
  await until(() => seen.length === (what === 'a connection' ? 2 : 3));
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
});

test('a client of pgClient connects and ends', async () => {
  const seen = uncaught();
  const pool = await open({ max: 1 });
  const client = new (pgClient(pool))();
  for (const event of ['connect', 'end'])
    client.on(event as 'end', () => {
      throw new Error(`of ${event}`);
    });
  await client.connect();
  expect((await client.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  await new Promise<void>((resolve) => void client.end(() => resolve()));
  await until(() => seen.length === 2);
  expect(seen).toEqual(['of connect', 'of end']);
});

test.each(WHERE)('a pool on %s: what is released is released, and what was executed was executed', async (where) => {
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await run(
    async (p, _, here) => {
      const own: string[] = [];
      if (here === undefined) process.on('uncaughtException', (error) => void own.push(error.message));
      for (const event of ['connect', 'release'])
        p.on(event, () => {
          throw new Error(`of ${event}`);
        });
      const told = [(await p.query('select 1 as a')).rows, await p.transaction(async (tx) => (await tx.query('select 2 as a')).rows)];
      const client = await p.connect();
      client.release();
      told.push((await p.query('select 3 as a')).rows);
      p.removeAllListeners();
      const end = performance.now() + 60_000;
      const thrown = (here as string[] | undefined) ?? own;
      while (thrown.length < 5 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
      return { told, thrown };
    },
    where === 'a worker' ? undefined : uncaught(),
  );
  expect(seen).toEqual({
    told: [[{ a: 1 }], [{ a: 2 }], [{ a: 3 }]],
    thrown: ['of connect', 'of release', 'of release', 'of release', 'of release'],
  });
});

test.each(['idle', 'lent to a worker'])('the owner hears of the loss of a connection that is %s, and the next one is made', async (how) => {
  const seen = uncaught();
  const pool = await open({ max: 1 });
  const removed: unknown[] = [];
  pool.on('error', () => {
    throw new Error('of error');
  });
  pool.on('remove', (client) => {
    removed.push(client);
    throw new Error('of remove');
  });
  const worker = how === 'idle' ? undefined : await join(pool);
  if (worker === undefined) await pool.query('select 1');
  else
    await worker.pg(async (p, { keep }) => {
      keep('client', await p.connect());
    });
  await killAll(pool.pool.name);
  await until(() => seen.includes('of error'));
  await worker?.pg((_, { kept }) => kept<{ release(): void }>('client').release());
  await until(() => seen.length === 2);
  expect([...seen].sort()).toEqual(['of error', 'of remove']);
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  expect(removed.length).toBe(1);
  // The end of the pool is none of this.
  pool.removeAllListeners();
});

test.each(CLIENTS)('a Query, and what comes behind it: %s', async (what) => {
  const seen = uncaught();
  const { Query } = (await import('pg')).default as unknown as { Query: new (...args: unknown[]) => any };
  const pool = await open({ max: 1 });
  const client: Client = what === 'a connection' ? ((await pool.connect()) as unknown as Client) : new (pgClient(pool))();
  if (what !== 'a connection') await client.connect();
  const rows: unknown[] = [];
  const fails = (event: string) => () => {
    throw new Error(`of ${event}`);
  };
  // On a row, and at the end.
  const query = new Query('select i from generate_series(1, 3) i');
  query.on('row', ({ i }: { i: number }) => {
    rows.push(i);
    throw new Error(`of ${i}`);
  });
  query.on('end', fails('end'));
  client.query(query);
  expect((await client.query('select 4 as a')).rows).toEqual([{ a: 4 }]);
  // One that fails and has no listener; and one that is refused before it is sent.
  client.query(new Query('select nowhere'));
  client.query(new Query({ text: 'select 1', values: 'no array' }));
  expect((await client.query('select 5 as a')).rows).toEqual([{ a: 5 }]);
  await until(() => seen.length === 6);
  expect(rows).toEqual([1, 2, 3]);
  expect(seen.slice(0, 4)).toEqual(['of 1', 'of 2', 'of 3', 'of end']);
  expect([...seen.slice(4)].sort()).toEqual(['Query values must be an array', 'column "nowhere" does not exist']);
  if (what === 'a connection') (client as any).release();
  else await client.end();
  await until(() => pool.pool.activeCount() === 0);
});
