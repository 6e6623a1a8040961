/**
 * The bytes of one connection, which go to the driver here, or to a borrower that speaks the protocol itself. The borrower's bytes are
 * counted by their headers: so many answers are owed to it, and when the last of them has come the bytes are the driver's again. No byte
 * of an answer goes to any other borrower.
 */
import { CLIENT, columnTypes, Frames, fieldsOf, SERVER, textAt } from '../messages/frames.ts';
import type { TransactionStatus } from '../messages/protocol.ts';
import { isSimple } from '../messages/single.ts';

/** What is gathered for a borrower that does not ask for it, in bytes. With more than this the server has to wait. */
const MOST_GATHERED = 262_144;
/** What is sent, at most, for the rest of a row whose sender is gone, in bytes. Beyond it the connection is cut. */
const MOST_FILLED = 16_777_216;
/** What pg answers where the server wants rows and there is no stream to give them. */
const NO_ROWS = copyFail('No source stream defined');
/** The same for a borrower that is gone. */
const LEFT = copyFail('the connection was given back before the end of the rows');
const SYNC = Buffer.from([CLIENT.sync, 0, 0, 0, 4]);

export interface WireListener {
  /** In an answer to a borrower: the server says that a statement has ended, and how. */
  commandComplete(text: string): void;
  /** In an answer to a borrower: rows with columns of these types follow. */
  columns(types: readonly number[]): void;
  /** In an answer to a borrower: an error of the server, with what tells its kind. */
  error(error: Error): void;
  /** The end of an answer to a borrower. The driver has heard of it. */
  ready(status: TransactionStatus): void;
}

/** The socket, and this thread's driver on it. */
export interface WireEnd {
  readonly socket: WireSocket;
  /** The driver hears these bytes. */
  toDriver(bytes: Buffer): void;
  /** The driver must not send anything meanwhile, and others ask it whether the server is at work. */
  setReady(isReady: boolean): void;
}

/** A statement in what a borrower wants to say. `name`: what it is to be prepared as; '' if that is nothing to keep. */
export interface Said {
  readonly name: string;
  readonly text: string;
}

export type WireSocket = NodeJS.EventEmitter & {
  write(bytes: Buffer): boolean;
  pause(): void;
  resume(): void;
  destroy(error?: Error): void;
  readonly destroyed: boolean;
};

export class Wire {
  readonly #end: WireEnd;
  readonly #socket: WireSocket;
  readonly #listener: WireListener;
  readonly #heard: Frames;
  #said: Frames;
  #speech: Said[] = [];
  #isLent = false;
  /** The borrower is gone: what is still owed to it goes nowhere. */
  #isDropped = false;
  /** The driver had a part of a message when the wire was lent: the rest is the driver's. */
  #isRest = false;
  /** The borrower sends nothing more by itself: a COPY is refused for it. */
  #isWhole = false;
  /** The server waits for the rows of a COPY. */
  #isInCopy = false;
  /** The borrower is gone, and does not end what it has begun. */
  #isAbandoned = false;
  #isSimple = false;
  /** How many times the server is still to say that it is ready. */
  #owed = 0;
  /** The same, for what was read and is not sent yet. */
  #owing = 0;
  #hasSaid = false;
  #gathered: Buffer[] = [];
  #size = 0;
  /** Is told of each answer but the last, where the borrower has asked several things at once. */
  #answered: ((answer: Buffer[]) => void) | undefined;
  /** Where the bytes of the piece that is read now begin to be the borrower's, and where they end. -1: not in this piece. */
  #from = 0;
  #until = -1;
  /** The piece, and where the bytes of it begin that have not been gathered yet. */
  #piece: Buffer = NOTHING;
  #start = 0;
  /** Something was heard that the borrower should know of at once. */
  #isUrgent = false;
  #isPaused = false;
  /** What comes is in the middle of something that another thread has begun: it is not read. */
  #isTorn = false;
  #wake: (() => void) | undefined;

  constructor(end: WireEnd, listener: WireListener) {
    this.#end = end;
    this.#listener = listener;
    this.#socket = end.socket;
    this.#socket.on('data', (bytes: Buffer) => this.receive(bytes));
    this.#heard = new Frames({
      wants: (type, length) => this.#hasSaid && isTelling(type) && length < MOST_GATHERED,
      message: (type, body, end) => this.#message(type, body, end),
    });
    this.#said = this.#newSaid();
  }

  /** A borrower speaks: something of it is not answered, or not finished. */
  get isLent(): boolean {
    return this.#isLent;
  }

  // ── what the borrower says

  /**
   * Reads what a borrower wants to say, without saying it. Throws for what is no message, and if this is all that it says (`isWhole`) for
   * what the server would not answer.
   */
  read(bytes: Buffer, isWhole = false): readonly Said[] {
    this.#speech = [];
    try {
      this.#said.read(bytes);
      if (isWhole && (this.#owing === 0 || !this.#said.isBetween)) throw new Error('what was said is not whole: it would have no answer');
    } catch (error) {
      this.#said = this.#newSaid();
      this.#owing = 0;
      throw error;
    }
    return this.#speech;
  }

  /** The same as `read` for so many statements that are known to be single (see single.ts). `last`: the bytes of the last. */
  readSingles(count: number, last: Buffer): void {
    this.#owing = count;
    this.#isSimple = isSimple(last);
  }

  /**
   * From here to the last answer the server's bytes are the borrower's. `isWhole`: it says nothing after this. `answered`: it asks several
   * things at once, and is to hear of each answer but the last by itself.
   */
  lend(isWhole: boolean, answered?: (answer: Buffer[]) => void): void {
    this.#isLent = true;
    this.#answered = answered;
    this.#isWhole = isWhole;
    this.#isInCopy = false;
    this.#isAbandoned = false;
    this.#isRest = !this.#heard.isBetween;
    this.#end.setReady(false);
  }

  /** Sends what `read` has read. */
  say(bytes: Buffer): void {
    this.#hasSaid = true;
    this.#owed += this.#owing;
    this.#owing = 0;
    this.#socket.write(bytes);
  }

  /**
   * The borrower will say no more: the server is made ready for something else. If it is in the middle of a message, that cannot be done.
   */
  abandon(): void {
    if (!this.#isLent || !this.#hasSaid) return;
    this.#isAbandoned = true;
    if (this.#isInCopy) return this.#leaveCopy();
    if (this.#owed > 0) return;
    if (!this.#said.isBetween) throw new Error('the borrower of this connection has left in the middle of a message');
    this.#owed++;
    this.#socket.write(SYNC);
  }

  #newSaid(): Frames {
    return new Frames({
      wants: (type) => type === CLIENT.query || type === CLIENT.parse,
      message: (type, body) => {
        if (type === CLIENT.terminate)
          throw new Error('a borrower does not end the connection itself: it gives it back with release(true)');
        if (type === CLIENT.query || type === CLIENT.sync || type === CLIENT.functionCall) this.#owing++;
        if (type === CLIENT.copyDone || type === CLIENT.copyFail) this.#isInCopy = false;
        if (type === CLIENT.query) {
          this.#isSimple = true;
          this.#speech.push({ name: '', text: textAt(body!, 0) });
        } else if (type === CLIENT.parse) {
          this.#isSimple = false;
          const name = textAt(body!, 0);
          this.#speech.push({ name, text: textAt(body!, Buffer.byteLength(name) + 1) });
        }
      },
    });
  }

  // ── what the server says

  /** Bytes of the server. */
  receive(bytes: Buffer): void {
    if (this.#isTorn) return;
    const isTheirs = this.#hasSaid;
    const wasRest = this.#isRest;
    this.#from = 0;
    this.#until = -1;
    this.#piece = bytes;
    this.#start = 0;
    try {
      this.#heard.read(bytes);
    } catch (error) {
      this.#socket.destroy(error as Error);
      return;
    }
    if (!isTheirs || this.#isRest) return this.#toDriver(bytes);
    if (wasRest) this.#toDriver(bytes.subarray(0, this.#from));
    const end = this.#until === -1 ? bytes.length : this.#until;
    this.#gather(end);
    if (this.#until !== -1) {
      this.#isLent = false;
      this.#isDropped = false;
      this.#hasSaid = false;
      if (end < bytes.length) this.#toDriver(bytes.subarray(end));
    } else if (this.#size > MOST_GATHERED && this.#wake === undefined && !this.#isPaused && !this.#isWhole) {
      this.#isPaused = true;
      this.#socket.pause();
    }
    if (this.#mayTell) this.#tell();
  }

  /** What has come for the borrower, up to here. */
  #gather(end: number): void {
    const [bytes, start] = [this.#piece, this.#start];
    this.#start = end;
    if (this.#isDropped || start === end) return;
    this.#gathered.push(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    this.#size += end - start;
  }

  #toDriver(bytes: Buffer): void {
    this.#end.toDriver(bytes);
  }

  #message(type: number, body: Buffer | undefined, end: number): void {
    if (!this.#hasSaid || this.#until !== -1) return;
    if (this.#isRest) {
      this.#isRest = false;
      this.#from = end;
      this.#start = end;
      return;
    }
    switch (type) {
      case SERVER.readyForQuery:
        // The driver hears of each: it is the driver that knows whether the server is ready, and tells others.
        this.#isInCopy = false;
        if (--this.#owed === 0) this.#until = end;
        this.#toDriver(readyForQuery(body![0]));
        this.#listener.ready(String.fromCharCode(body![0]) as TransactionStatus);
        if (this.#owed > 0) {
          this.#end.setReady(false);
          if (this.#answered !== undefined) this.#tellAnswered(end);
        }
        break;
      case SERVER.commandComplete:
        if (body !== undefined) this.#listener.commandComplete(textAt(body, 0));
        break;
      case SERVER.rowDescription:
        if (body !== undefined) this.#listener.columns(columnTypes(body));
        break;
      case SERVER.error:
        if (body !== undefined) this.#listener.error(errorOf(body));
        break;
      case SERVER.copyIn:
        this.#isInCopy = true;
        if (this.#isWhole) this.#endCopy(NO_ROWS);
        else if (this.#isAbandoned) this.#leaveCopy();
        this.#isUrgent = true;
        break;
      case SERVER.copyOut:
      case SERVER.copyBoth:
      case SERVER.notice:
      case SERVER.notification:
        this.#isUrgent = true;
        break;
    }
  }

  #tellAnswered(end: number): void {
    this.#gather(end);
    this.#answered!(this.#taken());
  }

  /**
   * The borrower is gone, perhaps in the middle of a row. What is sent for the rest of that counts for nothing, as the whole COPY fails.
   */
  #leaveCopy(): void {
    const { missing } = this.#said;
    if (missing === undefined || missing > MOST_FILLED) return this.#socket.destroy(new Error('a COPY was left in the middle of a row'));
    if (missing > 0) this.#socket.write(Buffer.alloc(missing));
    this.#said = this.#newSaid();
    this.#endCopy(LEFT);
  }

  /** `why`: a message to the server that no more rows come. */
  #endCopy(why: Buffer): void {
    this.#isInCopy = false;
    if (this.#isSimple) return void this.#socket.write(why);
    // In the extended protocol a sync that came with the statement has been passed over.
    if (this.#owed === 0) this.#owed++;
    this.#socket.write(Buffer.concat([why, SYNC]));
  }

  // ── what the borrower hears

  /** `whenHeard` as a promise. */
  heard(): Promise<Buffer[]> {
    return new Promise((resolve) => this.whenHeard(resolve));
  }

  /**
   * Calls `then` with what was heard since the last time: when all is answered, when there is much, when something cannot wait, or when the
   * connection is lost; at once, if that is so now.
   */
  whenHeard(then: (pieces: Buffer[]) => void): void {
    const tell = (): void => {
      this.#isUrgent = false;
      then(this.#taken());
    };
    if (this.#mayTell) return tell();
    this.#wake = tell;
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** What has been gathered. */
  #taken(): Buffer[] {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#size = 0;
    return gathered;
  }

  get #mayTell(): boolean {
    if (!this.#isLent) return true;
    if (this.#isWhole || this.#gathered.length === 0) return false;
    return this.#owed === 0 || this.#isUrgent || this.#size > MOST_GATHERED;
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Another thread has spoken here, and it is not known how far it has come: no byte of what comes goes to any reader. */
  tear(): void {
    this.#isTorn = true;
  }

  /** The borrower hears nothing more: it is gone, or the connection is lost. What is owed is still counted, for the driver's sake. */
  drop(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#answered = undefined;
    // What the server said last is still heard: it may say why the connection is lost.
    this.#isDropped = this.#hasSaid;
    if (this.#isPaused) this.#socket.resume();
    this.#isPaused = false;
    if (this.#hasSaid && this.#owed === 0 && this.#said.isBetween && !this.#socket.destroyed) {
      this.#owed++;
      this.#socket.write(SYNC);
    }
    if (!this.#hasSaid) this.#end.setReady(true);
    this.#said = this.#newSaid();
    this.#tell();
  }
}

const NOTHING = Buffer.alloc(0);
const TELLING: ReadonlySet<number> = new Set([SERVER.readyForQuery, SERVER.commandComplete, SERVER.rowDescription, SERVER.error]);
const isTelling = (type: number): boolean => TELLING.has(type);

/** As one message, for each status. */
const READY: ReadonlyMap<number, Buffer> = new Map(
  [...'ITE'].map((status) => [status.charCodeAt(0), Buffer.from([SERVER.readyForQuery, 0, 0, 0, 5, status.charCodeAt(0)])]),
);
const readyForQuery = (status: number): Buffer => READY.get(status) ?? Buffer.from([SERVER.readyForQuery, 0, 0, 0, 5, status]);

function copyFail(why: string): Buffer {
  const head = Buffer.from([0x66, 0, 0, 0, 0]);
  head.writeUInt32BE(4 + Buffer.byteLength(why) + 1, 1);
  return Buffer.concat([head, Buffer.from(`${why}\0`)]);
}

/** What the session's judgement looks at. */
function errorOf(body: Buffer): Error {
  const fields = fieldsOf(body);
  const error = new Error(fields.get('M') ?? '');
  return Object.assign(error, {
    severity: fields.get('S'),
    code: fields.get('C'),
    routine: fields.get('R'),
    ...(fields.has('W') ? { where: fields.get('W') } : {}),
  });
}
