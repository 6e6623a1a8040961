/** A client that listens hears all that the server says, however much comes at once, as with pg. */
import { pgClient } from 'cenote/pg';
import { expect, test } from 'vitest';
import { ask, join, open } from '../support/postgres.ts';
import { gate, settled, until } from '../support/wait.ts';

const MANY = 5000;

/** Runs on whichever thread. `told`: the client listens, and is told from elsewhere. */
const program = async (client: any, shared: Int32Array, many: number) => {
  const seen: Record<string, number[]> = { own: [], others: [], notices: [] };
  let into = 'own';
  client.on('notification', ({ payload }: { payload: string }) => seen[into].push(Number(payload)));
  const until = async (count: () => number) => {
    // As long as they come.
    for (let last = -1, end = performance.now() + 20_000; count() < many && performance.now() < end; ) {
      if (count() !== last) {
        last = count();
        end = performance.now() + 20_000;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  // At once, and by its own statement.
  await client.query('listen jobs');
  await client.query(`select pg_notify('jobs', i::text) from generate_series(1, $1::int) i`, [many]);
  await until(() => seen.own.length);
  // While it asks nothing.
  into = 'others';
  Atomics.store(shared, 0, 1);
  await until(() => seen.others.length);
  await client.query('unlisten jobs');
  client.removeAllListeners('notification');
  client.on('notice', ({ message }: { message: string }) => seen.notices.push(Number(message)));
  await client.query(`do $$ begin for i in 1 .. ${many} loop raise notice '%', i; end loop; end $$`);
  await until(() => seen.notices.length);
  return seen;
};

const all = Array.from({ length: MANY }, (_, index) => index + 1);
const CLIENTS = ['a connection', 'a client of pgClient'] as const;
const LENDING = ['auto', 'relayed', 'remote', undefined] as const;

test.each(LENDING.flatMap((lend) => CLIENTS.map((what) => [what, lend] as const)))('%s, lend %s', async (what, lend) => {
  const pool = await open({ max: 1, ...(lend === undefined ? {} : { lend }) });
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const isOwn = what !== 'a connection';
  const running =
    lend === undefined
      ? (async () => {
          const client: any = isOwn ? new (pgClient(pool))() : await pool.connect();
          if (isOwn) await client.connect();
          const seen = await program(client, flag, MANY);
          await (isOwn ? client.end() : client.release());
          return seen;
        })()
      : (await join(pool)).pg(
          async (p, { load, handle }, own, shared, code: string, many) => {
            const { pgClient: clients } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
            const client: any = own ? new (clients(handle as never))() : await p.connect();
            if (own) await client.connect();
            const seen = await new Function(`return (${code});`)()(client, shared, many);
            await (own ? client.end() : client.release());
            return seen;
          },
          isOwn,
          flag,
          String(program),
          MANY,
        );
  await until(() => Atomics.load(flag, 0) === 1);
  await ask(`select pg_notify('jobs', i::text) from generate_series(1, $1::int) i`, [MANY]);
  const seen = await settled(running, 120_000);
  expect(Object.fromEntries(Object.entries(seen as Record<string, number[]>).map(([name, { length }]) => [name, length]))).toEqual({
    own: MANY,
    others: MANY,
    notices: MANY,
  });
  expect(seen).toEqual({ own: all, others: all, notices: all });
});

test('what a connect listener asks meanwhile takes nothing away', async () => {
  const pool = await open({ max: 1, lend: 'remote' });
  const lent = gate();
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    pool.on('connect', async (client) => {
      await lent.promise;
      while (!isOver) await client.query('select 1');
      resolve();
    });
  });
  const count = new Int32Array(new SharedArrayBuffer(4));
  const thread = await join(pool);
  await thread.pg(async (p, { keep }, counted) => {
    const client = keep('client', await p.connect());
    const heard = keep<string[]>('heard', []);
    client.on('notification', ({ payload }: { payload: string }) => Atomics.store(counted, 0, heard.push(payload)));
    await client.query('listen jobs');
  }, count);
  lent.open();
  const told: string[] = [];
  for (let round = 1; round <= 50; round++) {
    await ask(`select pg_notify('jobs', i::text) from generate_series(1, 50) i`);
    told.push(...all.slice(0, 50).map(String));
    await until(() => Atomics.load(count, 0) === told.length);
  }
  isOver = true;
  await settled(over);
  const heard = await thread.pg((_, { kept }) => {
    kept<{ release(): void }>('client').release();
    return kept<string[]>('heard');
  });
  expect(heard).toEqual(told);
});

test('where no listener was there when it came, the first of it is kept for the next answer, and the rest is told of', async () => {
  const pool = await open({ max: 1 });
  const warned: (Error & { code?: string })[] = [];
  const note = (warning: Error): number => warned.push(warning);
  process.on('warning', note);
  const says = (): string => `do $$ begin for i in 1 .. 1500 loop raise notice '%', i; end loop; end $$`;
  const client = new (pgClient(pool))();
  await client.connect();
  await client.query(says());
  await new Promise((resolve) => setImmediate(resolve));
  expect(warned).toEqual([]);
  const heard: number[] = [];
  // It is asked before the listener is there, and answered after.
  const asked = client.query(says());
  client.on('notice', ({ message }) => heard.push(Number(message)));
  await asked;
  await until(() => warned.length > 0);
  process.off('warning', note);
  expect(heard).toEqual(all.slice(0, 1000));
  expect(warned).toMatchObject([{ code: 'CENOTE_PG_UNHEARD' }]);
  expect(warned[0].message).toMatch(/500 /);
  await client.end();
});
