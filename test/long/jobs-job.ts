/** The jobs of jobs-process.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { defineJob } from 'cenote/jobs/worker';
import { measure } from './measure.ts';

export default defineJob(async ([kind, n]: readonly [kind: string, n: number], context) => {
  const { pool } = context.pools;
  switch (kind) {
    case 'quick':
      return n;
    case 'sleeps':
      return sleep(n, n, { signal: context.signal });
    case 'waits': {
      const resources = [await pool.acquire(), await pool.acquire()];
      for (const resource of resources) pool.release(resource);
      return n;
    }
    case 'throws':
      throw new Error('thrown on purpose');
    case 'says':
      for (let done = 0; done < 5; done++) context.progress(done, 5, `at ${done}`);
      return n;
    case 'borrows':
      return pool.use((resource: { give(n: number): number }) => resource.give(n));
    case 'forgets':
      await pool.acquire();
      return n;
    default:
      return measure();
  }
});
