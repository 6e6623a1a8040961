/** Runs in the threads of the Piscina. Each thread has one slot, for ever: the operation comes to the resource. */
import { workerData } from 'node:worker_threads';
import { now } from '../../shared/index.ts';
import { Scoreboard, type ScoreboardHandle } from '../measure/scoreboard.ts';
import { spin } from '../measure/spin.ts';

export interface TaskData {
  readonly scoreboard: ScoreboardHandle;
  /** One word: how many slots have found their thread. */
  readonly claims: Int32Array;
}

export interface Task {
  readonly caller: number;
  readonly ticket: number;
  readonly jump: number;
  /** When the task was sent, by `now`, and how long it is to take. Both in milliseconds. */
  readonly asked: number;
  readonly hold: number;
}

const { scoreboard: handle, claims } = workerData as TaskData;
const scoreboard = new Scoreboard(handle);
const slot = Atomics.add(claims, 0, 1);
Atomics.notify(claims, 0);

export default function task({ caller, ticket, jump, asked, hold }: Task): void {
  const wait = now() - asked;
  const overtakenBy = scoreboard.served(ticket, jump);
  scoreboard.enter(slot, caller);
  spin(hold);
  scoreboard.leave(slot, caller);
  scoreboard.record(caller, wait, overtakenBy);
}
