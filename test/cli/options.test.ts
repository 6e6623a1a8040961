/** What may be written after `cenote bench`, and what is said of the rest. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HELP, parseOptions, settingsOf, UsageError } from '../../src/cli/options.ts';
import { folder } from './support.ts';

describe('without options', () => {
  test('there are defaults, which the help gives', () => {
    expect(parseOptions([])).toEqual({
      threads: [1, 2, 4, 8],
      slots: [1, 2],
      hold: [1, 100],
      distribution: 'fixed',
      mode: ['sync', 'async'],
      seconds: 0.3,
      rounds: 3,
      against: ['mutex', 'messages', 'piscina'],
      json: false,
      html: undefined,
      help: false,
    });
    for (const given of ['1,2,4,8', '1,2', '1,100us', 'fixed', 'sync,async', '0.3', '3'])
      expect(HELP).toMatch(new RegExp(`default ${given}$`, 'm'));
  });

  test('it takes less than a minute', () => {
    const options = parseOptions([]);
    const seconds = settingsOf(options).reduce((sum, { mode }) => sum + (mode === 'sync' ? 3 : 4) * (options.seconds + 0.07), 0);
    expect(seconds).toBeLessThan(50);
  });
});

describe('options', () => {
  test.each([
    ['0,1,20,200us', [0, 1, 20, 200]],
    ['20us,1ms', [20, 1000]],
    ['1,2ms', [1000, 2000]],
    ['5', [5]],
    ['0.5 us, .25ms', [0.5, 250]],
    ['1s,3µs', [3, 1_000_000]],
    ['7us,7us', [7]],
  ])('--hold %s is %j microseconds', (text, microseconds) => {
    expect(parseOptions(['--hold', text]).hold).toEqual(microseconds);
  });

  test('lists are sorted, and have nothing twice', () => {
    expect(parseOptions(['--threads', '8,2,2', '--slots=3,1', '--mode', 'async,sync', '--against', 'piscina,mutex'])).toMatchObject({
      threads: [2, 8],
      slots: [1, 3],
      mode: ['sync', 'async'],
      against: ['mutex', 'piscina'],
    });
    expect(parseOptions(['--against', 'none']).against).toEqual([]);
  });

  test('every combination is a setting', () => {
    const options = parseOptions(['--threads', '1,2,3', '--slots', '1,2', '--hold', '0,5', '--distribution', 'exponential']);
    const settings = settingsOf(options);
    expect(settings).toHaveLength(3 * 2 * 2 * 2);
    expect(new Set(settings.map((setting) => JSON.stringify(setting))).size).toBe(settings.length);
    expect(settings).toContainEqual({ mode: 'async', threads: 3, slots: 2, hold: 5, distribution: 'exponential' });
  });
});

describe('a wrong option is named, with its value and what is allowed', () => {
  test.each([
    ['--threads', '0', 'whole numbers from 1 to 128'],
    ['--threads', '2,x', 'whole numbers from 1 to 128'],
    ['--threads', '1.5', 'whole numbers from 1 to 128'],
    ['--threads', '', 'whole numbers from 1 to 128'],
    ['--slots', '33', 'whole numbers from 1 to 32'],
    ['--slots', '1,,2', 'whole numbers from 1 to 32'],
    ['--hold', '20 minutes', 'durations from 0 to 1000 ms with us, ms or s'],
    ['--hold', '2s', 'durations from 0 to 1000 ms'],
    ['--hold', '-1us', 'durations from 0 to 1000 ms'],
    ['--distribution', 'normal', 'is fixed or exponential'],
    ['--mode', 'sync,both', 'are sync and async'],
    ['--seconds', '0', 'is a number from 0.01 to 3600'],
    ['--seconds', '1e9', 'is a number from 0.01 to 3600'],
    ['--rounds', '101', 'is a whole number from 1 to 100'],
    ['--against', 'mutex,rust', 'are mutex, messages and piscina, separated by commas, or none alone'],
    ['--html', '', 'is the path of a file'],
    ['--html', '--json', 'is the path of a file'],
    ['--html', '/no/such/folder/report.html', 'a folder that exists'],
  ])('%s %s', (name, value, allowed) => {
    const item = value.split(',').find((each) => value.includes(',') && !/^(\d+|sync|mutex)$/.test(each)) ?? value;
    const attempt = (): unknown => parseOptions([name, value]);
    expect(attempt).toThrow(UsageError);
    expect(attempt).toThrow(`${name} has ${JSON.stringify(item)}`);
    expect(attempt).toThrow(allowed);
  });

  test('--html that names a folder', () => {
    const path = join(folder(), 'report.html');
    mkdirSync(path);
    expect(() => parseOptions(['--html', path])).toThrow('this is a folder');
  });

  test.each([
    [['--thread', '2'], 'there is no option --thread; there are --threads, --slots, --hold'],
    [['-x'], 'there is no option -x'],
    [['quickly'], 'there is no place for "quickly"'],
    [['--threads'], '--threads needs a value'],
    [['--json=yes'], '--json takes no value, but has "yes"'],
  ])('%j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});
