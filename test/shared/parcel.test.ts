/** What is done to values before they go through a port, and after it. `through` is that port: a clone, as postMessage makes it. */
import { describe, expect, test } from 'vitest';
import { asBuffers, DEEP, PLAIN, repack, survey, VIEWS } from '../../dist/shared/wire/parcel.js';

function through<V>(value: V): V {
  const buffers: Uint8Array[] = [];
  const parcel = (survey(value) & VIEWS) === 0 ? value : repack(value, buffers);
  const arrived = structuredClone({ parcel, buffers });
  asBuffers(arrived.buffers);
  return arrived.parcel as V;
}

const small = (): Buffer<ArrayBuffer> => Buffer.from('hello');

describe('a Buffer', () => {
  test('arrives as a Buffer with memory of its own, whatever it was cut out of', () => {
    const slab = Buffer.alloc(1_000_000, 1);
    for (const buffer of [small(), slab.subarray(5, 15), slab, Buffer.alloc(0)]) {
      const arrived = through(buffer);
      expect(Buffer.isBuffer(arrived)).toBe(true);
      expect(arrived.equals(buffer)).toBe(true);
      expect(arrived.buffer.byteLength).toBe(buffer.byteLength);
    }
  });

  test('is found wherever it is, and stays one where it was one', () => {
    const buffer = small();
    class Row {
      readonly bytes = buffer;
    }
    const cycle: Record<string, unknown> = { buffer };
    cycle.self = cycle;
    const arrived = through({
      list: [1, [buffer]],
      map: new Map<unknown, unknown>([
        [buffer, 1],
        [2, buffer],
      ]),
      set: new Set([buffer]),
      row: new Row(),
      error: new RangeError('with a cause', { cause: { buffer } }),
      cycle,
    });
    const [, [found]] = arrived.list as [number, [Buffer]];
    expect(found.toString()).toBe('hello');
    expect(found.buffer.byteLength).toBe(5);
    expect([...arrived.map]).toEqual([
      [found, 1],
      [2, found],
    ]);
    expect([...arrived.map.keys()][0]).toBe(found);
    expect([...arrived.set][0]).toBe(found);
    expect(arrived.row.bytes).toBe(found);
    expect(Object.getPrototypeOf(arrived.row)).toBe(Object.prototype);
    expect(arrived.error).toBeInstanceOf(RangeError);
    expect(arrived.error.message).toBe('with a cause');
    expect((arrived.error.cause as { buffer: Buffer }).buffer).toBe(found);
    expect(arrived.cycle.self).toBe(arrived.cycle);
    expect(arrived.cycle.buffer).toBe(found);
  });

  test('of shared memory still shares it', () => {
    const memory = new SharedArrayBuffer(8);
    const [buffer, part] = through([Buffer.from(memory), new Uint8Array(memory, 2, 3)] as const);
    buffer[3] = 7;
    expect(new Uint8Array(memory)[3]).toBe(7);
    expect([...part]).toEqual([0, 7, 0]);
    expect(Buffer.isBuffer(buffer) && !Buffer.isBuffer(part)).toBe(true);
  });

  test('changes nothing where it came from', () => {
    const value = { buffer: small(), list: [small()] };
    const { buffer, list } = value;
    through(value);
    expect(value).toEqual({ buffer: small(), list: [small()] });
    expect(value.buffer).toBe(buffer);
    expect(value.list).toBe(list);
  });
});

describe('other views', () => {
  test('of a part of their memory bring that part alone, and stay what they were', () => {
    const memory = new ArrayBuffer(64);
    const parts = [
      new Uint8Array(memory, 3, 5),
      new Float64Array(memory, 8, 2),
      new BigInt64Array(memory, 16, 1),
      new DataView(memory, 1, 9),
    ];
    const arrived = through(parts);
    expect(arrived).toEqual(parts);
    for (const [index, part] of parts.entries()) {
      expect(arrived[index].constructor).toBe(part.constructor);
      expect(arrived[index].buffer.byteLength).toBe(part.byteLength);
    }
  });

  test('of all of their memory still share it with each other', () => {
    const memory = new ArrayBuffer(16);
    const arrived = through({ memory, bytes: new Uint8Array(memory), words: new Int32Array(memory), buffer: small() });
    expect(arrived.bytes.buffer).toBe(arrived.memory);
    expect(arrived.words.buffer).toBe(arrived.memory);
  });
});

describe('what is beside a Buffer arrives as a clone has it', () => {
  test('holes, properties of arrays, a property called __proto__, no getters', () => {
    const list: unknown[] & { named?: Buffer } = new Array(3);
    list[1] = { a: 1 };
    list.named = small();
    const odd = JSON.parse('{"__proto__":{"polluted":true},"deep":{}}');
    const getter = {
      get got() {
        return { n: 1 };
      },
    };
    const arrived = through({ list, odd, getter, buffer: small() });
    expect(arrived.list.length).toBe(3);
    expect(0 in arrived.list || 2 in arrived.list).toBe(false);
    expect(arrived.list.named!.buffer.byteLength).toBe(5);
    expect(Object.hasOwn(arrived.odd, '__proto__')).toBe(true);
    expect(arrived.odd.polluted).toBeUndefined();
    expect(Object.getOwnPropertyDescriptor(arrived.getter, 'got')).toMatchObject({ value: { n: 1 } });
  });

  test('dates, patterns, boxes, blobs', () => {
    const arrived = through([new Date(5), /x/g, Object(7n), new Blob(['x']), small()]);
    expect(arrived.slice(0, 3)).toEqual([new Date(5), /x/g, Object(7n)]);
    expect(arrived[3]).toBeInstanceOf(Blob);
  });

  test.each([
    ['a function', () => ({ callback() {}, more: {} })],
    ['a proxy', () => new Proxy({ more: {} }, {})],
    ['a promise', () => Object.assign(Promise.resolve(), { more: {} })],
    [
      'a getter that throws',
      () => ({
        more: {},
        get no() {
          throw new Error('no');
        },
      }),
    ],
  ])('%s is refused all the same', (_, make) => {
    expect(() => through([make(), small()])).toThrow();
    expect(() => through([make()])).toThrow();
  });
});

describe('the depth of a value', () => {
  const nested = (levels: number, inmost: unknown = 0): unknown => {
    let value = inmost;
    for (let i = 0; i < levels; i++) value = { next: value };
    return value;
  };

  test('is told where a stack might end, with what lies below', () => {
    expect(survey(nested(100))).toBe(PLAIN);
    expect(survey(nested(100, small()))).toBe(VIEWS);
    expect(survey(nested(200))).toBe(DEEP);
    expect(survey(nested(50_000, small()))).toBe(DEEP | VIEWS);
    expect(survey([nested(200), small()])).toBe(DEEP | VIEWS);
  });

  test('is that of the way which the clone goes: once into each', () => {
    const chain = Array.from({ length: 500 }, () => ({}) as { next?: object });
    for (const [index, node] of chain.entries()) node.next = chain[index + 1];
    expect(survey(chain)).toBe(DEEP);
    expect(survey(chain.toReversed())).toBe(PLAIN);
  });

  test('does not grow with cycles, or where much is met again and again', () => {
    const tree = { children: [] as object[] };
    for (let i = 0; i < 1000; i++) tree.children.push({ parent: tree, beside: tree.children });
    expect(survey(tree)).toBe(PLAIN);
    let doubled: object = {};
    for (let i = 0; i < 80; i++) doubled = { left: doubled, right: doubled };
    expect(survey(doubled)).toBe(PLAIN);
  });

  test('of billions of holes is soon told', () => {
    expect(survey(new Array(4_294_967_295))).toBe(PLAIN);
  });

  test('of what throws when it is looked at is left to the clone', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(survey([proxy])).toBe(PLAIN);
  });
});

test('what claims to be Buffers and is not is left alone', () => {
  const array = [1];
  for (const claimed of [undefined, 7, {}, [undefined], [array], new Array(4_294_967_295)]) asBuffers(claimed);
  expect(Object.getPrototypeOf(array)).toBe(Array.prototype);
});

test('a value without an end is looked at for no longer than any clone could take, and is said to be deep', () => {
  let made = 0;
  const node = (): object => {
    made++;
    return {
      bytes: small(),
      get next() {
        return node();
      },
      get other() {
        return [node()];
      },
    };
  };
  expect(survey(node())).toBe(DEEP);
  expect(made).toBeLessThan(1_000_000);
});

test('what a getter makes anew is found as far as it goes', () => {
  const node = (left: number): object => ({
    get next() {
      return left === 0 ? small() : node(left - 1);
    },
  });
  expect(survey(node(50))).toBe(VIEWS);
  expect(survey(node(1500))).toBe(DEEP | VIEWS);
});
