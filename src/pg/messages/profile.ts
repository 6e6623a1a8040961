/**
 * What a client sets in its session before it asks anything else: its profile. It is no dirt: a borrower with another profile has its own
 * applied first. A profile is a text, and travels in the name of a borrow; '' is that of a session as it was made.
 */
import { types } from 'node:util';
import type { QueryConfig } from 'pg';
import { withStatement } from '../sql/made.ts';

/** One statement of a profile, as it is written in the text. */
type Entry = readonly [text: string, values?: readonly Written[]];

/** A value as it is written there: one that is sent as text is that text. The driver has its own way with bytes and with times. */
type Written = string | null | { readonly bytes: string } | { readonly time: number | null } | readonly Written[];

const MARK = '|';

/** The name of a borrow with that profile. */
export const withProfile = (borrow: string, profile: string): string => (profile === '' ? borrow : `${borrow}${MARK}${profile}`);

export function profileOf(borrow: string): string {
  const at = borrow.indexOf(MARK);
  return at === -1 ? '' : borrow.slice(at + 1);
}

/**
 * The profile with one statement more, whose values are as they are sent (`sendValues`): any of those can be written. It says no more than
 * it takes: see `withStatement`.
 */
export function profileWith(profile: string, text: string, values: readonly unknown[] | undefined): string {
  const before = entriesOf(profile).map(([text, values]) => ({ text, values }));
  const all = withStatement(before, { text, values: values === undefined || values.length === 0 ? undefined : values.map(written) });
  return JSON.stringify(all.map(({ text, values }): Entry => (values === undefined ? [text] : [text, values])));
}

const entriesOf = (profile: string): Entry[] => (profile === '' ? [] : (JSON.parse(profile) as Entry[]));

/** The statements of a profile. Throws for what is no profile. */
export function statementsOf(profile: string): QueryConfig[] {
  return entriesOf(profile).map(([text, values]) => ({
    text: String(text),
    ...(values === undefined ? {} : { values: values.map(read) }),
  }));
}

function written(value: unknown): Written {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map(written);
  if (types.isDate(value)) return { time: value.getTime() };
  if (ArrayBuffer.isView(value)) return { bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  return String(value);
}

/** The way back. */
function read(value: Written): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('bytes' in value) return Buffer.from(value.bytes, 'base64');
  // One that is no time at all is written as null.
  if ('time' in value) return new Date(value.time ?? Number.NaN);
  return value.map(read);
}

const SET = String.raw`set\s+(?!local\b|transaction\b|constraints\b)[^;]*`;
const CONFIG = String.raw`(?:pg_catalog\.)?set_config\s*\([^();]*\)(?:\s+as\s+"?\w+"?)?`;
/** One statement or several that set something in the session, and do nothing else. */
const SETS = new RegExp(String.raw`^\s*(?:(?:${SET}|select\s+${CONFIG}(?:\s*,\s*${CONFIG})*\s*)(?:;\s*|$))+$`, 'i');
/** What clients ask about the server before they set something. */
const ASKS = /^\s*(?:show\s|select\s+(?:pg_catalog\.)?version\s*\(\s*\))[^;]*;?\s*$/i;

export const isSetting = (text: string): boolean => SETS.test(text);

/** After any other statement a client's profile is complete. */
export const mayPrecedeSetting = (text: string): boolean => ASKS.test(text);
