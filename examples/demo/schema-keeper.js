// The process behind database.ts when there is a DATABASE_URL: makes a schema of our own on that server, and drops it again.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { keep } from './keep.js';

const schema = `cenote_demo_${randomBytes(6).toString('hex')}`;
const TOO_MANY_CONNECTIONS = '53300';
let reached = false;

await keep(
  async () => {
    await query(`create schema ${schema}`);
    return schema;
  },
  async () => {
    if (!reached) return;
    // Whoever still works in it would make the drop wait.
    await patiently(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like '${schema}%'`,
      `drop schema if exists ${schema} cascade`,
    );
  },
);

/** On a connection of its own each time: one that idles all along might be cut. */
async function query(...statements) {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: 10_000, query_timeout: 20_000 });
  client.on('error', () => {});
  await client.connect();
  reached = true;
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The server may still be busy noticing that our threads are gone, and count their connections against us. */
async function patiently(...statements) {
  for (let tries = 40; ; tries--) {
    try {
      return await query(...statements);
    } catch (error) {
      if (error.code !== TOO_MANY_CONNECTIONS || tries === 0) throw error;
      await sleep(250);
    }
  }
}
