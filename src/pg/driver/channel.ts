/** What a client of the driver has in place of a socket: what it says is taken, and it is given what it hears. */
import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';

/** As the driver sees it. */
export interface Channel extends NodeJS.EventEmitter {
  /** Takes what is said. If it gives a promise, the next waits for that, where that is possible. */
  said: (bytes: Buffer) => void | Promise<void>;
  /** The client hears this. False: it has more than it can read now, and `whenRead` is called when it has read it. */
  push(bytes: Buffer): boolean;
  whenRead?: (() => void) | undefined;
  readonly destroyed: boolean;
  destroy(): void;
}

/** What the driver asks of a socket beside reading and writing: there is none. */
function withoutSocket<B extends new (...args: any[]) => NodeJS.EventEmitter>(Base: B) {
  return class extends Base {
    connect(): this {
      return this;
    }

    setNoDelay(): this {
      return this;
    }

    setKeepAlive(): this {
      return this;
    }

    ref(): this {
      return this;
    }

    unref(): this {
      return this;
    }
  };
}

/**
 * For one statement after the other: it keeps nothing, as the client reads at once what it hears. A stream of Node's does the same and
 * runs through several times as much code, for each statement.
 */
export class StatementChannel extends withoutSocket(EventEmitter) implements Channel {
  said: (bytes: Buffer) => void = () => {};
  destroyed = false;

  get writable(): boolean {
    return !this.destroyed;
  }

  write(bytes: Buffer): true {
    this.said(bytes);
    return true;
  }

  push(bytes: Buffer): true {
    this.emit('data', bytes);
    return true;
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** A stream, for what reads or writes as one: COPY, and clients of the program's own. */
export class StreamChannel extends withoutSocket(Duplex) implements Channel {
  said: (bytes: Buffer) => void | Promise<void> = () => {};
  whenRead: (() => void) | undefined;

  override _read(): void {
    const then = this.whenRead;
    this.whenRead = undefined;
    then?.();
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#say(bytes, done);
  }

  override _writev(pieces: { chunk: Buffer }[], done: () => void): void {
    this.#say(Buffer.concat(pieces.map(({ chunk }) => chunk)), done);
  }

  #say(bytes: Buffer, done: (error?: Error) => void): void {
    const taken = this.said(bytes);
    if (taken === undefined) done();
    else taken.then(() => done(), done);
  }

  override connect(): this {
    // From here on what is pushed is read at once, if it can be.
    this.read(0);
    return this;
  }
}
