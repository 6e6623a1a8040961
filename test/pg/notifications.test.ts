/** Notifications come in the order in which the server sends them, also on a connection that is asked things meanwhile. */
import { expect, test } from 'vitest';
import { ask, join, open } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

/** Runs on whichever thread. */
const program = async (client: any, shared: Int32Array) => {
  const payloads: number[] = [];
  client.on('notification', ({ payload }: { payload: string }) => payloads.push(Number(payload)));
  await client.query('listen ordered');
  Atomics.store(shared, 0, 1);
  const end = performance.now() + 60_000;
  for (let n = 0; payloads.length < 600 && performance.now() < end; n++) {
    if (n % 3 === 0) await client.query('select $1::int', [n]);
    else if (n % 3 === 1) await client.query('select pg_sleep(0.0005)');
    else await new Promise((resolve) => setImmediate(resolve));
  }
  const { rows } = await client.query("select 1 as a, '{2}'::int[] as b");
  return [payloads, rows];
};

test.each(
  (['auto', 'relayed', 'remote'] as const).flatMap((lend) => ['a connection', 'a client of pgClient'].map((what) => [what, lend] as const)),
)('in order, beside queries: %s, lend %s', async (what, lend) => {
  const pool = await open({ max: 1, lend });
  const thread = await join(pool);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const heard = thread.pg(
    async (p, { load, handle }, isOwn, shared, code) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const client: any = isOwn ? new (pgClient(handle as never))() : await p.connect();
      if (isOwn) await client.connect();
      const told = await new Function(`return (${code});`)()(client, shared);
      if (isOwn) await client.end();
      else client.release();
      return told;
    },
    what !== 'a connection',
    flag,
    String(program),
  );
  await until(() => Atomics.load(flag, 0) === 1);
  for (let n = 0; n < 600; n++) await ask('select pg_notify($1, $2)', ['ordered', String(n)]);
  expect(await heard).toEqual([Array.from({ length: 600 }, (_, n) => n), [{ a: 1, b: [2] }]]);
});
