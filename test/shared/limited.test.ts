/** A wait with limits leaves nothing behind, whatever its signal does. */
import { expect, test } from 'vitest';
import { limited } from '../../dist/shared/waiting/limited.js';
import { deafSignal, hastySignal, shySignal } from '../support/signals.ts';
import { rejection } from '../support/wait.ts';

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test.each([
  ['cannot be listened to', deafSignal],
  ['aborts as soon as it is listened to', hastySignal],
  ['throws when it is asked', (why: unknown) => shySignal(0, why)],
])('a signal that %s ends it at once', async (_, signalOf) => {
  const why = new Error('no');
  const before = timers();
  const waiting = limited(new Promise(() => {}), 60_000, signalOf(why), () => 'late');
  expect(timers()).toBe(before);
  expect(await rejection(waiting)).toBe(why);
});
