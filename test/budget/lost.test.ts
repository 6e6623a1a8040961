/** What a pool does without its permits: each onLost, and onUnreachable 'open', as its network goes and comes back. The engine has no part in it. */
import { type BudgetOptions, createBudget } from 'cenote/budget';
import { expect, onTestFinished, test } from 'vitest';
import { rejection, until } from '../support/wait.ts';
import { engineAt, type Heard, listening, newKey, poolOn, throughRelay } from './support.ts';

type Net = Awaited<ReturnType<typeof throughRelay>>['net'];

interface Member extends Heard {
  readonly net: Net;
  /** The network fails without a word. */
  freeze(): void;
  /** It lost its permits before that. */
  wasLate(): boolean;
}

/** The only member of a budget of three, behind a network that can fail. */
async function behindRelay(options: Partial<BudgetOptions>): Promise<Member> {
  const { url, net } = await throughRelay('postgres');
  const budget = await createBudget({ engine: engineAt('postgres', url), key: newKey(), limit: 3, ttl: 1000, ...options });
  onTestFinished(() => budget.close().catch(() => {}));
  const heard = listening(budget);
  let before: number | undefined;
  return {
    ...heard,
    net,
    freeze: () => {
      before = heard.events.length;
      net.freeze();
    },
    wasLate: () => heard.events.slice(0, before).some(({ event }) => event === 'lost' || event === 'unreachable'),
  };
}

/** A test that begins anew where the lease, of a second, has run out before the network failed, as it may on a busy machine. */
const testInTime = (name: string, body: (join: typeof behindRelay) => Promise<void>): void =>
  test(name, async () => {
    for (let tries = 1; ; tries++) {
      let member: Member | undefined;
      try {
        return await body(async (options) => (member = await behindRelay(options)));
      } catch (error) {
        if (!member?.wasLate() || tries === 10) throw error;
      }
    }
  });

/** Connections that stood still are broken; new ones are served. */
function mend(net: Net): void {
  net.cut();
  net.thaw();
}

testInTime("'destroy': what is idle goes at once, what is borrowed when it comes back", async (join) => {
  const { budget, net, freeze, heard } = await join({});
  const pool = await poolOn(budget);
  const destroyed: string[] = [];
  pool.on('destroy', ({ number }, reason) => destroyed.push(`${number === out.number ? 'out' : 'idle'} ${reason}`));
  const [out, idle] = await Promise.all([pool.acquire(), pool.acquire()]);
  pool.release(idle);
  freeze();
  const { granted, error } = await heard('lost');
  expect([granted, error.code, error.key]).toEqual([2, 'ERR_BUDGET_LOST', budget.key]);
  await until(() => pool.count() === 1);
  expect(destroyed).toEqual(['idle lost']);
  expect(budget).toMatchObject({ granted: 0, used: 1 });
  pool.release(out);
  await until(() => pool.count() === 0);
  expect(destroyed).toEqual(['idle lost', 'out lost']);
  const waiting = pool.acquire();
  mend(net);
  pool.release(await waiting);
});

testInTime("'revoke': what is borrowed goes at once, too, and its borrower is told", async (join) => {
  const { budget, net, freeze, heard } = await join({ onLost: 'revoke' });
  const pool = await poolOn(budget);
  const reasons: string[] = [];
  pool.on('destroy', (_, reason) => reasons.push(reason));
  pool.release(await pool.acquire());
  const used = rejection(pool.use(() => until(() => pool.count() === 0)));
  freeze();
  await heard('lost');
  expect(await used).toMatchObject({ name: 'LeaseRevokedError' });
  await until(() => pool.count() === 0);
  expect([budget.used, reasons.length]).toEqual([0, 1]);
  const waiting = pool.acquire();
  mend(net);
  pool.release(await waiting);
});

testInTime(
  "'keep': everything stays and can be borrowed, nothing new is made, and the same ones count when the permits are back",
  async (join) => {
    const { budget, net, freeze, heard } = await join({ onLost: 'keep' });
    const pool = await poolOn(budget);
    pool.on('destroy', (_, reason) => reasons.push(reason));
    const reasons: string[] = [];
    const [first, second] = await Promise.all([pool.acquire(), pool.acquire()]);
    pool.release(second);
    freeze();
    await Promise.all([heard('lost'), heard('unreachable')]);
    expect([budget.granted, budget.used, pool.count()]).toEqual([0, 2, 2]);
    pool.release(first);
    const again = await Promise.all([pool.acquire(), pool.acquire()]);
    expect(again.map(({ number }) => number).sort()).toEqual([first.number, second.number].sort());
    expect(await pool.tryAcquire()).toBeNull();
    mend(net);
    expect((await heard('regained')).granted).toBeGreaterThanOrEqual(2);
    // It is told first, and then nothing had been regained.
    expect((await heard('reachable')).granted).toBe(0);
    const third = await pool.acquire();
    expect([pool.count(), reasons]).toEqual([3, []]);
    for (const thing of [...again, third]) pool.release(thing);
  },
);

testInTime(
  "onUnreachable 'open': after a loss pools go on without a cap; when the engine is back, what is too much goes as it comes back",
  async (join) => {
    const { budget, net, freeze, heard } = await join({ onUnreachable: 'open' });
    const pool = await poolOn(budget, { max: 5 });
    const reasons: string[] = [];
    pool.on('destroy', (_, reason) => reasons.push(reason));
    const out = [await pool.acquire()];
    // On a busy machine it may have come in late, and gone on without the engine until then.
    await until(() => budget.granted > 0);
    freeze();
    await heard('lost');
    expect((await heard('unreachable')).error.code).toBe('ERR_BUDGET_UNREACHABLE');
    out.push(...(await Promise.all([1, 2, 3, 4].map(() => pool.acquire()))));
    expect(budget).toMatchObject({ granted: 0, used: 5 });
    expect(await pool.tryAcquire()).toBeNull();
    mend(net);
    expect((await heard('reachable')).granted).toBe(0);
    await heard('regained');
    await until(() => budget.granted > 0);
    const waiting = pool.acquire();
    for (const thing of out) pool.release(thing);
    const last = await waiting;
    await until(() => pool.count() <= 3 && budget.granted <= 3 && budget.used === pool.count());
    expect(reasons.length).toBeGreaterThanOrEqual(2);
    pool.release(last);
  },
);

testInTime("onUnreachable 'open': out of reach, but not lost, pools go on beyond what is granted", async (join) => {
  const { budget, net, freeze, heard, events } = await join({ onUnreachable: 'open', ttl: 60_000 });
  const pool = await poolOn(budget, { max: 5 });
  const out = await Promise.all([1, 2, 3].map(() => pool.acquire()));
  await until(() => budget.granted === 3);
  const before = events.filter(({ event }) => event === 'reachable').length;
  net.cut();
  freeze();
  const more = Promise.all([pool.acquire(), pool.acquire()]);
  await budget.members().catch(() => {});
  await heard('unreachable');
  out.push(...(await more));
  expect([budget.granted, budget.used]).toEqual([3, 5]);
  mend(net);
  expect((await heard('reachable', before + 1)).granted).toBe(3);
  for (const thing of out) pool.release(thing);
  await until(() => pool.count() <= 3);
  expect(events.map(({ event }) => event)).not.toContain('lost');
});
