// --dashboard: the one pool at work, again and again, with a page that shows it.

import { serveDashboard } from 'cenote/observe';
import { tellResult } from './report.ts';
import { say } from './say.ts';
import { indexAll, type Work, withOnePool } from './ways.ts';

/** Ends only by an error: by the signal's reason, if nothing else goes wrong. `port` 0: any that is free. */
export async function watched(work: Work, port: number): Promise<void> {
  await withOnePool(work, async ({ pool, table, runner }) => {
    const dashboard = await serveDashboard([pool], { port, title: 'The demo', runner });
    try {
      say(`\nIn a browser:        ${dashboard.url}`);
      say(`In another terminal: npx cenote top ${dashboard.url}`);
      say('The files are indexed again and again, until Ctrl-C.\n');
      for (;;) {
        tellResult(await indexAll(runner, work));
        await pool.use((connection) => connection.query(`truncate ${table}`));
      }
    } finally {
      await dashboard.close();
    }
  });
}
