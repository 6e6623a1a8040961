import { test } from 'vitest';
import { postgres } from '../support/postgres.ts';
import { storm } from './storm.ts';

test('many jobs on PostgreSQL, a third cancelled, threads ended: every promise settles, nothing is left', async () => {
  const { url } = await postgres();
  await storm({ jobs: 250, seed: 7, url });
});
