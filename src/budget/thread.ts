/** The thread that speaks with the engines, for all budgets of its owner. It ends with the owner's thread. */
import { parentPort } from 'node:worker_threads';
import type { ClientConfig } from 'pg';
import { RealClock } from './clock.ts';
import type { Engine } from './engines/engine.ts';
import { PostgresEngine } from './engines/postgres.ts';
import { RedisEngine } from './engines/redis.ts';
import { Member, type News } from './member.ts';
import { type EngineSource, packed, type ToOwner, type ToThread, unpacked } from './messages.ts';
import { Words } from './words.ts';

/** The owner is taken to be blocked when it has not given the settings within so long, in ms: then its last answer serves. */
const PATIENCE = 400;

type Settings = string | ClientConfig;

const port = parentPort!;
const say = (message: ToOwner): void => port.postMessage(message);

/** By the owner's number, with how many budgets use it. */
const engines = new Map<number, { readonly engine: Engine; users: number }>();
const members = new Map<number, { readonly member: Member; readonly engine: number }>();
const questions = new Map<number, { answer(settings: Settings): void; fail(error: Error): void }>();
let asked = 0;

function engineOf(id: number, source: EngineSource): Engine {
  let entry = engines.get(id);
  if (entry === undefined) {
    const engine = source.kind === 'redis' ? new RedisEngine(source.from) : new PostgresEngine(source.table, settingsOf(id, source));
    entry = { engine, users: 0 };
    engines.set(id, entry);
  }
  entry.users++;
  return entry.engine;
}

function settingsOf(engine: number, { asks, settings }: EngineSource & { kind: 'postgres' }): () => Promise<Settings> {
  if (!asks) return async () => settings!;
  let last: Settings | undefined;
  return async () => {
    const question = ++asked;
    const answer = new Promise<Settings>((resolve, reject) => questions.set(question, { answer: resolve, fail: reject }));
    say({ from: 'asks', engine, question });
    const known = last;
    const late = new Promise<Settings>((resolve) => {
      if (known !== undefined) setTimeout(resolve, PATIENCE, known);
    });
    last = await Promise.race([answer, late]);
    return last;
  };
}

function tell(budget: number, news: News): void {
  const isBad = news.type === 'unreachable' || news.type === 'refused';
  say({ from: 'news', budget, news: isBad ? { type: news.type, error: packed(news.error) } : news });
}

async function reply(call: number, work: () => Promise<Extract<ToOwner, { from: 'reply' }>['value']>): Promise<void> {
  try {
    say({ from: 'reply', call, value: await work() });
  } catch (error) {
    say({ from: 'reply', call, error: packed(error) });
  }
}

async function close(budget: number): Promise<void> {
  const { member, engine } = members.get(budget)!;
  members.delete(budget);
  await member.leave();
  const entry = engines.get(engine)!;
  if (--entry.users > 0) return;
  engines.delete(engine);
  await entry.engine.end();
}

port.on('message', (message: ToThread) => {
  switch (message.to) {
    case 'open': {
      const { budget, settings, words, engine, source, origin } = message;
      const clock = new RealClock(origin);
      const member = new Member(settings, new Words(words), engineOf(engine, source), clock, (news) => tell(budget, news));
      members.set(budget, { member, engine });
      member.start();
      return;
    }
    case 'look':
      return members.get(message.budget)?.member.look();
    case 'let-go':
      return members.get(message.budget)?.member.letGo();
    case 'members': {
      const { member, engine } = members.get(message.budget)!;
      return void reply(message.call, async () => {
        await member.request();
        return await engines.get(engine)!.engine.members(member.key);
      });
    }
    case 'resize': {
      const { member } = members.get(message.budget)!;
      return void reply(message.call, async () => {
        await member.request({ resize: message.limit });
        return undefined;
      });
    }
    case 'close':
      return void reply(message.call, async () => {
        await close(message.budget);
        return undefined;
      });
    case 'settings': {
      const question = questions.get(message.question);
      questions.delete(message.question);
      if (message.error === undefined) question?.answer(message.settings!);
      else question?.fail(unpacked(message.error));
    }
  }
});
