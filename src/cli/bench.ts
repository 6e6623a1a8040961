/** `cenote bench`: reads the options, runs, shows progress, and writes table, JSON and page. */
import { writeFileSync } from 'node:fs';
import { findPiscina } from './contestants/piscina.ts';
import { Interruption } from './interruption.ts';
import { contestantsOf, sweep } from './measure/rounds.ts';
import type { Rival, Setting } from './measure/setting.ts';
import type { Result } from './measure/summary.ts';
import { HELP, type Options, parseOptions, settingsOf } from './options.ts';
import { startProgress } from './progress.ts';
import { describeMachine, VERSION } from './report/machine.ts';
import { page } from './report/page.ts';
import type { Report } from './report/report.ts';
import { table } from './report/table.ts';
import { counted } from './report/units.ts';

const INTERRUPTED = 130;

/** Resolves to the exit code. */
export async function bench(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const interruption = new Interruption();
  // The listener stays to the end of the process. A late signal without a listener would set the exit code instead of the command.
  process.on('SIGINT', () => {
    if (interruption.press(performance.now())) process.exit(INTERRUPTED);
  });
  return tell(await run(options, interruption.signal), options);
}

async function run(options: Options, signal: AbortSignal): Promise<Report> {
  const { seconds, rounds, threads, slots, hold, distribution, mode } = options;
  const machine = describeMachine();
  const started = new Date().toISOString();
  const notes: string[] = [];
  let against = options.against;
  const leaveOut = (rival: Rival, why: string): void => {
    against = against.filter((each) => each !== rival);
    notes.push(why);
  };
  let piscina: ReturnType<typeof findPiscina>;
  if (against.includes('piscina')) {
    if (!mode.includes('async')) leaveOut('piscina', 'piscina was left out: it has no synchronous way, so it needs --mode async');
    else if ((piscina = findPiscina(process.cwd())) === undefined)
      leaveOut('piscina', 'piscina was left out, as it is not installed here: npm install piscina, and run this again');
  }
  if (machine.load !== null && machine.load >= machine.cores)
    notes.push(
      `the machine was busy with other things when the run began (load ${machine.load.toFixed(1)} on ${counted(machine.cores, 'core')}), so these figures are rough`,
    );
  if (Math.max(...slots) >= machine.cores && Math.max(...hold) > 0)
    notes.push(
      `whoever holds a slot spins, so ${machine.cores} or more slots keep ${counted(machine.cores, 'core')} busy: there the system's scheduler is measured, too`,
    );

  const settings = settingsOf(options);
  const secondsEach = (setting: Setting): number => contestantsOf(against, setting.mode).length * (seconds + 0.07);
  const total = settings.reduce((sum, setting) => sum + secondsEach(setting), 0);
  const progress = startProgress(process.stderr, settings.length, secondsEach);
  progress.say(`${counted(settings.length, 'setting')}, ${['cenote', ...against].join(' against ')}: ${about(total)}`);
  for (const note of notes) progress.say(`note: ${note}`);
  const onAbort = (): void => progress.say('interrupted: ending with what there is. Once more to end at once.');
  signal.addEventListener('abort', onAbort, { once: true });

  const results: Result[] = [];
  let next = 0;
  progress.begin(settings[next]);
  for await (const found of sweep({ seconds, rounds, settings, against, Piscina: piscina?.Piscina }, signal)) {
    results.push(...found);
    if (signal.aborted) break;
    progress.done(settings[next++]);
    if (next < settings.length) progress.begin(settings[next]);
  }
  progress.stop();
  signal.removeEventListener('abort', onAbort);
  return {
    cenote: VERSION,
    piscina: piscina?.version ?? null,
    machine,
    started,
    options: { threads, slots, hold, distribution, mode, against, seconds, rounds },
    interrupted: signal.aborted,
    notes,
    results,
  };
}

/** Prints and writes the report, and gives the exit code. */
function tell(report: Report, { json, html }: Options): number {
  let code = report.interrupted ? INTERRUPTED : 0;
  if (json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  else if (report.results.length > 0) process.stdout.write(`${table(report)}\n`);
  if (report.results.length === 0) process.stderr.write('interrupted before anything was measured\n');
  else if (html !== undefined) {
    try {
      writeFileSync(html, page(report));
      process.stderr.write(`${html} is written\n`);
    } catch (error) {
      process.stderr.write(`cenote bench: could not write --html ${html}: ${(error as Error).message}\n`);
      code = 1;
    }
  }
  for (const { contestant, clashes, mode, threads, slots } of report.results) {
    if (clashes === 0) continue;
    process.stderr.write(
      `cenote bench: ${contestant} lent one slot to two at once (${mode}, ${threads} threads on ${slots}): ${clashes} times\n`,
    );
    code = 1;
  }
  return code;
}

function about(seconds: number): string {
  if (seconds < 100) return `about ${counted(Math.ceil(seconds), 'second')}`;
  return `about ${counted(Math.round(seconds / 60), 'minute')}`;
}
