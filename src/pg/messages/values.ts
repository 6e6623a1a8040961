/**
 * Parameters on their way to the owner. What only the asker's thread can do with a value is done here (toPostgres, toJSON, methods of a
 * class). pg does the rest of the way to the server's text, on the owner. A parameter means the same as it does to pg.
 */
import { types } from 'node:util';
import { ownBytes } from './bytes.ts';

/** If it is no array, it is given back as it is, for pg to complain about. */
export function sendValues(values: unknown): readonly unknown[] | undefined {
  return Array.isArray(values) ? values.map((value) => sendValue(value, [])) : (values as undefined);
}

function sendValue(value: unknown, within: readonly unknown[]): unknown {
  if (value === undefined) return null;
  if (typeof value === 'function' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return ownBytes(value);
  // A clone takes a subclass of Date, or a Date with properties, for no Date. So a plain one is sent.
  if (types.isDate(value)) return new Date(value.getTime());
  if (Array.isArray(value)) return value.map((item) => sendValue(item, within));
  const { toPostgres } = value as { toPostgres?: unknown };
  if (typeof toPostgres !== 'function') return JSON.stringify(value) ?? null;
  if (within.includes(value)) throw new Error('a query parameter refers to itself in its toPostgres()');
  return sendValue(toPostgres.call(value, prepareValue), [...within, value]);
}

/** Passed to toPostgres: gives a value as the server's text, or as bytes. */
function prepareValue(value: unknown): unknown {
  const sent = sendValue(value, []);
  if (sent === null || typeof sent === 'string') return sent;
  if (ArrayBuffer.isView(sent)) return Buffer.from(sent.buffer, sent.byteOffset, sent.byteLength);
  if (sent instanceof Date) return localTime(sent);
  if (Array.isArray(sent)) return `{${sent.map(arrayItem).join(',')}}`;
  return String(sent);
}

function arrayItem(item: unknown): string {
  if (item === null || item === undefined) return 'NULL';
  const text = prepareValue(item);
  if (Array.isArray(item)) return String(text);
  if (Buffer.isBuffer(text)) return `"\\\\x${text.toString('hex')}"`;
  return `"${String(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** As pg writes a Date: the local time, and how far that is from UTC. A timestamp without a zone keeps the first of the two. */
function localTime(date: Date): string {
  const offset = -date.getTimezoneOffset();
  const year = date.getFullYear();
  const day = [year < 1 ? 1 - year : year, date.getMonth() + 1, date.getDate()].map((part, index) => digits(part, index === 0 ? 4 : 2));
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => digits(part, 2));
  const zone = `${offset < 0 ? '-' : '+'}${digits(Math.floor(Math.abs(offset) / 60), 2)}:${digits(Math.abs(offset) % 60, 2)}`;
  return `${day.join('-')}T${time.join(':')}.${digits(date.getMilliseconds(), 3)}${zone}${year < 1 ? ' BC' : ''}`;
}

const digits = (value: number, length: number): string => String(value).padStart(length, '0');
