/** Values that structured clone alone would not bring to the other side as they should be. */
import { describe, expect, test } from 'vitest';
import { attachPool } from '../../dist/worker/index.js';
import { open } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

/** Too deep for the stack of a main thread to read; the larger stack of a worker writes it. */
const TOO_DEEP = 3000;

class Bytes {
  readonly slab = Buffer.alloc(1_000_000, 'secret');
  /** Beside it in Node's slab lies what was made before. */
  small(): Buffer {
    Buffer.from('a password of somebody else');
    return Buffer.from('hello');
  }
  row(): unknown {
    const bytes = this.slab.subarray(0, 6);
    return { list: [bytes, bytes], map: new Map([['part', new Uint8Array(this.slab.buffer, 6, 6)]]) };
  }
  fails(): never {
    throw Object.assign(new Error('with bytes', { cause: Object.assign(new Error('inner'), { bytes: this.slab.subarray(0, 6) }) }), {
      packet: this.slab.subarray(6, 12),
    });
  }
  async failsLater(): Promise<never> {
    return this.fails();
  }
  /** What this thread has got: is it a Buffer, its text, its memory. */
  describe(value: Uint8Array): [boolean, string, number] {
    return [Buffer.isBuffer(value), Buffer.from(value).toString(), value.buffer.byteLength];
  }
  describeIn({ deep: [value] }: { deep: [Uint8Array] }): [boolean, string, number] {
    return this.describe(value);
  }
}

describe('bytes', () => {
  const scene = async () => {
    const pool = await open({ factory: () => new Bytes(), max: 2 });
    return { pool, t: await thread(pool) };
  };

  test('of a result: just those, in a Buffer, however it was called', async () => {
    const { t } = await scene();
    const seen = await t.run(async ({ pool }) => {
      const look = (value: Buffer): unknown => [Buffer.isBuffer(value), value.toString(), value.buffer.byteLength];
      const remote = await pool.acquire();
      const results = await Promise.all([remote.small(), remote.small(), pool.call('small', [])]);
      return [...results, pool.synchronous(remote).small()].map(look);
    });
    expect(seen).toEqual(Array(4).fill([true, 'hello', 5]));
  });

  test('deep in a result, beside others: the same one twice is one', async () => {
    const { t } = await scene();
    const seen = await t.run(async ({ pool }) => {
      const { list, map } = (await pool.call('row', [])) as { list: Buffer[]; map: Map<string, Uint8Array> };
      const part = map.get('part')!;
      return [list[0] === list[1], list[0].toString(), list[0].buffer.byteLength, Buffer.isBuffer(part), part.buffer.byteLength];
    });
    expect(seen).toEqual([true, 'secret', 6, false, 6]);
  });

  test('of an argument: just those, in a Buffer, however it was called', async () => {
    const { t } = await scene();
    const seen = await t.run(async ({ pool }) => {
      const slab = Buffer.alloc(1_000_000, 'secret');
      const part = slab.subarray(0, 6);
      const remote = await pool.acquire();
      return [
        await Promise.all([remote.describe(part), remote.describeIn({ deep: [part] }), remote.describe(new Uint8Array([104, 105]))]),
        await pool.call('describe', [part]),
        pool.synchronous(remote).describeIn({ deep: [part] }),
      ];
    });
    const secret = [true, 'secret', 6];
    expect(seen).toEqual([[secret, secret, [false, 'hi', 2]], secret, secret]);
  });

  test('in the properties of an error, and of its cause', async () => {
    const { t } = await scene();
    const seen = await t.run(async ({ pool }) => {
      type Failure = Error & { packet: Buffer; cause: { bytes: Buffer } };
      const look = ({ packet, cause: { bytes } }: Failure): unknown => [
        Buffer.isBuffer(packet),
        packet.buffer.byteLength,
        `${bytes}`,
        bytes.buffer.byteLength,
      ];
      const remote = await pool.acquire();
      const errors = await Promise.all([remote.fails().catch(look), remote.failsLater().catch(look)]);
      try {
        pool.synchronous(remote).fails();
      } catch (error) {
        errors.push(look(error as Failure) as never);
      }
      return errors;
    });
    expect(seen).toEqual(Array(3).fill([true, 6, 'secret', 6]));
  });

  test('in the error of a destroy, and of a factory', async () => {
    const told: Error[] = [];
    let broken = true;
    const pool = await open({
      factory: () => {
        if (broken) throw Object.assign(new Error('no connection'), { packet: Buffer.from('refused') });
        return {};
      },
      circuitBreaker: { reportSuccess() {}, reportFailure: (_: unknown, error: Error) => void told.push(error) },
    });
    const t = await thread(pool);
    const seen = await t.run(async ({ pool }) => {
      const { packet } = await pool.acquire().then(
        () => ({ packet: undefined }),
        (error: { packet: Buffer }) => error,
      );
      return [Buffer.isBuffer(packet), packet?.toString(), packet?.buffer.byteLength];
    });
    expect(seen).toEqual([true, 'refused', 7]);
    broken = false;
    told.length = 0;
    await t.run(async ({ pool }) =>
      pool.destroy(await pool.acquire(), Object.assign(new Error('broken'), { packet: Buffer.from('reset') })),
    );
    await until(() => told.length === 1);
    const { packet } = told[0] as Error & { packet: Buffer };
    expect([Buffer.isBuffer(packet), packet.toString(), packet.buffer.byteLength]).toEqual([true, 'reset', 5]);
  });

  test('of what is shared', async () => {
    const slab = Buffer.alloc(1_000_000, 'secret');
    const pool = await open({ factory: () => ({}), share: () => ({ key: slab.subarray(0, 6) }), min: 1, max: 2 });
    const t = await thread(pool);
    const look = () =>
      t.run(async ({ pool }) => {
        const { key } = (await pool.acquire()) as unknown as { key: Buffer };
        return [Buffer.isBuffer(key), key.toString(), key.buffer.byteLength];
      });
    expect(await look()).toEqual([true, 'secret', 6]);
    // This one is made after the thread has attached.
    expect(await look()).toEqual([true, 'secret', 6]);
  });
});

describe('a value that is nested too deeply for the stack of the thread that gets it', () => {
  const factory = () => ({
    take: (...args: unknown[]) => `fine, ${args.length}`,
    give: (levels: number) => {
      let value: unknown = null;
      for (let i = 0; i < levels; i++) value = { next: value };
      return value;
    },
    giveLater: async (levels: number) => {
      let value: unknown = null;
      for (let i = 0; i < levels; i++) value = [value];
      return value;
    },
    throwDeep: (levels: number) => {
      let value: unknown = null;
      for (let i = 0; i < levels; i++) value = { next: value };
      throw Object.assign(new Error('the true one'), { value, code: 'E_TRUE' });
    },
  });

  test('as an argument: that call is rejected, those beside it are answered, and all of it is given back', async () => {
    const pool = await open({ factory, max: 1, name: 'db' });
    const t = await thread(pool);
    const seen = await settled(
      t.run(async ({ pool, outcome }, levels) => {
        let deep: unknown = null;
        for (let i = 0; i < levels; i++) deep = { next: deep };
        const remote = await pool.acquire();
        const calls = [remote.take(), remote.take(), remote.take(deep), remote.take(1), remote.take(deep, 1), remote.take(1, 2)];
        // Right behind it, as a message of its own.
        pool.release(remote);
        const waiting = [pool.call('take', []), pool.call('take', [deep]), pool.call('take', [])];
        return (await Promise.all([...calls, ...waiting].map(outcome))).map(
          ({ value, error }) => value ?? `${error?.code}: ${error?.message}`,
        );
      }, TOO_DEEP),
    );
    const refused = expect.stringMatching(
      /^ERR_POOL_REMOTE_CALL: pool "db": the arguments of take\(\) cannot be read by the owner's thread/,
    );
    expect(seen).toEqual(['fine, 0', 'fine, 0', refused, 'fine, 1', refused, 'fine, 2', 'fine, 0', refused, 'fine, 0']);
    await until(() => pool.idleCount() === 1);
  });

  test('as an argument of a call that blocks', async () => {
    const pool = await open({ factory, max: 1, name: 'db' });
    const t = await thread(pool);
    const seen = await settled(
      t.run(async ({ pool, attempt }, levels) => {
        let deep: unknown = null;
        for (let i = 0; i < levels; i++) deep = { next: deep };
        const { error } = await attempt(() => pool.useSync((resource) => resource.take(deep)));
        return [error?.code, pool.useSync((resource) => resource.take(1))];
      }, TOO_DEEP),
    );
    expect(seen).toEqual(['ERR_POOL_REMOTE_CALL', 'fine, 1']);
    await until(() => pool.idleCount() === 1);
  });

  test('deep, but not too deep: arrives', async () => {
    const pool = await open({ factory, max: 1 });
    const t = await thread(pool);
    const seen = await settled(
      t.run(async ({ pool }) => {
        const depth = (value: unknown): number => {
          let levels = 0;
          for (let at = value; typeof at === 'object' && at !== null; at = Object.values(at)[0]) levels++;
          return levels;
        };
        const remote = await pool.acquire();
        return [
          depth(await remote.give(500)),
          depth(await remote.giveLater(500)),
          depth(pool.synchronous(remote).give(500)),
          await remote.take(await remote.give(500)),
        ];
      }),
    );
    expect(seen).toEqual([500, 500, 500, 'fine, 1']);
  });

  test('as a result: that call is rejected, those beside it are answered, also where it blocks', async () => {
    const pool = await open({ factory, max: 1, name: 'db' });
    const t = await thread(pool, { resourceLimits: { stackSizeMb: 0.5 } });
    const seen = await settled(
      t.run(async ({ pool, outcome, attempt }) => {
        const remote = await pool.acquire();
        const calls = [
          remote.take(),
          remote.give(1400),
          remote.take(1),
          remote.giveLater(1400),
          remote.take(1, 2),
          pool.asynchronous(remote).give(1),
        ];
        const blocked = attempt(() => pool.synchronous(remote).give(1400) as never);
        const last = pool.synchronous(remote).take();
        const told = (await Promise.all([...calls.map(outcome), blocked])).map(
          ({ value, error }) => value ?? `${error?.code}: ${error?.message}`,
        );
        pool.release(remote);
        return [...told, last];
      }),
    );
    const refused = (name: string) =>
      expect.stringMatching(new RegExp(`^ERR_POOL_REMOTE_CALL: pool "db": the result of ${name}\\(\\) cannot be read by this thread`));
    expect(seen).toEqual([
      'fine, 0',
      refused('give'),
      'fine, 1',
      refused('giveLater'),
      'fine, 2',
      { next: null },
      refused('give'),
      'fine, 0',
    ]);
    await until(() => pool.idleCount() === 1);
  });

  test('as a property of an error: the error arrives without it, in each direction', async () => {
    const told: Error[] = [];
    const pool = await open({
      factory,
      max: 1,
      circuitBreaker: { reportSuccess() {}, reportFailure: (_: unknown, error: Error) => void told.push(error) },
    });
    const t = await thread(pool, { resourceLimits: { stackSizeMb: 0.5 } });
    const seen = await settled(
      t.run(async ({ pool, attempt }) => {
        const remote = await pool.acquire();
        const errors = [await attempt(() => remote.throwDeep(1400)), await attempt(() => pool.synchronous(remote).throwDeep(1400))];
        let deep: unknown = null;
        for (let i = 0; i < 500; i++) deep = { next: deep };
        pool.destroy(remote, Object.assign(new Error('broken'), { deep, code: 'E_BROKEN' }));
        return errors.map(({ error }) => [error?.message, error?.code]);
      }),
    );
    expect(seen).toEqual(Array(2).fill(['the true one', 'E_TRUE']));
    await until(() => told.length === 1);
    expect(told[0]).toMatchObject({ message: 'broken', code: 'E_BROKEN' });
    expect('deep' in told[0]!).toBe(false);
  });

  test('as what is shared: a failure of the factory', async () => {
    let levels = 1000;
    const pool = await open({
      factory,
      share: () => {
        let value: unknown = null;
        for (let i = 0; i < levels; i++) value = [value];
        return value;
      },
    });
    const t = await thread(pool);
    const { error } = await settled(t.run(({ pool, attempt }) => attempt(() => pool.acquire())));
    expect(error).toMatchObject({ name: 'TypeError', message: expect.stringContaining('share gave a value that is nested too deeply') });
    levels = 3;
    expect(await settled(t.run(({ pool }) => pool.acquire()))).toEqual([[[null]]]);
  });

  test('an attached thread whose owner is a worker', async () => {
    const owner = await thread();
    const handle = await owner.run(async ({ cenote, keep }) => {
      const { createPool } = await cenote();
      const pool = keep(
        'pool',
        await createPool({
          factory: () => ({
            take: () => 'fine',
            give: (levels: number) => {
              let value: unknown = null;
              for (let i = 0; i < levels; i++) value = { next: value };
              return value;
            },
          }),
          max: 2,
        }),
      );
      return pool.handle;
    });
    const pool = await attachPool(handle);
    const results = await settled(Promise.allSettled([pool.call('take', []), pool.call('give', [TOO_DEEP]), pool.call('take', [])]));
    expect(results.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as { code: string }).code))).toEqual([
      'fine',
      'ERR_POOL_REMOTE_CALL',
      'fine',
    ]);
    await pool.detach();
  });
});

test('a thread that reads its port at the end of its stack loses no call: each is answered or rejected', async () => {
  const factory = () => ({
    echo: (value: number) => value,
    /** Not so deep that it would be announced; but to read it takes more stack than to send a number. */
    nested: async () => {
      let value: unknown = null;
      for (let i = 0; i < 90; i++) value = [value];
      return value;
    },
  });
  const pool = await open({ factory, max: 1 });
  const t = await thread(pool);
  const seen = await settled(
    t.run(async ({ pool, flags }) => {
      const remote = await pool.acquire();
      const sync = pool.synchronous(remote);
      const calls = Array.from({ length: 20 }, () => remote.nested());
      // Behind their answers, which then lie in the port.
      sync.echo(1);
      const more = Array.from({ length: 20 }, () => remote.nested());
      const errors: unknown[] = [];
      // They go when this tick ends, and are answered while this thread stands still.
      await null;
      Atomics.wait(flags, 0, 0, 500);
      let left = 2000;
      const down = (): void => {
        try {
          down();
        } catch (error) {
          if ((error as Error).message === 'done' || left-- <= 0) throw error;
        }
        try {
          if (sync.echo(1) === 1) throw new Error('done');
        } catch (error) {
          if ((error as { code?: string }).code === 'ERR_POOL_REMOTE_CALL') errors.push(error);
          throw error;
        }
      };
      try {
        down();
      } catch {}
      const settled = await Promise.allSettled([...calls, ...more]);
      const again = await remote.echo(7);
      pool.release(remote);
      const codes = settled.map((each) => (each.status === 'fulfilled' ? 'fine' : (each.reason as { code?: string }).code));
      return { count: settled.length, codes: [...new Set(codes)].sort(), again };
    }),
  );
  expect(seen).toEqual({ count: 40, codes: ['ERR_POOL_REMOTE_CALL', 'fine'], again: 7 });
  await until(() => pool.idleCount() === 1);
});

describe('a value without an end, as a getter makes the next of it whenever it is asked', () => {
  /** With views, and with more ways than one to go. */
  const endless = () => {
    const node = (i: number): object => ({
      i,
      get next() {
        return node(i + 1);
      },
      get other() {
        return new Map([[node(i + 1), Buffer.from('bytes')]]);
      },
    });
    return {
      list: () => ({ first: Buffer.from('bytes'), node: node(0) }),
      later: async () => node(0),
      take: (_: unknown) => {},
      one: () => 1,
    };
  };

  test('ends the one call that it is the result of', async () => {
    const pool = await open({ factory: endless, max: 1 });
    const t = await thread(pool);
    const said = t.run(async ({ pool }) => {
      const remote = await pool.acquire();
      const name = (error: Error): string => error.name;
      const names = await Promise.all([remote.list().catch(name), remote.one(), remote.later().catch(name)]);
      try {
        pool.synchronous(remote).list();
      } catch (error) {
        names.push(name(error as Error));
      }
      pool.release(remote);
      names.push(await pool.call('list', []).catch(name));
      return names;
    });
    expect(await settled(said)).toEqual(['RemoteCallError', 1, 'RemoteCallError', 'RemoteCallError', 'RemoteCallError']);
  });

  test('ends the one call that it is an argument of', async () => {
    const pool = await open({ factory: endless, max: 1 });
    const t = await thread(pool);
    const said = t.run(async ({ pool }) => {
      const node = (i: number): object => ({
        bytes: Buffer.from('bytes'),
        get next() {
          return node(i + 1);
        },
      });
      const remote = await pool.acquire();
      const name = (error: Error): string => error.name;
      const calls: Promise<unknown>[] = [remote.take(node(0)), remote.one()];
      const names = await Promise.all(calls.map((call) => call.catch(name)));
      try {
        pool.synchronous(remote).take(node(0));
      } catch (error) {
        names.push(name(error as Error));
      }
      pool.release(remote);
      names.push(await pool.call('take', [node(0)]).catch(name));
      return names;
    });
    expect(await settled(said)).toEqual(['RemoteCallError', 1, 'RemoteCallError', 'RemoteCallError']);
  });
});
