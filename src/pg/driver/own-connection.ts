/**
 * A borrowing thread's own handle on the socket of a connection: what it says there, and how it leaves the session. The owner has another
 * handle; which of the two reads says the word of `Custody`.
 */
import { readSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Company } from '../../shared/options/company.ts';
import type { Custody } from '../messages/custody.ts';
import { SERVER } from '../messages/frames.ts';
import { longReadingOf } from '../messages/mode.ts';
import type { Answer, Heard, OfferedSocket, PassedDescriptor, TransactionStatus } from '../messages/protocol.ts';
import { singleIn } from '../messages/single.ts';
import { mayBeReadOnly, saysGone } from '../messages/telling-errors.ts';
import { TransactionWatch } from '../messages/transaction-watch.ts';
import { CLEAN, DIRTY, type Dirt, type Reading } from '../sql/dirt.ts';
import { Batch, type Speaker as BatchSpeaker } from './batch.ts';
import { type Address, type Driver, Lane } from './lane.ts';
import { claimedSocket } from './parking-socket.ts';
import { Wire, type WireSocket } from './wire.ts';

/** A connection that was parked less than this ago is taken to be as it was, in ms. */
const SETTLED = 2;
/** How long a thread that may not come back to its event loop sleeps before it looks again for an answer, in ms. */
const NAP = 0.2;
/** What is read without the event loop is read into this, whatever the connection. */
const PIECE = Buffer.allocUnsafeSlow(65_536);

/** What the session holds when it is offered. */
type State = Pick<OfferedSocket, 'dirt' | 'asksReadOnly' | 'profile'>;

/** The borrow that has the connection. */
export interface Speaker {
  /** The server has said something unasked. */
  onHeard(heard: readonly Heard[]): void;
  /** The connection is gone. What was under way has been told before. */
  onLost(): void;
  /** Its borrow ends without its doing. True: something is under way there. */
  leave(): boolean;
}

export interface Thread {
  readonly driver: Driver;
  readonly address: Address;
  readonly attachment: number;
  /** By type, whether the owner's program has a parser of its own. */
  readonly isOwn: Map<number, boolean>;
}

export class OwnConnection {
  /** The server's process. */
  readonly pid: number;
  readonly queryTimeout: number;
  readonly #wire: Wire;
  readonly #thread: Thread;
  readonly #custody: Custody;
  readonly #descriptor: number;
  readonly #socket: Socket;
  readonly #transaction = new TransactionWatch('I');
  /** Types of columns in the last answer for which the owner's program has parsers, and those of which that is not known. */
  #ownTypes: number[] = [];
  #unknownTypes: number[] = [];
  #dirt: Dirt = CLEAN;
  /** The number of the profile that is in force. */
  #profile = 0;
  #isUndone = false;
  /** What the server has said of the connection itself, in an answer. */
  #telling: Error | undefined;
  /** What the server has complained about last. */
  #error: Error | undefined;
  #tag = '';
  #lost: Error | undefined;
  #speaker: Speaker | undefined;
  /** This thread's driver, for what comes unasked. */
  #lane: Lane | undefined;

  /** The socket has been offered to this thread, which has accepted it and reads from now on. Undefined: the owner has taken it back. */
  static of(thread: Thread, custody: Custody, passed: PassedDescriptor, offered: OfferedSocket, pid: number): OwnConnection | undefined {
    const socket = claimedSocket(passed, custody);
    return socket && new OwnConnection(thread, custody, socket, passed.fd, offered, pid);
  }

  private constructor(
    thread: Thread,
    custody: Custody,
    socket: Socket,
    descriptor: number,
    { queryTimeout, types }: OfferedSocket,
    pid: number,
  ) {
    this.#thread = thread;
    this.#custody = custody;
    this.#descriptor = descriptor;
    this.pid = pid;
    this.queryTimeout = queryTimeout;
    this.#noteParsers(types);
    this.#socket = socket;
    socket.unref();
    socket.on('error', (error) => this.#lose(error));
    for (const event of ['end', 'close']) socket.on(event, () => this.#lose(new Error('Connection terminated unexpectedly')));
    this.#wire = new Wire(
      {
        socket: socket as unknown as WireSocket,
        toDriver: (bytes) => this.#unasked(bytes),
        setReady: () => {},
      },
      {
        commandComplete: (text) => {
          this.#tag = text;
          this.#transaction.completed(text);
        },
        columns: (types) => this.#noteTypes(types),
        error: (error) => this.#complained(error),
        ready: (status) => {
          if (this.#transaction.ready(status)) this.#isUndone = true;
        },
      },
    );
  }

  // ── whose it is

  /** The word of the connection. */
  get custody(): Custody {
    return this.#custody;
  }

  /**
   * The connection is clean but for that profile, and this borrow has it from now on. False: it is not for this thread to take, or another
   * profile is in force there.
   */
  take(speaker: Speaker, profile: number): boolean {
    if (this.#lost !== undefined || !this.#custody.take(this.#thread.attachment, profile)) return false;
    this.begin(speaker, 'I', { dirt: CLEAN, asksReadOnly: false, profile });
    return true;
  }

  /** The owner has offered the connection, as it is, and this borrow has it from now on. False: the owner has taken it back. */
  accept(speaker: Speaker, status: TransactionStatus, offered: OfferedSocket): boolean {
    if (this.#lost !== undefined || !this.#custody.accept(this.#thread.attachment)) return false;
    this.#noteParsers(offered.types);
    this.begin(speaker, status, offered);
    return true;
  }

  /** The owner's program may register a parser at any time. The threads hear of it with the next offer. */
  #noteParsers({ own, others }: OfferedSocket['types']): void {
    const { isOwn } = this.#thread;
    isOwn.clear();
    for (const oid of own) isOwn.set(oid, true);
    for (const oid of others) isOwn.set(oid, false);
  }

  /** It has been accepted, and this is how the session is. */
  begin(speaker: Speaker, status: TransactionStatus, { dirt, asksReadOnly, profile }: State): void {
    this.#speaker = speaker;
    this.#profile = profile;
    this.#transaction.resume(status, asksReadOnly);
    this.#dirt = dirt;
    this.#isUndone = false;
    this.#telling = undefined;
    this.#socket.resume();
  }

  /** The session is clean but for its profile, and any thread may have it. */
  park(): void {
    this.#stop();
    this.#custody.park(this.#thread.attachment, this.#profile);
  }

  /** The owner goes on with the session as it is. */
  hand(): void {
    this.#stop();
    const { status, asksReadOnly } = this.#transaction;
    this.#custody.hand(this.#thread.attachment, { status, dirt: this.#dirt, isUndone: this.#isUndone, asksReadOnly });
  }

  /** The borrow that has it, if one has, ends without its doing: this thread stops to speak here. True: in the middle of something. */
  leave(): boolean {
    return this.#speaker?.leave() === true;
  }

  #stop(): void {
    this.#speaker = undefined;
    this.#socket.pause();
  }

  // ── the session

  get status(): TransactionStatus {
    return this.#transaction.status;
  }

  /** What was open has ended by no statement of the borrower. */
  get isUndone(): boolean {
    return this.#isUndone;
  }

  /** Something is open that the borrower comes back for. */
  get isOpen(): boolean {
    return this.#transaction.isOpen || this.#dirt === DIRTY;
  }

  /** Something has to be undone before the next borrower. */
  get isUnclean(): boolean {
    return this.#transaction.isOpen || this.#dirt !== CLEAN;
  }

  /** Why it is lost, if it is. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** What the server has complained about, in the answer that came last or after it. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** What the server has said of the statement that has ended last. */
  get tag(): string {
    return this.#tag;
  }

  /** There is an error that says something of the connection itself. */
  get isTelling(): boolean {
    return this.#telling !== undefined;
  }

  /** An error that says something of the connection itself, since the last time when this was asked. */
  takeTelling(): Error | undefined {
    const telling = this.#telling;
    this.#telling = undefined;
    return telling;
  }

  /** The types in the last answer of which it is not known whether the owner's program has parsers. */
  get unknownTypes(): readonly number[] {
    return this.#unknownTypes;
  }

  /** The types in the last answer for which the owner's program has parsers. */
  get ownTypes(): readonly number[] {
    return this.#ownTypes;
  }

  /** Of these types, the owner's program has parsers for those. */
  learn(types: readonly number[], own: readonly number[]): void {
    for (const oid of types) this.#thread.isOwn.set(oid, own.includes(oid));
  }

  #noteTypes(types: readonly number[]): void {
    for (const oid of types) {
      const isOwn = this.#thread.isOwn.get(oid);
      if (isOwn === undefined) this.#unknownTypes.push(oid);
      else if (isOwn) this.#ownTypes.push(oid);
    }
  }

  #complained(error: Error): void {
    this.#error = error;
    if (saysGone(error) || (mayBeReadOnly(error) && !this.#transaction.asksReadOnly)) this.#telling ??= error;
  }

  // ── speaking

  /** It was taken now. If no thread has used it for a while, the server may have hung up: then this thread knows afterwards. */
  wake(): void {
    const idle = this.#custody.parkedFor;
    if (idle >= 0 && idle < SETTLED) return;
    while (this.#lost === undefined && this.#readSome());
  }

  /** Says this, which is all, and calls `answered` with what the server answers, or has answered when the connection was lost. */
  say(bytes: Buffer, mode: number, answered: (pieces: Buffer[]) => void): void {
    this.forget();
    const single = singleIn(bytes);
    if (single === undefined) for (const { text } of this.#wire.read(bytes, true)) this.touch(longReadingOf(mode, text));
    else {
      this.#wire.readSingles(1, bytes);
      this.touch(longReadingOf(mode, single));
    }
    // What is under way keeps the thread alive.
    this.#socket.ref();
    this.#wire.lend(true);
    this.#wire.say(bytes);
    this.#wire.whenHeard((pieces) => {
      this.#socket.unref();
      answered(pieces);
    });
  }

  /** The statement of a call with these arguments, and what may go with it. */
  batchOf(args: readonly unknown[], company: Company, speaker: BatchSpeaker): Batch {
    return new Batch(this.#wire, speaker, args, company);
  }

  /** Says all of them. `told` and `done`: see Batch. */
  sayTogether(batch: Batch, told: (answer: Answer | Promise<Answer>) => void, done: () => void): void {
    this.forget();
    this.#socket.ref();
    batch.run(told, () => {
      this.#socket.unref();
      done();
    });
  }

  /** What is known of the last answer. */
  forget(): void {
    if (this.#ownTypes.length > 0) this.#ownTypes = [];
    if (this.#unknownTypes.length > 0) this.#unknownTypes = [];
    this.#error = undefined;
  }

  /** Such a statement is sent. */
  touch(reading: Reading): void {
    if (reading.dirt > this.#dirt) this.#dirt = reading.dirt;
    this.#transaction.sends(reading);
  }

  /**
   * Reads what has come, without the event loop, and sleeps a little if nothing has. For a thread that is about to block, and would never
   * hear the answer to what it has said before.
   */
  readNow(): void {
    if (!this.#readSome() && this.#lost === undefined) Atomics.wait(NEVER, 0, 0, NAP);
  }

  /** False: nothing has come, or the connection is lost. */
  #readSome(): boolean {
    try {
      const size = readSync(this.#descriptor, PIECE, 0, PIECE.length, null);
      if (size === 0) this.#lose(new Error('Connection terminated unexpectedly'));
      else this.#wire.receive(Buffer.from(PIECE.subarray(0, size)));
      return size > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#lose(error as Error);
      return false;
    }
  }

  #unasked(bytes: Buffer): void {
    // The lane is ready all the time.
    if (bytes[0] === SERVER.readyForQuery && bytes.length === 6) return;
    if (this.#lane === undefined) {
      this.#lane = new Lane(this.#thread.driver, this.#thread.address);
      this.#lane.client.on('error', (error) => {
        this.#error = error;
      });
    }
    this.#lane.hear(bytes);
    const heard = this.#lane.overheard();
    if (heard.length > 0) this.#speaker?.onHeard(heard);
  }

  // ── the end

  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = this.#error !== undefined && 'severity' in this.#error && !this.#wire.isLent ? this.#error : error;
    this.#socket.destroy();
    this.#wire.drop();
    const speaker = this.#speaker;
    this.#speaker = undefined;
    speaker?.onLost();
  }

  /** This thread speaks here no more. The connection lives on if its owner reads it. What was under way is told this. */
  destroy(error = new Error('Connection terminated')): void {
    this.#lose(error);
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
