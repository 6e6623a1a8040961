import { setTimeout as sleep } from 'node:timers/promises';
import { defineJob } from 'cenote/jobs/worker';

const INSERT = 'insert into storm values ($1)';

export default defineJob(async ({ kind, number, ms }, context) => {
  const { db, things } = context.pools;
  switch (kind) {
    case 'query':
      return (await db.query('select $1::int as number, pg_sleep($2)', [number, ms / 1000])).rows[0].number;
    case 'borrows':
      return number % 2 === 0 ? things.use((thing) => thing.work(ms)) : things.useSync((thing) => thing.work(ms));
    case 'transaction':
      return db.transaction(async (tx) => {
        await tx.query(INSERT, [number]);
        await sleep(ms / 4);
        context.check();
        await tx.query(INSERT, [number]);
      });
    case 'transactionSync':
      return db.transactionSync((tx) => {
        tx.query(INSERT, [number]);
        tx.query('select pg_sleep($1)', [ms / 1000]);
        tx.query(INSERT, [number]);
      });
    case 'forgets': {
      const client = await db.connect();
      await client.query('begin');
      await client.query(INSERT, [number]);
      return number;
    }
    case 'spins':
      for (const end = performance.now() + ms; performance.now() < end; ) context.check();
      return number;
    case 'sleeps':
      await sleep(ms, undefined, { signal: context.signal });
      return number;
    case 'throws':
      await sleep(ms / 4);
      throw new RangeError(`thrown by ${number}`);
    case 'deaf':
      await db.connect();
      for (;;);
    case 'exits':
      await sleep(ms / 4);
      return process.exit(1);
  }
});
