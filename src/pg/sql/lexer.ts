/**
 * The text of a query as tokens. It is read as bytes, in pieces: to ask a string for its characters one by one costs several times as much
 * as sending it. Most tokens say nothing by themselves: they are passed over in one loop, which remembers the last few. A number is not
 * read on its own, but with the commas and numbers behind it, and a word is looked up only when a parenthesis opens behind it.
 *
 * A look at each byte is the least that such a reader costs, and is more than the driver's own sending: that copies the text and looks at
 * nothing (`npm run bench:reading` has both). So a text of which no reading can be remembered is not read to its end: see `isCut`.
 */
import { TextEncoder } from 'node:util';
import { FIRST_WORD, INTO, LONGEST, PG_SETTINGS, STDIN, UPDATE, WORDS, wordAt } from './words.ts';

// Tokens. A word that is known has a number of its own, from FIRST_WORD on.
export const END = 0;
/** A literal, a quoted name or a comment that does not end. */
export const BROKEN = 1;
/** A number, a literal, an operator. */
export const OTHER = 2;
export const COMMA = 3;
export const POINT = 4;
export const OPEN = 5;
export const CLOSE = 6;
export const SEMICOLON = 7;
/** A name in quotes. */
export const QUOTED = 8;
/** A name or a word that is not known. */
export const NAME = 9;

/** No token at all. */
const SPACE_OR_COMMENT = 10;
/** A word that has not been looked up yet: most never need to be. */
const UNREAD = 11;

/** Tokens that always say something about a statement that reads or writes rows, and those that end one. */
const saysMuch = new Uint8Array(WORDS);
for (const token of [END, BROKEN, SEMICOLON, INTO, PG_SETTINGS, STDIN, UPDATE]) saysMuch[token] = 1;

export const isName = (token: number): boolean => token >= FIRST_WORD || token === NAME || token === QUOTED || token === UNREAD;

// ── bytes

const NUL = 0;
const NEWLINE = 10;
const RETURN = 13;
const QUOTES = 34;
const DOLLAR = 36;
const AMPERSAND = 38;
const QUOTE = 39;
const STAR = 42;
const COMMA_BYTE = 44;
const MINUS = 45;
const SLASH = 47;
const BACKSLASH = 92;

/** What a byte may be part of. All bytes beyond ASCII are letters, as they are to the server. */
const SPACE = 1;
const DIGIT = 2;
const LETTER = 4;
const kinds = new Uint8Array(256);
for (const byte of Buffer.from(' \t\n\v\f\r')) kinds[byte] = SPACE;
for (const byte of Buffer.from('0123456789')) kinds[byte] = DIGIT;
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_')) kinds[byte] = LETTER;
kinds.fill(LETTER, 128);

/** How a token begins. */
const BEGINS_SPACE = 0;
const BEGINS_OTHER = 1;
const BEGINS_NUMBER = 3;
const BEGINS_LITERAL = 4;
const BEGINS_DASH = 5;
const BEGINS_SLASH = 6;
const BEGINS_DOLLAR = 7;
const BEGINS_WORD = 8;
const BEGINS_QUOTED = 9;
const BEGINS_NUL = 10;
/** From here on: a token of one byte, which is this number less BEGINS_ITSELF. */
const BEGINS_ITSELF = 16;
const beginnings = new Uint8Array(256).fill(BEGINS_OTHER);
for (let byte = 0; byte < 256; byte++) {
  if (kinds[byte] === SPACE) beginnings[byte] = BEGINS_SPACE;
  if (kinds[byte] === DIGIT) beginnings[byte] = BEGINS_NUMBER;
  if (kinds[byte] === LETTER) beginnings[byte] = BEGINS_WORD;
}
const SINGLE: readonly (readonly [byte: number, beginning: number])[] = [
  [NUL, BEGINS_NUL],
  [COMMA_BYTE, BEGINS_ITSELF + COMMA],
  [QUOTE, BEGINS_LITERAL],
  [QUOTES, BEGINS_QUOTED],
  [MINUS, BEGINS_DASH],
  [SLASH, BEGINS_SLASH],
  [DOLLAR, BEGINS_DOLLAR],
  [46, BEGINS_ITSELF + POINT],
  [40, BEGINS_ITSELF + OPEN],
  [41, BEGINS_ITSELF + CLOSE],
  [59, BEGINS_ITSELF + SEMICOLON],
];
for (const [byte, beginning] of SINGLE) beginnings[byte] = beginning;

const isIn = (part: (byte: number) => boolean): Uint8Array => Uint8Array.from({ length: 256 }, (_, byte) => (part(byte) ? 1 : 0));
const inNumber = isIn((byte) => ((kinds[byte] & (DIGIT | LETTER)) !== 0 && byte < 128) || byte === 46);
const inTag = isIn((byte) => (kinds[byte] & (DIGIT | LETTER)) !== 0);
const inWord = isIn((byte) => inTag[byte] === 1 || byte === DOLLAR);
/** What stands between names and parentheses in a list of values: numbers, commas, operators, spaces. */
const isFiller = isIn((byte) => beginnings[byte] <= BEGINS_NUMBER || byte === COMMA_BYTE);
/** First letters of the words that say something wherever they stand: see `saysMuch`. */
const mayStop = isIn((byte) => 'iups'.includes(String.fromCharCode(byte | 32)));
const lower = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));

/** What certainly ends a word: it is all here, and it is not the prefix of a literal or of a quoted name. */
const endsWord = isIn((byte) => inWord[byte] === 0 && ![NUL, QUOTES, AMPERSAND, QUOTE].includes(byte));

const SETTINGS = Buffer.from('"pg_settings"');
/** Letters that may stand before a quote: B'', X'', N'', and E'', in which a backslash escapes. U&'' and U&"" are looked for apart. */
const isPrefix = isIn((byte) => 'bxne'.includes(String.fromCharCode(lower[byte])));

// ── pieces

/** How many characters are looked at in one go. */
const PIECE = 16_384;
/** Length in bytes. Beyond it, the end of a literal is searched for by other means, which pay from there on. */
const SHORT = 64;
/** How many bytes of a piece are kept for the next piece, at most. */
const KEPT = 1024;
/** The reader never waits within a text, so one buffer is enough. Behind the last byte stand a 0 and a quote, at which searches end. */
const bytes = Buffer.alloc(KEPT + 3 * PIECE + 2);
const encoder = new TextEncoder();

/** Are these bytes digits and nothing else? */
function isNumber(from: number, to: number): boolean {
  let at = from;
  while (at <= to && kinds[bytes[at]] === DIGIT) at++;
  return at > to;
}

/** The token for this word. */
const wordIn = (from: number, to: number): number => (to - from > LONGEST ? NAME : wordAt(bytes, from, to, lower) || NAME);

/** How many tokens before the last one are remembered, as a mask. */
const RECENT = 7;

export class Lexer {
  /** The text is longer than `most`, and was not read beyond its first piece: it seems to end there. */
  isCut = false;
  /** Every token says something. Otherwise only those of `saysMuch` do, and a parenthesis that opens after a name. */
  isEager = true;
  /** How many tokens have been read. */
  count = 0;
  /** The last of them, each at the place of its number. */
  readonly #recent = new Uint16Array(RECENT + 1);
  /** Where those that are UNREAD stand in `bytes`. */
  readonly #wordFrom = new Int32Array(RECENT + 1);
  readonly #wordTo = new Int32Array(RECENT + 1);
  readonly #text: string;
  readonly #isLong: boolean;
  /** Which characters are in `bytes`, or were: from, to. */
  #from = 0;
  #to = 0;
  #at = 0;
  #end = 0;

  constructor(text: string, most: number) {
    this.#text = text;
    this.#isLong = text.length > most;
    bytes[0] = NUL;
  }

  /** False: neither a statement follows nor another semicolon. True: one may follow. */
  mayHaveMore(): boolean {
    return this.#text.indexOf(';', this.#from) >= 0;
  }

  /** Reads on, and keeps the bytes from `kept`, which moves to the beginning. False: the text has ended, and nothing has moved. */
  #more(kept: number): boolean {
    const text = this.#text;
    if (this.#to >= text.length) return false;
    if (this.#isLong && this.#to > 0) {
      this.isCut = true;
      return false;
    }
    for (let place = 0; place <= RECENT; place++) if (this.#recent[place] === UNREAD) this.#lookUp(place);
    bytes.copyWithin(0, kept, this.#end);
    const rest = this.#end - kept;
    let to = Math.min(this.#to + PIECE, text.length);
    // Half of a surrogate pair would become another character.
    if (to < text.length && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to--;
    this.#end = rest + encoder.encodeInto(text.slice(this.#to, to), bytes.subarray(rest)).written;
    this.#from = this.#to;
    this.#to = to;
    bytes[this.#end] = NUL;
    bytes[this.#end + 1] = QUOTE;
    return true;
  }

  /** The token that was read `back` tokens before the last one, comments not counted. END where there is none. */
  before(back: number): number {
    const place = (this.count - 1 - back) & RECENT;
    return this.#recent[place] === UNREAD ? this.#lookUp(place) : this.#recent[place];
  }

  #lookUp(place: number): number {
    const token = wordIn(this.#wordFrom[place], this.#wordTo[place]);
    this.#recent[place] = token;
    return token;
  }

  /** The next token; or the next that may say something, unless `isEager`. */
  next(): number {
    const { isEager } = this;
    const passesFiller = !isEager;
    const recent = this.#recent;
    let { count } = this;
    let at = this.#at;
    let token = recent[(count - 1) & RECENT];
    for (;;) {
      const beginning = beginnings[bytes[at]];
      if (beginning === BEGINS_SPACE) {
        at++;
        continue;
      }
      const last = token;
      token = OTHER;
      if (beginning === BEGINS_WORD) {
        let end = at + 1;
        while (inWord[bytes[end]] === 1) end++;
        if (endsWord[bytes[end]] === 1) {
          if (passesFiller && mayStop[bytes[at]] === 0) {
            this.#wordFrom[count & RECENT] = at;
            this.#wordTo[count & RECENT] = end;
            token = UNREAD;
          } else token = wordIn(at, end);
          at = end;
        } else {
          token = this.#rare(beginning, at);
          at = this.#at;
        }
      } else if (beginning >= BEGINS_ITSELF) {
        at++;
        token = beginning - BEGINS_ITSELF;
      } else if (beginning === BEGINS_NUMBER) {
        const from = at++;
        if (passesFiller) while (isFiller[bytes[at]] === 1) at++;
        let to = at - 1;
        while (kinds[bytes[to]] === SPACE) to--;
        // Several tokens are remembered as two, the last of them last: no rule looks past such a token.
        if (to > from && !isNumber(from, to)) recent[count++ & RECENT] = OTHER;
        if (bytes[to] === COMMA_BYTE) token = COMMA;
        if (kinds[bytes[at - 1]] === DIGIT) {
          while (inNumber[bytes[at]] === 1) at++;
          if (bytes[at] === NUL) at = this.#pastNumber(at);
        }
      } else if (beginning === BEGINS_DOLLAR && kinds[bytes[at + 1]] === DIGIT) {
        at += 2;
        while (kinds[bytes[at]] === DIGIT) at++;
        if (bytes[at] === NUL) at = this.#pastDigits(at);
      } else if (beginning === BEGINS_LITERAL) at = this.#pastQuote(at + 1, QUOTE);
      else if (beginning === BEGINS_OTHER || (beginning === BEGINS_DASH && bytes[at + 1] !== MINUS && bytes[at + 1] !== NUL)) at++;
      else {
        token = this.#rare(beginning, at);
        at = this.#at;
        if (token === SPACE_OR_COMMENT) {
          token = last;
          continue;
        }
      }
      if (at < 0) token = BROKEN;
      recent[count++ & RECENT] = token;
      if (isEager || saysMuch[token] === 1 || (token === OPEN && isName(last))) break;
    }
    this.count = count;
    this.#at = at;
    return token;
  }

  /** Reads what begins neither a number nor a literal and is longer than a byte. Gives the token; `#at` is past it. */
  #rare(beginning: number, from: number): number {
    let at = from;
    let token = OTHER;
    if (beginning === BEGINS_WORD) {
      at = this.#ahead(at, SETTINGS.length + 3);
      const quote = this.#quoteAfterPrefix(at);
      if (quote === 0) return this.#word(at);
      if (bytes[quote] === QUOTES) {
        token = this.#isSettings(quote) ? PG_SETTINGS : QUOTED;
        at = this.#pastQuote(quote + 1, QUOTES);
      } else at = (bytes[at] | 32) === 101 ? this.#pastEscaped(quote + 1) : this.#pastQuote(quote + 1, QUOTE);
    } else if (beginning === BEGINS_QUOTED) {
      at = this.#ahead(at, SETTINGS.length + 1);
      token = this.#isSettings(at) ? PG_SETTINGS : QUOTED;
      at = this.#pastQuote(at + 1, QUOTES);
    } else if (beginning === BEGINS_DOLLAR) at = this.#pastDollar(at);
    else if (beginning === BEGINS_NUL) {
      if (at < this.#end) at++;
      else if (this.#more(at)) {
        at = 0;
        token = SPACE_OR_COMMENT;
      } else token = END;
    } else {
      at = this.#ahead(at, 2);
      if (beginning === BEGINS_DASH && bytes[at + 1] === MINUS) {
        at = this.#pastLine(at + 2);
        token = SPACE_OR_COMMENT;
      } else if (beginning === BEGINS_SLASH && bytes[at + 1] === STAR) {
        at = this.#pastComment(at + 2);
        token = SPACE_OR_COMMENT;
      } else at++;
    }
    this.#at = at;
    return at < 0 ? BROKEN : token;
  }

  /** Where these bytes stand once `count` of them are to be seen, or all that are left. */
  #ahead(at: number, count: number): number {
    return this.#end - at < count && this.#more(at) ? 0 : at;
  }

  // ── past what may be of any length. A result below 0 says that it does not end.

  #pastNumber(from: number): number {
    for (let at = from; ; at = 0) {
      while (inNumber[bytes[at]] === 1) at++;
      if (at < this.#end || !this.#more(at)) return at;
    }
  }

  #pastDigits(from: number): number {
    for (let at = from; ; at = 0) {
      while (kinds[bytes[at]] === DIGIT) at++;
      if (at < this.#end || !this.#more(at)) return at;
    }
  }

  /** Past the next quote that is not doubled. */
  #pastQuote(from: number, quote: number): number {
    for (let at = from; ; ) {
      const near = at + SHORT;
      let byte = bytes[at];
      while (byte !== quote && byte !== NUL && at < near) byte = bytes[++at];
      if (at === near && quote === QUOTE) {
        at = Math.min(bytes.indexOf(QUOTE, at), this.#end);
        byte = bytes[at];
      }
      if (byte === NUL) {
        if (at < this.#end) at++;
        else if (this.#more(at)) at = 0;
        else return -1;
        continue;
      }
      if (byte !== quote) continue;
      at = this.#ahead(at, 2);
      if (bytes[at + 1] !== quote) return at + 1;
      at += 2;
    }
  }

  /** The same for a literal in which a backslash escapes. */
  #pastEscaped(from: number): number {
    for (let at = from; ; ) {
      let byte = bytes[at];
      while (byte !== QUOTE && byte !== BACKSLASH && byte !== NUL) byte = bytes[++at];
      if (byte === NUL) {
        if (at < this.#end) at++;
        else if (this.#more(at)) at = 0;
        else return -1;
        continue;
      }
      at = this.#ahead(at, 2);
      if (byte === QUOTE && bytes[at + 1] !== QUOTE) return at + 1;
      if (at + 1 >= this.#end) return -1;
      at += 2;
    }
  }

  #pastLine(from: number): number {
    for (let at = from; ; at++) {
      const byte = bytes[at];
      if (byte === NEWLINE || byte === RETURN) return at;
      if (byte !== NUL || at < this.#end) continue;
      if (!this.#more(at)) return at;
      at = -1;
    }
  }

  /** Past a comment. Comments may be nested. */
  #pastComment(from: number): number {
    let depth = 1;
    for (let at = from; ; ) {
      const byte = bytes[at];
      if (byte === NUL && at >= this.#end) {
        if (!this.#more(at)) return -1;
        at = 0;
        continue;
      }
      if (byte !== STAR && byte !== SLASH) {
        at++;
        continue;
      }
      at = this.#ahead(at, 2);
      const next = bytes[at + 1];
      if (byte === SLASH && next === STAR) depth++;
      else if (byte === STAR && next === SLASH) depth--;
      else {
        at++;
        continue;
      }
      at += 2;
      if (depth === 0) return at;
    }
  }

  /** Past $tag$ ... $tag$, or $1, or a dollar that is neither. */
  #pastDollar(from: number): number {
    const dollar = this.#ahead(from, KEPT - 1);
    let at = dollar + 1;
    if (kinds[bytes[at]] !== DIGIT) while (inTag[bytes[at]] === 1) at++;
    if (at - dollar >= KEPT - 1) return -1;
    if (bytes[at] === DOLLAR) return this.#pastTag(Uint8Array.from(bytes.subarray(dollar, at + 1)), at + 1);
    at = dollar + 1;
    while (kinds[bytes[at]] === DIGIT) at++;
    return at;
  }

  #pastTag(tag: Uint8Array, from: number): number {
    for (let at = from; ; at++) {
      const byte = bytes[at];
      if (byte === NUL && at >= this.#end) {
        if (!this.#more(at)) return -1;
        at = -1;
      } else if (byte === DOLLAR) {
        at = this.#ahead(at, tag.length);
        let same = 1;
        while (same < tag.length && bytes[at + same] === tag[same]) same++;
        if (same === tag.length) return at + same;
      }
    }
  }

  // ── words

  /** The place of the quote, if this word is the prefix of a literal or a name. 0: it is a word. */
  #quoteAfterPrefix(at: number): number {
    const next = bytes[at + 1];
    if (next === QUOTE && isPrefix[bytes[at]] === 1) return at + 1;
    const isUnicode = next === AMPERSAND && (bytes[at] | 32) === 117;
    return isUnicode && (bytes[at + 2] === QUOTE || bytes[at + 2] === QUOTES) ? at + 2 : 0;
  }

  /** The token for the word that begins here; `#at` is past it. */
  #word(from: number): number {
    let start = from;
    for (;;) {
      let at = start;
      while (inWord[bytes[at]] === 1) at++;
      const isLong = at - start > LONGEST;
      if (at === this.#end && this.#more(isLong ? at - LONGEST - 1 : start)) {
        start = 0;
        continue;
      }
      this.#at = at;
      return isLong ? NAME : wordIn(start, at);
    }
  }

  #isSettings(at: number): boolean {
    for (let i = 0; i < SETTINGS.length; i++) if (bytes[at + i] !== SETTINGS[i]) return false;
    return bytes[at + SETTINGS.length] !== QUOTES;
  }
}
