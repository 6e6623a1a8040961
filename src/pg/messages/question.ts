/** What `query` is given, in all the ways of pg, in one shape. */
import type { EventEmitter } from 'node:events';
import type { CustomTypesConfig, QueryConfig } from 'pg';
import { EXTENDED, HEEDED, IN_ORDER, PARSES, RAW, ROWS_AS_ARRAYS, SETTING, withReading } from './mode.ts';
import type { Statement, StatementArguments } from './protocol.ts';
import { sendValues } from './values.ts';

/** A statement, and what the asker's thread does with its answer. */
export interface Question extends Omit<Statement, 'values'> {
  readonly types: CustomTypesConfig | undefined;
  /** As it was given, for a driver on this thread. */
  readonly config: Config;
  /** As they were given. */
  readonly parameters: readonly unknown[] | undefined;
}

/** Some of pg's configuration that its types leave out. */
export type Config = Partial<QueryConfig> & { rowMode?: unknown; queryMode?: unknown; query_timeout?: unknown; binary?: unknown };

/** `ownTypes`, `ownTimeout`: the type parsers and the time limit for a query that brings none. */
export function ask(text: string | QueryConfig, values?: unknown, ownTypes?: CustomTypesConfig, ownTimeout?: number): Question {
  if (text === null || text === undefined) throw new TypeError('query was passed a null or undefined query');
  const config: Config = typeof text === 'string' ? { text } : text;
  const { types = ownTypes, name, query_timeout: timeout } = config;
  const parameters = values ?? config.values;
  if (typeof config.text !== 'string' && typeof name !== 'string')
    throw new TypeError('a query must have a text or a name: pass a string, or an object like { text, values }');
  if (parameters !== undefined && parameters !== null && !Array.isArray(parameters)) throw new TypeError('query values must be an array');
  return {
    text: config.text,
    parameters: parameters ?? undefined,
    name: typeof name === 'string' && name !== '' ? name : undefined,
    mode: withReading(
      (config.rowMode === 'array' ? ROWS_AS_ARRAYS : 0) |
        (types === undefined || types === null ? 0 : RAW | PARSES) |
        (config.queryMode === 'extended' ? EXTENDED : 0),
      config.text,
    ),
    timeout: typeof timeout === 'number' && timeout > 0 ? timeout : ownTimeout,
    types: types ?? undefined,
    config,
  };
}

export const argumentsOf = ({ text, parameters, name, mode, timeout }: Question): StatementArguments => [
  text,
  sendValues(parameters),
  name,
  mode,
  timeout,
];
/** The same, asked by a client that may listen for what the server says unasked: see IN_ORDER and HEEDED. */
export function askedBy(client: Pick<EventEmitter, 'listenerCount'>, question: Question): Question {
  if (client.listenerCount('notification') > 0) return { ...question, mode: question.mode | HEEDED | IN_ORDER };
  return client.listenerCount('notice') > 0 ? { ...question, mode: question.mode | HEEDED } : question;
}

/** The same, as a part of its asker's profile: see SETTING. Its values are those that are sent, here and with the profile. */
export const asSetting = (question: Question): Question => ({
  ...question,
  parameters: sendValues(question.parameters),
  mode: question.mode | SETTING,
});

/** A text, and nothing else. */
export const say = (text: string): Question => ({
  text,
  config: { text },
  parameters: undefined,
  name: undefined,
  mode: 0,
  timeout: undefined,
  types: undefined,
});

/**
 * Calls the callback with what the promise gives. What the callback throws is not caught for the asker. `none` is what pg passes instead
 * of an error.
 */
export function tell<V>(promise: Promise<V>, callback: (error: Error | null | undefined, value?: V) => void, none?: null): void {
  promise.then(
    (value) => process.nextTick(callback, none, value),
    (error) => process.nextTick(callback, error),
  );
}
