/**
 * A bank: four threads move money over one pool while backends and threads are killed and queries cancelled at random. Whatever breaks, the sum stays, each
 * account is what its entries say, nothing is left behind on the server, and there are never more connections than `max`.
 */
import { Worker } from 'node:worker_threads';
import { createPgPool, type PgOwnerPool } from 'cenote/pg';
import pg from 'pg';
import { Random } from '../../soak/random.ts';
import { sleep, until } from '../../support/wait.ts';

export interface BankOptions {
  /** Of an empty database. */
  readonly url: string;
  readonly seed: number;
  /** Milliseconds. */
  readonly duration: number;
  readonly interrupted?: () => boolean;
}

export interface BankReport {
  /** Empty if all went well. */
  readonly failures: string[];
  /** What was done, what was met, what was broken: how often. */
  readonly figures: Record<string, number>;
}

const SEATS = 4;
const ACCOUNTS = 20;
const TOTAL = ACCOUNTS * 1000;
const MAX = 4;
const ORDERS = { stop: 1, exit: 2, throw: 3, leave: 4 };
/** Without each of these it would prove nothing: a machine with other work gets so much longer, in ms. */
export const NEEDED = ['transaction', 'raw', 'savepoints', 'blocking', 'count', 'pg_terminate_backend', 'pg_cancel_backend'];
const SLOWEST = 240_000;
/** Nobody waits longer than this for his turn, in ms: a thread that does nothing for so long is not served. */
const STARVED = 30_000;

export const describe = ({ figures }: BankReport): string =>
  Object.entries(figures)
    .map(([name, n]) => `${name} ${n}`)
    .join(', ');

export async function bank({ url, seed, duration, interrupted = () => false }: BankOptions): Promise<BankReport> {
  const run = new Run(seed, url);
  try {
    await run.open();
    await run.during(duration, interrupted);
    await run.settle();
  } catch (error) {
    run.failures.push(String((error as Error).stack));
  } finally {
    await run.close();
  }
  return run;
}

class Run implements BankReport {
  readonly failures: string[] = [];
  readonly figures: Record<string, number> = {};
  readonly #random: Random;
  readonly #url: string;
  readonly #name: string;
  readonly #orders = new Int32Array(new SharedArrayBuffer(4 * SEATS));
  readonly #servedAt: number[] = Array(SEATS).fill(0);
  readonly #threads: (Worker | undefined)[] = [];
  #pool!: PgOwnerPool;
  /** Two, as the one that looks must not wait for the one that kills. */
  #killer!: pg.Client;
  #watcher!: pg.Client;
  /** What the threads have brought to an end. */
  #done = 0;
  #isOver = false;

  constructor(seed: number, url: string) {
    this.#random = new Random(seed);
    this.#url = url;
    this.#name = `bank-${seed}`;
  }

  async open(): Promise<void> {
    [this.#killer, this.#watcher] = await Promise.all(['killer', 'watcher'].map((name) => this.#connect(name)));
    await this.#watcher.query(`create table account (id int primary key, balance int not null);
      create table entry (account int not null, amount int not null);
      insert into account select id, 1000 from generate_series(1, ${ACCOUNTS}) as id`);
    this.#pool = await createPgPool({
      name: this.#name,
      connection: {
        connectionString: this.#url,
        application_name: this.#name,
        // A thread that blocks may wait for itself, which the server cannot know.
        options: '-c deadlock_timeout=20ms -c lock_timeout=200ms',
      },
      max: MAX,
      acquireTimeout: STARVED,
      statementCacheSize: this.#random.pick([0, 5]),
    });
    this.#pool.on('error', () => this.#count('connections lost while idle'));
    for (let seat = 0; seat < SEATS; seat++) this.#start(seat);
  }

  async #connect(name: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.#url, application_name: name });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  #count(what: string, n = 1): void {
    this.figures[what] = (this.figures[what] ?? 0) + n;
  }

  // ── threads

  #start(seat: number): void {
    Atomics.store(this.#orders, seat, 0);
    this.#servedAt[seat] = performance.now();
    const worker = new Worker(new URL('./teller.js', import.meta.url), {
      workerData: { handle: this.#pool.handle, seed: this.#random.seed(), accounts: ACCOUNTS, total: TOTAL, orders: this.#orders, seat },
      execArgv: [],
    });
    this.#threads[seat] = worker;
    worker.on('error', (error) => {
      if (!error.message.startsWith('bank: ')) this.failures.push(`thread ${seat}: ${error.stack}`);
    });
    worker.on('message', (message) => {
      this.#servedAt[seat] = performance.now();
      if (message.did !== undefined) {
        this.#done++;
        this.#count(message.did);
      }
      if (message.wrong !== undefined) this.failures.push(message.wrong);
    });
    worker.once('exit', () => {
      if (this.#threads[seat] === worker) this.#threads[seat] = undefined;
      if (!this.#isOver) this.#start(seat);
    });
  }

  #order(seat: number, order: keyof typeof ORDERS): void {
    Atomics.store(this.#orders, seat, ORDERS[order]);
  }

  // ── what happens to them

  async during(duration: number, interrupted: () => boolean): Promise<void> {
    const end = performance.now() + duration;
    const isThrough = (): boolean =>
      (performance.now() > end && (this.#hasSeenAll() || performance.now() > end + SLOWEST)) || this.failures.length > 0 || interrupted();
    await Promise.all([this.#breakThings(isThrough), this.#watch(isThrough), this.#trade(isThrough)]);
    this.#isOver = true;
  }

  #hasSeenAll(): boolean {
    return NEEDED.every((name) => (this.figures[name] ?? 0) > 0);
  }

  async #breakThings(isThrough: () => boolean): Promise<void> {
    while (!isThrough()) {
      const before = this.#done;
      await sleep(this.#random.from(5, 80));
      // Not by the clock alone: on a machine with other work nothing would come to its end between two of these.
      while (this.#done === before && !isThrough()) await sleep(5);
      const seat = this.#random.below(SEATS);
      switch (this.#random.below(12)) {
        case 0:
          await this.#threads[seat]?.terminate();
          this.#count('threads terminated');
          break;
        case 1:
        case 2:
        case 3: {
          const order = this.#random.pick(['exit', 'throw', 'leave'] as const);
          if (Atomics.load(this.#orders, seat) !== 0) break;
          this.#order(seat, order);
          this.#count(`threads told to ${order}`);
          break;
        }
        case 4:
        case 5:
        case 6:
          await this.#signal('pg_cancel_backend');
          break;
        default:
          await this.#signal('pg_terminate_backend');
      }
    }
  }

  async #signal(how: 'pg_cancel_backend' | 'pg_terminate_backend'): Promise<void> {
    const { rows } = await this.#killer.query('select pid from pg_stat_activity where application_name = $1 order by pid', [this.#name]);
    if (rows.length === 0) return;
    await this.#killer.query(`select ${how}($1)`, [this.#random.pick(rows).pid]);
    this.#count(how);
  }

  async #watch(isThrough: () => boolean): Promise<void> {
    while (!isThrough()) {
      await this.#look();
      for (const [seat, at] of this.#servedAt.entries())
        if (performance.now() - at > STARVED) this.failures.push(`thread ${seat} was not served for ${STARVED} ms`);
      await sleep(2);
    }
  }

  async #look(): Promise<void> {
    const { rows } = await this.#watcher.query(
      `select (select count(*)::int from pg_stat_activity where application_name = $1) as connections, (select sum(balance)::int from account) as sum`,
      [this.#name],
    );
    this.#count('looks');
    if (rows[0].connections > MAX) this.failures.push(`${rows[0].connections} connections on the server, of at most ${MAX}`);
    if (rows[0].sum !== TOTAL) this.failures.push(`the sum is ${rows[0].sum}, not ${TOTAL}`);
  }

  /** The owner's thread has business of its own. */
  async #trade(isThrough: () => boolean): Promise<void> {
    while (!isThrough()) {
      const amount = this.#random.from(1, 50);
      try {
        await this.#pool.transaction(
          async () => {
            for (const [id, change] of [
              [this.#random.from(1, ACCOUNTS), -amount],
              [this.#random.from(1, ACCOUNTS), amount],
            ]) {
              await this.#pool.query('update account set balance = balance + $1 where id = $2', [change, id]);
              await this.#pool.query('insert into entry values ($1, $2)', [id, change]);
            }
          },
          { retries: 50 },
        );
        this.#count('transfers of the owner');
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (String(code).startsWith('ERR_POOL')) this.failures.push(`the owner was not served: ${message}`);
      }
      await sleep(this.#random.below(10));
    }
  }

  // ── what is left of it

  async settle(): Promise<void> {
    const working = this.#threads.map((worker, seat) => {
      if (worker === undefined) return undefined;
      // Not by `once` of node:events, which an error ends as well: one that was told to throw may not have done so yet.
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      Atomics.compareExchange(this.#orders, seat, 0, ORDERS.stop);
      return exited;
    });
    await Promise.race([Promise.all(working), sleep(STARVED)]);
    const late = this.#threads.flatMap((worker, seat) => (worker === undefined ? [] : [seat]));
    if (late.length > 0) this.failures.push(`threads that did not come to an end: ${late.join(', ')}`);

    const stats = () => this.#pool.pool.stats();
    // What a thread has counted is settled when the pool has heard of its end.
    await this.#eventually('everything is back', () => stats().active === 0 && stats().waiting === 0 && stats().threads === 0);
    await this.#eventually('no transaction is open, and no lock held', async () => {
      const { rows } = await this.#watcher.query(
        `select a.pid, a.state, l.locktype from pg_stat_activity a left join pg_locks l on l.pid = a.pid and l.locktype <> 'virtualxid'
        where a.application_name = $1 and (a.state <> 'idle' or l.pid is not null)`,
        [this.#name],
      );
      return rows.length === 0;
    });
    const { acquired, released, created, destroyed, count, idle, active } = stats();
    if (acquired !== released || created - destroyed !== count || count !== idle + active || count > MAX)
      this.failures.push(`the counters do not add up: ${JSON.stringify(stats())}`);
    await this.#look();
    await this.#audit();
    const leaks = await Promise.all(
      Array.from({ length: MAX }, () => this.#pool.query(`select nullif(current_setting('my.leak', true), '') as leak, pg_sleep(0.05)`)),
    );
    if (leaks.some(({ rows }) => rows[0].leak !== null)) this.failures.push('a setting was left in a connection');
  }

  async #eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await until(condition).catch((error) => this.failures.push(`not so: ${what} (${error.message})`));
  }

  async #audit(): Promise<void> {
    const { rows } = await this.#watcher.query(
      `select id, balance, 1000 + coalesce((select sum(amount) from entry where account = id), 0)::int as booked from account`,
    );
    for (const { id, balance, booked } of rows)
      if (balance !== booked) this.failures.push(`account ${id} has ${balance}, and its entries say ${booked}`);
    const { rows: entries } = await this.#watcher.query('select count(*)::int as n from entry');
    this.#count('entries', entries[0].n);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#threads.map((worker) => worker?.terminate()));
    await this.#pool?.end();
    await this.#eventually('no connection is left', async () => {
      const { rows } = await this.#watcher.query('select from pg_stat_activity where application_name = $1', [this.#name]);
      return rows.length === 0;
    });
    await Promise.all([this.#killer?.end(), this.#watcher?.end()]);
  }
}
