/** A process of the simulation: the shipped member and the shipped holdings, with a pool whose resources are numbers and a network that may fail. */
import type { Answer, Engine, Report } from '../../../src/budget/engines/engine.ts';
import { Holdings } from '../../../src/budget/holdings.ts';
import { Member, type News } from '../../../src/budget/member.ts';
import { Words } from '../../../src/budget/words.ts';
import type { BudgetedPool, PoolPermits } from '../../../src/main/index.ts';
import type { Random } from './random.ts';
import type { Server } from './server.ts';
import { Place, type World } from './world.ts';

export interface Terms {
  readonly limit: number;
  readonly ttl: number;
  readonly ownerTimeout: number;
  readonly tells: boolean;
  /** Longest that a borrower keeps a resource, in ms. */
  readonly hold: number;
  /** Part of the messages that get lost. */
  readonly loss: number;
}

/** What all processes share: the server, and who is called on it. */
export interface Net {
  readonly world: World;
  readonly random: Random;
  readonly server: Server;
  readonly processes: Process[];
  /** A step was done: to be checked. */
  stepped(report: Report, answer: Answer): void;
}

/** Longest that a message takes when all is well, in ms; one in fifty takes up to SLOW. */
const QUICK = 5;
const SLOW = 3000;
/** Longest that making and destroying takes, in ms. */
export const MAKE = 30;

export class Process implements BudgetedPool, Engine {
  readonly name: string;
  readonly id: string;
  readonly words = new Words();
  readonly owner = new Place();
  readonly thread = new Place();
  readonly #net: Net;
  readonly #terms: Terms;
  readonly #holdings: Holdings;
  readonly #member: Member;
  readonly #permits: PoolPermits;
  isCut = false;
  isClosing = false;
  max = 10;
  /** Borrowers that want a resource at this time, those that have one included. */
  demand = 0;
  #waiting = 0;
  #making = 0;
  #destroying = 0;
  #idle = 0;
  /** Of those out: lost, so that they go when they come back. */
  #out = 0;
  #outAndLost = 0;
  /** Being made when the permits were lost, and kept since, as the server was told of them. */
  #arrivedLate = 0;
  #destroyingLost = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  losses = 0;
  #isRefilling = false;
  #called: ((ids: readonly string[] | undefined) => void) | undefined;
  /** Since when somebody waits and there is nothing. */
  emptySince: number | undefined;
  #lostSince: number | undefined;

  constructor(net: Net, terms: Terms, number: number) {
    this.#net = net;
    this.#terms = terms;
    this.name = `p${number}`;
    this.id = number.toString(16).padStart(12, '0');
    const { world, random } = net;
    const { limit, ttl, ownerTimeout } = terms;
    this.#holdings = new Holdings({ key: 'k', isOpen: false, onLost: 'destroy' }, this.words, world.clock(this.owner), (order) =>
      world.at(0.1, this.thread, () => (order === 'look' ? this.#member.look() : this.#member.letGo())),
    );
    this.#permits = this.#holdings.enter(this);
    const settings = { key: 'k', id: this.id, label: this.name, limit, floor: 1, weight: 1, ttl, ownerTimeout };
    const heard = ({ type }: News): void =>
      void world.at(0.1, this.owner, () => (type === 'lost' ? this.#holdings.lost() : this.#holdings.answered()));
    this.#member = new Member(settings, this.words, this, world.clock(this.thread), heard, random.next);
    this.#member.start();
    this.#holdings.start();
  }

  // ── as a pool

  get used(): number {
    return this.#making + this.#destroying + this.#idle + this.#out;
  }

  get idle(): number {
    return this.#idle;
  }

  get isAlive(): boolean {
    return !this.owner.isGone;
  }

  /** Runs, and believes that its permits are good. */
  get isTrusted(): boolean {
    const { now } = this.#net.world;
    return this.isAlive && now < this.words.deadline && !this.words.isLost;
  }

  /** Since when what it has lost is lost, as far as its own clock goes. */
  get lostSince(): number | undefined {
    if (this.isTrusted || this.words.deadline === 0) this.#lostSince = undefined;
    else this.#lostSince ??= Math.min(this.#net.world.now, this.words.deadline);
    return this.#lostSince;
  }

  wanted(): number {
    return this.isClosing ? 0 : Math.min(this.max, this.#out + Math.max(this.#waiting, this.#making));
  }

  /** What it still has of what it lost: what was borrowed or being made is out, and what was idle is being destroyed. */
  get ofTheLost(): number {
    const wasInHand = this.#net.world.now < this.#lostAt + 2 * MAKE ? this.#making + this.#destroying : 0;
    return this.#outAndLost + this.#destroyingLost + wasInHand + this.#arrivedLate;
  }

  lost(): void {
    this.losses++;
    this.#lostAt = this.#net.world.now;
    this.#arrivedLate = this.#making;
    this.#outAndLost = this.#out;
    while (this.#idle > 0) this.#destroy('idle');
  }

  changed(): void {
    while (this.#idle > 0 && this.#permits.excess !== undefined) this.#destroy('idle');
    this.turn();
  }

  /** As the owner's turn: what is idle serves, and what is missing is made where there is room. */
  turn(): void {
    while (this.#waiting > 0 && this.#idle > 0) this.#lend();
    const missing = (): number => Math.min(this.#waiting - this.#making, this.max - this.used);
    while (missing() > 0 && this.#permits.hasRoom) this.#make();
    if (this.used > 0 || this.#waiting === 0) this.emptySince = undefined;
    else this.emptySince ??= this.#net.world.now;
  }

  #later(most: number, run: () => void): void {
    this.#net.world.at(this.#net.random.next() * most, this.owner, run);
  }

  #make(): void {
    this.#permits.take();
    this.#making++;
    this.#later(MAKE, () => {
      this.#making--;
      this.#idle++;
      this.changed();
    });
  }

  #lend(): void {
    this.#idle--;
    this.#waiting--;
    this.#out++;
    this.#later(this.#terms.hold, () => this.#comesBack());
  }

  #comesBack(): void {
    this.#out--;
    this.#idle++;
    if (this.#outAndLost > 0) {
      this.#outAndLost--;
      this.#destroy('lost');
    }
    this.changed();
    this.want();
  }

  #destroy(why: 'idle' | 'lost'): void {
    this.#idle--;
    this.#destroying++;
    this.#permits.leaving();
    if (why === 'lost') this.#destroyingLost++;
    this.#later(MAKE, () => {
      this.#destroying--;
      if (why === 'lost') this.#destroyingLost--;
      this.#permits.gone();
      this.turn();
    });
  }

  /** As many wait as the demand says. */
  want(): void {
    if (this.#isRefilling || this.isClosing) return;
    this.#waiting = Math.max(0, this.demand - this.#out);
    this.#isRefilling = true;
    this.turn();
    this.#isRefilling = false;
  }

  async close(): Promise<void> {
    this.isClosing = true;
    this.#waiting = 0;
    while (this.#idle > 0) this.#destroy('idle');
    this.#permits.end();
    if (this.#holdings.pools > 0) return void this.#net.world.at(50, this.owner, () => void this.close());
    this.#holdings.stop();
    await this.#member.leave();
    this.owner.isGone = true;
    this.thread.isGone = true;
  }

  /** As by SIGKILL: its resources are gone with it. */
  kill(): void {
    this.owner.isGone = true;
    this.thread.isGone = true;
    this.#making = this.#destroying = this.#idle = this.#out = 0;
  }

  stop(ms: number): void {
    this.block(ms);
    this.thread.stoppedUntil = this.#net.world.now + ms;
  }

  block(ms: number): void {
    this.owner.stoppedUntil = this.#net.world.now + ms;
  }

  // ── as an engine, over a network

  get tells(): boolean {
    return this.#terms.tells && !this.isCut;
  }

  listen(_key: string, called: (ids: readonly string[] | undefined) => void): () => void {
    this.#called = called;
    return () => {
      this.#called = undefined;
    };
  }

  drop(): void {}

  async end(): Promise<void> {}

  async members(): Promise<never[]> {
    return [];
  }

  #delay(): number {
    const { random } = this.#net;
    return random.chance(0.02) ? random.next() * SLOW : random.next() * QUICK;
  }

  step(report: Report): Promise<Answer> {
    const { world, random, server } = this.#net;
    return new Promise((resolve) => {
      if (this.isCut || random.chance(this.#terms.loss)) return;
      world.at(this.#delay(), undefined, () => {
        // What was on the way when the process died still arrives.
        const { answer, called } = server.step(report, Math.floor(world.now));
        this.#net.stepped(report, answer);
        for (const one of this.#net.processes) if (called === '*' || called.includes(one.id)) one.#isCalled(called);
        if (this.isCut || random.chance(this.#terms.loss)) return;
        world.at(this.#delay(), this.thread, () => resolve(answer));
      });
    });
  }

  #isCalled(ids: string[] | '*'): void {
    if (!this.tells || this.#net.random.chance(this.#terms.loss)) return;
    this.#net.world.at(this.#delay(), this.thread, () => this.#called?.(ids === '*' ? undefined : ids));
  }
}
