import { mutant } from '../../mutation/mutant.ts';
import { breaks, describe, exhaustive, expect, scenario, test } from './testing.ts';

const loads = scenario(import.meta.url, 'loads the slots', {
  code: (load) => load('shared/words/slot.ts'),
  setup: () => ({ words: new Int32Array(new SharedArrayBuffer(4)) }),
  threads: { a: ({ shared }) => void Atomics.load(shared.words, 0) },
});

describe('mutants', () => {
  test('an exploration with a mutant that does not fit fails, and does not count as caught', async () => {
    await expect(breaks(loads, exhaustive(), mutant('gone', 'Slots.take', 'noSuch($CODE)', ''))).rejects.toThrow('"gone" does not fit');
  });

  test('a mutant that does not load fails, and the next one runs', async () => {
    const broken = mutant('broken', 'slot.EMPTY', '0', '+');
    await expect(breaks(loads, exhaustive(), broken)).rejects.toThrow();
    await expect(breaks(loads, exhaustive())).rejects.toThrow('not found in 1 schedules');
  });
});
