/**
 * Eight processes, each with a pool of `max: 10`, under load on a budget of 10. One is killed every few seconds and another comes; one is stopped and continued.
 * PostgreSQL itself counts their connections about a thousand times a second. `npm run show:budget`; DATABASE_URL: a server of your own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startPostgres } from '../demo/postgres.ts';

const LIMIT = 10;
const SIZE = 8;
const TTL = 3000;
/** Longest that shares may take to follow the demand, in ms. */
const PATIENCE = 30_000;

export interface Shown {
  /** Looks of the server at its connections, and looks for each second. */
  readonly looks: number;
  readonly pace: number;
  /** Most connections that it saw: all, and without those of a process that stood still longer than its lease. */
  readonly most: number;
  readonly mostOfTheMoving: number;
  /** Most permits that the engine's table had given out at one moment, before one process is stopped for longer than its lease. */
  readonly mostGranted: number;
  /**
   * Permits that processes lost although they were not meant to, as the machine stood still for so long: what they had out by these is beyond
   * the limit until it comes back.
   */
  readonly strayed: number;
  /** Connections of each process when all want as much, and when one wants all. */
  readonly equal: number[];
  readonly greedy: number[];
  readonly kills: number;
  readonly queries: number;
  /** What is left of them when all have gone. */
  readonly left: { readonly connections: number; readonly rows: number };
  readonly errors: string[];
}

/** Looks until `seconds` have passed, one look each millisecond. What stands in show_still does not count for the second figure. */
const WATCH = `create or replace function pg_temp.watch(seconds float8) returns table (looks int, most int, most_moving int, most_granted int) language plpgsql as $$
declare
  until timestamptz := clock_timestamp() + seconds * interval '1 second';
  now_all int; now_moving int; now_granted int;
begin
  looks := 0; most := 0; most_moving := 0; most_granted := 0;
  while clock_timestamp() < until loop
    perform pg_stat_clear_snapshot();
    select count(*), count(*) filter (where application_name <> all (still.names)) into now_all, now_moving
      from pg_stat_activity, (select coalesce(array_agg(name), '{}') as names from show_still) as still where application_name like 'show %';
    select coalesce(sum(granted), 0) into now_granted from cenote_budget
      where key = 'show' and id <> '' and seen > extract(epoch from clock_timestamp()) * 1000 - ttl;
    looks := looks + 1; most := greatest(most, now_all); most_moving := greatest(most_moving, now_moving);
    most_granted := greatest(most_granted, now_granted);
    perform pg_sleep(0.001);
  end loop;
  return next;
end $$`;

interface Stats {
  readonly granted: number;
  readonly used: number;
  readonly done: number;
}

class Process {
  readonly name: string;
  readonly #child: ChildProcess;
  /** How many permits each time. */
  readonly losses: number[] = [];
  #done = 0;
  #complaint = '';

  constructor(name: string, url: string, errors: string[]) {
    this.name = name;
    const program = fileURLToPath(new URL('./process.js', import.meta.url));
    const stdio = ['ignore', 'inherit', 'pipe', 'ipc'] as const;
    this.#child = fork(program, [url, name, String(LIMIT), String(TTL)], { execArgv: [], stdio: [...stdio] });
    this.#child.stderr?.on('data', (chunk) => {
      this.#complaint += chunk;
    });
    this.#child.on('message', (message: { error?: string; event?: string; granted?: number; stats?: Stats }) => {
      if (message.event === 'lost') this.losses.push(message.granted!);
      if (message.error !== undefined) errors.push(`${name}: ${message.error}`);
      if (message.stats !== undefined) this.#done = message.stats.done;
    });
  }

  get done(): number {
    return this.#done;
  }

  want(wanted: number): void {
    this.#child.send({ wanted });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  heard(event: string): Promise<void> {
    return this.#next((message) => (message.event === event ? true : undefined)).then(() => undefined);
  }

  async stats(): Promise<Stats> {
    this.#child.send('stats');
    return await this.#next((message) => message.stats);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.send('close');
    });
  }

  #next<V>(pick: (message: { event?: string; stats?: Stats }) => V | undefined): Promise<V> {
    return new Promise((resolve, reject) => {
      const hear = (message: object): void => {
        const found = pick(message);
        if (found === undefined) return;
        this.#child.off('message', hear);
        this.#child.off('exit', ended);
        resolve(found);
      };
      const ended = (): void => reject(new Error(`${this.name} has ended: ${this.#complaint}`));
      this.#child.on('message', hear);
      this.#child.once('exit', ended);
    });
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** `rounds`: kills. Each takes some seconds. */
export async function show(url: string, rounds: number, say: (line: string) => void = () => {}): Promise<Shown> {
  const observer = new pg.Client({ connectionString: url });
  const watcher = new pg.Client({ connectionString: url });
  await Promise.all([observer.connect(), watcher.connect()]);
  await observer.query('create table if not exists show_still (name text); truncate show_still');
  await watcher.query(WATCH);
  const errors: string[] = [];
  const processes: Process[] = [];
  /** Those that were killed, too. */
  const all: Process[] = [];
  let number = 0;
  const start = async (): Promise<void> => {
    const one = new Process(`n${++number}`, url, errors);
    processes.push(one);
    all.push(one);
    await one.heard('ready');
  };
  const shares = async (): Promise<number[]> => (await Promise.all(processes.map((one) => one.stats()))).map(({ used }) => used);
  /** As they are when this holds; else as they are after long. */
  const sharesWhen = async (holds: (now: number[]) => boolean): Promise<number[]> => {
    const end = performance.now() + PATIENCE;
    for (;;) {
      const now = await shares();
      if (holds(now) || performance.now() > end) return now;
      await sleep(100);
    }
  };
  await Promise.all(Array.from({ length: SIZE }, start));
  say(`${SIZE} processes with max 10 each, on a limit of ${LIMIT}`);

  const totals = { looks: 0, seconds: 0, most: 0, moving: 0, granted: 0 };
  /** The server looks for as long as the work takes, in pieces. */
  const watched = async <V>(work: Promise<V>): Promise<V> => {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    done.catch(() => {});
    while (!isDone) {
      const { rows } = await watcher.query('select * from pg_temp.watch(0.5)');
      totals.looks += rows[0].looks;
      totals.seconds += 0.5;
      totals.most = Math.max(totals.most, rows[0].most);
      totals.moving = Math.max(totals.moving, rows[0].most_moving);
      totals.granted = Math.max(totals.granted, rows[0].most_granted);
    }
    return await done;
  };

  const equal = await watched(
    (async () => {
      for (const one of processes) one.want(10);
      return await sharesWhen((all) => Math.min(...all) >= 1);
    })(),
  );
  say(`all want ten: ${equal.join(' ')}`);
  const greedy = await watched(
    (async () => {
      for (const one of processes.slice(1)) one.want(0);
      const found = await sharesWhen(([first]) => first >= LIMIT - 2);
      for (const one of processes) one.want(10);
      await sleep(1000);
      return found;
    })(),
  );
  say(`one wants ten, the others nothing: ${greedy.join(' ')}`);

  for (let round = 0; round < rounds; round++) {
    await watched(
      (async () => {
        await shares();
        const [killed] = processes.splice(round % processes.length, 1);
        killed.signal('SIGKILL');
        await start();
        processes.at(-1)!.want(10);
        const still = processes[0];
        still.signal('SIGSTOP');
        await sleep(TTL / 2);
        still.signal('SIGCONT');
        await sleep(2500);
      })(),
    );
    say(`killed one, stopped another for ${TTL / 2} ms: most connections so far ${totals.most}`);
  }
  const { most: mostSoFar, granted: mostGranted } = totals;
  let meant = 0;
  await watched(
    (async () => {
      const still = processes[0];
      await observer.query('insert into show_still values ($1)', [`show ${still.name}`]);
      const lost = still.heard('lost');
      still.signal('SIGSTOP');
      await sleep(TTL * 1.5);
      still.signal('SIGCONT');
      await lost;
      meant = still.losses.at(-1)!;
      await sleep(1500);
      await observer.query('truncate show_still');
    })(),
  );
  say(`stopped one for ${TTL * 1.5} ms, longer than its lease: without it, most connections ${totals.moving}`);

  await shares();
  const queries = processes.reduce((sum, { done }) => sum + done, 0);
  // The one that was stopped for long had to lose its own.
  const strayed = all.flatMap(({ losses }) => losses).reduce((sum, lost) => sum + lost, 0) - meant;
  await Promise.all(processes.map((one) => one.close()));
  // Those of the killed ones end with their lease; their rows go with the last member that closes.
  const left = { connections: -1, rows: -1 };
  for (let tries = 0; tries < 100 && left.connections !== 0; tries++) {
    left.connections = (
      await observer.query(`select count(*)::int as n from pg_stat_activity where application_name like 'show %'`)
    ).rows[0].n;
    await sleep(20);
  }
  left.rows = (await observer.query(`select count(*)::int as n from cenote_budget where key = 'show'`)).rows[0].n;
  await observer.query('drop table show_still');
  await Promise.all([observer.end(), watcher.end()]);
  const { looks, seconds, moving } = totals;
  return {
    looks,
    pace: looks / seconds,
    most: mostSoFar,
    mostOfTheMoving: moving,
    mostGranted,
    strayed,
    equal,
    greedy,
    kills: rounds,
    queries,
    left,
    errors,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = process.env.DATABASE_URL === undefined ? await startPostgres() : undefined;
  const shown = await show(server?.url ?? process.env.DATABASE_URL!, Number(process.argv[2] ?? 8), console.log);
  console.log(shown);
  await server?.stop();
}
