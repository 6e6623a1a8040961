/**
 * The tracing channel of queries, on the thread that asked: tracing:cenote:query. What is published holds no parameter, no row, and no
 * message of the server.
 */
import { threadId } from 'node:worker_threads';
import type { QueryResult } from 'pg';
import { OBSERVED, type Observed } from '../../shared/observing/observed.ts';
import { labelOf, Tracing } from '../../shared/observing/tracing.ts';
import { timeAt } from '../messages/clock.ts';
import type { Question } from '../messages/question.ts';

export interface QueryContext {
  readonly pool: string;
  /** Node's id of the thread that has the connections; and of the one that asked. */
  readonly owner: number;
  readonly threadId: number;
  /** It blocks its thread. */
  readonly sync: boolean;
  /** Of the statement, without its values. */
  readonly text: string | undefined;
  /** Of a prepared statement. */
  readonly name: string | undefined;
  /** Milliseconds from the question to the answer. */
  duration?: number;
  /**
   * Milliseconds of it until there was a connection; 0 on one that is borrowed already. Missing if there never was one.
   */
  wait?: number;
  rows?: number;
  error?: unknown;
}

const queries = new Tracing<QueryContext>('cenote:query');

/** What of a pool a context says. */
interface Named {
  readonly name: string;
}

const at = (): number => timeAt(performance.now());

/** Says that there is a connection: since when, if that is not now (see clock.ts). */
export type SaysGranted = (since?: number) => void;

function contextOf(pool: Named, { text, name }: Question, sync: boolean): QueryContext {
  const { owner } = (pool as Named & { [OBSERVED]: Observed })[OBSERVED];
  return { pool: pool.name, owner, threadId, sync, text, name };
}

function rowsIn(result: QueryResult | readonly QueryResult[]): number {
  return [result].flat().reduce((sum, each) => sum + (each as QueryResult).rows.length, 0);
}

const failed = (thrown: unknown): unknown => labelOf(thrown, 'query');

const unheard = (): void => {};

/** Runs and publishes. `wait`: where that is known beforehand. Otherwise `run` says when there is a connection, if it knows. */
export function traced<V extends QueryResult>(
  pool: Named,
  question: Question,
  wait: number | undefined,
  run: (granted: SaysGranted) => Promise<V>,
): Promise<V> {
  if (!queries.isHeard) return run(unheard);
  const context = contextOf(pool, question, false);
  if (wait !== undefined) context.wait = wait;
  const asked = at();
  const granted = (since = at()): void => {
    context.wait = Math.max(0, since - asked);
  };
  const end = (): void => {
    context.duration = at() - asked;
  };
  const counted = async (): Promise<V> => {
    const result = await run(granted);
    end();
    context.rows = rowsIn(result);
    return result;
  };
  return queries.promise(context, counted, (thrown) => {
    end();
    return failed(thrown);
  });
}

/** The same for what blocks this thread. */
export function tracedSync<V extends QueryResult>(
  pool: Named,
  question: Question,
  wait: number | undefined,
  run: (granted: SaysGranted) => V,
): V {
  if (!queries.isHeard) return run(unheard);
  const context = contextOf(pool, question, true);
  if (wait !== undefined) context.wait = wait;
  const asked = at();
  const granted = (since = at()): void => {
    context.wait = Math.max(0, since - asked);
  };
  const timed = (): V => {
    try {
      const result = run(granted);
      context.rows = rowsIn(result);
      return result;
    } finally {
      context.duration = at() - asked;
    }
  };
  return queries.sync(context, timed, failed);
}
