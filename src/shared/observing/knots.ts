/**
 * Deadlocks, from which thread holds what and waits for what. Pure, over plain data: imports nothing.
 *
 * To wait for a pool is to wait for any one of its slots, so a cycle proves nothing: what counts is a knot. The fix-point: at first every
 * party that waits may be stuck. A party is not, if anything that it waits for may be had without a return, or from a party that is not
 * stuck. What stays when nothing changes any more is stuck for ever.
 *
 * A party is a thread that sleeps in line, with all it holds: it can do nothing else. Or a job or a scope (a tag), with what is held
 * and waited for under its number. And a thread that waits with promises, with what it holds under no number: another function of it may
 * give something back, so it is only suspected.
 */

/** A slot that is lent, and comes back only when its borrower gives it back. */
export interface Hold {
  readonly slot: number;
  /** The slot's word, without its flag: tells this hand-out from every other. */
  readonly lease: number;
  /** Node's id of the borrower's thread. */
  readonly thread: number;
  /** The job or scope of that thread that holds it; 0: none. */
  readonly tag: number;
}

/** A place in line. */
export interface Wait {
  readonly ticket: number;
  readonly thread: number;
  readonly tag: number;
  /** The thread sleeps on it. */
  readonly asleep: boolean;
  /** It only tries: it is told if there is nothing, and goes on. */
  readonly tries: boolean;
}

/** One pool at one instant. */
export interface Standing {
  readonly name: string;
  /** May a waiter be served, or be sent away, without a borrower giving back? */
  readonly hasSupply: boolean;
  readonly holds: readonly Hold[];
  readonly waits: readonly Wait[];
}

/** No party in it can go on unless another in it gives something back. */
export interface Knot {
  /** Node's ids of the threads in it. */
  threads: number[];
  /** Names of the pools that they wait for. */
  pools: string[];
  /**
   * 'certain': all of them sleep in a blocking acquire (which may have a timeout), or holder and waiter are one job or one scope.
   * 'suspected': a thread in it waits with a promise, so that another function of it might give back.
   */
  certainty: 'certain' | 'suspected';
  /** Which thread holds what and waits for what, in words. */
  text: string;
}

/** A knot, and which hand-outs and waits it is made of: two with the same are one and the same knot, in which nothing has moved. */
export interface FoundKnot extends Knot {
  readonly signature: string;
  /** Which of the pools that were given are waited for. */
  readonly at: readonly number[];
}

interface Party {
  readonly label: string;
  readonly isCertain: boolean;
  readonly threads: Set<number>;
  /** By pool: how many slots it holds there. */
  readonly held: Map<number, number>;
  /** Pools that it waits for. */
  readonly wanted: Set<number>;
  /** One of its waits is a mere try. */
  tries: boolean;
  readonly holds: { readonly pool: number; readonly hold: Hold }[];
  readonly waits: { readonly pool: number; readonly wait: Wait }[];
}

/** Names of pools as they are told apart: the second of one name is `name#2`. */
export function labelsOf(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
}

/** Every knot over these pools. Exact if all of `standings` were so at one instant. */
export function findKnots(standings: readonly Standing[]): FoundKnot[] {
  const parties = partiesOf(standings).filter(({ waits }) => waits.length > 0);
  const certain = stuckOf(
    standings,
    parties.filter(({ isCertain }) => isCertain),
  );
  const certainGroups = groups(certain);
  const knots = certainGroups.map((group) => describe(standings, group, 'certain'));
  // Those behind a knot are stuck, too. They are a knot of their own only as far as they hold what they want of each other.
  const inCertain = new Set(certainGroups.flat());
  const stuck = [...stuckOf(standings, parties)].filter((party) => !inCertain.has(party));
  for (const group of groups(new Set(stuck))) {
    if (group.every(({ isCertain }) => isCertain)) continue;
    if (group.length > 1 || wantedBy(group).size > 1) knots.push(describe(standings, group, 'suspected'));
  }
  return knots;
}

/** How often knots are looked for before they count as moving. */
const LOOKS = 3;

/**
 * The knots over these pools. The words are read one by one, so what they show together may never have been so: a knot counts when a
 * second reading finds the same, hand-out for hand-out and ticket for ticket. In between, then, all of it was so at one instant.
 */
export function knotsOver(pools: readonly { standing(): Standing }[]): FoundKnot[] {
  let found = findKnots(pools.map((pool) => pool.standing()));
  for (let looks = 1; found.length > 0 && looks < LOOKS; looks++) {
    const before = new Set(found.map(({ signature }) => signature));
    const next = findKnots(pools.map((pool) => pool.standing()));
    if (next.length === before.size && next.every(({ signature }) => before.has(signature))) return next;
    found = next;
  }
  return [];
}

// ── parties

function partiesOf(standings: readonly Standing[]): Party[] {
  const asleep = new Set<number>();
  for (const { waits } of standings) for (const wait of waits) if (wait.asleep) asleep.add(wait.thread);
  const parties = new Map<number | string, Party>();
  const partyOf = ({ thread, tag }: Hold | Wait): Party => {
    const sleeps = asleep.has(thread);
    const key = sleeps || tag === 0 ? thread : `${thread}.${tag}`;
    let party = parties.get(key);
    if (party === undefined) {
      const label = typeof key === 'number' ? `thread ${thread}` : `job or scope ${tag} of thread ${thread}`;
      party = {
        label,
        isCertain: sleeps || tag !== 0,
        threads: new Set(),
        held: new Map(),
        wanted: new Set(),
        tries: false,
        holds: [],
        waits: [],
      };
      parties.set(key, party);
    }
    party.threads.add(thread);
    return party;
  };
  for (const [pool, { holds, waits }] of standings.entries()) {
    for (const hold of holds) {
      const party = partyOf(hold);
      party.holds.push({ pool, hold });
      party.held.set(pool, (party.held.get(pool) ?? 0) + 1);
    }
    // A thread that sleeps goes on only where it sleeps.
    for (const wait of waits) {
      if (!wait.asleep && asleep.has(wait.thread)) continue;
      const party = partyOf(wait);
      party.waits.push({ pool, wait });
      party.wanted.add(pool);
      if (wait.tries) party.tries = true;
    }
  }
  return [...parties.values()];
}

// ── the fix-point

function stuckOf(standings: readonly Standing[], candidates: readonly Party[]): Set<Party> {
  const stuck = new Set(candidates);
  for (;;) {
    // By pool: how many of its slots are held by stuck parties.
    const held = standings.map(() => 0);
    for (const party of stuck) for (const [pool, count] of party.held) held[pool] += count;
    const isBlocked = standings.map(({ hasSupply, holds }, pool) => !hasSupply && holds.length > 0 && held[pool] === holds.length);
    const before = stuck.size;
    for (const party of stuck) if (party.tries || ![...party.wanted].every((pool) => isBlocked[pool])) stuck.delete(party);
    if (stuck.size === before) return stuck;
  }
}

/** Those of them that hold something that one of them wants, in groups that have to do with each other. */
function groups(stuck: ReadonlySet<Party>): Party[][] {
  const left = new Set(stuck);
  for (;;) {
    const wanted = wantedBy(left);
    const before = left.size;
    for (const party of left) if (![...party.held.keys()].some((pool) => wanted.has(pool))) left.delete(party);
    if (left.size === before) break;
  }
  const wanted = wantedBy(left);
  const byPool = new Map<number, Party[]>();
  for (const party of left) {
    for (const pool of poolsOf(party)) if (wanted.has(pool)) byPool.set(pool, [...(byPool.get(pool) ?? []), party]);
  }
  const found: Party[][] = [];
  const seen = new Set<number>();
  for (const first of byPool.keys()) {
    if (seen.has(first)) continue;
    seen.add(first);
    const group = new Set<Party>();
    const pools = [first];
    for (let pool = pools.pop(); pool !== undefined; pool = pools.pop())
      for (const party of byPool.get(pool)!) {
        group.add(party);
        for (const other of poolsOf(party))
          if (wanted.has(other) && !seen.has(other)) {
            seen.add(other);
            pools.push(other);
          }
      }
    found.push([...group]);
  }
  return found;
}

function wantedBy(parties: Iterable<Party>): Set<number> {
  const wanted = new Set<number>();
  for (const party of parties) for (const pool of party.wanted) wanted.add(pool);
  return wanted;
}

const poolsOf = ({ wanted, held }: Party): Set<number> => new Set([...wanted, ...held.keys()]);

// ── in words

function describe(standings: readonly Standing[], group: readonly Party[], certainty: Knot['certainty']): FoundKnot {
  const pools = [...wantedBy(group)].sort((a, b) => a - b);
  const threads = [...new Set(group.flatMap((party) => [...party.threads]))].sort((a, b) => a - b);
  const labels = labelsOf(standings.map(({ name }) => name));
  const parts = group.map(({ label, holds, wanted }) => {
    const held = holds.filter(({ pool }) => pools.includes(pool)).map(({ pool, hold }) => `${labels[pool]}[${hold.slot}]`);
    const wants = [...wanted].map((pool) => labels[pool]);
    return `${label} holds ${list(held)} and waits for ${list(wants)}`;
  });
  const [what, who] =
    group.length === 1 ? ['waits for itself', group[0].label] : ['wait for each other', list(group.map(({ label }) => label))];
  const text = `${who} ${what}${certainty === 'certain' ? ' for ever' : ', it seems'}: ${parts.join('; ')}`;
  const isWanted = new Set(pools);
  // Sums, so that the order in which the words were read does not matter. Two, as 32 bits alone might agree by chance.
  let [low, high] = [0, 0];
  const add = (kind: number, pool: number, a: number, b: number, c: number): void => {
    const mixed = mix(mix(mix(mix(kind, pool), a), b), c);
    low = (low + mixed) | 0;
    high = (high + Math.imul(mix(mixed, 0x5bd1e995), mixed | 1)) | 0;
  };
  for (const { holds, waits } of group) {
    for (const { pool, hold } of holds) if (isWanted.has(pool)) add(1, pool, hold.slot, hold.lease, hold.tag);
    for (const { pool, wait } of waits) add(2, pool, wait.ticket, wait.tag, 0);
  }
  const signature = `${low}.${high}.${threads.join('.')}`;
  return { threads, pools: pools.map((pool) => labels[pool]), certainty, text, signature: `${certainty} ${signature}`, at: pools };
}

/** A number that is about as likely as any other. */
function mix(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) ^ (mixed >>> 16);
}

/** Few enough to be read. */
const MOST_NAMED = 8;

function list(names: readonly string[]): string {
  const shown = names.length > MOST_NAMED ? [...names.slice(0, MOST_NAMED - 1), `${names.length - MOST_NAMED + 1} more`] : names;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
