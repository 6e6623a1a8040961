// A one-shot call begins while its caller stops waiting for it.
import { caught, describe, exhaustive, expect, holds, mutant, scenario, test } from './explorer/testing.ts';

type Code = typeof import('../../src/shared/words/claim.ts');
interface Shared {
  readonly buffer: SharedArrayBuffer;
  /** [0] the method runs, [1] the caller has been told that it never will. */
  readonly seen: Int32Array;
}

const race = scenario<Code, Shared>(import.meta.url, 'a one-shot call begins and is withdrawn', {
  code: (load) => load<Code>('shared/words/claim.ts'),
  setup: () => ({ buffer: new SharedArrayBuffer(4), seen: new Int32Array(new SharedArrayBuffer(8)) }),
  threads: {
    owner: ({ code, shared }) => {
      const claim = code.Claim.open(shared.buffer)!;
      if (!claim.isWithdrawn && claim.begin()) shared.seen[0] = 1;
    },
    caller: ({ code, shared }) => {
      if (new code.Claim(shared.buffer).withdraw()) shared.seen[1] = 1;
    },
  },
  mortal: [],
  after: ({ shared: { seen }, assert }) => {
    assert(seen[0] + seen[1] < 2, 'it runs, though its caller was told that it never will');
    assert(seen[0] + seen[1] > 0, 'it does not run, and its caller waits');
  },
});

describe('a one-shot call and its caller', () => {
  test('every schedule', async () => expect((await holds(race, exhaustive())).complete).toBe(true));

  caught(
    race,
    exhaustive(),
    mutant(
      'the owner begins what it has seen waiting',
      'Claim.begin',
      'return Atomics.compareExchange(this.$WORD, 0, $WAITING, $BEGUN) === $WAITING;',
      'const waits = Atomics.load(this.$WORD, 0) === $WAITING; Atomics.store(this.$WORD, 0, $BEGUN); return waits;',
    ),
    mutant(
      'the caller withdraws what it has seen waiting',
      'Claim.withdraw',
      'return Atomics.compareExchange(this.$WORD, 0, $WAITING, $WITHDRAWN) === $WAITING;',
      'const waits = Atomics.load(this.$WORD, 0) === $WAITING; Atomics.store(this.$WORD, 0, $WITHDRAWN); return waits;',
    ),
  );
});
