/** How the texts of statements are read: always to the same verdict as a plain reader comes to, and at little cost. */
import { TextEncoder } from 'node:util';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { readStatement } from '../../src/pg/sql/dirt.ts';
import { join, open } from '../support/postgres.ts';
import { readPlainly } from './reading-reference.ts';

const DOUBTFUL = 1;
const DIRTY = 2;

/** Where this is dirty, the reader may stop: what comes after it is not known to be unfinished then, and asks for nothing. */
function expectSame(text: string): void {
  const plainly = readPlainly(text);
  const read = readStatement(text);
  expect(read.dirt, text).toBe(plainly.dirt);
  const isUnfinished = plainly.dirt === DIRTY && !plainly.isPreparable;
  if (isUnfinished) return;
  expect(read.isPreparable, text).toBe(plainly.isPreparable);
  expect(read.isCopyIn, text).toBe(plainly.isCopyIn);
  if (plainly.dirt !== DIRTY) expect(read.asksReadOnly, text).toBe(plainly.asksReadOnly);
}

const WORDS = `select insert update delete with values merge table begin start commit set local session transaction constraints create or replace temp
  temporary pg_temp drop alter explain do copy stdin from to read only write into as on distinct recursive materialized not by group order partition conflict
  sets grouping rollup cube then over filter pg_settings pg_catalog set_config true pg_advisory_lock upper UPPER leak t f a max count now coalesce any in exists
  varchar numeric x1 _y é ünï 日本 a$b e u b n x E U B N X`;
const SIGNS = `"pg_settings" u&"pg_settings" "pg_settings""x" "leak" "Key" 1 42 1.5e10 1.f 0x1F $1 $23 $ $$body;x$$ $tag$set('a$$')$tag$ $é$x$é$ 'lit' 'it''s'
  E'a\\'b' e'\\\\' U&'d' B'01' N'x' x'ff' '' "" 'a;b' "a;b" '(' ( ( ( ( ) ) ) , , , . . . ; * + - / = < > :: [ ] | % @ ?  -- /* */ /*c*/ /*a/*b*/c*/ ' "`;
const split = (list: string): string[] => list.split(/\s+/).filter(Boolean);
const PHRASES = [
  '-- set x\n',
  '--\r',
  'read only',
  'as not materialized (',
  ') as (select',
  'distinct on (',
  'insert into t (',
  'set_config(a, b, true)',
  'pg_catalog.set_config(upper(a), (b), TRUE)',
  'set_config($1, $2, ',
  ', true)',
  ', leak (b, c) as materialized (',
];
const BEGINNINGS = [
  'select ',
  'insert into t (',
  'with t (',
  '( select ',
  'update t set ',
  'begin ',
  'create ',
  'select distinct on (',
  'copy t ',
  'set ',
];

const blank = fc.constantFrom(' ', ' ', ' ', '', '', '\n', '\t', ' \v\f\r ');
const piece = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...split(WORDS), ...split(SIGNS)) },
  { weight: 4, arbitrary: fc.constantFrom(...PHRASES) },
  { weight: 1, arbitrary: fc.string({ maxLength: 5 }) },
);
// Without what most often leads nowhere: a quote that is not closed, or what makes everything dirty.
const tame = fc.constantFrom(
  ...PHRASES,
  ...split(WORDS).filter((word) => !/^(set_config|pg_|into|do)/.test(word)),
  ...split(SIGNS).filter((sign) => !/^['";]$|^--$|^\/\*$|pg_/.test(sign)),
);
const textOf = (part: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(fc.tuple(part, blank), { maxLength: 30 }).map((parts) => parts.flat().join(''));
const text = fc.oneof(
  textOf(piece),
  fc.tuple(fc.constantFrom(...BEGINNINGS), textOf(tame)).map((parts) => parts.join('')),
);

/** As long as a piece of what is read at a time, so that something else stands at its edge each time. */
const filler = fc
  .tuple(
    fc.constantFrom(`'`, '"', '$$', '/*', '--', `E'`, 'a', '1', ' ', '(', ',', 'é', '日', '𝔘'),
    fc.integer({ min: 16_340, max: 16_400 }),
  )
  .map(([kind, length]) => {
    const body = 'q'.repeat(length);
    if (kind === '/*') return `/*${body}*/`;
    if (kind === '--') return `--${body}\n`;
    if (kind === `E'`) return `E'${`\\'`.repeat(length / 2)}'`;
    return kind === '$$' || kind === `'` || kind === '"' ? `${kind}${body}${kind}` : kind.repeat(length / kind.length);
  });

/**
 * Texts may come from anywhere, and hold anything; but a 0 the server refuses, and lower case beyond ASCII is another matter. What may be
 * the tag of a literal is not read to its end if it is longer than any program's: then the text counts as dirty, see below.
 */
const isOdd = (each: string): boolean =>
  each.includes('\0') || /[\u0130\u212a]/.test(each) || /\$[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]{1000}/.test(each);

describe('to the same verdict as plainly', () => {
  test('short ones', () => {
    fc.assert(
      fc.property(
        text.filter((each) => !isOdd(each)),
        expectSame,
      ),
      { numRuns: 5000 },
    );
  });

  test('long ones, which are read in pieces', () => {
    const long = fc.tuple(text, filler, text, filler, text).map((parts) => parts.join(''));
    fc.assert(
      fc.property(
        long.filter((each) => !isOdd(each)),
        expectSame,
      ),
      { numRuns: 100 },
    );
  });

  test('a tag of a literal that does not come to an end', () => {
    expect(readStatement(`select $${'t'.repeat(100)} `).dirt).toBe(0);
    expect(readStatement(`select $${'t'.repeat(20_000)} `).dirt).toBe(DIRTY);
    expect(readStatement(`select $${'t'.repeat(20_000)}$set x$${'t'.repeat(20_000)}$`).dirt).toBe(DIRTY);
  });

  test('what the server sees in a text', () => {
    // A carriage return ends a comment, and a space that is none of ASCII's is a letter.
    expect(readStatement(`select 1 --\r, leak()`).dirt).not.toBe(0);
    expect(readStatement(`select upper\u00a0('x')`).dirt).not.toBe(0);
  });
});

describe('at little cost', () => {
  /** Characters that are looked at until it is over. */
  function counted(): () => number {
    let looked = 0;
    const { encodeInto } = TextEncoder.prototype;
    const spy = vi.spyOn(TextEncoder.prototype, 'encodeInto').mockImplementation(function (this: TextEncoder, source, into) {
      const result = encodeInto.call(this, source, into);
      looked += result.read;
      return result;
    });
    onTestFinished(() => spy.mockRestore());
    return () => {
      const before = looked;
      looked = 0;
      return before;
    };
  }

  const ONE_PIECE = 20_000;
  const body = 'x'.repeat(500_000);

  test.each([
    ['a block', `do $$ ${body} $$`],
    ['a setting', `set my.own = '${body}'`],
    ['a call for the session', `select pg_advisory_lock(1), '${body}'`],
    ['dirt before many statements', `listen a; ${`insert into t values ('${body}');`.repeat(3)}`],
  ])('no further than to where it is clear: %s', (_, long) => {
    const looked = counted();
    expect(readStatement(long).dirt).toBe(DIRTY);
    expect(looked()).toBeLessThan(ONE_PIECE);
  });

  test('a text that is too long to be remembered is not read to its end, and what it may have left is undone', async () => {
    const rows = Array.from({ length: 150_000 }, (_, i) => `(${i})`).join(', ');
    const looked = counted();
    expect(readStatement(`insert into t values ${rows}`)).toEqual({
      dirt: DOUBTFUL,
      isPreparable: false,
      isCopyIn: false,
      asksReadOnly: false,
    });
    expect(readStatement(`copy t from stdin ${' '.repeat(1_000_000)}`).isCopyIn).toBe(true);
    expect(readStatement(`listen a; insert into t values ${rows}`).dirt).toBe(DIRTY);
    expect(looked()).toBeLessThan(3 * ONE_PIECE);
    const pool = await open({ max: 1 });
    const left = `select * from (values ${rows}) as a (b) where b < 2 and set_config('my.own', 'x', false) = 'x'`;
    expect((await pool.query(left)).rows).toHaveLength(2);
    expect((await pool.query(`select current_setting('my.own', true) as a`)).rows[0].a || null).toBe(null);
  });

  test('a long text of a worker is looked at by the worker, and not by the owner, who has the work of all threads', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    const looked = counted();
    const [rows, left] = await worker.pg(async (p) => {
      const long = `select array[${Array.from({ length: 5000 }, (_, i) => `'row number ${i}'`).join(', ')}] as a`;
      const found = (await p.query(long)).rows[0].a.length;
      // What it has come to counts on the owner: this is dirt, and not there any more for the next.
      await p.query(`${long.replace(' as a', '')}, set_config('my.own', 'x', false)`);
      return [found, (await p.query(`select current_setting('my.own', true) as a`)).rows[0].a];
    });
    expect([rows, left || null]).toEqual([5000, null]);
    expect(looked()).toBeLessThan(5000);
  });

  test('a text is looked at once, and one that comes again not at all', async () => {
    const pool = await open({ max: 1 });
    await pool.query('create temp table once_read (a text)').catch(() => {});
    const looked = counted();
    const bulk = `select ${Array.from({ length: 40_000 }, (_, i) => `'row number ${i} it''s', ${i}`)
      .join(', ')
      .slice(0, 900_000)
      .replace(/,[^,]*$/, '')}`;
    await pool.query({ text: bulk, name: 'bulk' }).catch(() => {});
    expect(looked()).toBe(bulk.length);
    const again = `select 1 where 1 in (${Array.from({ length: 5000 }, (_, i) => 100_000 + i).join(', ')})`;
    await pool.query(again);
    expect(looked()).toBe(again.length);
    await pool.query(again);
    expect(looked()).toBe(0);
  });
});
