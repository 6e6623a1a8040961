/** Which tests run when: see support/tiers.ts. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { TIERS, testFiles, tierOf, tiers } from './support/tiers.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

test('every test file belongs to exactly one tier', () => {
  const found = tiers();
  const all = TIERS.flatMap((tier) => found[tier]);
  expect(all.sort()).toEqual(testFiles());
  expect(all.length).toBeGreaterThan(100);
  for (const tier of TIERS) expect(found[tier], tier).not.toEqual([]);
});

test.each([
  ['unit', 'test/main/acquire.test.ts'],
  ['unit', 'test/tiers.test.ts'],
  ['threads', 'test/worker/acquire.test.ts'],
  ['threads', 'test/worker/piscina.test.ts'],
  ['threads', 'test/main/exit.test.ts'],
  ['pg', 'test/pg/scope.test.ts'],
  ['pg', 'test/docs/snippets.test.ts'],
  ['proof', 'test/interleave/close.test.ts'],
])('%s: %s', (tier, file) => expect(tierOf(file)).toBe(tier));

test('each tier has its script, and `npm test` leaves none out', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  for (const tier of TIERS) expect(scripts[`test:${tier}`]).toBe(`vitest run --project=${tier}*`);
  expect(scripts.test).toBe('vitest run');
});
