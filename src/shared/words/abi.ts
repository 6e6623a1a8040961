/**
 * Which layout a block has, and whether this copy of cenote can read it. Two copies may meet in one process; the words of one must not be
 * taken for those of the other.
 */
import {
  ABI_VERSION,
  ABI_WORD,
  FEATURES_WORD,
  HEADER_SIZE_WORD,
  HEADER_WORDS,
  KNOWN_FEATURES,
  SLOT_SIZE_WORD,
  SLOT_STRIDE,
  THREAD_SIZE_WORD,
  THREAD_STRIDE,
} from '../layout.ts';

export interface Abi {
  /** As it stands in ABI_WORD. */
  readonly version: number;
  /** Of a block: those it has. Of a copy of cenote: those it knows. */
  readonly features: number;
  /** In words. */
  readonly header: number;
  readonly slot: number;
  readonly thread: number;
}

/** What this copy reads. */
export const OURS: Abi = {
  version: ABI_VERSION,
  features: KNOWN_FEATURES,
  header: HEADER_WORDS,
  slot: SLOT_STRIDE,
  thread: THREAD_STRIDE,
};

/** The version goes first: a thread that sees it sees everything that was stored before it. */
export const abiOf = (words: Int32Array): Abi => ({
  version: Atomics.load(words, ABI_WORD),
  features: words[FEATURES_WORD],
  header: words[HEADER_SIZE_WORD],
  slot: words[SLOT_SIZE_WORD],
  thread: words[THREAD_SIZE_WORD],
});

/** Last of all, when everything else is there. */
export function storeAbi(words: Int32Array, features: number): void {
  words[FEATURES_WORD] = features;
  words[HEADER_SIZE_WORD] = OURS.header;
  words[SLOT_SIZE_WORD] = OURS.slot;
  words[THREAD_SIZE_WORD] = OURS.thread;
  // Pairs with the load in `abiOf`.
  Atomics.store(words, ABI_WORD, ABI_VERSION);
}

/** The same major, and at least our minor: what we know of is there, and what we do not know of may be left alone. */
export const isReadable = (theirs: Abi): boolean =>
  majorOf(theirs.version) === majorOf(OURS.version) &&
  theirs.version >= OURS.version &&
  (theirs.features & ~OURS.features) === 0 &&
  theirs.header === OURS.header &&
  theirs.slot === OURS.slot &&
  theirs.thread === OURS.thread;

/** What is wrong where `isReadable` is not: both, whole. */
export const difference = (theirs: Abi): string =>
  `its control block has ${written(theirs)}, this copy of cenote reads ${written(OURS)}: use one version of cenote in the process`;

const majorOf = (version: number): number => version >>> 16;

/** Before 2.0 the word held a single number, and none of the rest was there. */
const written = ({ version, features, header, slot, thread }: Abi): string =>
  version < 0x10000 && version >= 0
    ? `version ${version}`
    : `version ${majorOf(version)}.${version & 0xffff} (features ${features}, header of ${header} words, slots of ${slot}, threads of ${thread})`;
