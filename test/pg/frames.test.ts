/** Messages are told apart wherever the bytes are cut, and the answers that are owed are counted. */
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DriverEnd } from '../../src/pg/driver/driver-end.ts';
import { Wire } from '../../src/pg/driver/wire.ts';
import { columnTypes, Frames, fieldsOf, packed, unpacked } from '../../src/pg/messages/frames.ts';

const message = (type: string, body: Buffer | string = ''): Buffer => {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
};

const pieces = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [0, ...[...new Set(cuts)].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
};

test('any messages, cut anywhere, are read as what they are', () => {
  const letter = fc.constantFrom(...'ABCDEZ12snT');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(letter, fc.uint8Array({ maxLength: 20 })), { maxLength: 12 }),
      fc.array(fc.nat(200), { maxLength: 30 }),
      (messages, cuts) => {
        const seen: [string, string][] = [];
        const frames = new Frames({
          wants: (type) => type !== 0x44,
          message: (type, body) => seen.push([String.fromCharCode(type), body === undefined ? '-' : body.toString('hex')]),
        });
        const bytes = Buffer.concat(messages.map(([type, body]) => message(type, Buffer.from(body))));
        for (const piece of pieces(bytes, cuts)) frames.read(piece);
        expect(seen).toEqual(messages.map(([type, body]) => [type, type === 'D' ? '-' : Buffer.from(body).toString('hex')]));
        expect(frames.isBetween).toBe(true);
      },
    ),
  );
});

test('what is no message is refused', () => {
  const frames = new Frames({ wants: () => true, message: () => {} });
  expect(() => frames.read(Buffer.from([0x51, 0, 0, 0, 3]))).toThrow('not a message');
  expect(() => new Frames({ wants: () => true, message: () => {} }).read(Buffer.from([0x51, 255, 255, 255, 255]))).toThrow('not a message');
});

test('fields of errors and types of columns', () => {
  expect([...fieldsOf(Buffer.from('SERROR\0C42601\0Mné\0\0'))]).toEqual([
    ['S', 'ERROR'],
    ['C', '42601'],
    ['M', 'né'],
  ]);
  const column = (name: string, oid: number): Buffer => {
    const rest = Buffer.alloc(18);
    rest.writeUInt32BE(oid, 6);
    return Buffer.concat([Buffer.from(`${name}\0`), rest]);
  };
  expect(columnTypes(Buffer.concat([Buffer.from([0, 2]), column('a', 23), column('née', 1700)]))).toEqual([23, 1700]);
});

test('bytes on their way to another thread bring nothing of their neighbours along', () => {
  const slab = Buffer.alloc(100_000, 'x');
  for (const part of [slab.subarray(10, 20), slab.subarray(10, 90_000)]) {
    const sent = packed([part]);
    expect(typeof sent === 'string' ? sent.length : sent.buffer.byteLength).toBe(part.length);
    expect(unpacked(sent).equals(part)).toBe(true);
  }
});

/** A connection whose server answers as the test says. */
function connection() {
  const toDriver: Buffer[] = [];
  const sent: Buffer[] = [];
  const socket = Object.assign(new EventEmitter(), {
    write: (bytes: Buffer) => sent.push(bytes) > 0,
    pause() {},
    resume() {},
    destroyed: false,
    destroy() {},
  });
  socket.on('data', (bytes: Buffer) => toDriver.push(bytes));
  const client = { readyForQuery: true, connection: { stream: socket } };
  const wire = new Wire(new DriverEnd(client as never), { commandComplete() {}, columns() {}, error() {}, ready() {} });
  return { wire, socket, sent, client, driver: () => Buffer.concat(toDriver).toString('latin1') };
}

test('a borrower hears its answers to the last byte and no further, wherever they are cut', async () => {
  const notice = message('N', 'SNOTICE\0\0');
  const answer = Buffer.concat([message('T', Buffer.from([0, 0])), message('D', 'row'), message('C', 'SELECT 1\0'), message('Z', 'I')]);
  const all = Buffer.concat([notice, answer, answer, notice]);
  for (let cut = 1; cut < all.length; cut++) {
    const { wire, socket, driver } = connection();
    // Half of what the server says unasked came before the borrower said anything.
    const begun = Math.min(cut, 3);
    socket.emit('data', all.subarray(0, begun));
    const said = Buffer.concat([message('Q', 'select 1\0'), message('Q', 'select 1\0')]);
    expect(wire.read(said).map(({ text }) => text)).toEqual(['select 1', 'select 1']);
    wire.lend(true);
    wire.say(said);
    const heard = wire.heard();
    for (const piece of pieces(all.subarray(begun), [cut - begun])) socket.emit('data', piece);
    expect(Buffer.concat(await heard).equals(Buffer.concat([answer, answer])), `cut at ${cut}`).toBe(true);
    expect(wire.isLent).toBe(false);
    const ready = message('Z', 'I').toString('latin1');
    expect(driver().replaceAll(ready, ''), `cut at ${cut}`).toBe(Buffer.concat([notice, notice]).toString('latin1'));
    expect(driver().split(ready).length - 1).toBe(2);
  }
});

test('what is owed to a borrower that is gone goes nowhere, and the driver learns when the server is ready', () => {
  const { wire, socket, sent, client, driver } = connection();
  const said = Buffer.concat([message('P', 'named\0select 1\0\0\0'), message('H')]);
  expect(wire.read(said)).toEqual([{ name: 'named', text: 'select 1' }]);
  wire.lend(false);
  wire.say(said);
  expect(client.readyForQuery).toBe(false);
  wire.drop();
  // Nothing was owed, so the server is asked to be ready.
  expect(sent.at(-1)).toEqual(Buffer.from([0x53, 0, 0, 0, 4]));
  socket.emit('data', Buffer.concat([message('1'), message('Z', 'I'), message('N', 'SNOTICE\0\0')]));
  expect(driver()).toBe(Buffer.concat([message('Z', 'I'), message('N', 'SNOTICE\0\0')]).toString('latin1'));
});

test('a borrower cannot end the connection, or say what is no message', () => {
  const { wire } = connection();
  expect(() => wire.read(message('X'))).toThrow('gives it back with release(true)');
  expect(() => wire.read(Buffer.from([0x51, 0, 0, 0, 1]))).toThrow('not a message');
  expect(wire.read(message('Q', 'select 2\0'))).toEqual([{ name: '', text: 'select 2' }]);
});
