/**
 * PostgreSQL's protocol as far as its message headers: a type, and how long the message is. Bytes come in any pieces. Nothing is kept of a
 * message but what is asked for.
 */

/** The header of a message: its type, and its length, which counts itself and not the type. */
const HEADER = 5;
/** Messages longer than this are not what they pretend to be where their body is wanted, in bytes. */
const MOST_BODY = 0x4000_0000;

export interface FrameListener {
  /** True if the body of such a message is to be gathered. `length` is the body's, in bytes. */
  wants(type: number, length: number): boolean;
  /** A message has come to its end. `end`: where that is in the piece that is read now. */
  message(type: number, body: Buffer | undefined, end: number): void;
}

const NOTHING = Buffer.alloc(0);

/** The bytes of one direction. */
export class Frames {
  readonly #listener: FrameListener;
  readonly #header = Buffer.alloc(HEADER);
  /** How many bytes of a header have come. */
  #headerBytes = 0;
  /** How many bytes of the body are still to come. */
  #left = 0;
  /** The pieces of a body that is gathered. */
  #pieces: Buffer[] | undefined;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** True if the bytes so far are whole messages. */
  get isBetween(): boolean {
    return this.#headerBytes === 0;
  }

  /** How many bytes the message lacks that has begun. Undefined: that is not known, as its header is not all there. */
  get missing(): number | undefined {
    return this.isBetween ? 0 : this.#headerBytes === HEADER ? this.#left : undefined;
  }

  /** Throws an Error for bytes that are no messages. */
  read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#headerBytes < HEADER) {
        at = this.#readHeader(bytes, at);
        // It is not all there yet, or it was a whole message.
        if (this.#headerBytes < HEADER) continue;
      }
      const end = Math.min(bytes.length, at + this.#left);
      if (this.#pieces !== undefined && end > at) this.#pieces.push(bytes.subarray(at, end));
      this.#left -= end - at;
      at = end;
      if (this.#left === 0) this.#end(at);
    }
  }

  #readHeader(bytes: Buffer, from: number): number {
    let at = from;
    while (this.#headerBytes < HEADER && at < bytes.length) this.#header[this.#headerBytes++] = bytes[at++];
    if (this.#headerBytes < HEADER) return at;
    const type = this.#header[0];
    const left = this.#header.readUInt32BE(1) - 4;
    if (left < 0 || left > MOST_BODY) throw new Error(`not a message of PostgreSQL's protocol: type ${type}, length ${left + 4}`);
    this.#left = left;
    this.#pieces = this.#listener.wants(type, left) ? [] : undefined;
    if (left === 0) this.#end(at);
    return at;
  }

  #end(at: number): void {
    const pieces = this.#pieces;
    this.#headerBytes = 0;
    this.#pieces = undefined;
    const body = pieces === undefined ? undefined : pieces.length === 0 ? NOTHING : pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    this.#listener.message(this.#header[0], body, at);
  }
}

/** The text that begins at this place of a body, up to the zero byte that ends it. */
export function textAt(body: Buffer, from: number): string {
  const end = body.indexOf(0, from);
  return body.toString('utf8', from, end === -1 ? body.length : end);
}

/** The fields of an error or a notice, by their letters. */
export function fieldsOf(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const text = textAt(body, at + 1);
    fields.set(String.fromCharCode(body[at]), text);
    at += 2 + Buffer.byteLength(text);
  }
  return fields;
}

/** The types (OIDs) of the columns that a row description names. */
export function columnTypes(body: Buffer): number[] {
  const types: number[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    at = body.indexOf(0, at) + 1;
    types.push(body.readUInt32BE(at + 6));
    at += 18;
  }
  return types;
}

/** The types of messages that are told apart here. The server's and the client's own letters overlap. */
export const SERVER = {
  notification: 0x41, // A
  commandComplete: 0x43, // C
  error: 0x45, // E
  dataRow: 0x44, // D
  copyIn: 0x47, // G
  copyOut: 0x48, // H
  notice: 0x4e, // N
  rowDescription: 0x54, // T
  copyBoth: 0x57, // W
  readyForQuery: 0x5a, // Z
} as const;

export const CLIENT = {
  bind: 0x42, // B
  describe: 0x44, // D
  execute: 0x45, // E
  functionCall: 0x46, // F
  copyDone: 0x63, // c
  copyFail: 0x66, // f
  parse: 0x50, // P
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X
} as const;

/**
 * Bytes on their way to another thread. Few go as text, a byte a character: texts are cheap to clone, and go with others in one message.
 */
export type Packed = string | Uint8Array;

export const isPacked = (value: unknown): value is Packed => typeof value === 'string' || value instanceof Uint8Array;

/** As they go on: to another thread in a form that is cheap to post. */
export const repacked = (bytes: Packed): Packed => (typeof bytes === 'string' ? bytes : packed([unpacked(bytes)]));

const AS_TEXT = 16_384;

export function packed(pieces: readonly Buffer[]): Packed {
  const bytes = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  if (bytes.length <= AS_TEXT) return bytes.toString('latin1');
  // A view takes all of the memory that it looks at along.
  return bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}

export const unpacked = (bytes: Packed): Buffer =>
  typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
