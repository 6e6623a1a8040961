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
        resize: random.chance(0.03) ? 4 + random.below(9) : null,
      },
    };
    if (report.leave) Object.assign(report, { hold: 0, want: 0 });
    const meant = server.step(report, now);
    const got = await engine(report, now);
    if (meant.answer.outcome === 'ok') {
      held.set(id, meant.answer.granted);
      expect(got, `seed ${seed}, step ${n}: ${JSON.stringify(report)}`).toEqual(meant);
    } else expect(got.answer.outcome, `seed ${seed}, step ${n}: ${JSON.stringify(report)}`).toBe(meant.answer.outcome);
  }
}

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
    await run(seed, async (report, now) => {
      const text = stepText(table, report, 1000)
        .replaceAll(NOW, `${now}::float8`)
        .replace(/pg_notify\( E'\w+',/, '(');
      const results = (await client.query(text)) as unknown as { rows: { answer: Answer; case: unknown }[] }[];
      const { answer, case: called } = results.at(-1)!.rows[0];
      return { answer, called: calledBy(called) };
    });
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
    await run(seed, async (report, now) => {
      await client.del('called');
      const time = [Math.floor(now / 1000), (now % 1000) * 1000];
      const answer = JSON.parse((await client.eval(script, 1, hashOf(report.key), JSON.stringify(report), ...time)) as string) as Answer;
      // By the time of the test it may live for a year or so.
      await client.persist(hashOf(report.key));
      return { answer, called: calledBy(await client.get('called')) };
    });
  }
});
