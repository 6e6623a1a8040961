/** What may be sent behind another query, what bytes say, and whose turn it is. */

import { expect, test } from 'vitest';
import { Turns } from '../../src/main/threads/turns.ts';
import { singleIn } from '../../src/pg/messages/single.ts';
import { Habit, onlyReads } from '../../src/pg/sql/reads.ts';

test.each([
  'select 1',
  '  SELECT a, count(*) from t where b = $1 group by a',
  'values (1), (2)',
  'table t',
  `select lower(name), coalesce(x, 0) from t order by n limit 10`,
  'select * from t where n in (1, 2, 3);',
])('reads: %s', (text) => expect(onlyReads(text)).toBe(true));

test.each([
  'insert into t values (1)',
  'select * from t for update',
  'select * from t for no key update skip locked',
  'select 1 into other from t',
  `select nextval('s')`,
  `select pg_sleep(1)`,
  'select pg_advisory_xact_lock(1)',
  'select my_own(1)',
  'select "Lower"(name) from t',
  `select set_config('a.b', 'c', false)`,
  'with gone as (delete from t returning *) select * from gone',
  'select 1; select 2',
  'begin',
  'explain analyze select 1',
  `select pg_notify('a', 'b')`,
  'call pay()',
  'copy t from stdin',
  '',
  `select '${'x'.repeat(3000)}'`,
])('does not only read, or may do more: %s', (text) => expect(onlyReads(text)).toBe(false));

test('others stand behind a text that has answered quickly, and one slow time among many does not change that', () => {
  const habit = new Habit('select 1');
  expect(habit.isQuick).toBe(false);
  habit.note(500, 10);
  expect(habit.isQuick).toBe(false);
  habit.note(1, 10);
  expect(habit.isQuick).toBe(true);
  habit.note(100, 10);
  expect(habit.isQuick).toBe(true);
  for (let times = 0; times < 5; times++) habit.note(100, 10);
  expect(habit.isQuick).toBe(false);
  habit.note(1, 10);
  habit.note(1, 1_000_000);
  expect(habit.isQuick).toBe(false);
  const writes = new Habit('update t set n = 1');
  writes.note(1, 10);
  expect(writes.isQuick).toBe(false);
});

const message = (type: string, body: string): Buffer => {
  const bytes = Buffer.from(`${type}\0\0\0\0${body}`, 'latin1');
  bytes.writeUInt32BE(bytes.length - 1, 1);
  return bytes;
};
const [parse, bind, describe, execute, sync] = [
  message('P', '\0select $1\0\0\0'),
  message('B', '\0\0\0\0\0\x01\0\0\0\x01x\0\0'),
  message('D', 'P\0'),
  message('E', '\0\0\0\0\0'),
  message('S', ''),
];

test('one statement without a name is known by its bytes, and nothing else is', () => {
  const whole = Buffer.concat([parse, bind, describe, execute, sync]);
  expect(singleIn(whole)).toBe('select $1');
  expect(singleIn(message('Q', 'select 1\0'))).toBe('select 1');
  for (let length = 0; length < whole.length; length++) expect(singleIn(whole.subarray(0, length))).toBeUndefined();
  const wrong = [
    [whole, whole],
    [message('Q', 'select 1\0'), sync],
    [sync],
    [bind, execute, sync],
    [message('P', 'name\0select 1\0\0\0'), bind, execute, sync],
    [parse, message('B', '\0name\0\0\0\0\0\0\0'), execute, sync],
    [parse, message('B', 'portal\0\0\0\0\0\0\0\0'), execute, sync],
    [parse, bind, execute, message('Q', 'select 1\0')],
    [parse, parse, bind, execute, sync],
    [parse, message('X', '')],
    [Buffer.from('P\xff\xff\xff\xff', 'latin1')],
  ];
  for (const messages of wrong) expect(singleIn(Buffer.concat(messages))).toBeUndefined();
});

test('threads have turns of so many; what comes back goes before the others of its thread', () => {
  const turns = new Turns<string, { member: string; n: number }>(2);
  const asker = (member: string, n: number) => ({ member, n });
  const all = [asker('a', 1), asker('a', 2), asker('a', 3), asker('b', 1), asker('b', 2), asker('a', 4), asker('c', 1)];
  for (const each of all) turns.add(each);
  const take = (): string => {
    const next = turns.next();
    return next === undefined ? '-' : `${next.member}${next.n}`;
  };
  expect(turns.nextOf('b', () => true)).toBeUndefined();
  expect(take()).toBe('a1');
  expect(turns.nextOf('a', ({ n }) => n === 3)).toBeUndefined();
  expect(turns.nextOf('a', () => true)?.n).toBe(2);
  // Two of a: it is b's turn.
  expect(turns.nextOf('a', () => true)).toBeUndefined();
  turns.addFirst(all[1]);
  turns.remove(all[3]);
  turns.remove(all[3]);
  expect(turns.size).toBe(5);
  expect([take(), take(), take(), take(), take(), take()]).toEqual(['b2', 'c1', 'a2', 'a3', 'a4', '-']);
  expect(turns.size).toBe(0);
});
