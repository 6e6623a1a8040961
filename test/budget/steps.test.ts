/** PostgreSQL and Redis do each step as it is meant: the same reports, at the same moments, get the same answers and call the same members. */
import { Redis } from 'ioredis';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { Answer, Report } from '../../src/budget/engines/engine.ts';
import { NOW, schema, stepText } from '../../src/budget/engines/postgres-step.ts';
import { hashOf, STEP } from '../../src/budget/engines/redis-step.ts';
import { postgres } from '../support/postgres.ts';
import { redisServer, withRedis } from '../support/redis.ts';
import { Random } from './simulation/random.ts';
import { Server } from './simulation/server.ts';

const STEPS = 250;
const SEEDS = process.env.BUDGET_ENGINES === 'all' ? [1, 2, 3, 4] : [1];
const START = 1_700_000_000_000;

interface Outcome {
  answer: Answer;
  called: string[] | '*';
}
type Engine = (report: Report, now: number) => Promise<Outcome>;

/** Members that come, want, hold, leave, are silent for long, come back, say another limit, or speak too late. */
async function run(seed: number, engine: Engine): Promise<void> {
  const random = new Random(seed);
  const server = new Server();
  let now = START;
  const seqs = new Map<string, number>();
  const held = new Map<string, number>();
  const noted = new Map<string, number>();
  for (let n = 0; n < STEPS; n++) {
    now += random.pick([0, 1, 30, 250, 400, 1000, random.chance(0.02) ? 5000 : 10]);
    const id = `${'0'.repeat(11)}${random.below(7).toString(16)}`;
    const seq = (seqs.get(id) ?? 0) + (random.chance(0.97) ? 1 : 0);
    seqs.set(id, Math.max(seq, seqs.get(id) ?? 0));
    const had = held.get(id) ?? 0;
    const join = random.pick(['none', 'none', 'none', 'none', 'again', 'new'] as const);
    const hold = join === 'new' ? 0 : Math.min(had, random.below(8));
    const report: Report = {
      ...{ key: 'it\'s \\ a "key" – ü', id, seq, join, leave: random.chance(0.05), hold, used: had, want: random.below(9) },
      ...{ floor: random.pick([0, 1, 1, 1, 2]), weight: random.pick([1, 1, 1, 2, 0.5]), ttl: random.pick([1000, 3000]), label: 'a' },
      ...{
        said: random.chance(0.9) ? 10 : 12,
        limit: 10,
        epoch: random.chance(0.9) ? 0 : now + 5,
        noted: random.chance(0.97) ? (noted.get(id) ?? 0) : Math.max(0, seq - 1),
        resize: random.chance(0.03) ? 4 + random.below(9) : null,
      },
    };
    if (report.leave) Object.assign(report, { hold: 0, want: 0 });
    const meant = server.step(report, now);
    const got = await engine(report, now);
    if (meant.answer.outcome === 'ok') {
      held.set(id, meant.answer.granted);
      noted.set(id, report.leave ? 0 : seq);
      expect(got, `seed ${seed}, step ${n}: ${JSON.stringify(report)}`).toEqual(meant);
    } else expect(got.answer.outcome, `seed ${seed}, step ${n}: ${JSON.stringify(report)}`).toBe(meant.answer.outcome);
  }
}

const KEY = 'forgetful';
const A = '00000000000a';
const B = '00000000000b';
const D = '00000000000d';

/** What one member says after the other, of a limit of 20. */
function speaking(engine: Engine): (after: number, id: string, says: Partial<Report>) => Promise<Answer> {
  let now = START;
  return async (after, id, says) => {
    now += after;
    const common = { key: KEY, id, seq: 1, join: 'none', leave: false, hold: 0, used: 0, want: 0, floor: 1, weight: 1, ttl: 3000 } as const;
    return (await engine({ ...common, label: 'a', said: 20, limit: 20, epoch: 0, noted: 0, resize: null, ...says }, now)).answer;
  };
}

/** A failover has lost the second report of A and of D, and what these had been granted by it: nothing more is granted before both have spoken. */
async function losesWrites(engine: Engine): Promise<void> {
  const say = speaking(engine);
  expect(await say(0, A, { join: 'new', want: 5 })).toMatchObject({ granted: 5 });
  expect(await say(0, D, { join: 'new', want: 2 })).toMatchObject({ granted: 2 });
  // Until the first of them speaks nothing can tell.
  expect(await say(0, B, { join: 'new', want: 3 })).toMatchObject({ granted: 3 });
  expect(await say(100, A, { seq: 3, noted: 2, hold: 8, want: 8 })).toMatchObject({ outcome: 'ok', granted: 8 });
  expect(await say(100, B, { seq: 2, noted: 1, hold: 3, want: 10 })).toMatchObject({ granted: 3 });
  expect(await say(500, D, { seq: 3, noted: 2, hold: 6, want: 6 })).toMatchObject({ granted: 6 });
  // The pause is not begun anew by each that has been forgotten.
  expect(await say(500, B, { seq: 3, noted: 2, hold: 3, want: 10 })).toMatchObject({ granted: 3 });
  expect(await say(200, B, { seq: 4, noted: 3, hold: 3, want: 10 })).toMatchObject({ granted: 6, over: false });
  for (const [id, seq] of [
    [A, 4],
    [D, 4],
    [B, 5],
  ] as const)
    await say(0, id, { seq, leave: true });
}

/** Everything has been forgotten, and a newcomer is there first: what it gets is bounded by the first of the others that speaks. */
async function losesAll(engine: Engine): Promise<void> {
  const say = speaking(engine);
  expect(await say(0, B, { join: 'new', want: 2 })).toMatchObject({ granted: 2 });
  expect(await say(100, A, { seq: 3, noted: 2, hold: 8, want: 8 })).toMatchObject({ outcome: 'unknown' });
  expect(await say(0, A, { seq: 4, noted: 2, join: 'again', hold: 8, want: 8 })).toMatchObject({ granted: 8 });
  expect(await say(100, B, { seq: 2, noted: 1, hold: 2, want: 10 })).toMatchObject({ granted: 2 });
  expect(await say(1200, B, { seq: 3, noted: 2, hold: 2, want: 10 })).toMatchObject({ granted: 10 });
  // One whose lease has run out says nothing of what was noted, and brings no pause.
  expect(await say(0, D, { seq: 9, join: 'again', hold: 1, want: 1 })).toMatchObject({ granted: 1 });
  expect(await say(0, B, { seq: 4, noted: 3, hold: 10, want: 11 })).toMatchObject({ granted: 11 });
  for (const [id, seq] of [
    [A, 5],
    [D, 10],
    [B, 5],
  ] as const)
    await say(0, id, { seq, leave: true });
}

test('the model', async () => {
  for (const scenario of [losesWrites, losesAll]) {
    const server = new Server();
    await scenario(async (report, now) => server.step(report, now));
  }
});

const calledBy = (text: unknown): string[] | '*' =>
  text === '*' ? '*' : typeof text === 'string' && text !== '' ? text.split(' ').sort() : [];

test('PostgreSQL', async () => {
  const client = new pg.Client({ connectionString: (await postgres()).url });
  await client.connect();
  onTestFinished(() => client.end());
  for (const seed of SEEDS) {
    const table = `steps.of ${seed}`;
    await client.query('CREATE SCHEMA IF NOT EXISTS steps');
    await client.query(schema(table));
    const engine: Engine = async (report, now) => {
      const text = stepText(table, report, 1000)
        .replaceAll(NOW, `${now}::float8`)
        .replace(/pg_notify\( E'\w+',/, '(');
      const results = (await client.query(text)) as unknown as { rows: { answer: Answer; case: unknown }[] }[];
      const { answer, case: called } = results.at(-1)!.rows[0];
      return { answer, called: calledBy(called) };
    };
    await run(seed, engine);
    await losesWrites(engine);
    await losesAll(engine);
  }
});

withRedis('Redis', async () => {
  const client = new Redis((await redisServer()).url);
  onTestFinished(() => client.disconnect());
  const script = STEP.replace("redis.call('TIME')", '{ ARGV[2], ARGV[3] }').replaceAll(
    "redis.call('PUBLISH', KEYS[1],",
    "redis.call('SET', 'called',",
  );
  for (const seed of SEEDS) {
    await client.flushall();
    const engine: Engine = async (report, now) => {
      await client.del('called');
      const time = [Math.floor(now / 1000), (now % 1000) * 1000];
      const answer = JSON.parse((await client.eval(script, 1, hashOf(report.key), JSON.stringify(report), ...time)) as string) as Answer;
      // By the time of the test it may live for a year or so.
      await client.persist(hashOf(report.key));
      return { answer, called: calledBy(await client.get('called')) };
    };
    await run(seed, engine);
    await losesWrites(engine);
    await losesAll(engine);
  }
});
