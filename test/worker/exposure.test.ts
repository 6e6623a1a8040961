import { describe, expect, test } from 'vitest';
import { open } from '../support/pools.ts';
import { Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { settled } from '../support/wait.ts';

const refused = { name: 'RemoteCallError', code: 'ERR_POOL_REMOTE_CALL', pool: 'db' };

/** Calls a method by name on a remote, and on a synchronous one. */
const callBoth = async <T>(resource: T, method: string, options: object = {}) => {
  const pool = await open<T>({ factory: () => resource, name: 'db', max: 2, ...options });
  const t = await thread(pool);
  const asynchronous = await t.run(async ({ pool, attempt }, method) => {
    const remote = (await pool.acquire()) as Record<string, (...args: unknown[]) => unknown>;
    return attempt(() => remote[method]!(1));
  }, method);
  const synchronous = await t.run(({ pool, attempt }, method) => {
    const remote = pool.acquireSync() as Record<string, (...args: unknown[]) => unknown>;
    return attempt(() => remote[method]!(1));
  }, method);
  return [asynchronous, synchronous];
};

describe('a worker may call', () => {
  test.each([
    ['a method of the class', 'whoami', 7],
    ['an inherited method', 'inherited', 'from the base class'],
    ['an overridden method, super and all', 'overridden', 'derived, base'],
  ])('%s', async (_, method, value) => {
    for (const result of await callBoth(new Service(7), method)) expect(result).toEqual({ ok: true, value });
  });

  test('own function properties', async () => {
    for (const result of await callBoth({ double: (n: number) => n * 2 }, 'double')) expect(result).toEqual({ ok: true, value: 2 });
  });

  test('closures, which see what they closed over', async () => {
    let count = 0;
    const [first, second] = await callBoth({ next: () => ++count }, 'next');
    expect([first!.value, second!.value]).toEqual([1, 2]);
    expect(count).toBe(2);
  });

  test('own methods, with this', async () => {
    const resource = {
      n: 41,
      get(plus: number) {
        return this.n + plus;
      },
    };
    for (const result of await callBoth(resource, 'get')) expect(result).toEqual({ ok: true, value: 42 });
  });

  test('methods that use private fields', async () => {
    class Private {
      #n = 41;
      add(n: number) {
        return this.#n + n;
      }
    }
    for (const result of await callBoth(new Private(), 'add')) expect(result).toEqual({ ok: true, value: 42 });
  });

  test('methods of an object without a prototype', async () => {
    const resource = Object.assign(Object.create(null) as object, { ping: () => 'pong' });
    for (const result of await callBoth(resource, 'ping')) expect(result).toEqual({ ok: true, value: 'pong' });
  });

  test('names that are peculiar, when they are methods of the resource', async () => {
    for (const name of ['call', 'apply', 'bind', 'release', 'name', 'resource', 'not-an-identifier', '42', 'catch', 'finally']) {
      for (const result of await callBoth({ [name]: () => `this is ${name}` }, name))
        expect(result).toEqual({ ok: true, value: `this is ${name}` });
    }
  });

  test('what expose lists', async () => {
    for (const result of await callBoth(new Service(7), 'whoami', { expose: ['whoami', 'add'] }))
      expect(result).toEqual({ ok: true, value: 7 });
  });

  test('what expose lists of own function properties', async () => {
    for (const result of await callBoth({ a: () => 'a', b: () => 'b' }, 'b', { expose: ['b'] }))
      expect(result).toEqual({ ok: true, value: 'b' });
  });
});

describe('a worker gets RemoteCallError for', () => {
  test.each([
    ...['constructor', 'toString', 'toLocaleString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf', 'propertyIsEnumerable'],
    ...['__defineGetter__', '__lookupSetter__'],
  ])('%s', async (method) => {
    for (const { ok, error } of await callBoth(new Service(7), method)) {
      expect(ok).toBe(false);
      expect(error).toMatchObject(refused);
      expect(error!.message).toContain(method);
    }
  });

  test('__proto__, or nothing that can be called', async () => {
    for (const { ok } of await callBoth(new Service(7), '__proto__')) expect(ok).toBe(false);
  });

  test.each(['constructor', 'toString', 'hasOwnProperty'])('%s even if expose lists it', async (method) => {
    for (const { ok, error } of await callBoth(new Service(7), method, { expose: [method] })) {
      expect(ok).toBe(false);
      expect(error).toMatchObject(refused);
    }
  });

  test('a method that expose does not list', async () => {
    for (const { ok, error } of await callBoth(new Service(7), 'add', { expose: ['whoami'] })) {
      expect(ok).toBe(false);
      expect(error).toMatchObject(refused);
      expect(error!.message).toContain('add');
    }
  });

  test('everything when expose is empty', async () => {
    for (const { error } of await callBoth(new Service(7), 'whoami', { expose: [] })) expect(error).toMatchObject(refused);
  });

  test('an own function property that expose does not list', async () => {
    let called = false;
    const resource = {
      open: () => 1,
      secret: () => {
        called = true;
      },
    };
    for (const { error } of await callBoth(resource, 'secret', { expose: ['open'] })) expect(error).toMatchObject(refused);
    expect(called).toBe(false);
  });

  test('a method that is not there', async () => {
    for (const { ok, error } of await callBoth(new Service(7), 'nonsense')) {
      expect(ok).toBe(false);
      expect(error).toMatchObject(refused);
      expect(error!.message).toContain('nonsense');
    }
  });

  test('a property that is no method', async () => {
    for (const { ok, error } of await callBoth(new Service(7), 'id')) {
      expect(ok).toBe(false);
      expect(error).toMatchObject(refused);
    }
  });
});

describe('what loggers and assertion libraries ask any object for', () => {
  const factory = () => ({
    asked: [] as string[],
    list() {
      return this.asked;
    },
    toJSON() {
      this.asked.push('toJSON');
      return 'json';
    },
    toString() {
      this.asked.push('toString');
      return 'text';
    },
    inspect() {
      this.asked.push('inspect');
      return 'inspected';
    },
  });
  const kinds = ['acquire', 'acquireSync'] as const;

  test.each(kinds)('makes no call on what %s gives, and rejects nothing', async (kind) => {
    const pool = await open({ factory, name: 'db' });
    const t = await thread(pool);
    const seen = await t.run(async ({ pool, load, sleep }, kind) => {
      const { inspect, format, isDeepStrictEqual } = (await load('node:util')) as typeof import('node:util');
      const unhandled: unknown[] = [];
      process.on('unhandledRejection', (error) => unhandled.push(`${error}`));
      const remote = (await pool[kind]()) as unknown as Record<string, () => unknown> & { list(): Promise<string[]> };
      // Unlike the explicit call, they must not throw either.
      const other = { ...remote, [Symbol.toStringTag]: 'other' };
      isDeepStrictEqual(remote, other);
      for (const name of ['hasOwnProperty', 'constructor', 'isPrototypeOf', 'toString', 'toLocaleString', 'valueOf']) {
        try {
          void remote[name]!();
        } catch {}
      }
      const texts = [
        JSON.stringify({ remote }),
        String(remote),
        `${remote}`,
        inspect(remote),
        format('%s %o %j', remote, remote, remote),
        (await remote) === remote,
      ];
      for (const probe of ['then', 'toJSON', 'inspect', 'asymmetricMatch', '$$typeof', 'nodeType', 'tagName', 'hasAttribute', 'toPostgres'])
        texts.push(typeof remote[probe]);
      await sleep(20);
      return { texts, asked: await remote.list(), unhandled };
    }, kind);
    const label = `[${kind === 'acquire' ? 'Remote' : 'SyncRemote'} of pool "db"]`;
    expect(seen.texts.slice(0, 6)).toEqual(['{"remote":{}}', label, label, label, `${label} ${label} {}`, true]);
    expect(new Set(seen.texts.slice(6))).toEqual(new Set(['undefined']));
    expect(seen).toMatchObject({ asked: [], unhandled: [] });
  });

  test('is forwarded where expose lists it, and by call always', async () => {
    const exposing = await open({ factory, expose: ['list', 'toJSON', 'inspect'] });
    const plain = await open({ factory });
    const [t, other] = [await thread(exposing), await thread(plain)];
    const seen = await t.run(({ pool }) => pool.use(async (remote) => [await remote.toJSON(), await remote.inspect(), `${remote}`]));
    expect(seen).toEqual(['json', 'inspected', '[Remote of pool "pool"]']);
    expect(await other.run(({ pool }) => Promise.all([pool.call('toJSON', []), pool.call('inspect', [])]))).toEqual(['json', 'inspected']);
  });
});

test('expose restricts the workers, not the owner', async () => {
  const pool = await open<Service>({ factory: service(), expose: ['whoami'] });
  expect((await pool.acquire()).add(1, 2)).toBe(3);
});

test('a remote is no thenable: it can be awaited and returned from asynchronous functions', async () => {
  const pool = await open({ factory: service() });
  const t = await thread(pool);
  const result = await settled(
    t.run(async ({ pool }) => {
      const remote = await (async () => pool.acquire())();
      const same = await remote;
      return [typeof (remote as { then?: unknown }).then, same === remote, await same.whoami()];
    }),
  );
  expect(result).toEqual(['undefined', true, 1]);
});

test('what a worker calls cannot change the prototype of things on the owner', async () => {
  const pool = await open({ factory: service(), name: 'db' });
  const t = await thread(pool);
  await t.run(async ({ pool, outcome }) => {
    const remote = (await pool.acquire()) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    await outcome(remote.echo!(JSON.parse('{"__proto__":{"polluted":true}}')));
    return null;
  });
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});
