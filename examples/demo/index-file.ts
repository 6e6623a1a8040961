import { createHash } from 'node:crypto';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/** tsvector takes at most 1 MB with positions and all; this much text stays well below. */
const MOST_TEXT = 160_000;
const LONGEST_WORD = 60;

export interface IndexedFile {
  bytes: number;
  lines: number;
  words: number;
  sha256: Buffer;
  body: Buffer;
  /** The words of the file, identifiers also in their parts, for PostgreSQL to make the vector of. Letters and digits only: no NUL, which it refuses. */
  text: string;
}

/** The work that wants a thread: tokenise, hash and compress. */
export function indexFile(content: Buffer): IndexedFile {
  const { words, text } = tokenise(content.toString('utf8'));
  return {
    bytes: content.length,
    lines: content.reduce((lines, byte) => (byte === 10 ? lines + 1 : lines), 1),
    words,
    sha256: createHash('sha256').update(content).digest(),
    body: brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 7, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
    }),
    text,
  };
}

export function restore(body: Uint8Array): string {
  return brotliDecompressSync(body).toString('utf8');
}

/** `acquireSync` is to be found by "acquire" as well, and `max_uses` by "uses". */
function tokenise(source: string): { words: number; text: string } {
  const tokens: string[] = [];
  let words = 0;
  let length = 0;
  for (const [word] of source.matchAll(/[\p{L}\p{N}_$]+/gu)) {
    words++;
    if (word.length > LONGEST_WORD || length > MOST_TEXT) continue;
    const parts = word.split(/[_$]+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})/u).filter((part) => part !== '');
    for (const token of parts.length > 1 ? [parts.join(''), ...parts] : parts) {
      tokens.push(token);
      length += Buffer.byteLength(token) + 1;
    }
  }
  return { words, text: tokens.join(' ') };
}
