/** On one connection everything runs in the order of the calls, whatever kind they are and whatever object they are made on. */
import fc from 'fast-check';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, join, on, open, type PgScope, postgres, WHERE } from '../support/postgres.ts';
import { settled, sleep, until } from '../support/wait.ts';

/** Ways to ask for the next number of a sequence: each answer tells when its statement ran. */
const KINDS = ['text', 'config', 'values', 'named', 'callback', 'Query', 'extended Query', 'Cursor', 'QueryStream', 'iterate'] as const;
/** They run nothing, or fail, and are not to disturb what is around them. */
const FAULTS = ['no query', 'value that cannot be sent', 'COPY', 'Query that COPYs', 'failing iterate'] as const;
const BLOCKING = ['querySync', 'transactionSync'] as const;

type Step =
  | { readonly do: (typeof KINDS)[number] | (typeof FAULTS)[number] | (typeof BLOCKING)[number]; readonly on: number }
  /** One more client of the scope's connection; or the last one goes, whatever it still has under way. */
  | { readonly do: 'connect' | 'release'; readonly on: 0 }
  | { readonly do: 'await microtasks' | 'await turn' | 'await all'; readonly on: number }
  | { readonly do: 'transaction' | 'awaited transaction'; readonly on: number; readonly steps: readonly Step[] };

interface Program {
  readonly inside: 'scope' | 'transaction';
  /** So many of the two connections are somebody else's. With both of them, one is given back soon. */
  readonly taken: number;
  readonly steps: readonly Step[];
}

interface Seen {
  /** Statements in the order of their calls. */
  readonly called: readonly number[];
  /** Those that were answered, in the order in which the server ran them. */
  readonly ran: readonly number[];
  /** What was refused, as it would have waited for this thread. */
  readonly refused: number;
  /** What those said that should have been answered, and were not. */
  readonly lost: readonly string[];
  readonly pids: number;
}

/** Runs on a thread, and sees no variable of the test. */
async function play(
  pool: PgScope['pg'],
  { load }: { load(name: string): Promise<any> },
  program: Program,
  sequence: string,
): Promise<Seen> {
  const { default: Cursor } = await load('pg-cursor');
  const { default: QueryStream } = await load('pg-query-stream');
  const { Query } = (await load('pg')).default;
  const text = `select nextval('${sequence}')::int as at, pg_backend_pid() as pid`;
  const called: number[] = [];
  const answers: { n: number; at: number; pid: number }[] = [];
  const lost: string[] = [];
  let streams = 0;
  let transactions = 0;
  let refused = 0;
  let n = 0;
  const streaming = async (row: Promise<unknown>): Promise<any> => {
    streams++;
    return row.finally(() => streams--);
  };

  /** Ends when everything that it has asked is through. */
  async function run(steps: readonly Step[], tx: any): Promise<void> {
    const clients: any[] = [];
    const pending = new Set<Promise<unknown>>();
    const track = (promise: Promise<unknown>): void => {
      const over: Promise<unknown> = promise.catch(() => {}).then(() => pending.delete(over));
      pending.add(over);
    };
    const all = async (): Promise<void> => {
      while (pending.size > 0) await Promise.all(pending);
    };
    /** A call that has to be answered with a row. */
    const expectRow = (kind: string, row: Promise<any>): void => {
      const mine = ++n;
      called.push(mine);
      track(
        row.then(
          ({ at, pid }) => answers.push({ n: mine, at, pid }),
          (error) => lost.push(`${kind}: ${error.message}`),
        ),
      );
    };
    for (const step of steps) {
      const targets = [pool, ...(tx === undefined ? [] : [tx]), ...clients];
      const target = targets[step.on % targets.length];
      // Those objects are not for the pool.
      const client = target === pool ? (tx ?? clients[0]) : target;
      const kind = step.do;
      switch (kind) {
        case 'text':
          expectRow(
            kind,
            target.query(text).then(({ rows }: any) => rows[0]),
          );
          break;
        case 'config':
          expectRow(
            kind,
            target.query({ text, rowMode: 'array' }).then(({ rows: [[at, pid]] }: any) => ({ at, pid })),
          );
          break;
        case 'values':
          expectRow(
            kind,
            target.query(`${text}, $1::text`, ['x']).then(({ rows }: any) => rows[0]),
          );
          break;
        case 'named':
          expectRow(
            kind,
            target.query({ name: 'named', text }).then(({ rows }: any) => rows[0]),
          );
          break;
        case 'callback':
          expectRow(
            kind,
            new Promise((resolve, reject) =>
              target.query(text, (error: any, result: any) => (error ? reject(error) : resolve(result.rows[0]))),
            ),
          );
          break;
        case 'Query':
        case 'extended Query': {
          if (client === undefined) break;
          const query = client.query(new Query(kind === 'Query' ? text : { text, queryMode: 'extended' }));
          expectRow(
            kind,
            new Promise((resolve, reject) => {
              query.on('row', resolve);
              query.on('error', reject);
            }),
          );
          break;
        }
        case 'Cursor': {
          if (client === undefined) break;
          const cursor = client.query(new Cursor(text));
          expectRow(
            kind,
            streaming(
              cursor.read(1).then(async ([row]: any) => {
                await cursor.close();
                return row;
              }),
            ),
          );
          break;
        }
        case 'QueryStream': {
          if (client === undefined) break;
          const stream = client.query(new QueryStream(text));
          expectRow(
            kind,
            streaming(
              (async () => {
                let last: unknown;
                for await (const row of stream) last = row;
                return last;
              })(),
            ),
          );
          break;
        }
        case 'iterate': {
          const rows = pool.iterate(text);
          expectRow(
            kind,
            rows.next().then(async ({ value }) => {
              await rows.next();
              return value;
            }),
          );
          break;
        }
        case 'no query':
          track(target.query(undefined));
          break;
        case 'value that cannot be sent':
          track(target.query('select $1::text', [{ toPostgres: () => () => {} }]));
          break;
        case 'COPY':
          track(target.query({ text: 'copy pg_class from stdin', queryMode: 'extended' }));
          break;
        case 'Query that COPYs': {
          if (client === undefined) break;
          const query = client.query(new Query({ text: 'copy pg_class from stdin', queryMode: 'extended' }));
          track(new Promise((resolve) => query.on('error', resolve)));
          break;
        }
        case 'failing iterate':
          track(pool.iterate('copy pg_class from stdin').next());
          break;
        case 'querySync':
        case 'transactionSync': {
          const mine = ++n;
          called.push(mine);
          try {
            const { rows } = kind === 'querySync' ? pool.querySync(text) : pool.transactionSync((inner) => inner.query(text));
            answers.push({ n: mine, ...(rows[0] as any) });
          } catch (error: any) {
            // What would wait for this thread is refused.
            const wouldWait = streams > 0 || (kind === 'transactionSync' && transactions > 0);
            if (wouldWait && /would wait for this thread/.test(error.message)) refused++;
            else lost.push(`${kind}: ${error.message}`);
          }
          break;
        }
        case 'connect':
          clients.push(await pool.connect());
          break;
        case 'release':
          clients.pop()?.release();
          break;
        case 'await microtasks':
          for (let i = 0; i <= step.on; i++) await undefined;
          break;
        case 'await turn':
          await new Promise(setImmediate);
          break;
        case 'await all':
          await all();
          break;
        case 'transaction':
        case 'awaited transaction': {
          transactions++;
          const done = pool.transaction((inner) => run(step.steps, inner)).finally(() => transactions--);
          if (kind === 'awaited transaction') await done;
          else track(done.catch((error) => lost.push(`transaction: ${error.message}`)));
          break;
        }
      }
    }
    for (const client of clients) client.release();
    await all();
  }

  if (program.inside === 'scope') await pool.scope(() => run(program.steps, undefined));
  else await pool.transaction((tx) => run(program.steps, tx));
  const ran = answers.sort((one, other) => one.at - other.at).map((answer) => answer.n);
  return { called, ran, refused, lost, pids: new Set(answers.map(({ pid }) => pid)).size };
}

const leaf = (kinds: readonly string[]): fc.Arbitrary<Step> =>
  fc.record({ do: fc.constantFrom(...kinds), on: fc.nat(5) }) as unknown as fc.Arbitrary<Step>;
const AROUND = ['connect', 'release', 'await microtasks', 'await turn', 'await all'];

function programs(blocking: readonly string[], faults: readonly string[]): fc.Arbitrary<Program> {
  const plain = fc.oneof(
    { arbitrary: leaf(KINDS), weight: 8 },
    { arbitrary: leaf(AROUND), weight: 4 },
    ...(blocking.length > 0 ? [{ arbitrary: leaf(blocking), weight: 2 }] : []),
    ...(faults.length > 0 ? [{ arbitrary: leaf(faults), weight: 1 }] : []),
  );
  const nested = (within: fc.Arbitrary<Step>): fc.Arbitrary<Step> =>
    fc.record({
      do: fc.constantFrom('transaction' as const, 'awaited transaction' as const),
      on: fc.constant(0),
      steps: fc.array(within, { maxLength: 5 }),
    });
  const inner = fc.oneof({ arbitrary: plain, weight: 6 }, { arbitrary: nested(plain), weight: 1 });
  const step = fc.oneof({ arbitrary: plain, weight: 6 }, { arbitrary: nested(inner), weight: 1 });
  return fc.record({
    inside: fc.constantFrom('scope' as const, 'transaction' as const),
    taken: fc.nat(2),
    steps: fc.array(step, { minLength: 2, maxLength: 12 }),
  });
}

function expectOrder({ called, ran, refused, lost, pids }: Seen, program: Program): void {
  expect(lost).toEqual([]);
  expect(ran).toEqual(called.filter((n) => ran.includes(n)));
  expect(ran.length + refused).toBe(called.length);
  if (program.inside === 'transaction') expect(pids).toBeLessThanOrEqual(1);
}

const SEED = Number(process.env.ORDER_SEED ?? Date.now() & 0x7fffffff);
const RUNS = Number(process.env.ORDER_RUNS ?? 150);

beforeAll(async () => {
  await ask('create sequence places');
}, 120_000);

describe.each(WHERE)('on %s', (where) => {
  test(`calls of all kinds run in the order in which they were made (seed ${SEED})`, async () => {
    const pool = await open({ max: 2 });
    const run = await on(where, pool);
    await fc.assert(
      fc.asyncProperty(programs(where === 'a worker' ? BLOCKING : [], FAULTS), async (program) => {
        const others = await Promise.all(Array.from({ length: program.taken }, () => pool.connect()));
        const seen = run(play, program, 'places');
        if (program.taken === 2) {
          await sleep(2);
          others.pop()!.release();
        }
        try {
          expectOrder(await settled(seen), program);
        } finally {
          for (const other of others) other.release();
        }
      }),
      { seed: SEED, numRuns: RUNS },
    );
  }, 300_000);

  test('what a client asked before it was released may keep the connection for its scope', async () => {
    const run = await on(where, await open({ max: 2 }));
    const seen = await run((pool) =>
      pool.scope(async () => {
        const client = await pool.connect();
        const begun = client.query('begin');
        client.release();
        const { rows } = await pool.query('select now() = statement_timestamp() as alone');
        await begun;
        const status = (await pool.connect()).getTransactionStatus();
        return [rows, status];
      }),
    );
    expect(seen).toEqual([[{ alone: false }], 'T']);
  });

  test('a transaction that is asked for behind a BEGIN that is still on its way is a savepoint', async () => {
    const table = `behind_${where.length}`;
    await ask(`create table ${table} (a int)`);
    const run = await on(where, await open({ max: 2 }));
    await run(
      (pool, _, name) =>
        pool.scope(async () => {
          const begun = pool.query('begin');
          await pool.transaction((tx) => tx.query(`insert into ${name} values (1)`));
          await begun;
          await pool.query('rollback');
        }),
      table,
    );
    expect(await ask(`select a from ${table}`)).toEqual([]);
  });

  test('a transaction whose body does not wait for one within it is rolled back, and the inner one ends with it', async () => {
    const table = `orphan_${where.length}`;
    await ask(`create table ${table} (a int)`);
    const run = await on(where, await open({ max: 2 }));
    const seen = await run(
      (pool, _, name) =>
        pool.scope(async () => {
          const told: string[] = [];
          let inner: Promise<unknown> | undefined;
          let ended = (): void => {};
          const outerEnds = new Promise<void>((resolve) => {
            ended = resolve;
          });
          const outer = pool.transaction(async () => {
            const begun = new Promise<void>((resolve) => {
              inner = pool
                .transaction(async (tx) => {
                  await tx.query(`insert into ${name} values (0)`);
                  resolve();
                  await outerEnds;
                  const late = [tx.query(`insert into ${name} values (1)`), pool.query(`insert into ${name} values (2)`)];
                  for (const query of late) await query.then(String, (error) => told.push(error.message));
                })
                .catch((error) => told.push(error.message));
            });
            await begun;
          });
          await outer.catch((error) => told.push(error.message));
          ended();
          await inner;
          await pool.query(`insert into ${name} values (3)`);
          return told;
        }),
      table,
    );
    const late = expect.stringContaining('this transaction is over');
    expect(seen).toEqual([expect.stringContaining('had not ended when its body returned'), late, late, late]);
    expect(await ask(`select a from ${table}`)).toEqual([{ a: 3 }]);
  });
});

describe('blocking, on a worker', () => {
  test('a blocking query comes behind what waits for the connection of its scope, wherever that waits', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    await ask('create sequence blocked');
    for (const taken of [false, true]) {
      const other = taken ? await pool.connect() : undefined;
      const seen = worker.pg((remote) =>
        remote.scope(async () => {
          const text = `select nextval('blocked')::int as at`;
          const first = remote.query(text);
          const connecting = remote.connect();
          const second = remote.query(text);
          const third = remote.querySync(text).rows[0].at;
          const fourth = remote.query(text);
          (await connecting).release();
          return [(await first).rows[0].at, (await second).rows[0].at, third, (await fourth).rows[0].at];
        }),
      );
      if (taken) {
        await until(() => pool.waitingCount > 0);
        other!.release();
      }
      const [first, ...rest] = await settled(seen);
      expect(rest.map((at) => at - first)).toEqual([1, 2, 3]);
    }
    await until(() => pool.pool.activeCount() === 0);
  });

  test('what would wait for this thread is refused, and what ends by itself is not', async () => {
    const worker = await join(await open({ max: 1 }));
    const seen = await worker.pg((pool, { load }) =>
      pool.transaction(async (tx) => {
        const { default: Cursor } = (await load('pg-cursor')) as any;
        const { Query } = ((await load('pg')) as any).default;
        const text = `select current_setting('my.own', true) as a`;
        const heard: unknown[] = [];
        const say = (body: () => unknown) => {
          try {
            heard.push(body());
          } catch (error) {
            heard.push((error as Error).message);
          }
        };
        const blocking = () => pool.querySync(text).rows[0].a;
        (tx as any).query(new Query(`set my.own = 'query'`));
        say(blocking);
        const cursor = (tx as any).query(new Cursor(`select set_config('my.own', 'cursor', false)`));
        say(blocking);
        say(() => pool.transactionSync(() => 0));
        await cursor.read(1);
        const closing = cursor.close();
        say(blocking);
        await closing;
        const beside = pool.transaction(() => new Promise((resolve) => setTimeout(resolve, 5)));
        say(() => pool.transactionSync(() => 0));
        say(blocking);
        await beside;
        say(() => pool.transactionSync(() => 'now'));
        return heard;
      }),
    );
    const cursor = expect.stringMatching(/^a cursor or stream is open on this connection, and would wait for this thread/);
    const beside = expect.stringMatching(/^a transaction of this thread is under way in this scope, and would wait for this thread/);
    expect(seen).toEqual(['query', cursor, cursor, 'cursor', beside, 'cursor', 'now']);
  });
});

test('so does pg, which is what they are measured by', async () => {
  const client = new pg.Client({ connectionString: (await postgres()).url });
  await client.connect();
  const same: object = {
    query: client.query.bind(client),
    connect: async () => ({ query: client.query.bind(client), release: () => {} }),
    scope: (body: () => unknown) => body(),
    transaction: (body: (tx: unknown) => unknown) => body(client),
    async *iterate(text: string) {
      yield (await client.query(text)).rows[0];
    },
  };
  try {
    await fc.assert(
      fc.asyncProperty(programs([], []), async (program) => {
        const load = (name: string): Promise<unknown> => import(name);
        expectOrder(await settled(play(same as PgScope['pg'], { load }, program, 'places')), program);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  } finally {
    await client.end();
  }
}, 300_000);
