/** What limits every way of sharing connections: each part of it by itself, with nothing else done, in the rounds of the same run. */
import { interleave } from '../../frame/rounds.ts';
import type { BenchThread } from '../../frame/thread.ts';
import type { Effort } from '../plan.ts';
import { openRoad, type Road } from '../road.ts';
import type { Row } from '../rows.ts';
import type { Server } from '../way.ts';
import { dealt } from '../ways/connections.ts';
import { POINT_QUERY } from '../works.ts';
import { bytes } from './bytes.ts';
import { handOvers } from './hand-over.ts';
import { message } from './message.ts';

/** How many queries a connection has under way when they go together. */
const TOGETHER = 8;

const TALK = message.name;
const PASS = 'hand-over';
const BYTES = 'point query, bytes only, 8 at once on each of 4 connections';

export const EXPERIMENTS: readonly string[] = [TALK, PASS, BYTES];

/** Operations a second of each. */
export async function measureBare(server: Server, threads: readonly BenchThread[], { lanes, rounds, slice }: Effort): Promise<Row> {
  const [holders, each] = dealt(threads);
  const messages = await openRoad(message, server, threads);
  const raw = await openRoad(bytes(BYTES, each), server, holders);
  const rateOf = async (road: Road, under: number): Promise<number> => {
    const outcomes = await road.go(POINT_QUERY, under, slice);
    const broken = outcomes.find(({ failed }) => failed > 0);
    if (broken !== undefined) throw new Error(broken.error);
    return outcomes.reduce((sum, { perSecond }) => sum + perSecond, 0);
  };
  // A token that does not leave its thread is not handed over.
  const possible = EXPERIMENTS.filter((name) => name !== PASS || threads.length > 1);
  const figures = await interleave(possible, rounds, (name) => {
    if (name === PASS) return handOvers(threads, slice);
    return name === TALK ? rateOf(messages, lanes) : rateOf(raw, each * TOGETHER);
  });
  for (const road of [messages, raw]) await road.close();
  return { measure: 'bare', work: undefined, threads: threads.length, rounds: figures };
}
