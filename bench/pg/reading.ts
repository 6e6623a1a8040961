/**
 * What does it cost to read the text of a query for the first time, a character, beside what the driver does to send it? `npm run bench:reading`.
 *
 * The rivals:
 *  - pg, sends it: the driver's own message for this text. It copies the characters, and looks at none.
 *  - each byte once: copies the text as bytes, and looks up every byte in a table. No reader in JavaScript that looks at all of a text is faster.
 *
 * A text that is long and comes again is not read again: each is one of several, which are more than the reader remembers.
 */
import { parseArgs } from 'node:util';
import { serialize } from 'pg-protocol';
import { readStatement } from '../../dist/pg/sql/dirt.js';
import { chosen } from '../frame/command.ts';
import type { Row } from '../frame/question.ts';
import { compare, measure } from '../frame/rounds.ts';
import { footer, machine, table } from '../frame/table.ts';

const LENGTH = 250_000;
/** Together more than the reader remembers of long texts. */
const TEXTS = 8;

type Shape = (number: number) => string;

const list = (before: string, each: Shape, between: string): string => {
  const parts: string[] = [];
  for (let number = 0, length = 0; length < LENGTH; number++) {
    parts.push(each(number));
    length += parts[number]!.length + between.length;
  }
  return before + parts.join(between);
};

const SHAPES: Readonly<Record<string, () => string>> = {
  'a long literal': () => `insert into t values ('${'x'.repeat(LENGTH)}')`,
  'a list of numbers': () => `${list('select * from t where id in (', String, ',')})`,
  'rows of values': () => list('insert into t (a, b, c, d, e) values ', (n) => `(${n}, 'name ${n}', ${2 * n}, true, null)`, ', '),
  'rows of parameters': () => list('insert into t (a, b) values ', (n) => `($${2 * n + 1}, $${2 * n + 2})`, ', '),
  'rows of calls': () => list('insert into t (a, b, c) values ', (n) => `(${n}, lower('x${n}'), now(), coalesce(null, ${n}))`, ', '),
  words: () =>
    list('', (n) => `select a.id, a.name as title from accounts a join books b on b.id = a.book where a.x = ${n}`, ' union all '),
  'quoted names': () =>
    list('', (n) => `select "a"."id", "a"."name" as "title" from "accounts" as "a" where "a"."x" = ${n}`, ' union all '),
};

const seen = new Uint8Array(256).fill(1);
const bytes = Buffer.alloc(2 * LENGTH);
/** So that no work is left out as useless. */
let total = 0;

function lookAtEach(text: string): void {
  const end = bytes.write(text, 0, 'latin1');
  for (let at = 0; at < end; at++) total += seen[bytes[at]!]!;
}

async function run({ quick, json }: ReturnType<typeof options>): Promise<void> {
  const where = machine();
  const rows: Row[] = [];
  for (const [name, shape] of Object.entries(SHAPES)) {
    const text = shape();
    // Flat, as a text that a program has made of one literal is: otherwise the first to look at it would pay for that.
    const texts = Array.from({ length: TEXTS }, (_, number) => Buffer.from(`${text} -- ${number}`).toString('latin1'));
    let next = 0;
    const each = (look: (text: string) => void) => ({ async: false, ops: text.length, run: () => look(texts[next++ % TEXTS]!) });
    const figures = await measure(
      {
        cenote: each((text) => void (total += readStatement(text).dirt)),
        'pg, sends it': each((text) => void (total += serialize.query(text).length)),
        'each byte once': each(lookAtEach),
      },
      quick ? { rounds: 3, slice: 10 } : { rounds: 15, slice: 60 },
    );
    rows.push(...compare(`reading: ${name}`, 'ns', figures));
  }
  if (!Number.isFinite(total)) throw new Error('nothing was read');
  console.log(json ? JSON.stringify({ machine: where, quick, rows }, undefined, 2) : `${table(rows)}\n\n${footer(where)}`);
}

const USAGE = 'usage: npm run bench:reading -- [--quick] [--json]\n';

function options() {
  const flag = { type: 'boolean', default: false } as const;
  return parseArgs({ options: { quick: flag, json: flag, help: flag } }).values;
}

const values = chosen(options, USAGE);
if (values !== undefined) await run(values);
