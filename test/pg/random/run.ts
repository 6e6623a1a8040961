/**
 * Random programs of several threads over one pool, while backends and threads are killed and statements cancelled at random, held against a
 * small model of what must be true: what is committed is exactly what resolved as committed; results belong to their statements; what one
 * client is asked runs in that order; no borrower finds what another has left; and at the end nothing is open, and the counts are whole.
 */
import { Worker } from 'node:worker_threads';
import { createPgPool, type PgOwnerPool } from 'cenote/pg';
import pg from 'pg';
import type { PostgresServer } from '../../../examples/demo/postgres.ts';
import { Random } from '../../soak/random.ts';
import { sleep, until } from '../../support/wait.ts';
import { work } from './borrower.js';
import { judge, type Unit } from './model.ts';
import { programOf } from './programs.js';

export interface RoundOptions {
  readonly seed: number;
  readonly programs: number;
  readonly lend: 'auto' | 'remote';
  /** Milliseconds, after which no program more is begun, if something was committed by then. */
  readonly limit?: number;
}

export interface RoundReport {
  /** Empty if all went well. */
  readonly failures: string[];
  /** What was done, what was met, what was broken: how often. */
  readonly figures: Record<string, number>;
}

interface Given {
  readonly number: number;
  readonly seed: number;
  readonly isDisturbed: boolean;
}

interface Report {
  readonly units: readonly Unit[];
  readonly wrong: readonly string[];
}

const THREADS = 3;
/** Programs that run beside each other on a thread. */
const BESIDE = 3;
const MAX = 4;
/** A program that takes longer than this hangs, in ms. */
const STUCK = 120_000;

export async function round(server: PostgresServer, options: RoundOptions): Promise<RoundReport> {
  const run = new Round(server.url, options);
  try {
    await run.open();
    await run.during();
    await run.settle();
  } catch (error) {
    run.failures.push(String((error as Error).stack));
  } finally {
    await run.close();
  }
  return run;
}

class Round implements RoundReport {
  readonly failures: string[] = [];
  readonly figures: Record<string, number> = {};
  readonly #options: RoundOptions;
  readonly #random: Random;
  readonly #url: string;
  readonly #name: string;
  /** Every other round is left in peace: there no statement may fail but by its program's own doing. */
  readonly #isDisturbed: boolean;
  readonly #seats: (Worker | undefined)[] = [];
  /** What each seat is at; the owner's seat is -1. */
  readonly #underWay = new Map<number, { readonly seat: number; readonly since: number }>();
  readonly #units: Unit[] = [];
  readonly #since = performance.now();
  #begun = 0;
  #done = 0;
  #isOver = false;
  #pool!: PgOwnerPool;
  #watcher!: pg.Client;

  constructor(url: string, options: RoundOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#url = url;
    this.#name = `programs-${options.seed}-${options.lend}`;
    this.#isDisturbed = this.#random.chance(0.6);
  }

  async open(): Promise<void> {
    this.#watcher = new pg.Client({ connectionString: this.#url, application_name: 'watcher' });
    this.#watcher.on('error', () => {});
    await this.#watcher.connect();
    await this.#watcher.query(`drop table if exists entry; drop sequence if exists ticker; create sequence ticker;
      create table entry (unit text, step int, at bigint default nextval('ticker'), xid text default pg_current_xact_id(), primary key (unit, step));
      insert into entry values ('taken', 0)`);
    this.#pool = await createPgPool({
      name: this.#name,
      connection: { connectionString: this.#url, application_name: this.#name },
      lend: this.#options.lend,
      max: MAX,
      acquireTimeout: STUCK,
      statementCacheSize: this.#random.pick([0, 0, 5]),
      reset: this.#random.pick(['auto', 'auto', 'always']),
    });
    this.#pool.on('error', () => this.#count('connections lost while idle'));
    for (let seat = 0; seat < THREADS; seat++) this.#start(seat);
  }

  #count(what: string, n = 1): void {
    this.figures[what] = (this.figures[what] ?? 0) + n;
  }

  // ── programs

  #start(seat: number): void {
    const leaves = this.#random.chance(0.5);
    const worker = new Worker(new URL('./thread.js', import.meta.url), {
      workerData: { handle: this.#pool.handle, beside: BESIDE, leaves },
      execArgv: [],
    });
    this.#seats[seat] = worker;
    worker.on('error', (error) => this.failures.push(`thread ${seat}: ${error.stack}`));
    worker.on('message', (message: { wants?: true; number?: number; report?: Report; way?: string }) => {
      if (message.wants) worker.postMessage({ given: this.#next(seat) });
      if (message.report !== undefined) this.#noteDone(message.number!, message.report);
      if (message.way !== undefined) this.#count(`threads that were lent to: ${message.way}`);
    });
    worker.once('exit', () => {
      for (const [number, at] of this.#underWay) if (at.seat === seat) this.#underWay.delete(number);
      if (this.#seats[seat] === worker) this.#seats[seat] = undefined;
      if (!this.#isThrough) this.#start(seat);
    });
  }

  get #isThrough(): boolean {
    const { programs, limit = Number.POSITIVE_INFINITY } = this.#options;
    return (
      this.#isOver ||
      this.#begun >= programs ||
      this.failures.length > 0 ||
      (performance.now() - this.#since > limit && 'units committed' in this.figures)
    );
  }

  #next(seat: number): Given | undefined {
    if (this.#isThrough) return undefined;
    const number = ++this.#begun;
    this.#underWay.set(number, { seat, since: performance.now() });
    return { number, seed: new Random(this.#options.seed + number * 7919).seed(), isDisturbed: this.#isDisturbed };
  }

  #noteDone(number: number, { units, wrong }: Report): void {
    this.#underWay.delete(number);
    this.#done++;
    this.#units.push(...units);
    this.failures.push(...wrong);
    this.#count('programs');
    for (const { outcome } of units) this.#count(`units ${outcome}`);
  }

  // ── what happens to them

  async during(): Promise<void> {
    const own = Array.from({ length: BESIDE }, () =>
      work(
        this.#pool,
        programOf,
        async () => this.#next(-1),
        (number: number, report: Report) => this.#noteDone(number, report),
      ),
    );
    await Promise.all([this.#breakThings(), this.#watch(), ...own]);
  }

  async #breakThings(): Promise<void> {
    while (!this.#isThrough && this.#isDisturbed) {
      const before = this.#done;
      await sleep(this.#random.from(1, 30));
      // Not by the clock alone: on a machine with other work nothing would come to its end between two of these.
      while (this.#done < before + 3 && !this.#isThrough) await sleep(2);
      const way = this.#random.below(12);
      if (way < 2) {
        // Not while it comes to life: Node 20 crashes when a thread is terminated then.
        const seat = this.#random.below(THREADS);
        if (![...this.#underWay.values()].some((at) => at.seat === seat)) continue;
        await this.#seats[seat]?.terminate();
        this.#count('threads killed');
      } else await this.#signal(way < 6 ? 'pg_terminate_backend' : 'pg_cancel_backend');
    }
  }

  async #signal(how: 'pg_terminate_backend' | 'pg_cancel_backend'): Promise<void> {
    const { rows } = await this.#watcher.query('select pid from pg_stat_activity where application_name = $1 order by pid', [this.#name]);
    if (rows.length === 0) return;
    await this.#watcher.query(`select ${how}($1)`, [this.#random.pick(rows).pid]);
    this.#count(how);
  }

  async #watch(): Promise<void> {
    while (!this.#isThrough || this.#underWay.size > 0) {
      for (const [number, { since }] of this.#underWay)
        if (performance.now() - since > STUCK) {
          this.failures.push(`program ${number} hangs`);
          return;
        }
      await sleep(20);
    }
  }

  // ── what is left of it

  async settle(): Promise<void> {
    await this.#eventually('every thread has come to its end', () => this.#seats.every((seat) => seat === undefined));
    const stats = () => this.#pool.pool.stats();
    await this.#eventually('everything is back', () => stats().active === 0 && stats().waiting === 0);
    await this.#eventually('no transaction is open, and no lock held', async () => {
      const { rows } = await this.#watcher.query(
        `select from pg_stat_activity a left join pg_locks l on l.pid = a.pid and l.locktype <> 'virtualxid'
        where a.application_name = $1 and (a.state <> 'idle' or l.pid is not null)`,
        [this.#name],
      );
      return rows.length === 0;
    });
    await this.#eventually('the server has as many connections as the pool', async () => {
      const { rows } = await this.#watcher.query('select from pg_stat_activity where application_name = $1', [this.#name]);
      return rows.length === stats().count;
    });
    const { acquired, released, created, destroyed, count, idle, active } = stats();
    if (acquired !== released || created - destroyed !== count || count !== idle + active || count > MAX)
      this.failures.push(`the counters do not add up: ${JSON.stringify(stats())}`);
    const { rows } = await this.#watcher.query(`select unit, step, xid from entry where unit <> 'taken'`);
    this.#count('rows', rows.length);
    this.failures.push(...judge(this.#units, rows));
  }

  async #eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await until(condition).catch((error) => this.failures.push(`not so: ${what} (${error.message})`));
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#seats.map((worker) => worker?.terminate()));
    await this.#pool?.end();
    await this.#watcher?.end();
  }
}
