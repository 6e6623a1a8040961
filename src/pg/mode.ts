/** How rows are wanted, and what reading the text has come to, as bits. */
import { type Dirt, type Reading, readStatement } from './dirt.ts';

/** Each row an array. */
export const ROWS_AS_ARRAYS = 1;
/** As the server's text: the borrower has parsers of its own, which no message could carry. */
export const RAW = 2;
/** By the extended protocol, values or not: pg's queryMode. */
export const EXTENDED = 4;
/** The text has been read where it was asked for, and what follows is what that has come to. */
const READ = 8;
const PREPARABLE = 16;
const COPY_IN = 32;
const READ_ONLY = 64;
/** Two bits. */
const DIRT = 128;

/** A text so long is read where it is asked for, so that the owner's thread, which all texts go through, does not spend time on it. */
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
