// The word that says which thread reads the socket of a PostgreSQL connection: never two of them, and what is left is known or ended.
import type { Context, Load } from './explorer/scenario.ts';
import { caught, describe, exhaustive, expect, holds, mutant, scenario, test, together } from './explorer/testing.ts';

const modules = { custody: 'pg/messages/custody.ts', custodian: 'pg/owner/custodian.ts' };
interface Code {
  readonly custody: typeof import('../../src/pg/messages/custody.ts');
  readonly custodian: typeof import('../../src/pg/owner/custodian.ts');
}
interface Shared {
  readonly word: SharedArrayBuffer;
  /**
   * [0] how many threads read; [1] which attachment has the lease: 0 none; [2] the number of the profile that is in force. From [3] on, of
   * each descriptor: 1 it is open, 2 it belongs to a thread, 0 it is closed. From [6] on, where each message to a thread stands.
   */
  readonly facts: Int32Array;
}
type CustodyContext = Context<Code, Shared>;

const READERS = 0;
const LEASE = 1;
const PROFILE = 2;
const DESCRIPTORS = 3;
const MESSAGES = 6;
/** Of the second borrower; that of the first is 0. */
const OTHER = 1;

const code = async (load: Load): Promise<Code> =>
  Object.fromEntries(await Promise.all(Object.entries(modules).map(async ([name, file]) => [name, await load(file)]))) as Code;
const setup = (): Shared => ({ word: new SharedArrayBuffer(12), facts: new Int32Array(new SharedArrayBuffer(36)) });

function reads({ shared, assert }: CustodyContext): void {
  assert(Atomics.add(shared.facts, READERS, 1) === 0, 'two threads read one socket');
}
const stops = ({ shared }: CustodyContext): void => void Atomics.sub(shared.facts, READERS, 1);

/** The shipped Custodian of a socket, over the shared word. It reads at the beginning. */
function ownerOf(context: CustodyContext) {
  let isReading = true;
  const backend = {
    client: {},
    park() {
      if (isReading) stops(context);
      isReading = false;
    },
    readOn() {
      if (!isReading) reads(context);
      isReading = true;
    },
  };
  const { custody, custodian } = context.code;
  const { facts } = context.shared;
  let copies = 0;
  const descriptors = {
    of() {
      Atomics.store(facts, DESCRIPTORS + copies, OPEN);
      return copies++;
    },
    close(copy: number) {
      context.assert(Atomics.exchange(facts, DESCRIPTORS + copy, CLOSED) === OPEN, 'the owner closes what is not its own');
    },
  };
  const word = new custody.Custody(context.shared.word);
  return { word, custodian: new custodian.Custodian(backend as never, descriptors as never, word) };
}

const [CLOSED, OPEN, TAKEN] = [0, 1, 2];

const LEFT = { status: 'T', dirt: 1, isUndone: false, asksReadOnly: false } as const;

/** The owner offers the socket to the first borrower, looks after it as once a second, and in a turn of its own sets it to the second's profile. */
const owner = (context: CustodyContext): void => {
  Atomics.store(context.shared.facts, READERS, 1);
  const { custodian } = ownerOf(context);
  custodian.offer(1, false);
  custodian.recall();
  try {
    const left = custodian.regain();
    context.assert(left === undefined || left.attachment === undefined || left.status === 'T', 'the session was left otherwise');
    Atomics.store(context.shared.facts, PROFILE, OTHER);
    custodian.offer(2, false);
  } catch {
    // A borrower speaks there.
  }
};

/** The lease is another word: whoever has it may try to take the socket up. */
function whileLent(context: CustodyContext, attachment: number, body: () => void): void {
  const { facts } = context.shared;
  if (Atomics.compareExchange(facts, LEASE, 0, attachment) !== 0) return;
  body();
  Atomics.store(facts, LEASE, 0);
}

const speaks = (context: CustodyContext, attachment: number, profile: number, hands: boolean): void =>
  whileLent(context, attachment, () => {
    const word = new context.code.custody.Custody(context.shared.word);
    if (!word.take(attachment, profile) && !word.accept(attachment)) return;
    reads(context);
    context.assert(Atomics.load(context.shared.facts, PROFILE) === profile, 'another profile is in force');
    context.assert(word.state === 'BORROWERS' && word.attachment === attachment, `the socket is ${word.state} while a borrower reads`);
    stops(context);
    const isBack = hands ? word.hand(attachment, LEFT) : word.park(attachment, profile);
    context.assert(isBack, 'the socket was taken from a borrower that reads');
  });

const first = (context: CustodyContext): void => speaks(context, 1, 0, false);
const second = (context: CustodyContext): void => speaks(context, 2, OTHER, true);

/** Read by one thread, or by none while it is parked, offered or handed; and by a dead borrower's for ever. */
const after = ({ code, shared, dead, assert }: Context<Code, Shared> & { dead: readonly string[] }): void => {
  const word = new code.custody.Custody(shared.word);
  const { state } = word;
  const readers = Atomics.load(shared.facts, READERS);
  if (dead.length === 0) {
    assert(state !== 'BORROWERS', 'no borrower is there, and the socket is a borrower’s');
    assert(readers === (state === 'OWNERS' ? 1 : 0), `${readers} threads read, and the socket is ${state}`);
  } else if (state === 'BORROWERS') {
    assert(word.seize(), 'what a dead borrower was at counts as known');
    assert(!word.take(2, OTHER) && !word.accept(2), 'a connection that is to be ended is taken up');
  }
};

const moves = scenario<Code, Shared>(import.meta.url, 'a socket goes from thread to thread', {
  code,
  setup,
  timeouts: [],
  mortal: ['first', 'second'],
  threads: { owner, first, second },
  after,
});

/** The owner ends the connection, whatever its borrower is at. */
const ender = (context: CustodyContext): void => {
  const { word } = ownerOf(context);
  word.seize();
  context.assert(word.state === 'OWNERS', `what was seized is ${word.state}`);
};
const surprised = (context: CustodyContext): void =>
  whileLent(context, 1, () => {
    const word = new context.code.custody.Custody(context.shared.word);
    if (!word.accept(1)) return;
    if (!word.park(1, 0)) context.assert(word.state === 'OWNERS', `a borrower was refused, and the socket is ${word.state}`);
  });
const ends = scenario<Code, Shared>(import.meta.url, 'a socket is seized', {
  code,
  setup: () => {
    const shared = setup();
    // Offered to the first attachment.
    new Int32Array(shared.word)[0] = 2 | 512;
    return shared;
  },
  timeouts: [],
  mortal: ['surprised'],
  threads: { ender, surprised },
  after: ({ code, shared, assert }) => {
    const { state } = new code.custody.Custody(shared.word);
    assert(state === 'OWNERS' || state === 'PARKED' || state === 'BORROWERS', `the socket is ${state}`);
  },
});

// A descriptor goes to a thread, or to two, one after the other. The threads may die at any step.

const passes = (context: CustodyContext): void => {
  Atomics.store(context.shared.facts, READERS, 1);
  const { custodian } = ownerOf(context);
  for (const attachment of [1, 2]) {
    // A borrower that speaks there has the connection; what it has left is regained.
    try {
      custodian.regain();
    } catch {
      break;
    }
    const { descriptor } = custodian.offer(attachment, false)!;
    Atomics.store(context.shared.facts, MESSAGES + attachment, descriptor!.pass);
  }
  // The connection ends.
  custodian.seize();
};

/** As OwnConnections does when the owner's answer has come. */
const receives = (context: CustodyContext, attachment: number): void => {
  const { facts } = context.shared;
  const pass = Atomics.load(facts, MESSAGES + attachment);
  if (pass === 0) return;
  const word = new context.code.custody.Custody(context.shared.word);
  const copy = DESCRIPTORS + attachment - 1;
  const isAccepted = word.accept(attachment);
  if (!word.claim(pass)) return;
  context.assert(Atomics.compareExchange(facts, copy, OPEN, TAKEN) === OPEN, 'a thread claims a descriptor that is not open');
  if (isAccepted) word.hand(attachment, LEFT);
  context.assert(Atomics.exchange(facts, copy, CLOSED) === TAKEN, 'a descriptor was closed while a thread has it');
};

const descriptors = scenario<Code, Shared>(import.meta.url, 'a descriptor goes to a thread', {
  code,
  setup,
  timeouts: [],
  mortal: ['first', 'second'],
  threads: { owner: passes, first: (context) => receives(context, 1), second: (context) => receives(context, 2) },
  after: ({ code, shared, dead, assert }) => {
    const word = new code.custody.Custody(shared.word);
    for (const copy of [0, 1]) {
      // One that a dead thread has taken is closed with the thread's other ones. Between its claim and that nothing can be done.
      const isDead = dead.includes(copy === 0 ? 'first' : 'second');
      const isOpen = Atomics.load(shared.facts, DESCRIPTORS + copy) === OPEN;
      assert(!isOpen || (isDead && !word.claim(Atomics.load(shared.facts, MESSAGES + copy + 1))), `descriptor ${copy} is open for ever`);
    }
  },
});

describe('custody of a socket', () => {
  test.each([moves, ends, descriptors])('$name: every schedule with three preemptions', async (race) => {
    expect((await holds(race, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });

  test.each([moves, descriptors])('$name: a borrower dies at every step', async (race) => {
    expect((await holds(race, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  caught(
    moves,
    exhaustive({ preemptions: 3 }),
    together(
      'the socket is offered before the owner has stopped reading',
      mutant('', 'Custodian.offer', 'this.$BACKEND.park();', ''),
      mutant('', 'Custodian.offer', 'this.$CUSTODY.offer(attachment);', 'this.#custody.offer(attachment); this.#backend.park();'),
    ),
    mutant(
      'the owner reads again without asking the word',
      'Custodian.recall',
      'if (!this.$CUSTODY.recall()) return;',
      'this.#custody.seize();',
    ),
    mutant(
      'a borrower takes what is not parked',
      'Custody.take',
      'return this.$SWAP(PARKED | (profile * PROFILE), BORROWERS | (attachment * ATTACHMENT));',
      'Atomics.store(this.#words, WORD, BORROWERS | (attachment * ATTACHMENT)); return true;',
    ),
    mutant(
      'a borrower takes what is set to another profile',
      'Custody.take',
      'return this.$SWAP(PARKED | (profile * PROFILE), BORROWERS | (attachment * ATTACHMENT));',
      'const word = this.#load(); return (word & STATE) === PARKED && this.#swap(word, BORROWERS | (attachment * ATTACHMENT));',
    ),
    mutant(
      'a borrower accepts what was recalled',
      'Custody.accept',
      'return this.$SWAP(OFFERED | (attachment * ATTACHMENT), BORROWERS | (attachment * ATTACHMENT));',
      'Atomics.store(this.#words, WORD, BORROWERS | (attachment * ATTACHMENT)); return true;',
    ),
  );
  caught(
    descriptors,
    exhaustive({ preemptions: 3, deaths: 1 }),
    mutant('what was sent is not taken back when another one is sent', 'Custodian.pass', 'this.#takeBack();', ''),
    mutant('what was sent is not taken back when the connection is seized', 'Custodian.seize', 'this.#takeBack();', ''),
    mutant(
      'the owner closes what the thread may have',
      'Custodian.takeBack',
      'if (passed !== undefined && this.$CUSTODY.claim(passed.pass)) this.$DESCRIPTORS.close(passed.fd);',
      'if (passed !== undefined) this.#descriptors.close(passed.fd);',
    ),
    mutant(
      'a descriptor is claimed by both',
      'Custody.claim',
      'return Atomics.compareExchange(this.$WORDS, PASSED, pass, NONE) === pass;',
      'return Atomics.load(this.#words, PASSED) === pass;',
    ),
  );
  caught(
    ends,
    exhaustive({ preemptions: 3 }),
    mutant(
      'a borrower parks what was seized',
      'Custody.park',
      'return this.$SWAP(BORROWERS | (attachment * ATTACHMENT), PARKED | (profile * PROFILE));',
      'Atomics.store(this.#words, WORD, PARKED); return false;',
    ),
  );
});
