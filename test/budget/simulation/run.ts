/** One run of the simulation: members come and go, want more and less, are cut off, stopped, blocked and killed, and the server forgets. Then it is calm. */
import type { Answer, Report } from '../../../src/budget/engines/engine.ts';
import { QUANTUM } from '../../../src/budget/shares.ts';
import { MAKE, Process, type Terms } from './process.ts';
import { Random } from './random.ts';
import { Server } from './server.ts';
import { World } from './world.ts';

/** Of trouble, and of calm, in ms. */
const TROUBLE = 25_000;
const CALM = 12_000;
/** A member sees within this that its lease has run out: a tick of either thread, and the destructor. */
const SEEN = 500 + 2 * MAKE;

export interface Result {
  readonly members: number;
  readonly limit: number;
  readonly steps: number;
  /** Most resources at once, and beyond the limit most while nothing excused it. */
  readonly most: number;
  readonly longestEmpty: number;
  readonly lost: number;
}

class Violation extends Error {}

/** Rejects, and names the seed, if something does not hold. */
export async function simulate(seed: number): Promise<Result> {
  try {
    return await new Run(seed).run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

class Run {
  readonly world = new World();
  readonly random: Random;
  readonly server = new Server();
  readonly processes: Process[] = [];
  readonly #terms: Terms;
  readonly #size: number;
  #number = 0;
  #steps = 0;
  #most = 0;
  #longestEmpty = 0;
  #isCalm = false;
  /** Until when newcomers may have what the forgotten have as well. */
  #excusedUntil = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    const { random } = this;
    this.#size = random.pick([3, 5, 8, 8, 20, random.chance(0.3) ? 50 : 10]);
    this.#terms = {
      limit: random.pick([1, 3, 10, 20]),
      ttl: random.pick([1000, 3000]),
      ownerTimeout: 2000,
      tells: random.chance(0.8),
      hold: random.pick([20, 200, 1000]),
      loss: random.pick([0, 0.01, 0.05]),
    };
  }

  #enter(): void {
    this.processes.push(new Process(this, this.#terms, ++this.#number));
  }

  get #living(): Process[] {
    return this.processes.filter(({ isAlive, isClosing }) => isAlive && !isClosing);
  }

  async run(): Promise<Result> {
    for (let n = 0; n < this.#size; n++) this.#enter();
    const start = this.world.now;
    this.#change();
    this.#trouble();
    await this.world.run(start + TROUBLE, () => this.#check());
    this.#isCalm = true;
    for (const one of this.processes) one.isCut = false;
    // The last troubles end.
    await this.world.run(start + TROUBLE + 4 * this.#terms.ttl + 3000, () => this.#check());
    for (const one of this.processes) one.emptySince = undefined;
    const calm = this.world.now;
    await this.world.run(calm + CALM, () => {
      this.#check();
      this.#checkShares();
    });
    for (const one of this.#living) void one.close();
    await this.world.run(this.world.now + 3 * this.#terms.ttl + this.#terms.hold + 5000, () => this.#check());
    const left = this.server.alive(this.world.now);
    if (left.length > 0) throw new Violation(`${left.length} members are left behind`);
    for (const one of this.processes) if (one.used > 0) throw new Violation(`${one.name} has ${one.used} left`);
    const { limit } = this.#terms;
    const [most, longestEmpty] = [this.#most, this.#longestEmpty];
    const lost = this.processes.reduce((all, { losses }) => all + losses, 0);
    return { members: this.#size, limit, steps: this.#steps, most, longestEmpty, lost };
  }

  // ── what happens

  #change(): void {
    for (const one of this.#living) {
      if (!this.random.chance(0.2)) continue;
      one.demand = this.random.pick([0, 0, 1, 2, 5, 10]);
      if (this.#isCalm) one.demand = Math.max(1, one.demand);
      this.world.at(0, one.owner, () => one.want());
    }
    this.world.at(100 + this.random.next() * 300, undefined, () => this.#change());
  }

  #trouble(): void {
    if (this.#isCalm) return;
    const { random, world } = this;
    const { ttl } = this.#terms;
    const one = random.pick(this.processes);
    switch (random.below(9)) {
      case 0:
        one.isCut = true;
        world.at(random.next() * 2 * ttl, undefined, () => {
          one.isCut = false;
        });
        break;
      case 1:
        // All of them: the server is out of reach.
        for (const each of this.processes) each.isCut = true;
        world.at(random.next() * ttl * random.pick([0.4, 2]), undefined, () => {
          for (const each of this.processes) each.isCut = false;
        });
        break;
      case 2:
        one.stop(random.next() * 2 * ttl);
        break;
      case 3:
        one.block(random.next() * 4000);
        break;
      case 4:
        one.kill();
        this.#enter();
        break;
      case 5:
        void world.at(0, one.owner, () => void (one.isClosing || one.close()));
        this.#enter();
        break;
      case 6:
        if (!random.chance(0.3)) break;
        this.server.wipe();
        this.#excusedUntil = world.now + ttl + this.#terms.hold + SEEN;
        break;
      case 7: {
        // A failover that loses what was written last.
        const goBack = this.server.copy();
        world.at(random.next() * 500, undefined, () => {
          goBack();
          this.#excusedUntil = world.now + ttl + this.#terms.hold + SEEN;
        });
      }
    }
    world.at(random.next() * 2500, undefined, () => this.#trouble());
  }

  // ── what must hold

  /** A grant is never more than what is free. */
  stepped(report: Report, answer: Answer): void {
    this.#steps++;
    if (answer.outcome !== 'ok' || answer.granted <= report.hold) return;
    const sum = this.server.alive(Math.floor(this.world.now)).reduce((all, { granted }) => all + granted, 0);
    if (sum > answer.limit) throw new Violation(`${sum} of ${answer.limit} are granted`);
  }

  #check(): void {
    let used = 0;
    for (const one of this.processes) {
      if (one.isTrusted) used += one.used;
      const { lostSince } = one;
      const isStill = one.owner.stoppedUntil > this.world.now - SEEN;
      // Cut off: what was idle is gone. What was borrowed comes back as it may.
      if (lostSince !== undefined && one.isAlive && !isStill && this.world.now > lostSince + SEEN && one.idle > 0)
        throw new Violation(`${one.name} has lost its permits for ${this.world.now - lostSince} ms, and has ${one.idle} idle`);
    }
    this.#most = Math.max(this.#most, used);
    if (this.world.now > this.#excusedUntil && used > this.#terms.limit) this.#judge(used);
  }

  /** Members that trust their permits have more than the limit together: only what came back with what it still had out may be beyond it. */
  #judge(used: number): void {
    const lost = this.processes.reduce((all, one) => all + one.ofTheLost, 0);
    if (used - this.#terms.limit > lost)
      throw new Violation(`${used} of ${this.#terms.limit} are in use, and only ${lost} are what was out when it was lost`);
    const late = this.processes.filter((one) => one.isTrusted && one.used > this.#grantedTo(one)).map(({ name }) => name);
    const sum = this.server.alive(Math.floor(this.world.now)).reduce((all, { granted }) => all + granted, 0);
    if (late.length > 0 || sum < used)
      throw new Violation(`${used} of ${this.#terms.limit} are in use (${late.join(', ')} beyond its grant, ${sum} granted)`);
  }

  #grantedTo({ id }: Process): number {
    return this.server.alive(Math.floor(this.world.now)).find((one) => one.id === id)?.granted ?? 0;
  }

  /** In calm: nobody that waits has nothing for long. More members than permits take turns. */
  #checkShares(): void {
    const { limit, hold, tells, loss } = this.#terms;
    const rounds = Math.ceil(this.#living.length / limit);
    const most = rounds * (QUANTUM + hold + 1500) + (tells ? 1000 : this.#terms.ttl) + (loss > 0 ? 6000 : 3000);
    for (const one of this.#living) {
      if (one.emptySince === undefined) continue;
      const empty = this.world.now - one.emptySince;
      this.#longestEmpty = Math.max(this.#longestEmpty, empty);
      if (empty > most) throw new Violation(`${one.name} has had nothing for ${Math.round(empty)} ms`);
    }
  }
}
