/**
 * What a member and the engine say to each other. Each step is one atomic change on the server, worked out there; an answer that is lost
 * harms nothing.
 */

/** Why the row of a member is (again) not there: it is new; it was there, and the server has forgotten it; it should be there. */
export type Joining = 'new' | 'again' | 'none';

export interface Report {
  readonly key: string;
  /** 12 hexadecimal digits, by chance. Labels are only labels. */
  readonly id: string;
  /** Goes up with each report: what comes late, after a newer one, changes nothing. */
  readonly seq: number;
  /**
   * The last of its reports that was answered, while what was answered is good, else 0. A server whose row is older has forgotten
   * something, by a failover perhaps, and not only of this member: it grants nothing more until the others have had the time to report.
   */
  readonly noted: number;
  readonly join: Joining;
  readonly leave: boolean;
  /** How many permits it keeps of what it had. Absolute: what is above it goes back. */
  readonly hold: number;
  readonly used: number;
  readonly want: number;
  readonly floor: number;
  readonly weight: number;
  readonly ttl: number;
  readonly label: string;
  /** The limit that it was created with. */
  readonly said: number;
  /** The limit as it knows it now. Counts where no member lives. */
  readonly limit: number;
  /** The highest epoch that it knows. */
  readonly epoch: number;
  /** A new limit for all, or null. */
  readonly resize: number | null;
}

/**
 * unknown: the server has no such member, and has changed nothing. stale: it has executed a newer report already. mismatch: the others say
 * another limit, which is `limit`.
 */
export interface Answer {
  readonly outcome: 'ok' | 'unknown' | 'stale' | 'mismatch';
  readonly limit: number;
  readonly epoch: number;
  /** Permits that this member has now. */
  readonly granted: number;
  /** What it may have while others are short. */
  readonly share: number;
  /** Others want more than they have. */
  readonly pressed: boolean;
  /** More is held than the limit, by what members had out when they lost it, or since the limit is lower: what goes is not replaced. */
  readonly over: boolean;
  /** Members that live. */
  readonly members: number;
}

/** A member as the server has it. */
export interface Row {
  readonly id: string;
  readonly member: string;
  readonly granted: number;
  readonly used: number;
  readonly wanted: number;
  readonly seenAgo: number;
}

export type Called = (ids: readonly string[] | undefined) => void;

/** Members that listen, by key: several members of one process may have one key. */
export class Listeners {
  readonly #byKey = new Map<string, Set<Called>>();

  get keys(): string[] {
    return [...this.#byKey.keys()];
  }

  /** True: the first of its key. */
  add(key: string, called: Called): boolean {
    const those = this.#byKey.get(key);
    if (those === undefined) this.#byKey.set(key, new Set([called]));
    else those.add(called);
    return those === undefined;
  }

  /** True: the last of its key. */
  delete(key: string, called: Called): boolean {
    const those = this.#byKey.get(key);
    those?.delete(called);
    return those?.size === 0 && this.#byKey.delete(key);
  }

  /** As it is told: ids with spaces between, or '*'. */
  call(key: string, message: string): void {
    const ids = message === '*' ? undefined : message.split(' ');
    for (const called of this.#byKey.get(key) ?? []) called(ids);
  }

  callAll(): void {
    for (const key of this.keys) this.call(key, '*');
  }
}

/**
 * So many failures in a row on one connection, of whatever kind, and another is made: it asks for the settings and resolves the name anew,
 * and may lead to another server. What says that this one is not what it was costs the connection at once.
 */
export const MOST_FAILURES = 3;

/** A connection to an engine, made when it is needed, and again when it was lost. All of it is used by one thread. */
export interface Engine {
  /** Rejects with RefusedError if there is no use in trying again, with what went wrong otherwise. */
  step(report: Report): Promise<Answer>;
  members(key: string): Promise<Row[]>;
  /** Hears of what concerns the members of this key, if the engine can tell. `called`: these ids, or all. Gives what ends that. */
  listen(key: string, called: Called): () => void;
  /** Does it tell? If not, members ask now and then. */
  readonly tells: boolean;
  /** Something took too long: what there is of a connection is of no use. */
  drop(): void;
  /** No member needs it any more. */
  end(): Promise<void>;
}
