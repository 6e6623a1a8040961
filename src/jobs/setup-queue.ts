/**
 * Where setups stand in Piscina until their thread is there: a task queue of ours, so that each can be taken away at any moment. A setup
 * that Piscina finds no thread for would make it add threads that no runner knows of.
 */
import type { PiscinaTask, TaskQueue } from 'piscina';
import type { RunnerThread } from './runner-thread.ts';

type Task = Pick<PiscinaTask, typeof OF_THREAD>;

/** Where a task says for which thread it is: a symbol is not sent, and Piscina shows this one to its balancer and to its queue. */
export const OF_THREAD: typeof import('piscina').queueOptionsSymbol = Symbol.for('Piscina.queueOptions') as never;

export class SetupQueue implements TaskQueue {
  readonly #tasks: Task[] = [];
  #isBeginning = false;

  /** Piscina makes a thread for a task at once only where no other stands before it. Each of these has a thread already. */
  get size(): number {
    return this.#isBeginning ? 0 : this.#tasks.length;
  }

  push(task: Task): void {
    this.#tasks.push(task);
  }

  shift(): Task | null {
    return this.#tasks.shift() ?? null;
  }

  remove(task: Task): void {
    const at = this.#tasks.indexOf(task);
    if (at !== -1) this.#tasks.splice(at, 1);
  }

  /** While `submit` gives Piscina the setup of a thread, for which it makes one. */
  begin<V>(submit: () => V): V {
    this.#isBeginning = true;
    try {
      return submit();
    } finally {
      this.#isBeginning = false;
    }
  }

  /** The thread is not there, or has ended: its setup is carried to none, and its promise stays as it is. */
  drop(thread: RunnerThread): void {
    const task = this.#tasks.find((each) => each[OF_THREAD] === thread);
    if (task !== undefined) this.remove(task);
  }
}
