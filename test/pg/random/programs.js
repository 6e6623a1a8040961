// Random programs: what a borrower sets out to do, as plain data made from a seed. What comes of it is `borrower.js`' business.
import { Random } from '../bank/random.js';

/** How a program uses the pool. The last two block their thread. */
const WAYS = ['pool', 'client', 'burst', 'scope', 'scope', 'transaction', 'transaction', 'sync', 'transactionSync'];

/** One statement, whatever it is run in. */
const STATEMENTS = ['write', 'write', 'write', 'read', 'read', 'read', 'who', 'fail', 'state', 'sleep'];
/** What a program may bring upon itself. */
const RARE = ['suicide', 'suicide', 'late'];
const READS = ['plain', 'values', 'named', 'array', 'large', 'several', 'rows'];
const FAILURES = ['22012', '23505', '42601', '22P02'];
const STATES = ['set', 'set_config', 'temp', 'lock', 'listen'];

export function programOf(seed) {
  return new Author(new Random(seed)).program();
}

class Author {
  #random;
  /** How likely a step is to bring something upon the program: many in a few programs, as it takes several to see what comes of one. */
  #rare;

  constructor(random) {
    this.#random = random;
    this.#rare = random.chance(0.25) ? 0.3 : 0.02;
  }

  program() {
    const random = this.#random;
    const way = random.pick(WAYS);
    const length = 1 + random.below(8);
    return {
      way,
      steps: this.#steps(length, way, 0),
      options: way.startsWith('transaction') ? this.#options(way) : {},
      /** A client is given back for good. */
      destroys: random.chance(0.1),
      throws: random.chance(0.15),
    };
  }

  #options(way) {
    const random = this.#random;
    return {
      isolation: random.pick([undefined, undefined, 'repeatable read', 'serializable']),
      abortsAfter: way === 'transaction' && random.chance(0.25) ? random.below(25) : undefined,
    };
  }

  #steps(length, way, depth) {
    return Array.from({ length }, () => this.#step(way, depth));
  }

  #step(way, depth) {
    const random = this.#random;
    const isRaw = way === 'client' || way === 'burst' || way === 'scope';
    if (isRaw && random.chance(0.35)) return { do: random.pick(['begin', 'begin', 'commit', 'commit', 'rollback']), throws: false };
    if (depth < 3 && (way === 'scope' || way === 'transaction') && random.chance(0.2))
      return {
        do: 'transaction',
        steps: this.#steps(1 + random.below(3), 'transaction', depth + 1),
        throws: random.chance(0.3),
        by: this.#by(),
      };
    const does = random.chance(this.#rare) ? random.pick(RARE) : random.pick(STATEMENTS);
    return {
      do: does,
      kind: random.pick({ read: READS, fail: FAILURES, state: STATES }[does] ?? ['']),
      by: this.#by(),
      mark: random.below(2 ** 30),
      /** The body goes on after this has failed. */
      isCaught: way !== 'transaction' || random.chance(0.5),
    };
  }

  /** Inside of a scope or a transaction, by what the connection is reached. */
  #by() {
    return this.#random.pick(['own', 'own', 'pool', 'client']);
  }
}
