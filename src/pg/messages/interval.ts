/**
 * pg's value for an interval has methods, which no clone carries. This is the same class, for threads that do not load pg. Without
 * `toPostgres` such a value could not be given back to the server.
 */
import type { FieldDef } from 'pg';

const INTERVAL = 1186;
const INTERVALS = 1187;

export const isInterval = ({ dataTypeID }: Pick<FieldDef, 'dataTypeID'>): boolean => dataTypeID === INTERVAL || dataTypeID === INTERVALS;

const DATE = ['years', 'months', 'days'] as const;
const TIME = ['hours', 'minutes', 'seconds'] as const;
const PARTS: ReadonlySet<string> = new Set([...DATE, ...TIME, 'milliseconds']);
type Part = (typeof DATE)[number] | (typeof TIME)[number];

/** A value of an interval column. What the user's own parser made of it stays as it is. */
export function asInterval(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asInterval);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.keys(value).every((key) => PARTS.has(key)) ? new PostgresInterval(value) : value;
}

/** Has only those parts that are not zero. */
class PostgresInterval {
  declare milliseconds?: number;

  constructor(parts: object) {
    Object.assign(this, parts);
  }

  toPostgres(): string {
    const said = [...DATE, ...TIME]
      .reverse()
      .filter((part) => Object.hasOwn(this, part) || (part === 'seconds' && this.milliseconds))
      .map((part) => `${this.#amount(part)} ${part}`);
    return said.join(' ') || '0';
  }

  toISOString(): string {
    const letters = (parts: readonly Part[]): string => parts.map((part) => `${this.#amount(part)}${part[0].toUpperCase()}`).join('');
    return `P${letters(DATE)}T${letters(TIME)}`;
  }

  toISO(): string {
    return this.toISOString();
  }

  #amount(part: Part): string {
    const amount = (this as { [P in Part]?: number })[part] ?? 0;
    if (part !== 'seconds' || !this.milliseconds) return String(amount);
    // The server counts in microseconds.
    return String(Number((amount + this.milliseconds / 1000).toFixed(6)));
  }
}
