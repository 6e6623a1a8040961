/** Names that have been given up: what each stood for has one name now, so that it can be found with grep. They do not come back. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const FOLDERS = ['src', 'test', 'docs', 'bench'];
const FILES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];

/** What was said, what is said now, and the rule that finds the first: as a word, or as a part of a name. */
const GIVEN_UP: readonly (readonly [was: string, is: string, RegExp])[] = [
  ['errand', 'one-shot call', /errand/i],
  ['tally', 'counters', /(?<![a-z])tall(y|ies)(?![a-z])/i],
  ['knock', 'ask to attach', /knock/i],
  ['doorbell', 'bell listener', /doorbell/i],
  ['farewell', 'detach', /farewell/i],
  ['grasp', 'ownerClaim', /(?<![a-z])grasp/i],
  ['repossess', 'untake', /repossess/i],
  ['salvage', 'reclaimDamaged', /salvage/i],
  ['shelve', 'toIdle', /(?<![a-z])shelve/i],
  ['vacate', 'toEmpty', /vacate/i],
  ['handIn', 'toReturned', /handIn\b/],
  ['deafen', 'stopListening', /deafen/i],
  ['census', 'Snapshot', /census/i],
  ['Succession', 'FifoCursor', /\bSuccession\b/],
  ['tryToStand', 'tryEnqueue', /toStand\b/i],
  ['unmake', 'destroy', /unmake/i],
  ['upkeep, timetable', 'Maintenance', /upkeep|timetable/i],
  ['goOut, whyOut', 'endAttachment, detachReason', /\b(goOut|whyOut)\b/],
];

const filesOf = (folder: string): string[] =>
  readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => /\.(ts|js|mjs|md)$/.test(path) && !path.includes('node_modules'))
    .sort();

const nameHere = fileURLToPath(import.meta.url)
  .slice(root.length)
  .replaceAll('\\', '/');
const files = [...FILES, ...FOLDERS.flatMap(filesOf)].filter((name) => name !== nameHere);
const texts = files.map((name) => [name, readFileSync(root + name, 'utf8').split('\n')] as const);

test.each(GIVEN_UP)('%s is %s', (_was, _is, pattern) => {
  const found = texts.flatMap(([name, lines]) =>
    lines.flatMap((text, index) => (pattern.test(text) ? [`${name}:${index + 1}: ${text.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});

test('each rule finds what it is for, alone and inside of a name, and not what only looks like it', () => {
  const hits = (text: string): string[] => GIVEN_UP.filter(([, , pattern]) => pattern.test(text)).map(([was]) => was);
  expect(hits('isOnErrand')).toEqual(['errand']);
  expect(hits('THREAD_TALLY')).toEqual(['tally']);
  expect(hits('incidentally')).toEqual([]);
  expect(hits('in quick succession')).toEqual([]);
  expect(hits('bookshelves')).toEqual([]);
});
