// Runs a random program over a pool, and notes what must be true of it from what it was told: which of its writes are committed, which
// cannot be, and what it was told that cannot be right. It runs on the owner's thread and on others.
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a program may block its thread for a connection and its answers, in ms: the thread's other programs may hold some. */
const BLOCKED = 250;

class ChangedMind extends Error {}

/** The connection is gone, or this program has it no more. */
const isLoss = ({ code, message }) =>
  ['57P01', 'EPIPE', 'ECONNRESET', 'ERR_PG_ROLLED_BACK', 'ERR_POOL_CALL_TIMEOUT'].includes(code) ||
  /^Connection terminated|^terminating connection|not queryable|refuses further queries|^Query read timeout|stopped waiting/.test(message);
/** The program's own signal has ended the transaction, and its body goes on a little. To a cursor the server says that it is gone. */
const isOver = ({ code, message }) => code === '34000' || /this transaction is over/.test(message);
const isCancel = ({ code, message }) => code === '57014' || message === 'canceled before it was sent';
/** A thread that blocks has given up its place in the line: its own other programs may hold what it waits for. */
const isGivenUp = ({ code }) => code === 'ERR_POOL_ACQUIRE_TIMEOUT';
/** The server has said that the statement itself has failed: nothing of it is written. */
const isRefused = (error) => ('severity' in error && error.code !== '57P01') || isCancel(error) || isGivenUp(error);

/** `isDisturbed`: backends are killed, and statements cancelled, from outside. Gives the units of the program, and what was wrong. */
export async function runProgram(pool, number, program, isDisturbed) {
  const run = new Run(pool, number, program, isDisturbed);
  try {
    await run.all();
  } catch (error) {
    run.say(`it ended with ${error.stack}`);
  }
  return { units: run.units, wrong: run.wrong };
}

class Run {
  units = [];
  wrong = [];
  #pool;
  #number;
  #program;
  /** Something may break a statement of this program: from outside, or by the program's own doing. */
  #isDisturbed;
  #writes = 0;

  constructor(pool, number, program, isDisturbed) {
    this.#pool = pool;
    this.#number = number;
    this.#program = program;
    this.#isDisturbed = isDisturbed || program.options.abortsAfter !== undefined;
  }

  say(what) {
    this.wrong.push(`program ${this.#number} (${this.#program.way}): ${what}`);
  }

  async all() {
    const way = this.#program.way.endsWith('ync') && this.#pool.querySync === undefined ? 'pool' : this.#program.way;
    await this[way]();
  }

  // ── the ways

  async pool() {
    const state = new State();
    for (const step of this.#program.steps) await this.#perform(step, this.#pool, state, false);
  }

  async client() {
    const client = await this.#connect();
    if (client === undefined) return;
    const state = new State();
    try {
      for (const step of this.#program.steps) await this.#perform(step, client, state);
    } finally {
      client.release(this.#program.destroys);
    }
    this.#leftOpen(state);
  }

  /** All at once: the client answers them in the order in which they were asked. */
  async burst() {
    const client = await this.#connect();
    if (client === undefined) return;
    const state = new State();
    const asked = this.#program.steps.map((step) => {
      const asking = this.#asking(step, state, true);
      return [asking, this.#query(client, asking)];
    });
    // With its answers on their way: what was asked is finished first.
    client.release();
    this.#leftOpen(state);
    for (const [asking, answer] of asked) this.#judge(asking, await answer, state);
  }

  async scope() {
    const state = new State();
    await this.#pool.scope(async () => {
      for (const step of this.#program.steps) {
        if (step.do !== 'transaction') await this.#perform(step, this.#pool, state);
        // In a transaction of its own making it would be a savepoint.
        else if (state.tx === undefined) await this.#transaction(step, {});
      }
    });
    this.#leftOpen(state);
  }

  async transaction() {
    await this.#transaction(this.#program, this.#program.options);
  }

  async sync() {
    this.#isDisturbed = true;
    const state = new State();
    for (const step of this.#program.steps) {
      const asking = this.#asking(step, state, false);
      this.#judge(
        asking,
        settledSync(() => this.#pool.querySync(asking.text, asking.values, { timeout: BLOCKED })),
        state,
      );
    }
  }

  async transactionSync() {
    this.#isDisturbed = true;
    const state = new State();
    const tx = this.#begins(state);
    let isThrough = false;
    const settled = settledSync(() =>
      this.#pool.transactionSync(
        (client) => {
          for (const step of this.#program.steps) {
            const asking = this.#asking(step, state, true);
            const answer = settledSync(() => client.query(asking.text, asking.values));
            this.#judge(asking, answer, state);
            if (answer.error !== undefined && !step.isCaught) throw answer.error;
          }
          if (this.#program.throws) throw new ChangedMind();
          isThrough = true;
        },
        { isolation: this.#program.options.isolation, timeout: BLOCKED },
      ),
    );
    this.#ends(tx, settled, isThrough);
  }

  /** A transaction of the pool's, with all that is nested in it. */
  async #transaction({ steps, throws }, { isolation, abortsAfter }) {
    const state = new State();
    const tx = this.#begins(state);
    const abort = abortsAfter === undefined ? undefined : new AbortController();
    const timer = abort && setTimeout(() => abort.abort(new ChangedMind()), abortsAfter);
    let isThrough = false;
    const body = async (client) => {
      await this.#inside(steps, client, state);
      if (throws) throw new ChangedMind();
      isThrough = true;
    };
    try {
      this.#ends(tx, await settled(this.#pool.transaction(body, { isolation, signal: abort?.signal })), isThrough);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Steps within a transaction. Throws what a step throws that is not caught. */
  async #inside(steps, client, state) {
    for (const step of steps) {
      if (step.do === 'transaction') await this.#nested(step, state);
      else if (step.by === 'client') {
        const other = await this.#connect(state);
        if (other === undefined) continue;
        try {
          await this.#perform(step, other, state);
        } finally {
          other.release();
        }
      } else await this.#perform(step, step.by === 'pool' ? this.#pool : client, state);
    }
  }

  async #nested({ steps, throws }, state) {
    const { tx } = state;
    const had = tx.rows.length;
    const wasBroken = tx.isFailed || tx.isLost;
    let isThrough = false;
    const { error } = await settled(
      this.#pool.transaction(async (client) => {
        await this.#inside(steps, client, state);
        if (throws) throw new ChangedMind();
        isThrough = true;
      }),
    );
    if (error === undefined) {
      if (tx.isLost || (!tx.isUnsure && (wasBroken || tx.isFailed))) this.say('a nested transaction resolved in one that had failed');
      return;
    }
    this.#expect(error, tx);
    if (isThrough && !wasBroken && !tx.isFailed && !isLoss(error) && !isCancel(error) && !isOver(error))
      this.say(`a nested transaction rejected without a cause: ${error.stack}`);
    // Back to the savepoint. If there was none the transaction is as it was.
    tx.rows.length = had;
    tx.isFailed = wasBroken || isCancel(error) || tx.isLost;
    // What undid it may have been cancelled as well.
    tx.isUnsure ||= isCancel(error) || this.#isDisturbed;
    if (isLoss(error)) tx.isLost = true;
  }

  // ── transactions

  #begins(state) {
    const tx = { unit: this.#unit('transaction'), rows: [], isFailed: false, isLost: false, isUnsure: false };
    state.tx = tx;
    return tx;
  }

  #unit(kind) {
    const unit = { name: `${this.#number}.${this.units.length}`, kind, outcome: 'rolled back', rows: [] };
    this.units.push(unit);
    return unit;
  }

  #ends(tx, { error }, isThrough) {
    const { unit } = tx;
    if (error === undefined) {
      if ((tx.isFailed && !tx.isUnsure) || tx.isLost)
        this.say('a transaction resolved, though a statement in it had failed or its connection was lost');
      unit.outcome = 'committed';
      unit.rows = tx.rows;
      return;
    }
    this.#expect(error, tx);
    if (isThrough && !(error instanceof ChangedMind) && !isRefused(error) && error.code !== 'ERR_PG_ROLLED_BACK') {
      unit.outcome = 'unknown';
      unit.rows = tx.rows;
    }
  }

  /** What was begun by a statement and not ended is rolled back when its connection goes. */
  #leftOpen(state) {
    state.tx = undefined;
  }

  /** Throws nothing: an error that cannot be is noted. */
  #expect(error, tx) {
    if (error instanceof ChangedMind) return;
    if (tx !== undefined && (tx.isFailed || tx.isLost || tx.isUnsure) && (error.code === '25P02' || error.code === 'ERR_PG_ROLLED_BACK'))
      return;
    if (tx?.caught?.has(error)) return;
    if (this.#isDisturbed && (isLoss(error) || isCancel(error) || isOver(error))) return;
    if (this.#program.way.endsWith('ync') && isGivenUp(error)) return;
    this.say(`it met ${error.stack}`);
  }

  // ── statements

  async #connect(state) {
    const { value, error } = await settled(this.#pool.connect());
    if (error === undefined) return value;
    this.#expect(error, state?.tx);
    if (state?.tx && isLoss(error)) state.tx.isLost = true;
    return undefined;
  }

  async #perform(step, by, state, keeps = true) {
    const asking = this.#asking(step, state, keeps);
    const answer = await this.#query(by, asking);
    this.#judge(asking, answer, state);
    if (answer.error !== undefined && step.isCaught === false) throw answer.error;
  }

  #query(by, { step, text, values }) {
    if (step.do === 'read' && step.kind === 'rows' && by === this.#pool) return settled(this.#iterate(text, values));
    return settled(by.query(text, values));
  }

  async #iterate(text, values) {
    const rows = [];
    for await (const row of this.#pool.iterate(text, values, { batchSize: 2 })) {
      rows.push(row);
      if (rows.length === 5) break;
    }
    return { rows };
  }

  /** A step as it is asked. `keeps`: what it sets is there for the next step. */
  #asking(step, state, keeps) {
    const { mark } = step;
    const before = state.tx;
    const asking = { step, tx: before, keeps, ...this.#statement(step, state) };
    // A second one is only warned of.
    asking.begins = step.do === 'begin' && before === undefined;
    if (asking.begins) asking.tx = this.#begins(state);
    if (step.do === 'commit' || step.do === 'rollback') state.tx = undefined;
    if (step.do === 'suicide' || step.do === 'late') this.#isDisturbed = true;
    return { ...asking, mark };
  }

  #statement(step, state) {
    const { mark } = step;
    const who = `program_${this.#number}`;
    switch (step.do) {
      case 'write': {
        const unit = state.tx?.unit ?? this.#unit('statement');
        const row = ++this.#writes;
        return { unit, row, text: 'insert into entry (unit, step) values ($1, $2) returning at::int, step', values: [unit.name, row] };
      }
      case 'read':
        return {
          plain: { text: `select ${mark} as mark` },
          values: { text: 'select $1::int as mark', values: [mark] },
          named: { text: { name: `named_${mark % 3}`, text: `select $1::int as mark, ${mark % 3} as n`, values: [mark] } },
          array: { text: { text: `select ${mark}`, rowMode: 'array' } },
          large: { text: `select ${mark} as mark, repeat('x', 3000) as pad from generate_series(1, ${mark % 60})` },
          several: { text: `select ${mark} as mark; select ${mark} as mark` },
          rows: { text: 'select $1::int as mark from generate_series(1, 9)', values: [mark] },
        }[step.kind];
      case 'who':
        return {
          text: `select current_setting('cenote.who', true) as who,
            (select string_agg(relname, ',') from pg_class where relname like 'program%' and pg_table_is_visible(oid)) as tables`,
        };
      case 'fail':
        return {
          22012: { text: 'select 1 / 0' },
          23505: { text: 'insert into entry (unit, step) values ($1, 0)', values: ['taken'] },
          42601: { text: 'selec 1' },
          '22P02': { text: 'select $1::int', values: ['no number'] },
        }[step.kind];
      case 'state':
        return {
          set: { text: `set cenote.who = '${who}'` },
          set_config: { text: `select set_config('cenote.who', $1, false)`, values: [who] },
          temp: { text: `create temp table if not exists ${who} (a int)` },
          lock: { text: `select pg_advisory_lock($1)`, values: [this.#number] },
          listen: { text: `listen ${who}` },
        }[step.kind];
      case 'sleep':
        return { text: 'select pg_sleep($1)', values: [(mark % 20) / 1000] };
      case 'suicide':
        return { text: 'select pg_terminate_backend(pg_backend_pid())' };
      case 'late':
        return { text: { text: 'select pg_sleep(3)', query_timeout: 1 + (mark % 20) } };
      default:
        return { text: step.do };
    }
  }

  #judge(asking, answer, state) {
    if (answer.error === undefined) this.#resolved(asking, answer.value, state);
    else this.#rejected(asking, answer.error, state);
  }

  #resolved(asking, result, state) {
    const { step, tx, unit, row, mark, keeps } = asking;
    if (step.do === 'commit' || step.do === 'rollback') return this.#ended(tx, result);
    if (tx !== undefined && (tx.isLost || (tx.isFailed && !tx.isUnsure)) && step.do !== 'begin')
      this.say(`${step.do} resolved in a transaction that had failed, or was lost`);
    switch (step.do) {
      case 'write': {
        const [{ at, step: written }] = result.rows;
        if (written !== row) this.say(`write ${row} was answered with ${written}`);
        if (at <= state.last) this.say(`write ${row} ran before one that was asked before it`);
        state.last = at;
        if (tx !== undefined) tx.rows.push(row);
        else Object.assign(unit, { outcome: 'committed', rows: [row] });
        break;
      }
      case 'read': {
        const rows = [result].flat().flatMap((each) => each.rows);
        const found = rows.map((each) => (Array.isArray(each) ? each[0] : each.mark));
        const count = { large: mark % 60, several: 2, rows: rows.length === 5 ? 5 : 9 }[step.kind] ?? 1;
        if (found.length !== count || found.some((each) => each !== mark))
          this.say(`a ${step.kind} read of ${mark} was answered with ${JSON.stringify(found.slice(0, 3))}, ${found.length} rows`);
        break;
      }
      case 'who': {
        const own = keeps ? `program_${this.#number}` : undefined;
        const [{ who, tables }] = result.rows;
        if (who && who !== own) this.say(`it found the setting of ${who}`);
        if (tables && tables !== own) this.say(`it found the temporary table of ${tables}`);
        break;
      }
      case 'fail':
      case 'late':
      case 'suicide':
        this.say(`${step.do} ${step.kind} resolved`);
    }
  }

  #ended(tx, { command }) {
    if (tx === undefined) return;
    const { unit } = tx;
    // What was lost is rolled back by the server, and the statement may have gone to another connection.
    if (command === 'COMMIT' && (tx.isLost || (tx.isFailed && !tx.isUnsure))) this.say('COMMIT was answered with COMMIT after a failure');
    if (command !== 'COMMIT') return;
    unit.outcome = 'committed';
    unit.rows = tx.rows;
  }

  #rejected(asking, error, state) {
    const { step, tx, unit, row, begins } = asking;
    const isOwn = step.do === 'fail' && error.code === step.kind;
    if (tx !== undefined) (tx.caught ??= new Set()).add(error);
    if (!isOwn) {
      this.#mayReject(error, tx);
      if (step.do === 'late' || step.do === 'suicide') this.#isDisturbed = true;
    }
    if (begins && tx.rows.length === 0 && !tx.isFailed) {
      // What follows is in no transaction.
      tx.unit.kind = 'loose';
      tx.isUnsure = true;
      if (state.tx === tx) state.tx = undefined;
    }
    if (step.do === 'commit' && tx !== undefined && error.code !== 'ERR_PG_ROLLED_BACK') {
      tx.unit.outcome = 'unknown';
      tx.unit.rows = tx.rows;
      return;
    }
    if (step.do === 'write') {
      if (error.code === '23505') this.say(`write ${row} ran twice`);
      if (tx === undefined && !isRefused(error)) Object.assign(unit, { outcome: 'unknown', rows: [row] });
    }
    if (tx === undefined) return;
    tx.isFailed = true;
    if (isLoss(error)) tx.isLost = true;
    // It may have been refused before the server has heard of it.
    else if (isCancel(error)) tx.isUnsure = true;
  }

  #mayReject(error, tx) {
    if (tx !== undefined && (tx.isFailed || tx.isLost || tx.isUnsure) && (error.code === '25P02' || isLoss(error))) return;
    if (this.#isDisturbed && (isLoss(error) || isCancel(error) || isOver(error))) return;
    if (this.#program.way.endsWith('ync') && isGivenUp(error)) return;
    this.say(`it met ${error.stack}`);
  }
}

/** What is open on the connection, as the program goes. */
class State {
  tx;
  last = 0;
}

const settled = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );

function settledSync(body) {
  try {
    return { value: body() };
  } catch (error) {
    return { error };
  }
}

/** Runs programs until there is none left to be had. `next` resolves with `{ number, seed, isDisturbed }`, or with nothing. */
export async function work(pool, programOf, next, done) {
  for (;;) {
    const given = await next();
    if (given === undefined) return;
    const program = programOf(given.seed);
    done(given.number, await runProgram(pool, given.number, program, given.isDisturbed));
    if (given.seed % 4 === 0) await sleep(1);
  }
}
