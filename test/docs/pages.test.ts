/** The documentation leaves nothing out, and its links lead somewhere. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import * as cenote from 'cenote';
import { describe, expect, test } from 'vitest';
import { consecutiveFailuresOn } from '../../src/main/breaker/consecutive-failures.ts';
import { failureRateOn } from '../../src/main/breaker/failure-rate.ts';
import { settingsOf } from '../../src/main/options.ts';
import { DESTROY_REASONS } from '../../src/shared/words/counters.ts';
import { anchorOf, page, pages, plain, proseOf, root, tableOf } from './markdown.ts';

const everything = pages.map(({ text }) => text).join('\n');
const reference = page('docs/reference.md');
const mentions = (name: string): boolean => new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(everything);

/** The names of an interface's members, as its declaration has them. */
function membersOf(file: string, name: string): string[] {
  const text = readFileSync(`${root}dist/${file}`, 'utf8');
  const body = new RegExp(`interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(text)?.[1];
  if (body === undefined) throw new Error(`${file} declares no ${name}`);
  const members = [...body.matchAll(/^ {4}(?:readonly )?(\w+)\??[(<:]/gm)].map((match) => match[1]);
  return [...new Set(members)].filter((member) => !member.startsWith('__'));
}

describe('the documentation', () => {
  test('has every option of createPool', async () => {
    const names = membersOf('main/types.d.ts', 'PoolOptions').sort();
    const documented = tableOf(reference, 'Options').flatMap(({ option }) => [...option.matchAll(/`(\w+)`/g)].map((match) => match[1]));
    expect(documented.sort()).toEqual(names);
    // The code knows the same: it corrects whoever gets the capitals wrong.
    for (const name of names)
      await expect(cenote.createPool({ factory: () => 1, [name.toUpperCase()]: 1 }), name).rejects.toThrow(`it is spelt ${name}`);
  });

  test('gives the defaults that a pool really has', () => {
    const settings = settingsOf({ factory: () => 1 }) as unknown as Record<string, unknown>;
    const said = (name: string): string => {
      const value = settings[name];
      return typeof value === 'string' ? `'${value}'` : value === undefined ? 'none' : String(value);
    };
    const rows = tableOf(reference, 'Options').flatMap((row) => {
      const defaults = row.default.split(', ').map(plain);
      return row.option.split(', ').map((name, at): [name: string, byDefault: string] => [plain(name), defaults[at]]);
    });
    // `ceiling` is as much as `max`, and `maxHold` an object without a limit.
    const special = { factory: 'required', expose: 'all', strict: 'true', ceiling: 'max', maxHold: 'none' };
    expect(Object.fromEntries(rows)).toEqual({ ...Object.fromEntries(rows.map(([name]) => [name, said(name)])), ...special });
  });

  /** A place that says the defaults of the strategies, and what it says. */
  const SAYINGS: readonly [where: string, said: () => Record<'threshold' | 'minimum' | 'window' | 'reset', number>][] = [
    [
      'docs/guide.md',
      () => {
        const text = page('docs/guide.md').text.replaceAll(/\s+/g, ' ');
        const [, threshold] = /`consecutiveFailures\(.*?\)` opens after `threshold` failures in a row \((\d+) by default\)/.exec(text)!;
        const [, minimum, window] = /\(half of at least (\d+) within (\d+) seconds by default\)/.exec(text)!;
        const [, reset] = /after `resetTimeout` \((\d+) seconds by default\)/.exec(text)!;
        return { threshold: Number(threshold), minimum: Number(minimum), window: Number(window) * 1000, reset: Number(reset) * 1000 };
      },
    ],
    [
      'the docstrings in src/main/breaker',
      () => {
        const textOf = (name: string): string => readFileSync(`${root}src/main/breaker/${name}.ts`, 'utf8').replaceAll(/\s+\*\s+/g, ' ');
        const said = (text: string, what: RegExp): number => Number(what.exec(text)![1].replaceAll(',', ''));
        const [inARow, rate] = [textOf('consecutive-failures'), textOf('failure-rate')];
        const reset = /probes again after `resetTimeout` ms \(default ([\d,]+)\)/;
        expect(said(rate, reset)).toBe(said(inARow, reset));
        expect(said(rate, /`rate` \(0\.\.1, default ([\d.]+)\)/)).toBe(0.5);
        return {
          threshold: said(inARow, /`threshold` failures in a row \(default (\d+)\)/),
          minimum: said(rate, /`minimum` reports \(default (\d+)\)/),
          window: said(rate, /`window` ms \(default ([\d,]+)\)/),
          reset: said(inARow, reset),
        };
      },
    ],
  ];

  test.each(SAYINGS)('gives the defaults of the breaker strategies: %s', (where, said) => {
    const { threshold, minimum, window, reset } = said();
    const isSo = (name: string, is: number, says: number): void =>
      expect(is, `the default of ${name} is ${is}; by ${where} it is ${says}`).toBe(says);
    let time = 0;
    const clock = () => time;
    const failuresUntilOpen = (strategy: cenote.CircuitBreakerStrategy): number => {
      let failures = 0;
      let isOpen = false;
      const breaker = { getState: () => 'active', activate() {}, recover() {}, deactivate: () => (isOpen = true) } as cenote.CircuitBreaker;
      while (!isOpen && failures < 1000) {
        failures++;
        strategy.reportFailure(breaker, new Error());
      }
      return failures;
    };
    const consecutive = consecutiveFailuresOn(clock, {});
    isSo('threshold', failuresUntilOpen(consecutive), threshold);
    isSo('minimum', failuresUntilOpen(failureRateOn(clock, {})), minimum);
    // Half of them failures: one less than half first, then one more.
    const halved = failureRateOn(clock, {});
    for (let i = 0; i < minimum / 2; i++) halved.reportSuccess({ getState: () => 'active' } as cenote.CircuitBreaker);
    isSo('rate', failuresUntilOpen(halved) / minimum, 0.5);
    // What is older than the window counts no more.
    const aged = failureRateOn(clock, {});
    for (let i = 0; i < minimum - 1; i++) aged.reportFailure({ getState: () => 'active' } as cenote.CircuitBreaker, new Error());
    time += window;
    expect(failuresUntilOpen(aged), `the default of window is longer than the ${window} ms that ${where} says`).toBe(minimum);

    isSo('threshold', failuresUntilOpen(consecutive), threshold);
    time += reset - 1;
    expect(consecutive.shouldRecover?.(), `the default of resetTimeout is less than the ${reset} ms that ${where} says`).toBe(false);
    time++;
    expect(consecutive.shouldRecover?.(), `the default of resetTimeout is more than the ${reset} ms that ${where} says`).toBe(true);
  });

  test.each([
    ['main/types.d.ts', 'Pool'],
    ['main/types.d.ts', 'PoolEvents'],
    ['main/types.d.ts', 'CircuitBreakerStrategy'],
    ['worker/types.d.ts', 'AttachedPool'],
    ['shared/types.d.ts', 'ResourcePool'],
    ['shared/types.d.ts', 'CircuitBreaker'],
    ['shared/types.d.ts', 'AcquireOptions'],
    ['shared/types.d.ts', 'Lease'],
    ['shared/types.d.ts', 'PoolStats'],
    ['shared/types.d.ts', 'Percentiles'],
    ['pg/types.d.ts', 'PgPoolOptions'],
    ['pg/types.d.ts', 'PgPool'],
    ['pg/types.d.ts', 'TransactionOptions'],
    ['jobs/types.d.ts', 'RunnerOptions'],
    ['jobs/types.d.ts', 'RunOptions'],
    ['jobs/types.d.ts', 'MapOptions'],
    ['jobs/types.d.ts', 'ScopeOptions'],
    ['jobs/types.d.ts', 'JobScope'],
    ['jobs/types.d.ts', 'JobStats'],
    ['jobs/types.d.ts', 'JobContext'],
  ])('mentions every member of %s, %s', (file, name) => {
    const members = membersOf(file, name);
    expect(members.length).toBeGreaterThan(1);
    expect(members.filter((member) => !mentions(member))).toEqual([]);
  });

  test('has a row for every error, with its code, and no other', () => {
    const errors: Record<string, string> = {};
    for (const [name, value] of Object.entries(cenote))
      if (typeof value === 'function' && (value as unknown) !== cenote.createPool && /Error$/.test(name))
        errors[name] = new (value as unknown as typeof cenote.PoolError)('message', 'pool').code;
    expect(Object.keys(errors)).toHaveLength(14);
    // On a Node.js that is too old, PoolError has a code of its own: it is told below the table.
    const rows = tableOf(reference, 'Errors').map((row): [name: string, code: string] => [plain(row.class), plain(row.code)]);
    expect(Object.fromEntries(rows)).toEqual(errors);
    expect(rows).toHaveLength(Object.keys(errors).length);
  });

  test('mentions every reason of a destroy event', () => {
    expect(DESTROY_REASONS.length).toBeGreaterThan(8);
    expect(DESTROY_REASONS.filter((reason) => !reference.text.includes(`\`${reason}\``))).toEqual([]);
  });

  test('mentions everything that is exported', async () => {
    const others = [
      await import('cenote/worker'),
      await import('cenote/pg'),
      await import('cenote/pg/worker'),
      await import('cenote/observe'),
      await import('cenote/jobs'),
      await import('cenote/jobs/worker'),
    ];
    const names = [cenote, ...others].flatMap((module) => Object.keys(module));
    expect(names.filter((name) => !mentions(name))).toEqual([]);
  });

  test('names commands that exist', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> };
    for (const [, command] of everything.matchAll(/npm run ([\w:-]+)/g)) expect(scripts).toHaveProperty(command);
  });
});

describe('links', () => {
  const links = pages.flatMap(({ path, text }) => [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => ({ path, target: match[1] })));

  test('there are some', () => expect(links.length).toBeGreaterThan(5));

  test.each(links)('$path: $target', ({ path, target }) => {
    expect(target).not.toMatch(/^\w+:/);
    const [file, anchor] = target.split('#');
    const to = file === '' ? path : normalize(join(dirname(path), file));
    expect(existsSync(root + to), `${to} exists`).toBe(true);
    if (anchor === undefined) return;
    const headings = [...page(to).text.matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1]));
    expect(headings).toContain(anchor);
  });
});

describe('prose', () => {
  test.each(pages)('of $path has no machine paths and no figures of speed', (each) => {
    expect(each.text).not.toMatch(/(?<![\w.`])\/(?:work|home|tmp|root|usr)\//);
    expect(each.text).not.toMatch(/https?:/);
    expect(proseOf(each)).not.toMatch(/\d (?:ns|ops|times (?:faster|slower))\b/);
  });
});
