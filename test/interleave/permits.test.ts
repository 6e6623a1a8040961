// Permits are granted, given back and lost at once, and the thread that speaks with the engine may end at any step: never more than the engine has noted.
import type { Context } from './explorer/scenario.ts';
import { caught, describe, exhaustive, expect, holds, mutant, scenario, test } from './explorer/testing.ts';

type Code = typeof import('../../src/budget/words.ts');
interface Shared {
  readonly buffer: SharedArrayBuffer;
  /** [0] permits that the engine has noted for this member. Plain: a step of the engine is one. */
  readonly engine: Int32Array;
}
type PermitContext = Context<Code, Shared>;

const ALLOWED = 3;
const USED = 2;

const check = ({ shared, assert }: PermitContext): void => {
  const allowed = new Int32Array(shared.buffer)[0];
  assert(allowed <= shared.engine[0], `${allowed} are allowed, and the engine has noted ${shared.engine[0]}`);
};

/** One step with the engine, which grants one more. */
function reports(context: PermitContext, joinsAgain: boolean): void {
  const { code, shared } = context;
  const words = new code.Words(shared.buffer);
  const { isLost } = words;
  const kept = words.kept(joinsAgain);
  context.step('the engine hears of it');
  shared.engine[0] = kept + 1;
  words.raise(isLost ? kept + 1 : 1);
  check(context);
  words.regain();
}

/** Renews, loses everything, and joins again. */
const speaks = (context: PermitContext): void => {
  reports(context, false);
  new context.code.Words(context.shared.buffer).lose();
  // Later than the member has given up by itself.
  context.shared.engine[0] = 0;
  reports(context, true);
};

/** Needs no more than it uses. */
const givesBack = (context: PermitContext): void => {
  const words = new context.code.Words(context.shared.buffer);
  words.used = USED;
  words.lower(USED);
  check(context);
};

const race = scenario<Code, Shared>(import.meta.url, 'a grant, a loss and what is given back', {
  code: (load) => load<Code>('budget/words.ts'),
  setup: ({ code }) => {
    const words = new code.Words();
    words.raise(ALLOWED);
    words.used = USED;
    const engine = new Int32Array(new SharedArrayBuffer(4));
    engine[0] = ALLOWED;
    return { buffer: words.buffer, engine };
  },
  threads: { speaker: speaks, owner: givesBack },
  mortal: ['speaker'],
  // Another thread, as `Member` begins: it goes on from the words.
  repair: (context) => reports(context, new context.code.Words(context.shared.buffer).takeOver()),
  after: (context) => {
    check(context);
    const words = new context.code.Words(context.shared.buffer);
    const [noted] = context.shared.engine;
    context.assert(!words.isLost, 'it is lost for ever');
    context.assert(noted >= USED, `${USED} exist, and the engine has noted ${noted}`);
  },
  words: ({ shared }) => [
    { name: 'ALLOWED', view: new Int32Array(shared.buffer), index: 0 },
    { name: 'USED', view: new Int32Array(shared.buffer), index: 1 },
    { name: 'LOST', view: new Int32Array(shared.buffer), index: 6 },
  ],
});

describe('permits', () => {
  test('every schedule', async () => expect((await holds(race, exhaustive({ preemptions: 4 }))).complete).toBe(true));

  test('of a thread that ends, at every step', async () =>
    expect((await holds(race, exhaustive({ preemptions: 2, deaths: 1 }))).complete).toBe(true));

  caught(
    race,
    exhaustive({ preemptions: 3 }),
    mutant(
      'the owner stores what it keeps',
      'Words.lower',
      'if (Atomics.compareExchange(this.$WORDS, $ALLOWED, $SEEN, $MOST) === $SEEN) return true;',
      'Atomics.store(this.$WORDS, $ALLOWED, $MOST); return true;',
    ),
    mutant('what is lost is still allowed', 'Words.lose', 'Atomics.store(this.$WORDS, ALLOWED, 0);', ''),
  );
  caught(
    race,
    exhaustive({ preemptions: 1, deaths: 1 }),
    mutant(
      'nothing is allowed before it is said to be lost',
      'Words.lose',
      '{ Atomics.store(this.$WORDS, LOST, 1); Atomics.store(this.$WORDS, ALLOWED, 0); }',
      '{ Atomics.store(this.$WORDS, ALLOWED, 0); Atomics.store(this.$WORDS, LOST, 1); }',
    ),
    mutant('a loss that was begun is not finished', 'Words.takeOver', 'if ($LOST) this.lose();', ''),
    mutant('what exists after a loss is not reported', 'Words.kept', '$AGAIN && this.isLost ? this.used : this.allowed', 'this.allowed'),
  );
});
