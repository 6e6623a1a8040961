// A member in a process of its own, with a pool of numbers. It does what its parent asks.
import { existsSync } from 'node:fs';
import { createPool } from 'cenote';
import { createBudget, postgresBudget, redisBudget } from 'cenote/budget';

const { engine, url, max = 10, ...options } = JSON.parse(process.argv[2]);
/** A busy machine may take longer to begin than createBudget waits. */
async function joined(options) {
  for (let tries = 1; ; tries++)
    try {
      return await createBudget(options);
    } catch (error) {
      if (error.code !== 'ERR_BUDGET_UNREACHABLE' || tries === 4) throw error;
    }
}
const budget = await joined({ engine: engine === 'redis' ? redisBudget({ url }) : postgresBudget({ connection: url }), ...options });
for (const event of ['granted', 'shed', 'lost', 'regained', 'unreachable', 'reachable', 'error'])
  budget.on(event, () => process.send({ event }));
let made = 0;
const destroyed = [];
const pool = await createPool({ factory: ({ permit }) => ({ number: ++made, permit }), max, budget });
pool.on('destroy', (_, reason) => destroyed.push(reason));
const out = [];

const does = {
  /** Borrows so many, as they come. */
  borrow: async (count) => {
    for (let n = 0; n < count; n++) void pool.acquire().then((thing) => out.push(thing));
  },
  release: (count) => {
    for (const thing of out.splice(0, count)) pool.release(thing);
  },
  state: () => ({
    ...{ granted: budget.granted, used: budget.used, out: out.length, idle: pool.idleCount(), waiting: pool.waitingCount() },
    ...{ count: pool.count(), limit: budget.limit, destroyed, epochs: out.map(({ permit }) => permit.epoch) },
  }),
  members: () => budget.members(),
  block: (ms) => {
    const end = Date.now() + ms;
    while (Date.now() < end);
  },
  /** Stands still until somebody makes this file. */
  blockUntil: (path) => {
    while (!existsSync(path));
  },
  close: async () => {
    await pool.close();
    does.release(out.length);
    await budget.close();
    setImmediate(() => process.disconnect());
  },
};
process.on('message', async ({ id, what, value }) => {
  let answer;
  try {
    answer = { id, value: await does[what](value) };
  } catch (error) {
    answer = { id, error: String(error) };
  }
  process.send(answer, () => {});
});
process.on('disconnect', () => process.exit());
process.send({ event: 'ready' });
