/** attachPool with what is no handle, or one that lies: an error of the contract or a TypeError, soon; and the real pool works on. */
import { describe, expect, test } from 'vitest';
import * as layout from '../../dist/shared/layout.js';
import { open } from '../support/pools.ts';
import { service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { settled } from '../support/wait.ts';

/** Each is text for the thread: from the real handle to a hostile one, which need not be cloneable. */
const hostile: Record<string, (handle: { name: string; owner: number; buffer: SharedArrayBuffer }) => unknown> = {
  'a getter that throws': (handle) => ({
    ...handle,
    get buffer() {
      throw new Error('no');
    },
  }),
  'a getter that throws nothing': (handle) => ({
    ...handle,
    get owner() {
      throw undefined;
    },
  }),
  'a revoked proxy': (handle) => {
    const { proxy, revoke } = Proxy.revocable(handle, {});
    revoke();
    return proxy;
  },
  'a buffer that only looks like one': (handle) => ({ ...handle, buffer: Object.create(SharedArrayBuffer.prototype) }),
  'a proxy of the buffer': (handle) => ({ ...handle, buffer: new Proxy(handle.buffer, {}) }),
  'a name that is no text': (handle) => ({ ...handle, name: Symbol('name') }),
  'no name': ({ owner, buffer }) => ({ owner, buffer }),
  'an owner that is no number': (handle) => ({ ...handle, owner: '0' }),
  'an owner below zero': (handle) => ({ ...handle, owner: -1 }),
  'an owner that is a fraction': (handle) => ({ ...handle, owner: 0.5 }),
  'an owner beyond counting': (handle) => ({ ...handle, owner: 2 ** 60 }),
  'an owner that does not exist': (handle) => ({ ...handle, owner: 2 ** 31 }),
  'an owner that does not exist, and is huge': (handle) => ({ ...handle, owner: 2 ** 53 - 1 }),
  'half the buffer': (handle) => {
    const half = new SharedArrayBuffer(handle.buffer.byteLength / 2);
    new Uint8Array(half).set(new Uint8Array(handle.buffer).subarray(0, half.byteLength));
    return { ...handle, buffer: half };
  },
  'a copy that is too long': (handle) => {
    const long = new SharedArrayBuffer(handle.buffer.byteLength + 4096);
    new Uint8Array(long).set(new Uint8Array(handle.buffer));
    return { ...handle, buffer: long };
  },
  'a copy of the buffer': (handle) => {
    const copy = new SharedArrayBuffer(handle.buffer.byteLength);
    new Uint8Array(copy).set(new Uint8Array(handle.buffer));
    return { ...handle, buffer: copy };
  },
  'a copy with another pool id': (handle) => {
    const copy = new SharedArrayBuffer(handle.buffer.byteLength);
    new Uint8Array(copy).set(new Uint8Array(handle.buffer));
    new Int32Array(copy)[3] ^= 1;
    return { ...handle, buffer: copy };
  },
  'a copy of another version': (handle) => {
    const copy = new SharedArrayBuffer(handle.buffer.byteLength);
    new Uint8Array(copy).set(new Uint8Array(handle.buffer));
    new Int32Array(copy)[1]++;
    return { ...handle, buffer: copy };
  },
  zeroes: (handle) => ({ ...handle, buffer: new SharedArrayBuffer(handle.buffer.byteLength) }),
};

const errors = /^(TypeError|PoolError|PoolClosedError)$/;

test.each(Object.entries(hostile))('%s', async (_, make) => {
  const pool = await open({ factory: service() });
  const t = await thread();
  const { ok, error } = await settled(
    t.run(
      ({ attempt, attachPool }, handle, text) => attempt(async () => void (await attachPool(new Function(`return (${text});`)()(handle)))),
      pool.handle,
      String(make),
    ),
  );
  expect(ok).toBe(false);
  expect(error!.name).toMatch(errors);
  // The real one is none the worse, for this thread neither.
  expect(
    await settled(t.run(async ({ attachPool }, handle) => (await attachPool(handle)).use((each) => each.add(1, 2)), pool.handle)),
  ).toBe(3);
});

describe('every header word in a copy', () => {
  test('changed in any way: refused, and never a hang', async () => {
    const pool = await open({ factory: service() });
    const t = await thread();
    const words = Object.entries(layout)
      .filter(([name, at]) => name.endsWith('_WORD') && typeof at === 'number' && at < layout.PAD)
      .map(([, at]) => at as number);
    const seen = await settled(
      t.run(
        async ({ attempt, attachPool }, handle, words) => {
          const names: string[] = [];
          const original = new Uint8Array(handle.buffer as SharedArrayBuffer).slice();
          for (const word of words)
            for (const value of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), 12_345]) {
              if (word === 3) continue; // Another pool id is a wait for an answer, and has a test of its own.
              const buffer = new SharedArrayBuffer(original.byteLength);
              new Uint8Array(buffer).set(original);
              new Int32Array(buffer)[word] = value;
              const { ok, error } = await attempt(async () => void (await attachPool({ ...handle, buffer } as never)));
              names.push(ok ? `attached with ${value} in word ${word}` : error.name);
            }
          return names;
        },
        pool.handle,
        words,
      ),
    );
    for (const name of seen) expect(name).toMatch(errors);
  });
});

test('a thread that hears the request and has no such pool: refused within seconds', async () => {
  const first = await open({ factory: service() });
  const second = await thread();
  // A thread that listens, but not for us.
  await second.run(() => void process.on('workerMessage' as never, () => {}));
  const t = await thread();
  const { error } = await settled(
    t.run(
      ({ attempt, attachPool }, handle, owner) => attempt(async () => void (await attachPool({ ...handle, owner }))),
      first.handle,
      second.id,
    ),
  );
  expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
});
