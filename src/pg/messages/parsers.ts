/**
 * What pg makes of the server's text by default, for the types that most columns have. The parsers are here as well, so that the asker's
 * thread can use them: it does not load pg, and the owner's time is left to others. Values of other types are parsed on the owner, or are
 * text to pg, too.
 */

type Parse = (text: string) => unknown;

const asInteger: Parse = (text) => Number.parseInt(text, 10);
const asFloat: Parse = (text) => Number.parseFloat(text);
/** The server says t; pg also takes the rest for true. */
const TRUE: ReadonlySet<string> = new Set(['t', 'true', 'TRUE', 'y', 'yes', 'on', '1']);
const asBoolean: Parse = (text) => TRUE.has(text);

const STAMP = /^(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?(?:([Z+-])(\d\d)?(?::?(\d\d))?(?::?(\d\d))?)?)?( BC)?$/;

/** Local time if the text names no zone. A text that is not ISO (another DateStyle) gives null, as pg does not read it either. */
function asDate(text: string): Date | number | null {
  const found = STAMP.exec(text);
  if (found === null) return text === 'infinity' ? Number.POSITIVE_INFINITY : text === '-infinity' ? Number.NEGATIVE_INFINITY : null;
  const [, years, months, days, hours = 0, minutes = 0, seconds = 0, fraction, sign, zoneHours = 0, zoneMinutes = 0, zoneSeconds = 0, bc] =
    found;
  // There was no year zero: 1 BC is the year 0 of a Date.
  const year = bc === undefined ? Number(years) : 1 - Number(years);
  const time = [Number(months) - 1, Number(days), Number(hours), Number(minutes), Number(seconds), 1000 * Number(fraction ?? 0)] as const;
  // Date takes the years from 0 to 99 for those of the twentieth century.
  const isEarly = year >= 0 && year < 100;
  if (sign === undefined) {
    const date = new Date(year, ...time);
    if (isEarly) date.setFullYear(year);
    return date;
  }
  const date = new Date(Date.UTC(year, ...time));
  if (isEarly) date.setUTCFullYear(year);
  const offset = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60 + Number(zoneSeconds);
  if (offset !== 0) date.setTime(date.getTime() - (sign === '-' ? -1000 : 1000) * offset);
  return date;
}

/** By the server's number (OID) of the type. */
export const PARSERS: ReadonlyMap<number, Parse> = new Map([
  [16, asBoolean],
  [21, asInteger], // int2
  [23, asInteger], // int4
  [26, asInteger], // oid
  [700, asFloat],
  [701, asFloat],
  [1082, asDate], // date
  [1114, asDate], // timestamp
  [1184, asDate], // timestamptz
]);
