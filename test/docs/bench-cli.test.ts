/** docs/bench-cli.md says what `cenote bench` is and prints. */
import { expect, test } from 'vitest';
import { RIVALS } from '../../src/cli/measure/setting.ts';
import { HELP } from '../../src/cli/options.ts';
import { COLUMNS } from '../../src/cli/report/table.ts';
import { page, plain, tableOf } from './markdown.ts';

const doc = page('docs/bench-cli.md');

test('its example has the columns of the table, and each is explained', () => {
  const heads = COLUMNS.map(({ head }) => head);
  expect(/^mode .*$/m.exec(doc.text)?.[0].split(/ {2,}/)).toEqual(heads);
  const explained = tableOf(doc, 'What it prints').flatMap(({ column }) => plain(column).split(', '));
  expect(explained).toEqual(heads.slice(heads.indexOf('ops/s')));
});

test('it has every contestant', () => {
  expect(tableOf(doc, 'The contestants').map(({ name }) => plain(name))).toEqual(['cenote', ...RIVALS]);
});

test('its options are options', () => {
  const named = [...doc.text.matchAll(/(?<![\w-])--[a-z]+/g)].map(([option]) => option);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((option) => !HELP.includes(`  ${option} `) && !HELP.includes(`, ${option} `))).toEqual([]);
});
