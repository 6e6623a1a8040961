import { expect, test } from 'vitest';
import { Traces } from '../../dist/shared/lending/traces.js';

test('a slot has the stack of its last hand-out, and only for that lease', () => {
  const traces = new Traces(2);
  expect(traces.stackOf(0, 7)).toBeUndefined();
  traces.note(0, 7, new Error('the first'));
  traces.note(0, 8, new Error('the second'));
  expect(traces.stackOf(0, 7)).toBeUndefined();
  expect(traces.stackOf(0, 8)).toContain('the second');
  expect(traces.stackOf(1, 8)).toBeUndefined();
});
