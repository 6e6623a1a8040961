/**
 * The alternative to sharing: every resource gets a thread of its own, and a caller sends its operation there. It is a Piscina with a
 * thread for each slot. Each of the benchmark's threads becomes a caller on the main thread that has one task under way at any time. There
 * is only the mode async. Piscina is no dependency; it is looked for.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { now } from '../../shared/index.ts';
import { createScoreboard, Scoreboard } from '../measure/scoreboard.ts';
import { drawHold, type Setting } from '../measure/setting.ts';
import type { Arena } from './contestant.ts';
import type { Task, TaskData } from './piscina-task.ts';

/** How long one more thread may take to start, in ms. */
const LOAD_TIME = 30_000;

/** The part of Piscina that is used here. */
interface Pool {
  run(task: Task): Promise<void>;
  destroy(): Promise<void>;
}
export type PiscinaClass = new (options: object) => Pool;

/** The Piscina of the project in the working directory, else the one beside cenote; undefined if there is none. */
export function findPiscina(directory: string): { Piscina: PiscinaClass; version: string } | undefined {
  for (const place of [pathToFileURL(join(directory, 'x.js')), import.meta.url]) {
    let piscina: { Piscina: PiscinaClass; version: string };
    try {
      piscina = createRequire(place)('piscina');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      continue;
    }
    return { Piscina: piscina.Piscina, version: piscina.version };
  }
  return undefined;
}

export async function openPiscina(Piscina: PiscinaClass, setting: Setting): Promise<Arena> {
  const { slots, threads } = setting;
  const scoreboard = new Scoreboard(createScoreboard(slots, threads));
  const claims = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const pool = new Piscina({
    filename: new URL('./piscina-task.js', import.meta.url).href,
    workerData: { scoreboard: scoreboard.handle, claims } satisfies TaskData,
    minThreads: slots,
    maxThreads: slots,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
  await allLoaded(claims, slots);
  const call = async (caller: number): Promise<void> => {
    while (!scoreboard.stopped()) {
      const hold = drawHold(setting);
      const ticket = scoreboard.ask();
      await pool.run({ caller, ticket, jump: scoreboard.lastJump(), asked: now(), hold });
    }
  };
  return {
    contestant: 'piscina',
    scoreboard,
    async work() {
      await Promise.all(Array.from({ length: threads }, (_, caller) => call(caller)));
    },
    async close() {
      await pool.destroy();
    },
  };
}

/**
 * Resolves when all threads have loaded their module. A thread that still loads is not measured. It is not ended, either: Node 20 may crash
 * when a thread is terminated while it requires an ES module, as Piscina's threads do.
 */
async function allLoaded(claims: Int32Array, slots: number): Promise<void> {
  for (let loaded = Atomics.load(claims, 0); loaded < slots; loaded = Atomics.load(claims, 0))
    if ((await Atomics.waitAsync(claims, 0, loaded, LOAD_TIME).value) === 'timed-out')
      throw new Error(`${slots - loaded} of ${slots} threads of Piscina have not started within ${LOAD_TIME / 1000} s`);
}
