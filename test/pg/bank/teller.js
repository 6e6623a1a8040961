// A thread that moves money about, in every way the pool has, and now and then forgets itself. It is told to stop, to leave, or to die.
import { parentPort, workerData } from 'node:worker_threads';
import { attachPgPool } from 'cenote/pg/worker';
import { Random } from './random.js';

/** What another thread may have told this one in its word. */
const ORDERS = { stop: 1, exit: 2, throw: 3, leave: 4 };

const { handle, seed, accounts, total, orders, seat } = workerData;
const random = new Random(seed);
let pool;
let wrong;

const pick = () => 1 + random.below(accounts);
const ordered = () => Atomics.load(orders, seat);
const add = (by, id, amount) => by.query('update account set balance = balance + $1 where id = $2', [amount, id]);
const book = (by, id, amount) => by.query('insert into entry values ($1, $2)', [id, amount]);

/** From one account to another, two statements each: anything that tears this apart shows in the sum or in the books. */
async function move(by) {
  const [from, to, amount] = [pick(), pick(), 1 + random.below(50)];
  await add(by, from, -amount);
  await book(by, from, -amount);
  await add(by, to, amount);
  await book(by, to, amount);
}

/** How long this thread may block for a connection and its answers, in ms: its other lanes hold some, and cannot give them back meanwhile. */
const BLOCKED = 200;
/** A thread that blocked for so long has given up: in line, or, on a busy machine, while it slept for an answer. */
const GIVEN_UP = new Set(['ERR_POOL_ACQUIRE_TIMEOUT', 'ERR_POOL_CALL_TIMEOUT']);

class ChangedMind extends Error {}

function assertTotal(found, how) {
  if (Number(found) !== total) wrong ??= `the sum was ${found}, not ${total}, seen by ${how}`;
}

const WAYS = {
  async transaction() {
    await pool.transaction((tx) => move(tx), { isolation: random.pick([undefined, 'repeatable read', 'serializable']), retries: 50 });
  },
  async ambient() {
    await pool.transaction(async () => {
      await move(pool);
      const client = await pool.connect();
      await move(client);
      client.release();
    });
  },
  async raw() {
    await pool.scope(async () => {
      await pool.query('begin');
      await move(pool);
      await pool.query(random.pick(['commit', 'commit', 'rollback']));
    });
  },
  async forgotten() {
    await pool.scope(async () => {
      await pool.query('begin');
      await pool.query(`set my.leak = 'forgotten'`);
      await add(pool, pick(), 1000);
      // Neither COMMIT nor ROLLBACK.
    });
  },
  async halfway() {
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query('select pg_advisory_lock($1)', [pick()]);
      await add(client, pick(), -1000);
    } finally {
      client.release(random.chance(0.2));
    }
  },
  async savepoints() {
    await pool.transaction(async (tx) => {
      await move(tx);
      await pool
        .transaction(async () => {
          await add(pool, pick(), 5000);
          if (random.chance(0.5)) throw new ChangedMind();
          await pool.query('select 1 / 0');
        })
        .catch((error) => {
          if (!(error instanceof ChangedMind) && error.code !== '22012') throw error;
        });
      await pool.transaction(() => move(pool));
    });
  },
  blocking() {
    pool.transactionSync(
      (tx) => {
        const [from, to, amount] = [pick(), pick(), 1 + random.below(50)];
        for (const [id, change] of [
          [from, -amount],
          [to, amount],
        ]) {
          tx.query('update account set balance = balance + $1 where id = $2', [change, id]);
          tx.query('insert into entry values ($1, $2)', [id, change]);
        }
        if (random.chance(0.2)) throw new ChangedMind();
      },
      { retries: 50, timeout: BLOCKED },
    );
  },
  async count() {
    await pool.transaction(
      async (tx) => {
        let sum = 0;
        for await (const { id, balance } of pool.iterate('select id, balance from account order by id', [], { batchSize: 7 })) {
          sum += balance;
          if (id % 10 === 0) await tx.query('select 1');
        }
        assertTotal(sum, 'a cursor');
      },
      { isolation: 'repeatable read', readOnly: true },
    );
  },
  async leaveLoop() {
    for await (const { id } of pool.iterate('select id from account', [], { batchSize: 3 })) if (id > random.below(20)) break;
  },
  async sum() {
    assertTotal((await pool.query('select sum(balance) as sum from account')).rows[0].sum, 'a query');
  },
  sumSync() {
    assertTotal(pool.querySync('select sum(balance) as sum from account', [], { timeout: BLOCKED }).rows[0].sum, 'a blocking query');
  },
  async cancelled() {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new ChangedMind()), random.below(20));
    try {
      await pool.transaction(
        async (tx) => {
          await add(tx, pick(), 700);
          await tx.query('select pg_sleep(0.05)');
          throw new ChangedMind();
        },
        { signal: abort.signal },
      );
    } finally {
      clearTimeout(timer);
    }
  },
  async leak() {
    await pool.query(`select set_config('my.leak', 'plain', false), pg_advisory_lock($1)`, [pick()]);
  },
  async noLeak() {
    const { rows } = await pool.query(
      `select nullif(current_setting('my.leak', true), '') as leak,
        (select count(*)::int from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks`,
    );
    if (rows[0].leak !== null || rows[0].locks !== 0) wrong ??= `found what another borrower had left: ${JSON.stringify(rows[0])}`;
  },
};
const NAMES = Object.keys(WAYS);

/** Killed, cancelled, deadlocked, beaten: what this test itself brings about. */
const EXPECTED = new Set(['57P01', '57014', '40001', '40P01', '25P02', '55P03', 'EPIPE', 'ECONNRESET', 'ERR_PG_ROLLED_BACK']);
const isExpected = (error) =>
  error instanceof ChangedMind ||
  EXPECTED.has(error.code) ||
  /^Connection terminated|not queryable|^terminating connection|given back to the pool/.test(error.message);

async function work() {
  while (ordered() === 0 && wrong === undefined) {
    const name = random.pick(NAMES);
    try {
      await WAYS[name]();
      parentPort.postMessage({ did: name });
    } catch (error) {
      parentPort.postMessage({ did: `met ${error.code ?? error.constructor.name}` });
      const hasGivenUp = GIVEN_UP.has(error.code) && (name === 'blocking' || name === 'sumSync');
      if (!isExpected(error) && !hasGivenUp) wrong ??= `${name}: ${error.stack}`;
    }
    if (random.chance(0.2)) await new Promise(setImmediate);
  }
}

/** Not at the top level: Node 20 crashes when a thread is terminated as a module with an await there begins. */
async function main() {
  pool = await attachPgPool(handle);
  const lanes = Promise.all([work(), work(), work()]);
  const watching = setInterval(() => {
    if (ordered() === ORDERS.exit) process.exit(7);
    if (ordered() === ORDERS.throw) throw new Error('bank: a thread that was told to die');
  }, 5);
  await lanes;
  if (ordered() === ORDERS.exit || ordered() === ORDERS.throw) await new Promise(() => {});
  clearInterval(watching);
  // Whoever asks again is served: each try may meet one of the connections that are being killed.
  for (let tries = 1; ; tries++) {
    try {
      await pool.query('select 1');
      break;
    } catch (error) {
      if (!isExpected(error) || tries === 10) throw error;
    }
  }
  if (ordered() === ORDERS.leave) await pool.end();
  parentPort.postMessage({ wrong });
}

main();
