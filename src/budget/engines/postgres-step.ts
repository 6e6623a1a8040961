/**
 * A step as PostgreSQL does it: one message of a few statements, which the server runs as one transaction. Writing the head row locks the
 * key; only a later statement sees, in READ COMMITTED, what others have written before that. Nothing is kept in the session, so it works
 * behind a transaction pooler.
 */
import { createHash } from 'node:crypto';
import { QUANTUM } from '../shares.ts';
import type { Report } from './engine.ts';

/**
 * Part of the ttl for which nothing new is granted when the first of the members of which something was forgotten has spoken, so that the
 * others can report.
 */
export const HEAL = 0.4;
/** A member is called again for the same reason after so long, in ms. */
export const CALL_AGAIN = 1000;
/** Most that are called at once: a notification has room for so many. */
export const CALL_MOST = 200;
/** Keys that no member has used for so long, in ms, are removed. */
const STALE_KEY = 86_400_000;

export const DEFAULT_TABLE = 'cenote_budget';

/** A table's name, maybe with its schema, as SQL. */
export const quoted = (table: string): string =>
  table
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');

/** As text of SQL, whatever standard_conforming_strings says. */
const literal = (text: string): string => ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

/** Where members of a key are called. */
export const channelOf = (table: string, key: string): string =>
  `cenote_${createHash('sha256').update(`${table}\n${key}`).digest('hex').slice(0, 32)}`;

/** The row with an empty id is the key's own: lim, heal, epoch. The others are its members. */
export const schema = (table: string): string => `CREATE TABLE IF NOT EXISTS ${quoted(table)} (
  key text NOT NULL,
  id text NOT NULL,
  seq bigint NOT NULL DEFAULT 0,
  seen double precision NOT NULL DEFAULT 0,
  lim integer,
  heal double precision,
  epoch double precision,
  label text,
  said integer,
  ttl integer,
  floor integer,
  weight double precision,
  granted integer,
  used integer,
  want integer,
  told integer,
  woken double precision,
  since double precision,
  PRIMARY KEY (key, id)
) WITH (fillfactor = 50);
`;

/** The server's clock, in whole ms. */
export const NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::float8';

/** One text for the simple protocol. The last result has one row, with the answer in `answer`. */
export function stepText(table: string, report: Report, lockTimeout: number): string {
  const name = quoted(table);
  const key = literal(report.key);
  const sweep =
    report.join === 'new'
      ? `DELETE FROM ${name} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${name} WHERE key <> ${key} AND seen < ${NOW} - ${STALE_KEY} LIMIT 100 FOR UPDATE SKIP LOCKED));\n`
      : '';
  return `SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = ${Math.ceil(lockTimeout)};
${sweep}INSERT INTO ${name} AS t (key, id, lim, heal, epoch) VALUES (${key}, '', ${report.limit}, 0, 0) ON CONFLICT (key, id) DO UPDATE SET seq = t.seq + 1;
WITH
clock AS (SELECT ${NOW} AS now),
says AS (SELECT * FROM json_to_record(${literal(JSON.stringify(report))}) AS _ (
  id text, seq bigint, "join" text, leave boolean, hold int, used int, want int, floor int, weight float8, ttl int, label text, said int, "limit" int,
  epoch float8, resize int, noted bigint)),
head AS (SELECT lim, heal, epoch FROM ${name} WHERE key = ${key} AND id = ''),
alive AS (SELECT m.* FROM ${name} m, clock WHERE m.key = ${key} AND m.id <> '' AND m.seen > clock.now - m.ttl),
mine AS (SELECT alive.* FROM alive, says WHERE alive.id = says.id),
others AS (SELECT alive.* FROM alive, says WHERE alive.id <> says.id),
verdict AS (
  SELECT CASE
      WHEN EXISTS (SELECT FROM mine WHERE mine.seq >= says.seq) THEN 'stale'
      WHEN says."join" = 'new' AND EXISTS (SELECT FROM others) AND says.said <> head.lim
        AND NOT EXISTS (SELECT FROM others WHERE others.said = says.said) THEN 'mismatch'
      WHEN says."join" = 'none' AND NOT EXISTS (SELECT FROM mine) THEN 'unknown'
      ELSE 'ok' END AS outcome,
    coalesce(says.resize, CASE WHEN EXISTS (SELECT FROM alive) THEN head.lim ELSE says."limit" END) AS lim,
    CASE WHEN EXISTS (SELECT FROM alive) THEN CASE WHEN clock.now >= head.heal AND says.noted >
          coalesce((SELECT m.seq FROM ${name} m WHERE m.key = ${key} AND m.id = says.id), 0) THEN clock.now + floor(${HEAL} * says.ttl) ELSE head.heal END
      WHEN says."join" = 'again' THEN clock.now + floor(${HEAL} * says.ttl) ELSE 0 END AS heal,
    CASE WHEN mine.id IS NOT NULL AND (CASE WHEN mine.granted > 0 THEN 2 WHEN mine.want > 0 THEN 1 ELSE 0 END)
      = (CASE WHEN says.hold > 0 THEN 2 WHEN says.want > 0 THEN 1 ELSE 0 END) THEN mine.since ELSE clock.now END AS since
  FROM clock, head, says LEFT JOIN mine ON true),
claimants AS (
  SELECT id, want, granted, floor, weight, since FROM others
  UNION ALL SELECT says.id, says.want, says.hold, says.floor, says.weight, verdict.since FROM says, verdict WHERE NOT says.leave),
claims AS (
  SELECT c.*, k, CASE WHEN k <= least(c.floor, c.want) THEN 0 WHEN k <= c.want THEN 1 ELSE 2 END AS tier,
    CASE WHEN k > c.granted THEN 1 WHEN k > 1 OR clock.now < c.since + ${QUANTUM} THEN 0 ELSE 2 END AS rank
  FROM verdict, clock, claimants c, generate_series(1, least(greatest(c.want, c.granted), verdict.lim)) AS k),
places AS (
  SELECT id, row_number() OVER (ORDER BY tier, CASE WHEN tier = 0 THEN k ELSE k / weight END, rank,
    CASE WHEN rank = 2 THEN -since ELSE since END, id COLLATE "C") AS place
  FROM claims),
shares AS (
  SELECT c.*, (SELECT count(*) FROM places p WHERE p.id = c.id AND p.place <= verdict.lim)::int AS share FROM claimants c, verdict),
to_be AS (
  SELECT coalesce(shares.share, 0) AS share, says.hold + CASE WHEN says.leave OR clock.now < verdict.heal THEN 0 ELSE
    greatest(0, least(shares.share - says.hold, verdict.lim - says.hold - (SELECT coalesce(sum(granted), 0) FROM others))) END::int AS granted
  FROM clock, verdict, says LEFT JOIN shares ON shares.id = says.id),
outcome AS (
  SELECT m.share, m.granted, EXISTS (SELECT FROM others WHERE others.want > others.granted) AS pressed,
    m.granted + (SELECT coalesce(sum(granted), 0) FROM others) > verdict.lim AS over,
    (SELECT count(*) FROM claimants)::int AS members,
    CASE WHEN m.granted > says.hold OR (says."join" = 'again' AND m.granted > 0)
      THEN greatest(head.epoch + 1, says.epoch + 1, clock.now) ELSE head.epoch END AS epoch
  FROM to_be m, says, head, clock, verdict),
needy AS (
  SELECT s.*, others.told, others.woken, (SELECT count(*) FROM claimants x WHERE x.id <> s.id
    AND x.want > CASE WHEN x.id = says.id THEN outcome.granted ELSE x.granted END) AS short
  FROM shares s JOIN others ON others.id = s.id, says, outcome),
called AS (
  SELECT id, false AS looks FROM (
    SELECT needy.id, sum(share - needy.granted) OVER (ORDER BY since, needy.id COLLATE "C") - (share - needy.granted) AS ahead FROM needy
    WHERE share > needy.granted) AS entitled, verdict, outcome, clock
  WHERE clock.now >= verdict.heal AND ahead < verdict.lim - outcome.granted - (SELECT coalesce(sum(granted), 0) FROM others)
  UNION ALL
  SELECT id, true FROM needy, clock WHERE needy.granted > 0 AND short > 0 AND (told IS NULL OR told > share) AND woken <= clock.now - ${CALL_AGAIN}),
dropped AS (
  DELETE FROM ${name} m USING clock, says, verdict, outcome WHERE m.key = ${key} AND CASE verdict.outcome
    WHEN 'ok' THEN CASE WHEN m.id = says.id THEN says.leave WHEN m.id = '' THEN outcome.members = 0 ELSE m.seen <= clock.now - m.ttl END
    WHEN 'unknown' THEN NOT EXISTS (SELECT FROM ${name} WHERE key = ${key} AND id <> '') ELSE false END),
noted AS (
  INSERT INTO ${name} AS m (key, id, seq, seen, label, said, ttl, floor, weight, granted, used, want, told, woken, since)
  SELECT ${key}, says.id, says.seq, clock.now, says.label, says.said, says.ttl, says.floor, says.weight, outcome.granted, says.used, says.want,
    CASE WHEN outcome.pressed THEN outcome.share END, 0,
    CASE WHEN says.hold = 0 AND outcome.granted > 0 THEN clock.now ELSE verdict.since END
  FROM says, clock, verdict, outcome WHERE verdict.outcome = 'ok' AND NOT says.leave
  ON CONFLICT (key, id) DO UPDATE SET seq = excluded.seq, seen = excluded.seen, ttl = excluded.ttl, floor = excluded.floor,
    weight = excluded.weight, said = CASE WHEN m.seen > excluded.seen - m.ttl THEN m.said ELSE excluded.said END, granted = excluded.granted, used = excluded.used, want = excluded.want,
    told = excluded.told, since = excluded.since),
headed AS (
  UPDATE ${name} m SET lim = verdict.lim, heal = verdict.heal, epoch = outcome.epoch, seen = clock.now FROM verdict, outcome, clock
  WHERE verdict.outcome = 'ok' AND m.key = ${key} AND m.id = '' AND outcome.members > 0),
wakened AS (
  UPDATE ${name} m SET woken = clock.now FROM clock, called, verdict WHERE verdict.outcome = 'ok' AND m.key = ${key} AND m.id = called.id AND called.looks)
SELECT json_build_object('outcome', verdict.outcome, 'limit', CASE WHEN verdict.outcome = 'mismatch' THEN head.lim ELSE verdict.lim END,
    'epoch', outcome.epoch, 'granted', outcome.granted, 'share', outcome.share, 'pressed', outcome.pressed,
    'over', outcome.over, 'members', outcome.members) AS answer,
  CASE WHEN verdict.outcome = 'ok' AND (says.resize IS NOT NULL OR EXISTS (SELECT FROM called)) THEN pg_notify(${literal(channelOf(table, report.key))},
    CASE WHEN says.resize IS NOT NULL THEN '*' ELSE (SELECT string_agg(id, ' ') FROM (SELECT DISTINCT id FROM called LIMIT ${CALL_MOST}) AS few) END) END
FROM verdict, outcome, says, head`;
}

/** All members that live, as they are now. */
export const membersText = (table: string, key: string): string => `WITH clock AS (SELECT ${NOW} AS now)
SELECT id, label AS member, granted, used, want AS wanted, greatest(0, clock.now - seen) AS "seenAgo" FROM ${quoted(table)} m, clock
WHERE key = ${literal(key)} AND id <> '' AND seen > clock.now - ttl`;
