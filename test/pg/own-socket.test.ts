/** Connections whose socket a borrowing thread has a descriptor of: it speaks there by itself, and the owner has no part in it. */
import { readdirSync, readlinkSync } from 'node:fs';
import type { PgOwnerPool } from 'cenote/pg';
import type pg from 'pg';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Descriptors } from '../../src/pg/driver/descriptors.ts';
import { closeDescriptor } from '../../src/pg/driver/parking-socket.ts';
import { Custody } from '../../src/pg/messages/custody.ts';
import type { Answer } from '../../src/pg/messages/protocol.ts';
import { ask, connections, join, killAll, newName, open, type PgThread, postgres } from '../support/postgres.ts';
import { goesOnMeanwhile } from '../support/sleeping-owner.ts';
import { rejection, settled, until } from '../support/wait.ts';

const { why } = Descriptors.find();
if (why !== undefined) console.log(`skipped, own sockets: ${why}`);
const own = test.skipIf(why !== undefined);

beforeAll(async () => {
  await postgres();
}, 120_000);

/** The calls of the owner's sessions, by name, that this pool's borrowers make from now on. */
function callsOf(pool: PgOwnerPool): string[] {
  const calls: string[] = [];
  pool.pool.on('create', (session) => {
    const methods = session as Record<string, (...args: unknown[]) => unknown>;
    for (const name of ['hello', 'run', 'once', 'begin', 'speak', 'speakOnce', 'reset', 'adopt', 'judge', 'fetch']) {
      const method = methods[name];
      Object.defineProperty(methods, name, {
        value: (...args: unknown[]) => {
          calls.push(name);
          return method.apply(session, args);
        },
      });
    }
  });
  return calls;
}

const pid = (thread: PgThread): Promise<number> =>
  thread.pg(async (p) => (await p.query('select pg_backend_pid() as pid')).rows[0].pid as number);

own('a thread asks for the socket once, and then speaks without the owner', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const calls = callsOf(pool);
  const thread = await join(pool);
  expect(await thread.pg((p) => ({ ...(p as never as { lending: object }).lending, over: (p as any).lending.over }))).toEqual({
    way: 'local',
    over: 'socket',
  });
  // Until a connection is made, and the owner has offered its socket.
  await until(async () => (await pid(thread)) > 0 && calls.includes('adopt'));
  // Once a second the owner reads idle sockets, and then the thread has to ask again; so there may be a few.
  calls.length = 0;
  const sum = await thread.pg(async (p) => {
    let all = 0;
    for (let n = 0; n < 50; n++) all += (await p.query('select $1::int as n', [n])).rows[0].n;
    await p.transaction(async (tx) => {
      for (let n = 0; n < 50; n++) all += (await tx.query('select $1::int as n', [n])).rows[0].n;
    });
    return all;
  });
  expect(sum).toBe(2450);
  expect(calls.filter((name) => name !== 'adopt')).toEqual([]);
  expect(calls.length).toBeLessThan(20);
});

own('queries and transactions go on while the owner’s thread computes', async () => {
  const pool = await open({ max: 2, min: 2, lend: 'auto' });
  const thread = await join(pool);
  // Once a second the owner takes back sockets that are parked. On a busy machine it may have done so just then, and the thread has to ask.
  await until(async () => {
    // Both connections are known to the thread.
    await thread.pg((p) => Promise.all([p.query('select pg_sleep(0.05)'), p.query('select pg_sleep(0.05)')]));
    return goesOnMeanwhile((flag) =>
      thread.pg(async (p, _, shared) => {
        Atomics.store(shared, 0, 1);
        for (let n = 0; n < 20; n++) await p.transaction((tx) => tx.query('select $1::int', [n]));
        await Promise.all([p.query('select 1'), p.query('select 2')]);
        Atomics.store(shared, 0, 2);
        Atomics.notify(shared, 0);
      }, flag),
    );
  });
});

own('what is set to a profile is spoken to on the socket as well: by clients of pgClient, and with a connect listener', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const calls = callsOf(pool);
  const thread = await join(pool);
  const byClient = await thread.pg(async (_, { load, handle }) => {
    const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
    const client = new (pgClient(handle as never))();
    await client.connect();
    await client.query("set my.own = 'client'");
    const seen = new Set<unknown>();
    for (let n = 0; n < 20; n++) seen.add((await client.query("select current_setting('my.own') as own")).rows[0].own);
    await client.end();
    return [...seen];
  });
  const byListener = await thread.pg(async (p) => {
    p.on('connect', (client) => void client.query("set my.own = 'listener'"));
    const seen = new Set<unknown>();
    for (let n = 0; n < 20; n++) seen.add((await p.query("select current_setting('my.own') as own")).rows[0].own);
    return [...seen];
  });
  expect([byClient, byListener]).toEqual([['client'], ['listener']]);
  // The owner has set the connection up, and been asked for it.
  expect(calls.filter((name) => name !== 'adopt').length).toBeLessThan(6);
  expect(calls.length).toBeLessThan(20);
});

own('what is parked in one profile is used in no other, whichever threads take turns', async () => {
  const pool = await open({ max: 2, lend: 'auto' });
  const threads = await Promise.all([join(pool), join(pool), join(pool)]);
  const seen = await Promise.all(
    threads.map((thread, index) =>
      thread.pg(async (p, { load, handle }, own) => {
        const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
        const Client = pgClient(handle as never);
        const values = [`${own}.a`, own === 0 ? `${own}.b` : 'shared'];
        const clients = values.map(() => new Client());
        await Promise.all(clients.map((client) => client.connect()));
        await Promise.all(clients.map((client, n) => client.query("select set_config('my.own', $1, false)", [values[n]])));
        const of = async (client: Pick<typeof p, 'query'>): Promise<unknown> =>
          (await client.query("select current_setting('my.own', true) as own")).rows[0].own || 'none';
        const all = new Set<string>();
        for (let round = 0; round < 30; round++) {
          const now = await Promise.all([of(clients[0] as never), of(clients[1] as never), of(p), of(p)]);
          all.add(now.join());
        }
        await Promise.all(clients.map((client) => client.end()));
        return [...all];
      }, index),
    ),
  );
  expect(seen).toEqual([['0.a,0.b,none,none'], ['1.a,shared,none,none'], ['2.a,shared,none,none']]);
  expect(await connections(pool.pool.name)).toBe(2);
});

own('what a borrower leaves is undone by the owner before the next borrower', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const left = await thread.pg(async (p) => {
    const of = async (client: { query(text: string): Promise<{ rows: any[] }> }) => (await client.query('show work_mem')).rows[0].work_mem;
    const first = await p.connect();
    const before = await of(first);
    await first.query("set work_mem = '5MB'");
    await first.query('begin');
    first.release();
    const second = await p.connect();
    const after = await of(second);
    const { rows } = await second.query('select now() = statement_timestamp() as is_alone');
    second.release();
    return [before === after, rows[0].is_alone];
  });
  expect(left).toEqual([true, true]);
  expect(await connections(pool.pool.name)).toBe(1);
});

own('a thread that dies in the middle of a query loses its connection, and the server is told to stop', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const before = await pid(thread);
  void thread.pg((p) => p.query('select pg_sleep(600)')).catch(() => {});
  const { name } = pool.pool;
  await until(
    async () => (await ask("select 1 from pg_stat_activity where application_name = $1 and query like '%pg_sleep(600)%'", [name])).length,
  );
  await thread.terminate();
  await until(async () => (await ask('select 1 from pg_stat_activity where pid = $1', [before])).length === 0);
  const next = await join(pool);
  expect(await pid(next)).not.toBe(before);
  expect(await connections(name)).toBe(1);
});

own('a thread that dies in a transaction leaves nothing of it', async () => {
  await ask('create table if not exists left_over (n int)');
  const pool = await open({ max: 1, lend: 'auto', orphans: 'release' });
  const thread = await join(pool);
  await pid(thread);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  void thread
    .pg(async (p, _, shared) => {
      await p.transaction(async (tx) => {
        await tx.query('insert into left_over values (1)');
        Atomics.store(shared, 0, 1);
        await new Promise(() => setInterval(() => {}, 1000));
      });
    }, flag)
    .catch(() => {});
  await until(() => Atomics.load(flag, 0) === 1);
  await thread.terminate();
  const next = await join(pool);
  expect(await next.pg(async (p) => (await p.query('select count(*)::int as n from left_over')).rows[0].n)).toBe(0);
});

/** A session on the owner, as borrowers call it. */
interface Owners {
  adopt(borrow: string, attachment: number, hasDescriptor: boolean): Promise<Answer>;
  hello(borrow: string): Promise<Answer>;
  reset(borrow: string): Promise<void>;
}

describe.each([false, true])(
  'what a thread has handed over in a transaction; a connect listener asks something before it goes on: %s',
  (asks) => {
    own('goes on for that thread only', async () => {
      const pool = await open({ max: 1, lend: 'auto' });
      let session!: Owners;
      pool.pool.on('create', (created) => {
        session = created as Owners;
      });
      let listener!: pg.PoolClient;
      pool.on('connect', (client) => {
        listener = client as never;
      });
      await pool.query('select 1');
      for (const [next, status] of [
        ['7:a:1', 'T'],
        ['8:b:1', 'I'],
        ['', 'I'],
      ] as const) {
        // A borrow before that one has asked for the socket, and has left it to the next of its thread.
        const { socket } = await session.adopt('7:a:0', 7, false);
        const custody = new Custody(socket!.custody);
        const { fd, pass } = socket!.descriptor!;
        expect([custody.accept(7), custody.claim(pass)]).toEqual([true, true]);
        closeDescriptor(fd);
        expect([custody.hand(7, { status: 'T', dirt: 0, isUndone: false, asksReadOnly: false })]).toEqual([true]);
        const asked = asks ? listener.query('select 1') : undefined;
        if (asks) await until(() => custody.state === 'OWNERS');
        expect((await session.hello(next)).status).toBe(status);
        await session.reset(next);
        await asked;
      }
    });
  },
);

own('a transaction is one, whatever a connect listener asks in its middle', async () => {
  await ask('create table meanwhile (n int)');
  const pool = await open({ max: 1, lend: 'auto' });
  let listener!: pg.PoolClient;
  pool.on('connect', (client) => {
    listener = client as never;
  });
  const thread = await join(pool);
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const done = thread.pg(async (p, _, shared) => {
    await p.transaction((tx) => tx.query('select 1'));
    await p.transaction(async (tx) => {
      await tx.query('insert into meanwhile values (1)');
      Atomics.store(shared, 0, 1);
      while (Atomics.load(shared, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      await tx.query({ name: 'named', text: 'insert into meanwhile values (2)' });
    });
  }, flags);
  await until(() => Atomics.load(flags, 0) === 1);
  const asked = listener.query('select 1');
  Atomics.store(flags, 1, 1);
  await done;
  await asked;
  expect(await ask('select n from meanwhile order by n')).toEqual([{ n: 1 }, { n: 2 }]);
});

own('a transaction that is given up while the socket is asked for settles, and the connection is of use', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  await pool.query('select 1');
  const thread = await join(pool);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const told = thread.pg(async (p, _, shared) => {
    Atomics.store(shared, 0, 1);
    // The owner is busy from here on, until this thread has given up.
    Atomics.wait(shared, 0, 1);
    const leaving = new AbortController();
    setTimeout(() => {
      leaving.abort(new Error('enough'));
      Atomics.store(shared, 0, 3);
      Atomics.notify(shared, 0);
    }, 50);
    return p.transaction((tx) => tx.query('select 1'), { signal: leaving.signal }).catch((error: Error) => error.message);
  }, flag);
  await until(() => Atomics.load(flag, 0) === 1);
  Atomics.store(flag, 0, 2);
  Atomics.notify(flag, 0);
  expect(Atomics.wait(flag, 0, 2, 30_000)).not.toBe('timed-out');
  expect(await told).toBe('enough');
  expect(await thread.pg(async (p) => (await p.query('select 2 as n')).rows[0].n)).toBe(2);
});

own('what the server says is not heard in the context of the code that happened to take the socket up first', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const heard = thread.pg(async (p, { load }) => {
    const { AsyncLocalStorage } = (await load('node:async_hooks')) as typeof import('node:async_hooks');
    const request = new AsyncLocalStorage<string>();
    // The first finds no connection; one of those that follow takes the socket up.
    await request.run('the first request', async () => {
      for (let n = 0; n < 5; n++) {
        await p.transaction((tx) => tx.query('select 1'));
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    });
    const client = (await p.connect()) as unknown as import('pg').Client & { release(): void };
    const asked = new Promise((resolve) => client.on('notification', () => resolve(request.getStore() ?? 'none')));
    await client.query('listen outside');
    try {
      return await asked;
    } finally {
      client.release();
    }
  });
  const told = settled(heard);
  const again = setInterval(() => void ask('notify outside').catch(() => {}), 50);
  onTestFinished(() => clearInterval(again));
  expect(await told).toBe('none');
});

own('a query that blocks comes behind those that were asked before it, and goes by the owner', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  await pid(thread);
  const order = await thread.pg((p) =>
    p.transaction(async (tx) => {
      await tx.query('create temp table steps (n int) on commit drop');
      const first = tx.query('insert into steps select 1 from pg_sleep(0.05)');
      const second = tx.query('insert into steps values (2)');
      const seen = p.querySync('select array_agg(n order by n) as all from steps').rows[0].all;
      await Promise.all([first, second]);
      await tx.query('insert into steps values (3)');
      return [seen, (await tx.query('select count(*)::int as n from steps')).rows[0].n];
    }),
  );
  expect(order).toEqual([[1, 2], 3]);
});

own('what this thread has under way does not keep a query from blocking for a connection', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  await pid(thread);
  const both = await thread.pg(async (p) => {
    const first = p.query('select 1 as n');
    const second = p.querySync('select 2 as n').rows[0].n;
    return [(await first).rows[0].n, second];
  });
  expect(both).toEqual([1, 2]);
});

own('an idle connection that the server ends is replaced, and its end is heard', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const before = await pid(thread);
  let removed = 0;
  pool.on('remove', () => removed++);
  await killAll(pool.pool.name);
  await until(() => removed === 1);
  expect(await pid(thread)).not.toBe(before);
});

own('a connection that is lost in the middle of a statement rejects it, and the next one has another', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const before = await pid(thread);
  const asked = rejection(thread.pg((p) => p.query('select pg_sleep(600)')));
  await until(async () => (await ask("select 1 from pg_stat_activity where pid = $1 and query like '%pg_sleep(600)%'", [before])).length);
  await killAll(pool.pool.name);
  expect(String(await asked)).toMatch(/terminat/i);
  expect(await pid(thread)).not.toBe(before);
});

own('a cancelled query ends, its connection stays, and what comes next is not hit', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const before = await pid(thread);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const asked = thread.pg(async (p, _, runs) => {
    const leaving = new AbortController();
    const looking = setInterval(() => void (Atomics.load(runs, 0) === 1 && leaving.abort(new Error('enough'))), 1);
    const why = await p
      .transaction((tx) => tx.query('select pg_sleep(600)'), { signal: leaving.signal })
      .catch((error: Error) => error.message);
    clearInterval(looking);
    const after = [];
    for (let n = 0; n < 20; n++) after.push((await p.query('select pg_sleep(0.001), $1::int as n', [n])).rows[0].n);
    return [why, after.length];
  }, flag);
  await until(
    async () =>
      (await ask("select 1 from pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep(600)%'", [before])).length,
  );
  Atomics.store(flag, 0, 1);
  expect(await asked).toEqual(['enough', 20]);
  expect(await pid(thread)).toBe(before);
});

own('types for which the owner’s program has parsers are parsed there', async () => {
  const { default: pg } = await import('pg');
  const before = pg.types.getTypeParser(1700);
  pg.types.setTypeParser(1700, (text: string) => `owner:${text}`);
  onTestFinished(() => pg.types.setTypeParser(1700, before));
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  for (let times = 0; times < 3; times++)
    expect(await thread.pg(async (p) => (await p.query('select 1.5::numeric as n, 2::int as i')).rows)).toEqual([{ n: 'owner:1.5', i: 2 }]);
});

own('more queries than there are connections go by the owner, which has the threads take turns', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const thread = await join(pool);
  const results = await thread.pg(async (p) => {
    const text = 'select 100 / $1::int as n';
    for (let times = 0; times < 20; times++) await p.query(text, [1]);
    const all = await Promise.allSettled(Array.from({ length: 60 }, (_, n) => p.query(text, [n % 7])));
    return all.map((each) => (each.status === 'fulfilled' ? each.value.rows[0].n : (each.reason as { code: string }).code));
  });
  expect(results).toEqual(Array.from({ length: 60 }, (_, n) => (n % 7 === 0 ? '22012' : Math.trunc(100 / (n % 7)))));
});

own('connections with TLS or without a descriptor go by the owner', async () => {
  const pool = await open({ max: 1, lend: 'relayed' });
  const calls = callsOf(pool);
  const thread = await join(pool);
  expect(await thread.pg((p) => (p as any).lending.over)).toBe('owner');
  await pid(thread);
  expect(calls).toContain('speakOnce');
  expect(calls).not.toContain('adopt');
});

/** Milliseconds: what is quick takes less, though its thread may pause. */
const LIMIT = 5000;

own('a time limit holds for what the thread asks by itself, and costs the connection', async () => {
  const pool = await open({ max: 1, lend: 'auto', name: newName(), settings: { query_timeout: LIMIT } });
  const thread = await join(pool);
  const before = await pid(thread);
  const error = await rejection(thread.pg((p) => p.query('select pg_sleep(600)')));
  expect(String(error)).toMatch(/timeout/i);
  expect(await pid(thread)).not.toBe(before);
  await until(async () => (await ask('select 1 from pg_stat_activity where pid = $1', [before])).length === 0);
});

own('queries that find no connection idle are served while the owner’s thread computes, and threads take turns', async () => {
  const pool = await open({ max: 2, lend: 'auto' });
  let looks = 0;
  pool.pool.on('create', (created) => {
    const session = created as { recall(): void };
    const recall = session.recall.bind(session);
    session.recall = () => {
      looks++;
      recall();
    };
  });
  const threads = await Promise.all([join(pool), join(pool), join(pool)]);
  const go = new Int32Array(new SharedArrayBuffer(4));
  const text = 'select $1::int as n, pg_backend_pid() as pid';
  // Each thread has had each of the two sockets, and the owner has not looked at them since: it does once a second.
  const acquaint = async (): Promise<void> => {
    looks = 0;
    for (const thread of threads)
      await until(() =>
        thread.pg(async (p, _, query) => {
          const rows = await Promise.all(Array.from({ length: 8 }, async (_, n) => (await p.query(query, [n])).rows[0]));
          return new Set(rows.map(({ pid }) => pid)).size === 2;
        }, text),
      );
    // What the owner has begun before is done.
    await new Promise((resolve) => setImmediate(resolve));
  };
  const asked = threads.map((thread) =>
    thread.pg(
      async (p, { tell }, query, word) => {
        tell('ready');
        // The owner computes by then.
        while (Atomics.load(word, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        const rows = await Promise.all(Array.from({ length: 60 }, async (_, n) => (await p.query(query, [n])).rows[0].n));
        Atomics.add(word, 0, 1);
        return rows;
      },
      text,
      go,
    ),
  );
  await until(() => threads.every(({ told }) => told.includes('ready')));
  do await acquaint();
  while (looks > 0);
  Atomics.store(go, 0, 1);
  const end = performance.now() + 30_000;
  while (Atomics.load(go, 0) < 1 + threads.length && performance.now() < end);
  expect(Atomics.load(go, 0)).toBe(1 + threads.length);
  expect(await Promise.all(asked)).toEqual(threads.map(() => Array.from({ length: 60 }, (_, n) => n)));
  // Threads give back after they have their answers.
  await until(() => pool.pool.activeCount() === 0);
  expect(pool.pool.stats()).toMatchObject({ waiting: 0, active: 0 });
});

own('an answer for which the owner is asked about a type is not overtaken by the next on its connection', async () => {
  const pool = await open({ max: 1, min: 1, lend: 'auto' });
  const thread = await join(pool);
  const orders = await thread.pg(async (p) => {
    const seen: number[][] = [];
    for (const type of ['pg_lsn', 'xid8', 'tsquery', 'macaddr8']) {
      const client = await p.connect();
      const order: number[] = [];
      const value = { pg_lsn: '1/1', xid8: '1', tsquery: 'a', macaddr8: '08:00:2b:01:02:03:04:05' }[type];
      const first = client.query(`select '${value}'::${type} as a`).then(() => order.push(1));
      const second = client.query('select 2 as a').then(() => order.push(2));
      const third = client.query('select nowhere').catch(() => order.push(3));
      await Promise.all([first, second, third]);
      client.release();
      seen.push(order);
    }
    return seen;
  });
  expect(orders).toEqual(Array.from({ length: 4 }, () => [1, 2, 3]));
});

/** Of this process, which the threads share. */
const openSockets = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // It was the one that has read the folder.
      return false;
    }
  }).length;

test.skipIf(why !== undefined || process.platform !== 'linux')(
  'a thread that dies before it has heard that it got a socket leaves no descriptor open',
  async () => {
    await ask('select 1');
    const before = openSockets();
    const pool = await open({ max: 1, lend: 'auto' });
    let thread: PgThread;
    let given = 0;
    pool.pool.on('create', (created) => {
      const session = created as Owners;
      const adopt = session.adopt.bind(session);
      session.adopt = async (...args) => {
        const answer = await adopt(...args);
        if (answer.socket?.descriptor !== undefined) given++;
        await thread.terminate();
        return answer;
      };
    });
    await pool.query('select 1');
    for (let round = 1; round <= 4; round++) {
      thread = await join(pool);
      void thread.pg((p) => p.connect().then(() => {})).catch(() => {});
      await until(() => given === round);
      await until(() => pool.pool.activeCount() === 0);
    }
    await pool.query('select 1');
    await pool.pool.close();
    await until(() => openSockets() <= before);
  },
);
