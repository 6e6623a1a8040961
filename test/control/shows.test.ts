/** A whole deploy under load: everything replaced, another size, the server restarted, and no request of four threads fails. */
import { expect, test } from 'vitest';
import { ask, connections, join, newName, open, postgres } from '../support/postgres.ts';
import { settled, until } from '../support/wait.ts';

test('recycle, resize, suspend until empty, a restart, and on: no request fails', async () => {
  const server = await postgres();
  const name = newName();
  const pool = await open({ name, min: 1, max: 4, ceiling: 8 });
  await ask('create table served (thread int, n int)');
  const threads = await Promise.all([join(pool), join(pool), join(pool), join(pool)]);
  const done = threads.map((thread, index) =>
    thread.pg(async (remote, { flags }, index) => {
      let rounds = 0;
      while (Atomics.load(flags, 0) === 0) {
        const all = Array.from({ length: 3 }, () => remote.query('select $1::int + 1 as n', [rounds]));
        const tx = remote.transaction((tx) => tx.query('insert into served values ($1, $2)', [index, rounds]));
        for (const { rows } of await Promise.all(all)) if (rows[0].n !== rounds + 1) throw new Error(`${rows[0].n} for ${rounds}`);
        await tx;
        if (remote.querySync('select 1 as one').rows[0].one !== 1) throw new Error('not one');
        flags[1] = ++rounds;
      }
      return rounds;
    }, index),
  );
  const failed = Promise.race(done).then(
    () => {
      throw new Error('a thread has ended');
    },
    (error: unknown) => {
      throw error;
    },
  );
  failed.catch(() => {});
  const steer = async (): Promise<void> => {
    await until(() => threads.every(({ flags }) => flags[1] > 2));
    const before: number[] = (await ask('select pid from pg_stat_activity where application_name = $1', [name])).map(({ pid }) => pid);
    expect(await pool.pool.recycle()).toBeGreaterThan(0);
    expect(await ask('select pid from pg_stat_activity where pid = any($1)', [before])).toEqual([]);
    for (const max of [8, 2]) {
      await pool.pool.resize({ max });
      expect(await connections(name)).toBeLessThanOrEqual(max);
    }
    const suspension = await pool.pool.suspend({ label: 'restart', until: 'empty' });
    expect(await connections(name)).toBe(0);
    await server.down();
    await server.up();
    const seen = threads.map(({ flags }) => flags[1]);
    suspension.resume();
    await until(() => threads.every(({ flags }, index) => flags[1] > seen[index] + 2));
    expect(await connections(name)).toBeLessThanOrEqual(2);
  };
  // Each step has bounds of its own.
  await settled(Promise.race([steer(), failed]), 240_000);
  for (const thread of threads) thread.raise(0);
  const rounds = await settled(Promise.all(done));
  // What was committed is there, once each, through the restart, too.
  const counts = await ask('select thread, count(*)::int as n, count(distinct n)::int as each from served group by thread order by thread');
  expect(counts).toEqual(rounds.map((n, thread) => ({ thread, n, each: n })));
});
