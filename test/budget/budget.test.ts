/** One process: what a program sees of a budget, its pools and its events. On each engine that is here. */
import { createPool } from 'cenote';
import { type Budget, BudgetError, budgetSchema, createBudget, postgresBudget, redisBudget } from 'cenote/budget';
import type pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, postgres } from '../support/postgres.ts';
import { failureOf, gate, outcome, pendingUntil, rejection, settled, sleep, until } from '../support/wait.ts';
import { ENGINES, engineAt, isRepeat, listening, member, newKey, poolOn, urlOf } from './support.ts';

/** Each has said what it has and wants, heard of the others, and said again what it keeps. */
async function reported(...budgets: Budget[]): Promise<void> {
  for (const budget of [...budgets, ...budgets, ...budgets]) await until(() => budget.members());
}

const code = (error: unknown): string => (error as BudgetError).code;

describe.each(ENGINES)('%s', (engine) => {
  /** What the engine has no part in is shown once. */
  const once = test.skipIf(isRepeat(engine));
  test('pools of several members together never have more than the limit, and what is given up goes to who waits', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key, member: 'a' }), await member(engine, { key, member: 'b' })];
    const [p, q] = [await poolOn(a.budget), await poolOn(b.budget)];
    const borrowed = await Promise.all([p.acquire(), p.acquire(), p.acquire()]);
    expect(p.stats()).toMatchObject({ granted: 3, count: 3, max: 10 });
    expect(a.budget).toMatchObject({ key, limit: 3, granted: 3, used: 3 });
    const waiting = q.acquire();
    const { share } = await a.heard('shed');
    expect(share).toBe(2);
    expect(q.waitingCount()).toBe(1);
    const reasons: string[] = [];
    p.on('destroy', (_, reason) => reasons.push(reason));
    p.release(borrowed[0]);
    await waiting;
    expect(reasons).toEqual(['shed']);
    const members = await b.budget.members();
    expect(members.map(({ member: label, granted, used, you }) => [label, granted, used, you])).toEqual([
      ['a', 2, 2, false],
      ['b', 1, 1, true],
    ]);
    for (const { wanted, seenAgo } of members) expect([wanted >= 1, seenAgo >= 0]).toEqual([true, true]);
  });

  once('idle resources are kept as long as no other member wants them, and then go at once', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key }), await member(engine, { key })];
    const [p, q] = [await poolOn(a.budget), await poolOn(b.budget)];
    for (const thing of await Promise.all([p.acquire(), p.acquire(), p.acquire()])) p.release(thing);
    await sleep(1500);
    expect(p.idleCount()).toBe(3);
    await Promise.all([q.acquire(), q.acquire(), q.acquire()]);
    expect(p.count()).toBe(0);
  });

  test('the factory gets its permit: epochs go up with every grant, over all members', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key }), await member(engine, { key })];
    const first = await (await poolOn(a.budget)).acquire();
    const second = await (await poolOn(b.budget)).acquire();
    expect(first.permit!.key).toBe(key);
    expect(Number.isSafeInteger(first.permit!.epoch)).toBe(true);
    expect(second.permit!.epoch).toBeGreaterThan(first.permit!.epoch);
  });

  test('members must say the same limit; after resize that of a living member is accepted, and means the present one', async () => {
    const key = newKey();
    const a = await member(engine, { key, limit: 3 });
    const error = await failureOf(() => member(engine, { key, limit: 4 }));
    expect(error).toBeInstanceOf(BudgetError);
    expect(error).toMatchObject({ code: 'ERR_BUDGET_MISMATCH', key, name: 'BudgetError' });
    expect(String(error)).toMatch(/limit is 4 here, and 3/);
    await a.budget.resize(5);
    expect(a.budget.limit).toBe(5);
    const b = await member(engine, { key, limit: 3 });
    expect(b.budget.limit).toBe(5);
    expect((await member(engine, { key, limit: 5 })).budget.limit).toBe(5);
    expect(code(await failureOf(() => member(engine, { key, limit: 4 })))).toBe('ERR_BUDGET_MISMATCH');
    await until(() => b.budget.limit === 5);
  });

  test('resize up serves who waits; resize down has what is too much go as it comes back', async () => {
    const key = newKey();
    const { budget } = await member(engine, { key, limit: 2 });
    const pool = await poolOn(budget);
    const things = await Promise.all([pool.acquire(), pool.acquire()]);
    const third = pool.acquire();
    await budget.resize(3);
    things.push(await third);
    await budget.resize(1);
    await until(() => budget.granted === 3 && budget.limit === 1);
    for (const thing of things) pool.release(thing);
    await until(() => pool.count() === 1 && budget.granted === 1);
  });

  once('tryAcquire waits for the one answer under way, and no longer', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key, limit: 1 }), await member(engine, { key, limit: 1 })];
    const [p, q] = [await poolOn(a.budget), await poolOn(b.budget)];
    const thing = await p.tryAcquire();
    expect(thing).not.toBeNull();
    expect(await q.tryAcquire()).toBeNull();
    expect(await q.tryAcquire()).toBeNull();
    p.release(thing!);
    await until(() => q.tryAcquire());
  });

  once('a pool with min comes up with what it may have, and fills up later', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key }), await member(engine, { key })];
    const p = await poolOn(a.budget);
    const [one, two] = await Promise.all([p.acquire(), p.acquire()]);
    const q = await poolOn(b.budget, { min: 2 });
    expect(q.count()).toBe(1);
    p.destroy(one);
    p.destroy(two);
    await until(() => q.count() === 2);
  });

  test('close says what still uses it, and gives everything back', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key }), await member(engine, { key })];
    const pool = await poolOn(a.budget, { name: 'mine' });
    const thing = await pool.acquire();
    const error = await rejection(a.budget.close());
    expect([code(error), String(error).includes('"mine"')]).toEqual(['ERR_BUDGET_IN_USE', true]);
    await pool.close();
    expect(code(await rejection(a.budget.close()))).toBe('ERR_BUDGET_IN_USE');
    pool.release(thing);
    await a.budget.close();
    await a.budget.close();
    expect(await b.budget.members()).toHaveLength(1);
    expect(code(await rejection(a.budget.members()))).toBe('ERR_BUDGET_CLOSED');
    expect(code(await rejection(a.budget.resize(2)))).toBe('ERR_BUDGET_CLOSED');
    expect(code(await failureOf(() => createPool({ factory: () => ({}), budget: a.budget })))).toBe('ERR_BUDGET_CLOSED');
  });
});

const engine = ENGINES[0];

describe('shares', () => {
  /** Two members that want all of eight, one after the other, and borrow again and again until both have what they should. */
  const shared = async (a: object, b: object, want: readonly [number, number]): Promise<void> => {
    const key = newKey();
    const members = [await member(engine, { key, limit: 8, ...a }), await member(engine, { key, limit: 8, ...b })];
    let isOver = false;
    const loops: Promise<void>[] = [];
    for (const { budget } of members) {
      const pool = await poolOn(budget);
      for (let n = 0; n < 8; n++)
        loops.push(
          (async () => {
            while (!isOver) await pool.use(() => sleep(5));
          })(),
        );
    }
    try {
      await until(() => members.every(({ budget }, index) => budget.granted === want[index]));
    } finally {
      isOver = true;
      await Promise.all(loops);
    }
  };

  test('by weight', () => shared({ weight: 1 }, { weight: 3 }, [2, 6]));
  test('the floor first, whatever the weights', () => shared({ floor: 4 }, { weight: 7 }, [4, 4]));
  test('the same weights, no floors', () => shared({ floor: 0 }, { floor: 0 }, [4, 4]));
});

describe('pools', () => {
  test('several share one budget: what one needs another has not idle', async () => {
    const { budget } = await member(engine, { key: newKey(), limit: 4 });
    const [p, q] = [await poolOn(budget), await poolOn(budget)];
    for (const thing of await Promise.all([p.acquire(), p.acquire(), p.acquire(), p.acquire()])) p.release(thing);
    expect(budget.used).toBe(4);
    const things = await Promise.all([q.acquire(), q.acquire()]);
    expect([p.count() + q.count(), budget.used]).toEqual([4, 4]);
    const all = await Promise.all([p.acquire(), p.acquire()]);
    const more = q.acquire();
    await pendingUntil(sleep(300), more);
    expect(things.length + all.length).toBe(budget.used);
    p.release(all[0]);
    await more;
    expect([p.count(), q.count(), budget.used]).toEqual([1, 3, 4]);
  });

  test('a permit is given back when the destructor has settled, not before', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key, limit: 1 }), await member(engine, { key, limit: 1 })];
    const end = gate();
    const p = await poolOn(a.budget, { destructor: () => end.promise });
    const q = await poolOn(b.budget);
    p.destroy(await p.acquire());
    const waiting = q.acquire();
    await pendingUntil(sleep(1500), waiting);
    expect(a.budget.used).toBe(1);
    end.open();
    await waiting;
  });

  test.each(['destructor', 'abort'] as const)('a permit is kept while a call of the %s runs that was given up', async (hook) => {
    const key = newKey();
    const [a, b] = [await member(engine, { key, limit: 1 }), await member(engine, { key, limit: 1 })];
    const end = gate();
    const p = await poolOn(a.budget, { checkTimeout: 20, [hook]: () => end.promise });
    const q = await poolOn(b.budget);
    const failed = new Promise((resolve) => p.on('error', resolve));
    const thing = await p.acquire();
    if (hook === 'abort') p.revoke(thing);
    else p.destroy(thing);
    await failed;
    await until(() => p.count() === 0);
    const waiting = q.acquire();
    await pendingUntil(reported(a.budget, b.budget), waiting);
    expect([a.budget.used, a.budget.granted]).toEqual([1, 1]);
    end.open();
    await waiting;
    expect(a.budget.used).toBe(0);
  });

  test('a pool that is closed does not wait for a call that was given up; its budget is in use until that has settled', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key, limit: 1 }), await member(engine, { key, limit: 1 })];
    const end = gate();
    const p = await poolOn(a.budget, { min: 1, checkTimeout: 20, destructor: () => end.promise });
    p.on('error', () => {});
    await settled(p.close());
    const waiting = (await poolOn(b.budget)).acquire();
    expect(code(await rejection(a.budget.close()))).toBe('ERR_BUDGET_IN_USE');
    await pendingUntil(reported(a.budget, b.budget), waiting);
    end.open();
    await until(() => a.budget.used === 0);
    await a.budget.close();
    await waiting;
  });

  test.each(['destructor', 'factory'] as const)(
    'a call of the %s that never settles takes one permit, and the rest serve',
    async (hook) => {
      const { budget } = await member(engine, { key: newKey(), limit: 2 });
      let calls = 0;
      const never = new Promise<never>(() => {});
      const pool = await poolOn(budget, {
        checkTimeout: 20,
        createTimeout: hook === 'factory' ? 20 : 0,
        destructor: () => (hook === 'destructor' && ++calls === 1 ? never : undefined),
        factory: () => (hook === 'factory' && ++calls === 1 ? never : { number: 0, permit: undefined }),
      });
      pool.on('error', () => {});
      if (hook === 'factory') await rejection(pool.acquire());
      else pool.destroy(await pool.acquire());
      await until(() => pool.count() === 0);
      const thing = await settled(pool.acquire());
      expect([budget.used, pool.count()]).toEqual([2, 1]);
      expect(await pool.tryAcquire()).toBeNull();
      expect(await settled(pool.recycle({ timeout: 1 }).catch(() => 'late'))).toBe('late');
      pool.release(thing);
      await until(() => pool.stats().recycled === 1);
    },
  );

  test('a factory call that was given up keeps its permit until it has settled', async () => {
    const key = newKey();
    const [a, b] = [await member(engine, { key, limit: 1 }), await member(engine, { key, limit: 1 })];
    const made = gate<{ number: number; permit: undefined }>();
    const p = await poolOn(a.budget, { factory: () => made.promise, createTimeout: 50 });
    const q = await poolOn(b.budget);
    expect(String(await rejection(p.acquire()))).toContain('the factory took longer than 50 ms');
    const waiting = q.acquire();
    await pendingUntil(sleep(1200), waiting);
    made.open({ number: 0, permit: undefined });
    await waiting;
  });

  test('a factory that fails rejects its waiter, and its permit serves the next', async () => {
    const { budget } = await member(engine, { key: newKey(), limit: 1 });
    let calls = 0;
    const pool = await poolOn(budget, {
      factory: () => {
        if (++calls === 1) throw new Error('no luck');
        return { number: calls, permit: undefined };
      },
    });
    const both = await Promise.all([outcome(pool.acquire()), outcome(pool.acquire())]);
    expect(both.map(({ error }) => (error === undefined ? 'served' : String(error))).sort()).toEqual(['Error: no luck', 'served']);
  });

  test('max is still the most, where the budget would allow more', async () => {
    const { budget } = await member(engine, { key: newKey(), limit: 50 });
    const pool = await poolOn(budget, { max: 2 });
    await Promise.all([pool.acquire(), pool.acquire()]);
    expect(await pool.tryAcquire()).toBeNull();
    expect([pool.stats().granted, budget.used]).toEqual([2, 2]);
  });

  test('createPool that fails leaves nothing in use', async () => {
    const { budget } = await member(engine, { key: newKey() });
    const failure = Object.assign(new Error('down'), {});
    expect(await failureOf(() => poolOn(budget, { min: 2, factory: () => Promise.reject(failure) }))).toBe(failure);
    await budget.close();
  });

  test.each([{}, 5, 'budget', null])('%j is no budget', async (budget) => {
    expect(String(await failureOf(() => createPool({ factory: () => ({}), budget: budget as never })))).toMatch(
      /^TypeError: budget must be/,
    );
  });
});

describe('an engine that is out of reach', () => {
  const nowhere = 'postgres://postgres:x@127.0.0.1:1/postgres';

  test("'wait': createBudget rejects within about ten seconds, with what went wrong as the cause", async () => {
    const started = performance.now();
    const error = await failureOf(() => createBudget({ engine: engineAt('postgres', nowhere), key: newKey(), limit: 1 }));
    expect(error).toMatchObject({ code: 'ERR_BUDGET_UNREACHABLE', cause: { code: 'ECONNREFUSED' } });
    // Ten, and what a busy machine adds to each of its steps.
    expect(performance.now() - started).toBeLessThan(45_000);
  });

  test("'open': pools go on without a cap, and the event says so", async () => {
    const budget = await createBudget({ engine: engineAt('postgres', nowhere), key: newKey(), limit: 1, onUnreachable: 'open' });
    const { heard } = listening(budget);
    const pool = await poolOn(budget, { max: 3 });
    await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    expect(await pool.tryAcquire()).toBeNull();
    void heard;
    for (const _ of [1, 2, 3]) await pool.use(() => {}, { timeout: 1 }).catch(() => {});
    expect(budget.used).toBe(3);
    await pool.close();
    await budget.close().catch(() => {});
  });

  test.each(['wait', 'open'] as const)('a wrong password is said at once, with onUnreachable: %j', async (onUnreachable) => {
    const url = new URL((await postgres()).url);
    await ask(
      `do $$ begin if not exists (select from pg_roles where rolname = 'nobody') then create role nobody login password 'right'; end if; end $$`,
    );
    const connection = { host: url.searchParams.get('host')!, user: 'nobody', password: 'wrong', database: 'postgres' };
    const error = await failureOf(() => createBudget({ engine: postgresBudget({ connection }), key: newKey(), limit: 1, onUnreachable }));
    expect(error).toMatchObject({ code: 'ERR_BUDGET_UNREACHABLE', cause: { code: '28P01' } });
  });
});

describe('options', () => {
  const right = async () => ({ engine: engineAt('postgres', await urlOf('postgres')), key: 'k', limit: 10 });
  test.each([
    [{ limit: 0 }, 'RangeError', 'limit'],
    [{ limit: 1.5 }, 'RangeError', 'limit'],
    [{ limit: '5' }, 'TypeError', 'limit'],
    [{ floor: 11 }, 'RangeError', 'floor'],
    [{ weight: 0 }, 'RangeError', 'weight'],
    [{ ttl: 999 }, 'RangeError', 'ttl'],
    [{ ttl: '1' }, 'TypeError', 'ttl'],
    [{ ownerTimeout: 1 }, 'RangeError', 'ownerTimeout'],
    [{ key: '' }, 'RangeError', 'key'],
    [{ key: 5 }, 'TypeError', 'key'],
    [{ member: 5 }, 'TypeError', 'member'],
    [{ onLost: 'x' }, 'TypeError', 'onLost'],
    [{ onUnreachable: 'x' }, 'TypeError', 'onUnreachable'],
    [{ engine: {} }, 'TypeError', 'engine'],
    [{ max: 5 }, 'TypeError', 'use limit'],
    [{ limt: 5 }, 'TypeError', 'do you mean limit'],
  ])('%j is a %s that names it', async (wrong, type, name) => {
    const error = await failureOf(async () => createBudget({ ...(await right()), ...(wrong as object) }));
    expect([(error as Error).name, String(error)]).toEqual([type, expect.stringContaining(name)]);
  });

  test.each([undefined, null, 'x'])('createBudget(%j) is a TypeError', async (options) => {
    expect(await failureOf(() => createBudget(options as never))).toBeInstanceOf(TypeError);
  });

  test('an engine shows no secret', () => {
    const shown = postgresBudget({ connection: 'postgres://u:secret@h/d' });
    expect([JSON.stringify(shown), shown.name]).toEqual(['{"name":"postgres"}', 'postgres']);
    expect(String(failureOf(() => postgresBudget({ conection: 'postgres://u:secret@h/d' } as never)))).not.toContain('secret');
  });

  test('settings that cannot be sent are a TypeError', async () => {
    const checkServerIdentity = () => undefined;
    expect(await failureOf(() => postgresBudget({ connection: { ssl: { checkServerIdentity } } as never }))).toBeInstanceOf(TypeError);
    expect(await failureOf(() => redisBudget({ client: {} }))).toBeInstanceOf(TypeError);
    expect(await failureOf(() => redisBudget({ url: 'http://x' }))).toBeInstanceOf(TypeError);
    expect(await failureOf(() => redisBudget({} as never))).toBeInstanceOf(TypeError);
  });

  test('a function is asked before each connect, and a password that is one, too', async () => {
    const { url } = await postgres();
    let asked = 0;
    const engineOf = postgresBudget({
      connection: async () => {
        asked++;
        return { connectionString: url };
      },
    });
    const budget = await createBudget({ engine: engineOf, key: newKey(), limit: 1 });
    onTestFinished(() => budget.close());
    expect(asked).toBe(1);
    const { searchParams, password, pathname } = new URL(url);
    const database = pathname.slice(1);
    const connection = { host: searchParams.get('host')!, user: 'postgres', database, password: async () => password };
    const other = await createBudget({ engine: postgresBudget({ connection }), key: newKey(), limit: 1 });
    await other.close();
  });
});

describe('the table', () => {
  test('may be made beforehand, under a name of its own, for a role that may not make one', async () => {
    await ask(budgetSchema({ table: 'public.permits' }));
    await ask(`do $$ begin if not exists (select from pg_roles where rolname = 'humble') then create role humble login; end if; end $$`);
    await ask('grant select, insert, update, delete on permits to humble');
    await ask('revoke create on schema public from public');
    const url = new URL((await postgres()).url);
    const connection: pg.ClientConfig = {
      host: url.searchParams.get('host')!,
      user: 'postgres',
      password: url.password,
      database: url.pathname.slice(1),
    };
    const humble = { ...connection, options: '-c role=humble' };
    const budget = await createBudget({ engine: postgresBudget({ connection: humble, table: 'public.permits' }), key: newKey(), limit: 1 });
    await budget.close();
    const error = await failureOf(() =>
      createBudget({ engine: postgresBudget({ connection: humble, table: 'another' }), key: 'k', limit: 1 }),
    );
    expect(error).toMatchObject({ code: 'ERR_BUDGET_UNREACHABLE', cause: { code: '42501' } });
    expect(String(error)).toContain('budgetSchema');
  });

  test('two engines of one function each have their own', async () => {
    const { url } = await postgres();
    const connection = async (): Promise<pg.ClientConfig> => ({ connectionString: url });
    const key = newKey();
    for (const table of ['one_of_two', 'other_of_two']) await member('postgres', { key, engine: postgresBudget({ connection, table }) });
    for (const table of ['one_of_two', 'other_of_two'])
      expect(await ask(`select count(*)::int as n from ${table} where key = $1 and id <> ''`, [key])).toEqual([{ n: 1 }]);
  });

  test.each(['', 'a.b.c', 5])('%j is no table', async (table) => {
    expect(await failureOf(() => budgetSchema({ table: table as never }))).toBeInstanceOf(TypeError);
  });

  test('at rest a member takes at most three steps for each ttl', async () => {
    const table = `rest_${process.pid}`;
    const budget = await createBudget({
      engine: postgresBudget({ connection: { connectionString: (await postgres()).url, application_name: 'rest' }, table }),
      key: newKey(),
      limit: 3,
      ttl: 12_000,
    });
    onTestFinished(() => budget.close());
    const pool = await poolOn(budget);
    pool.release(await pool.acquire());
    const seq = async (): Promise<number> => Number((await ask(`select seq from ${table} where id <> ''`))[0].seq);
    await sleep(1300);
    const started = performance.now();
    const before = await seq();
    await sleep(8000);
    const steps = (await seq()) - before;
    // However long the pause was.
    expect(steps).toBeLessThanOrEqual(1 + (performance.now() - started) / 4000);
  });
});
