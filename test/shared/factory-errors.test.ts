import { expect, test } from 'vitest';
import { FactoryErrors } from '../../dist/shared/waiting/factory-errors.js';

const lost = () => 'lost';

test('an error is for the waiter with that ticket, once', () => {
  const errors = new FactoryErrors();
  errors.set(3, 7, 'broken');
  expect([errors.take(3, 7, lost), errors.take(3, 7, lost)]).toEqual(['broken', 'lost']);
  errors.set(3, 8, 'broken again');
  expect(errors.take(3, 7, lost)).toBe('lost');
});

test('what a waiter was spared is not there any more; what another in that cell was not, is', () => {
  const errors = new FactoryErrors();
  errors.set(3, 7, 'spared');
  errors.delete(3, 7);
  expect(errors.take(3, 7, lost)).toBe('lost');
  errors.set(3, 8, 'broken');
  errors.delete(3, 7);
  expect(errors.take(3, 8, lost)).toBe('broken');
});
