/** Queries from many threads: cenote beside pools in each thread, and one pool by comlink. `npm run bench:pg -- --help` says how. */
import { openDatabase } from '../../examples/demo/database.ts';
import { chosen } from '../frame/command.ts';
import { putInto } from '../frame/page.ts';
import { machine } from '../frame/table.ts';
import { Measurement } from './measure.ts';
import { Observer } from './observer.ts';
import { COMMAND, type Options, optionsOf, USAGE } from './options.ts';
import { type Choice, planOf } from './plan.ts';
import { footer, forPage, type Run, reach, report } from './report.ts';

async function run({ effort, choice, set, json, into }: Options): Promise<void> {
  const where = machine();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const stopping = new AbortController();
  // It says something at once: whoever hears that may interrupt.
  process.once('SIGINT', async () => {
    stopping.abort();
    await opening.then(
      (database) => database.close(),
      () => {},
    );
    // Threads, and whatever they have under way.
    process.exit(130);
  });
  const opening = openDatabase(say, stopping.signal);
  try {
    const { url, schema, close } = await opening;
    try {
      const observer = await Observer.open({ url, schema });
      const postgres = await observer.version();
      const isLocal = process.env.DATABASE_URL === undefined;
      const measured = await new Measurement({ url, schema }, observer, isLocal, effort, say).run(planOf(effort, choice));
      await observer.end();
      tell({ machine: where, postgres, effort, set, ...measured }, choice, json, into);
    } finally {
      await close();
    }
  } catch (error) {
    // Everything breaks when the server is taken away.
    if (!stopping.signal.aborted) throw error;
  }
}

function tell(run: Run, choice: Choice, json: boolean, into: string | undefined): void {
  if (json) console.log(JSON.stringify(run, undefined, 2));
  else console.log(choice.reach ? `${reach(run)}\n\n${footer(run)}` : report(run));
  if (into !== undefined) putInto(into, forPage(run), COMMAND);
}

const values = chosen(() => optionsOf(process.argv.slice(2)), USAGE);
if (values !== undefined) await run(values);
