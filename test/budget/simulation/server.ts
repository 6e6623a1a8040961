/** A step as it is meant: what PostgreSQL and Redis are held to, and what members of a simulation speak with. Plain code, one row after the other. */
import type { Answer, Report, Row } from '../../../src/budget/engines/engine.ts';
import { CALL_AGAIN, HEAL } from '../../../src/budget/engines/postgres-step.ts';
import { sharesOf } from '../../../src/budget/shares.ts';

interface Member {
  id: string;
  seq: number;
  seen: number;
  label: string;
  said: number;
  ttl: number;
  floor: number;
  weight: number;
  granted: number;
  used: number;
  want: number;
  told: number | undefined;
  woken: number;
  since: number;
}

interface Head {
  lim: number;
  heal: number;
  epoch: number;
}

const phase = (granted: number, want: number): number => (granted > 0 ? 2 : want > 0 ? 1 : 0);

/** What is kept of one key. */
export class Server {
  #head: Head | undefined;
  #members = new Map<string, Member>();

  get limit(): number | undefined {
    return this.#head?.lim;
  }

  /** Those whose lease is good, by id. */
  alive(now: number): readonly Member[] {
    return [...this.#members.values()].filter((one) => one.seen > now - one.ttl);
  }

  wipe(): void {
    this.#head = undefined;
    this.#members.clear();
  }

  /** As things are now; a failover may go back to it. */
  copy(): () => void {
    const head = this.#head;
    const members = [...this.#members.values()].map((one) => ({ ...one }));
    return () => {
      this.#head = head;
      this.#members = new Map(members.map((one) => [one.id, one]));
    };
  }

  rows(now: number): Row[] {
    return this.alive(now).map((one) => ({
      ...{ id: one.id, member: one.label, granted: one.granted, used: one.used },
      ...{ wanted: one.want, seenAgo: now - one.seen },
    }));
  }

  step(says: Report, now: number): { answer: Answer; called: string[] | '*' } {
    const alive = this.alive(now);
    const mine = alive.find(({ id }) => id === says.id);
    const others = alive.filter(({ id }) => id !== says.id);
    const head = this.#head ?? { lim: says.limit, heal: 0, epoch: 0 };
    const no = (outcome: Answer['outcome']): { answer: Answer; called: string[] } => ({
      answer: { outcome, limit: head.lim, epoch: head.epoch, granted: 0, share: 0, pressed: false, over: false, members: others.length },
      called: [],
    });
    if (mine !== undefined && mine.seq >= says.seq) return no('stale');
    if (says.join === 'new' && others.length > 0 && says.said !== head.lim && !others.some(({ said }) => said === says.said))
      return no('mismatch');
    if (says.join === 'none' && mine === undefined) return no('unknown');

    const lim = says.resize ?? (alive.length > 0 ? head.lim : says.limit);
    const isForgotten = says.noted > (this.#members.get(says.id)?.seq ?? 0);
    const begins = alive.length > 0 ? isForgotten && now >= head.heal : says.join === 'again';
    const heal = begins ? now + Math.floor(HEAL * says.ttl) : alive.length > 0 ? head.heal : 0;
    const isSame = mine !== undefined && phase(mine.granted, mine.want) === phase(says.hold, says.want);
    const me = {
      id: says.id,
      want: says.want,
      granted: says.hold,
      floor: says.floor,
      weight: says.weight,
      since: isSame ? mine.since : now,
    };
    const claimants = says.leave ? others : [...others, me];
    const shares = sharesOf(claimants, lim, now);
    const shareOf = (id: string): number => shares[claimants.findIndex((one) => one.id === id)] ?? 0;
    const share = shareOf(says.id);
    const elsewhere = others.reduce((sum, { granted }) => sum + granted, 0);
    const added = says.leave || now < heal ? 0 : Math.max(0, Math.min(share - says.hold, lim - says.hold - elsewhere));
    const granted = says.hold + added;
    const pressed = others.some((one) => one.want > one.granted);
    const isGrant = added > 0 || (says.join === 'again' && granted > 0);
    const epoch = isGrant ? Math.max(head.epoch + 1, says.epoch + 1, now) : head.epoch;

    const called = new Set<string>();
    let free = lim - granted - elsewhere;
    for (const one of [...others].sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1))) {
      const missing = shareOf(one.id) - one.granted;
      if (now < heal || missing <= 0 || free <= 0) continue;
      free -= missing;
      called.add(one.id);
    }
    const isShort = (one: { id: string; want: number; granted: number }): boolean =>
      one.want > (one.id === says.id ? granted : one.granted);
    for (const one of others) {
      const isPressed = claimants.some((other) => other.id !== one.id && isShort(other));
      const isTold = one.told !== undefined && one.told <= shareOf(one.id);
      if (one.granted === 0 || !isPressed || isTold || one.woken > now - CALL_AGAIN) continue;
      one.woken = now;
      called.add(one.id);
    }

    this.#members = new Map(others.map((one) => [one.id, one]));
    if (!says.leave) {
      const { id, seq, label, ttl, floor, weight, used, want } = says;
      const since = says.hold === 0 && granted > 0 ? now : me.since;
      const told = pressed ? share : undefined;
      const said = mine?.said ?? says.said;
      const woken = mine?.woken ?? 0;
      this.#members.set(id, { id, seq, seen: now, label, said, ttl, floor, weight, granted, used, want, told, woken, since });
    }
    this.#head = this.#members.size === 0 ? undefined : { lim, heal, epoch };
    return {
      answer: { outcome: 'ok', limit: lim, epoch, granted, share, pressed, over: granted + elsewhere > lim, members: claimants.length },
      called: says.resize === null ? [...called].sort() : '*',
    };
  }
}
