/** The options after `cenote bench`: how they are read, and what is wrong with them. */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DISTRIBUTIONS, type Distribution, type Effort, MODES, type Mode, RIVALS, type Rival, type Setting } from './measure/setting.ts';

export interface Options extends Effort {
  readonly threads: readonly number[];
  readonly slots: readonly number[];
  /** Microseconds. */
  readonly hold: readonly number[];
  readonly distribution: Distribution;
  readonly mode: readonly Mode[];
  readonly against: readonly Rival[];
  readonly json: boolean;
  /** The path of the page to write. */
  readonly html: string | undefined;
  readonly help: boolean;
}

/** A mistake that the user can put right. It is shown without a stack, with exit code 2. */
export class UsageError extends Error {}

const MAX_THREADS = 128;
/** The mutex keeps a bit for each slot in one word. */
const MAX_SLOTS = 32;
const MAX_HOLD_MS = 1000;

const OPTIONS = {
  threads: { type: 'string' },
  slots: { type: 'string' },
  hold: { type: 'string' },
  distribution: { type: 'string' },
  mode: { type: 'string' },
  seconds: { type: 'string' },
  rounds: { type: 'string' },
  against: { type: 'string' },
  json: { type: 'boolean' },
  html: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const DEFAULTS = {
  threads: '1,2,4,8',
  slots: '1,2',
  hold: '1,100us',
  distribution: 'fixed',
  mode: 'sync,async',
  seconds: '0.3',
  rounds: '3',
  against: 'mutex,messages,piscina',
};

export const HELP = `usage: cenote bench [options]

Threads of this process want more than there is, and borrow it, keep it for a while and give it back in a loop: through
cenote, and through what one might use instead. Measures how many operations that makes, how long the threads wait, how
evenly they are served, and what it costs.

  --threads 1,2,4,8    how many threads want something at the same time: 1 to ${MAX_THREADS}        default ${DEFAULTS.threads}
  --slots 1,2,4        how many can have it: 1 to ${MAX_SLOTS}                                   default ${DEFAULTS.slots}
  --hold 0,1,20,200us  how long each keeps it: 0 to ${MAX_HOLD_MS / 1000} s, with us, ms or s. A number
                       without a unit has that of the next one with a unit, or us      default ${DEFAULTS.hold}
  --distribution fixed | exponential
                       of the holds: all the same, or random around that mean          default ${DEFAULTS.distribution}
  --mode sync,async    threads block until they are served, or await a promise         default ${DEFAULTS.mode}
  --against mutex,messages,piscina (or none)
                       the rivals. Only those named run; cenote always does            default all
  --seconds 2          for each contestant in each setting: 0.01 to 3600               default ${DEFAULTS.seconds}
  --rounds 3           to divide them into; the contestants take turns: 1 to 100       default ${DEFAULTS.rounds}
  --json               the results as JSON on standard output, instead of a table
  --html report.html   a page with plots as well: one file, which needs nothing else
  -h, --help           this text

Every combination of threads, slots, hold and mode is a setting, and is measured. A thread that holds something spins on
the clock. Progress goes to standard error. Ctrl-C ends the run with what it has; pressed again, at once (exit code 130
both times). Wrong options: exit code 2.

  mutex     a semaphore in shared memory that anybody may grab first: no line
  messages  the main thread hands permits out, by postMessage
  piscina   a Piscina of a thread for each slot gets the operations as tasks, so many at a time as there are --threads;
            async only. It is no dependency of cenote: npm install piscina

example: cenote bench --threads 2,8 --slots 1,4 --hold 0,20us,1ms --seconds 1 --html report.html
`;

export function parseOptions(args: readonly string[]): Options {
  const { tokens } = parseArgs({ args: [...args], options: OPTIONS, strict: false, allowPositionals: true, tokens: true });
  const given: { -readonly [name in keyof typeof OPTIONS]?: string } = {};
  for (const token of tokens) {
    if (token.kind === 'positional') throw new UsageError(`there is no place for ${show(token.value)}: every option begins with --`);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    if (!isOption(name))
      throw new UsageError(`there is no option ${rawName}; there are ${list(Object.keys(OPTIONS).map((each) => `--${each}`))}`);
    if (OPTIONS[name].type === 'boolean' && value !== undefined) throw new UsageError(`--${name} takes no value, but has ${show(value)}`);
    if (OPTIONS[name].type === 'string' && value === undefined) throw new UsageError(`--${name} needs a value: see cenote bench --help`);
    given[name] = value ?? '';
  }
  const text = { ...DEFAULTS, ...given };
  return {
    threads: integers('threads', text.threads, MAX_THREADS),
    slots: integers('slots', text.slots, MAX_SLOTS),
    hold: holds(text.hold),
    distribution: oneOf('distribution', text.distribution, DISTRIBUTIONS),
    mode: someOf('mode', text.mode, MODES),
    seconds: seconds(text.seconds),
    rounds: integer('rounds', text.rounds, 100),
    against: text.against === 'none' ? [] : someOf('against', text.against, RIVALS, 'none'),
    json: given.json !== undefined,
    html: given.html === undefined ? undefined : page(given.html),
    help: given.help !== undefined,
  };
}

/** All combinations. The number of threads changes last, because threads have to be started. */
export function settingsOf({ threads, slots, hold, mode, distribution }: Options): Setting[] {
  const settings: Setting[] = [];
  for (const t of threads)
    for (const m of mode)
      for (const s of slots) for (const h of hold) settings.push({ mode: m, threads: t, slots: s, hold: h, distribution });
  return settings;
}

const isOption = (name: string): name is keyof typeof OPTIONS => Object.hasOwn(OPTIONS, name);

/** "a, b and c" */
export function list(words: readonly string[], last = 'and'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

const show = (value: string): string => JSON.stringify(value);

function wrong(name: string, value: string, allowed: string): UsageError {
  return new UsageError(`--${name} has ${show(value)}; allowed ${allowed}`);
}

const items = (text: string): string[] => text.split(',').map((item) => item.trim());

function inOrder(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

function integer(name: string, text: string, most: number, allowed = `is a whole number from 1 to ${most}`): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > most) throw wrong(name, text, allowed);
  return value;
}

function integers(name: string, text: string, most: number): number[] {
  return inOrder(items(text).map((item) => integer(name, item, most, `are whole numbers from 1 to ${most}, separated by commas`)));
}

const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1000, s: 1e6 };

function holds(text: string): number[] {
  let unit = 'us';
  // The list is read from its end: a number without a unit has that of the next one with a unit.
  const values = items(text)
    .toReversed()
    .map((item) => {
      const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s)?$/.exec(item);
      unit = match?.[2] ?? unit;
      const value = match === null ? Number.NaN : Number(match[1]) * MICROSECONDS[unit];
      if (!(value <= MAX_HOLD_MS * 1000))
        throw wrong('hold', item, `are durations from 0 to ${MAX_HOLD_MS} ms with us, ms or s, separated by commas, like 0,20us,1ms`);
      return value;
    });
  return inOrder(values);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || value < 0.01 || value > 3600) throw wrong('seconds', text, 'is a number from 0.01 to 3600');
  return value;
}

function oneOf<V extends string>(name: string, text: string, allowed: readonly V[]): V {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw wrong(name, text, `is ${list(allowed, 'or')}`);
  return found;
}

/** The parts of the text, in the order of `allowed`. */
function someOf<V extends string>(name: string, text: string, allowed: readonly V[], alone?: string): V[] {
  for (const item of items(text))
    if (!allowed.some((value) => value === item))
      throw wrong(name, item, `are ${list(allowed)}, separated by commas${alone === undefined ? '' : `, or ${alone} alone`}`);
  return allowed.filter((value) => items(text).includes(value));
}

/** Checks the path at the beginning: an error after a long run would come too late. */
function page(path: string): string {
  if (path === '' || path.startsWith('-')) throw wrong('html', path, 'is the path of a file to write, like report.html');
  const folder = dirname(resolve(path));
  if (!isFolder(folder)) throw wrong('html', path, `is a file in a folder that exists, and ${show(folder)} is none`);
  if (isFolder(resolve(path))) throw wrong('html', path, 'is a file, and this is a folder');
  return path;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
