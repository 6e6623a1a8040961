/** Members in processes of their own: killed, stopped, blocked, cut off; and engines that end, or forget. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, postgres } from '../support/postgres.ts';
import { redisServer } from '../support/redis.ts';
import { sleep, until } from '../support/wait.ts';
import { ENGINES, isRepeat, newKey, Other, throughRelay, urlOf } from './support.ts';

/** Of who is to lose its lease: it has a pause of some seconds before it does. */
const TTL = 6000;
/** Of who is not. */
const LONG = 60_000;

describe.each(ENGINES)('%s', (engine) => {
  /** What the engine has no part in is shown once. */
  const once = test.skipIf(isRepeat(engine));
  const two = async (options: object = {}, first: object = {}): Promise<[Other, Other]> => {
    const settings = { engine, url: await urlOf(engine), key: newKey(), limit: 4, ttl: LONG, ...options };
    const [a, b] = [new Other({ ...settings, ...first }), new Other(settings)];
    return [await a.start(), await b.start()];
  };
  const out = (other: Other, count: number): Promise<unknown> => until(async () => (await other.ask('state')).out === count);

  once('a process that is killed: its permits are used elsewhere once its lease has run out, not before', async () => {
    const [a, b] = await two({}, { ttl: TTL });
    await a.ask('borrow', 4);
    await out(a, 4);
    const asked = Date.now();
    // Its lease runs from when the engine has heard of it last, or from later.
    const { seenAgo } = (await b.members()).find(({ you }: { you: boolean }) => !you);
    a.signal('SIGKILL');
    await b.ask('borrow', 4);
    await out(b, 4);
    expect(Date.now() - asked).toBeGreaterThan(TTL - seenAgo - 10);
    expect(await b.members()).toMatchObject([{ granted: 4, you: true }]);
  });

  once(
    'stopped and continued: its idle ones go before it does anything else, its borrowed ones as they come back, and it is a member again',
    async () => {
      const [a, b] = await two({}, { ttl: TTL });
      await a.ask('borrow', 3);
      await out(a, 3);
      await a.ask('release', 2);
      a.signal('SIGSTOP');
      await b.ask('borrow', 3);
      await out(b, 3);
      a.signal('SIGCONT');
      await until(() => a.heard.includes('regained'));
      const state = await until(async () => {
        const now = await a.ask('state');
        return now.idle === 0 && now.count === 1 ? now : false;
      });
      expect(state).toMatchObject({ out: 1, used: 1, destroyed: ['lost', 'lost'] });
      await a.ask('release', 1);
      await until(async () => (await a.ask('state')).destroyed.length === 3);
      await a.ask('borrow', 1);
      await out(a, 1);
      expect(a.heard.filter((event) => event === 'lost' || event === 'regained')).toEqual(['lost', 'regained']);
    },
  );

  once('a blocked owner loses nothing', async () => {
    const [a, b] = await two({}, { ttl: TTL });
    await a.ask('borrow', 4);
    await out(a, 4);
    const blocked = a.ask('block', TTL * 1.5);
    await b.ask('borrow', 1);
    await blocked;
    expect(a.heard).not.toContain('lost');
    await a.ask('release', 1);
    await out(b, 1);
  });

  once('an owner that is blocked for longer than ownerTimeout gives its permits up at once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cenote-budget-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [a, b] = await two({}, { ownerTimeout: 4000 });
    await a.ask('borrow', 4);
    await out(a, 4);
    const end = join(folder, 'end');
    const blocked = a.ask('blockUntil', end);
    await b.ask('borrow', 4);
    await out(b, 4);
    expect(a.heard).not.toContain('regained');
    writeFileSync(end, '');
    await blocked;
    await until(() => a.heard.includes('regained'));
  });

  test('cut off for longer than its lease: its idle ones are gone before others have the permits, and it comes back', async () => {
    const { url, net } = await throughRelay(engine);
    // It lets go of them a tenth of its lease before others may have them.
    const [a, b] = await two({}, { url, ttl: 10_000 });
    await a.ask('borrow', 4);
    await out(a, 4);
    await a.ask('release', 3);
    net.freeze();
    await b.ask('borrow', 3);
    await until(async () => {
      const [one, other] = [await a.ask('state'), await b.ask('state')];
      // The one that it has out is what a partition may cost.
      expect(one.count + other.out).toBeLessThanOrEqual(4 + 1);
      return other.out === 3;
    });
    expect(await a.ask('state')).toMatchObject({ idle: 0, granted: 0 });
    await until(() => a.heard.includes('unreachable'));
    net.cut();
    net.thaw();
    await until(() => a.heard.includes('regained') && a.heard.includes('reachable'));
  });

  once('out of reach for less than half of its lease: nothing is lost', async () => {
    const { url, net } = await throughRelay(engine);
    const [a, b] = await two({}, { url, ttl: 20_000 });
    await a.ask('borrow', 2);
    await out(a, 2);
    net.freeze();
    // A third of the lease, after which it is renewed, and a little more.
    await sleep(7000);
    net.cut();
    net.thaw();
    const thawed = Date.now();
    await until(async () => {
      const sinceThen = Date.now() - thawed;
      return (await b.members()).some(({ you, seenAgo }: { you: boolean; seenAgo: number }) => !you && seenAgo < sinceThen);
    });
    expect(a.heard).not.toContain('lost');
    expect(await a.ask('state')).toMatchObject({ granted: 2, out: 2 });
  });

  test('the engine is restarted: all work again, and nothing is lost', async () => {
    // A Redis that has forgotten all gives nothing out for a part of this, so that it is not longer.
    const [a, b] = await two({ ttl: 20_000 });
    await a.ask('borrow', 3);
    await out(a, 3);
    const server = engine === 'redis' ? await redisServer() : await postgres();
    await server.down();
    await b.ask('borrow', 1);
    await until(() => a.heard.includes('unreachable') || b.heard.includes('unreachable'));
    await server.up();
    await out(b, 1);
    expect([...a.heard, ...b.heard]).not.toContain('lost');
    // A Redis that keeps nothing has forgotten them, too.
    await until(async () => (await a.ask('members')).length === 2);
    expect((await a.members()).reduce((sum: number, { granted }: { granted: number }) => sum + granted, 0)).toBe(4);
  });

  test('the engine forgets everything: the members tell it, and epochs go on', async () => {
    // Each tells the engine when it renews, after a third of this.
    const [a, b] = await two({ ttl: 12_000 });
    await a.ask('borrow', 2);
    await b.ask('borrow', 2);
    await out(a, 2);
    await out(b, 2);
    const epoch = Math.max(...(await a.ask('state')).epochs, ...(await b.ask('state')).epochs);
    if (engine === 'redis') {
      const { Redis } = await import('ioredis');
      const client = new Redis(await urlOf(engine));
      await client.flushall();
      client.disconnect();
    } else await ask('drop table cenote_budget');
    await until(async () => (await a.ask('members')).length === 2);
    expect(await a.ask('state')).toMatchObject({ granted: 2, out: 2, destroyed: [] });
    await a.ask('release', 2);
    await b.ask('borrow', 2);
    await out(b, 4);
    expect(Math.min(...(await b.ask('state')).epochs.slice(2))).toBeGreaterThan(epoch);
  });

  once('an idle member does not keep its process alive, and one that has closed leaves nothing', async () => {
    const settings = { engine, url: await urlOf(engine), key: newKey(), limit: 4, ttl: LONG };
    const a = await new Other(settings).start();
    await a.ask('borrow', 2);
    await out(a, 2);
    const ended = a.ended();
    a.tell('close');
    expect(await ended).toBe(0);
    const b = await new Other(settings).start();
    expect(await b.members()).toHaveLength(1);
  });
});
