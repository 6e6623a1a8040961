import { described, outcome } from './described.js';

/** One program after the other, over this pool, in a schema of their own: what each has seen, by its title. */
export async function runAll({ programs, open, close }, pool, schema) {
  await pool.query(`create schema ${schema}`);
  const opened = open === undefined ? pool : await open(pool, schema);
  const seen = {};
  for (const [title, program] of Object.entries(programs)) {
    const bounded = Promise.race([outcome(async () => program(opened, { schema, pool })), late()]);
    seen[title] = described(await bounded, [schema]);
  }
  await close?.(opened);
  return seen;
}

const late = () => new Promise((resolve) => setTimeout(resolve, 120_000, 'this has not ended').unref());
