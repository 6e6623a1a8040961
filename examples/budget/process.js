// One process of the show: a pool of PostgreSQL connections with `max: 10`, on a budget of its own process. It borrows as the parent says.
import { createBudget, postgresBudget } from 'cenote/budget';
import { createPgPool } from 'cenote/pg';

const [url, name, limit, ttl] = process.argv.slice(2);
/** A busy machine may take longer to begin than createBudget waits. */
async function joined(options) {
  for (let tries = 1; ; tries++)
    try {
      return await createBudget(options);
    } catch (error) {
      if (error.code !== 'ERR_BUDGET_UNREACHABLE' || tries === 4) throw error;
    }
}
const budget = await joined({
  engine: postgresBudget({ connection: url }),
  key: 'show',
  limit: Number(limit),
  ttl: Number(ttl),
  member: name,
});
const pool = await createPgPool({ connection: { connectionString: url, application_name: `show ${name}` }, max: 10, budget });
let wanted = 0;
let running = 0;
let done = 0;
let isClosing = false;

async function borrow() {
  running++;
  while (running <= wanted && !isClosing) {
    try {
      await pool.query('select pg_sleep($1)', [0.02 + Math.random() * 0.05]);
      done++;
    } catch (error) {
      if (!isClosing) process.send({ error: String(error) });
    }
  }
  running--;
}

for (const event of ['lost', 'regained']) budget.on(event, ({ granted }) => process.send({ event, granted }));
budget.on('error', (error) => process.send({ error: String(error) }));
pool.on('error', () => {});
process.on('message', async (message) => {
  if (message === 'stats') return process.send({ stats: { granted: budget.granted, used: budget.used, done, waiting: pool.waitingCount } });
  if (message === 'close') {
    isClosing = true;
    await pool.end();
    await budget.close();
    return process.disconnect();
  }
  wanted = message.wanted;
  while (running < wanted) void borrow();
});
process.on('disconnect', () => process.exit());
process.send({ event: 'ready' });
