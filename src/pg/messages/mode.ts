/** How the asker wants its rows, and what reading the text has come to, as bits. */
import { type Dirt, type Reading, readStatement } from '../sql/dirt.ts';

/** Each row is an array. */
export const ROWS_AS_ARRAYS = 1;
/** The rows come as the server's text: the asker has parsers of its own, which no message can carry. */
export const RAW = 2;
/** The extended protocol is used, with values or without: pg's queryMode. */
export const EXTENDED = 4;
/** The asker has read the text, and the bits that follow are what that came to. */
const READ = 8;
const PREPARABLE = 16;
const COPY_IN = 32;
const READ_ONLY = 64;
/** The dirt, in two bits from this one on. */
const DIRT = 128;

/** Length in characters. The asker reads longer texts, so that the owner's thread, which all texts pass, does not spend time on them. */
const LONG = 2000;

export function withReading(mode: number, text: string | undefined): number {
  if (text === undefined || text.length <= LONG) return mode;
  const { dirt, isPreparable, isCopyIn, asksReadOnly } = readStatement(text);
  return mode | READ | (isPreparable ? PREPARABLE : 0) | (isCopyIn ? COPY_IN : 0) | (asksReadOnly ? READ_ONLY : 0) | (dirt * DIRT);
}

export function readingOf(mode: number, text: string): Reading {
  if ((mode & READ) === 0) return readStatement(text);
  return {
    dirt: ((mode / DIRT) & 3) as Dirt,
    isPreparable: (mode & PREPARABLE) !== 0,
    isCopyIn: (mode & COPY_IN) !== 0,
    asksReadOnly: (mode & READ_ONLY) !== 0,
  };
}

/** What the statement sets belongs to the borrower's profile: it is no dirt. */
export const SETTING = 1024;

export const isOfProfile = (mode: number): boolean => (mode & SETTING) !== 0;

/**
 * The borrower waits for notifications. The owner's driver asks its statements: so all that the server says comes the same way, and in the
 * order in which it was said.
 */
export const IN_ORDER = 2048;

/** The borrower listens for what the server says unasked: none of it is left out. */
export const HEEDED = 4096;

export const isHeeded = (mode: number): boolean => (mode & HEEDED) !== 0;

/** The query has brought parsers for all: the owner's program need not parse what it has parsers for. */
export const PARSES = 8192;

/** The bytes are all that is said: the borrower says nothing more before it has its answer. */
export const WHOLE = 512;

export const isWhole = (mode: number): boolean => (mode & WHOLE) !== 0;

/** The reading of a text among those that were said: long ones were read by the asker, if it has done so. */
export const longReadingOf = (mode: number, text: string): Reading => (text.length > LONG ? readingOf(mode, text) : readStatement(text));
