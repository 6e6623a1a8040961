/**
 * Errors of the user's own code, which makes a connection's settings, or is `onConnect`. They stay the same objects unless a secret is in
 * them. Then the caller gets an error of the same class, with *** in the secret's place.
 */
import { types } from 'node:util';

const HIDDEN = '***';
/** How deep errors and objects within each other are looked at. */
const DEPTH = 8;
/** A value with such a name is a secret, whatever it is. */
const TELLING = /pass(?:word|wd|phrase|code)|secret|token|credential|authorization|(?:api|private|access)[-_]?key|connection[-_]?string/i;

export function scrubbed(thrown: unknown, secrets: readonly string[]): unknown {
  // This is no error, but a text, say. Nothing tells what it is.
  if (!(thrown instanceof Error || types.isNativeError(thrown))) return new Error('not an error was thrown');
  return new Scrubber(secrets).clean(thrown, 0);
}

class Scrubber {
  readonly #secrets: readonly string[];
  /** The objects that are being cleaned now, because an error may hold itself. */
  readonly #under = new Set<object>();

  constructor(secrets: readonly string[]) {
    this.#secrets = secrets;
  }

  /** The same value, if there is nothing to hide in it. */
  clean(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.#secrets.reduce((text, secret) => text.replaceAll(secret, HIDDEN), value);
    if (typeof value === 'function') return HIDDEN;
    if (typeof value !== 'object' || value === null || types.isDate(value)) return value;
    if (depth > DEPTH || this.#under.has(value)) return HIDDEN;
    this.#under.add(value);
    try {
      if (value instanceof Error || types.isNativeError(value)) return this.#error(value, depth);
      if (Array.isArray(value)) return this.#list(value, depth);
      const prototype = Object.getPrototypeOf(value);
      // What is in an instance of some class cannot be told: it may be a client, or a request with its headers.
      return prototype === null || Object.getPrototypeOf(prototype) === null ? this.#object(value, depth) : HIDDEN;
    } finally {
      this.#under.delete(value);
    }
  }

  #error(error: Error, depth: number): Error {
    const changed = this.#changes(error, depth);
    if (changed.size === 0) return error;
    const copy = new Error(changed.has('message') ? (changed.get('message') as string) : error.message);
    Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
    for (const key of Reflect.ownKeys(error)) {
      const value = changed.has(key) ? changed.get(key) : read(error, key);
      const { enumerable } = Object.getOwnPropertyDescriptor(error, key)!;
      Object.defineProperty(copy, key, { value, enumerable: enumerable === true, configurable: true, writable: true });
    }
    return copy;
  }

  #list(list: readonly unknown[], depth: number): readonly unknown[] {
    const cleaned = list.map((each) => this.clean(each, depth + 1));
    return cleaned.some((each, index) => each !== list[index]) ? cleaned : list;
  }

  #object(object: object, depth: number): object {
    const changed = this.#changes(object, depth);
    if (changed.size === 0) return object;
    return Object.fromEntries(Reflect.ownKeys(object).map((key) => [key, changed.has(key) ? changed.get(key) : read(object, key)]));
  }

  #changes(from: object, depth: number): Map<PropertyKey, unknown> {
    const changed = new Map<PropertyKey, unknown>();
    for (const key of Reflect.ownKeys(from)) {
      const value = read(from, key);
      const cleaned = isTelling(key, value) ? HIDDEN : this.clean(value, depth + 1);
      if (!Object.is(cleaned, value)) changed.set(key, cleaned);
    }
    return changed;
  }
}

/** A bare text as a cause may be anything, so it counts as a secret. */
const isTelling = (key: PropertyKey, value: unknown): boolean =>
  (typeof value === 'string' && key === 'cause') ||
  ((typeof value === 'string' || typeof value === 'object') && value !== null && TELLING.test(String(key)));

function read(from: object, key: PropertyKey): unknown {
  try {
    return (from as Record<PropertyKey, unknown>)[key];
  } catch {
    // A getter that throws has nothing to say.
    return undefined;
  }
}
