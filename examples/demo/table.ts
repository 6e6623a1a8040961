import type { Rows } from './connection.ts';
import type { IndexedFile } from './index-file.ts';

type Query = (text: string, values?: unknown[]) => Promise<Rows>;

export async function createTable(query: Query, table: string): Promise<void> {
  await query(`create table ${table} (
    path text primary key, bytes int not null, lines int not null, words int not null,
    sha256 bytea not null, body bytea not null, vector tsvector not null)`);
  // The bodies are compressed already.
  await query(`alter table ${table} alter column body set storage external`);
  await query(`create index on ${table} using gin (vector)`);
}

export function insertInto(table: string): string {
  return `insert into ${table} (path, bytes, lines, words, sha256, body, vector) values ($1, $2, $3, $4, $5, $6, to_tsvector('english', $7))`;
}

export function rowOf(name: string, file: IndexedFile): unknown[] {
  return [name, file.bytes, file.lines, file.words, file.sha256, file.body, file.text];
}

export interface Answer {
  path: string;
  rank: number;
  body: Uint8Array;
  /** How many files answer in all. */
  total: number;
}

export async function search(query: Query, table: string, words: string, limit: number): Promise<Answer[]> {
  const { rows } = await query(
    `select path, ts_rank(vector, question, 1)::float8 as rank, body, (count(*) over ())::int as total
     from ${table}, websearch_to_tsquery('english', $1) question where vector @@ question order by rank desc, path limit $2`,
    [words, limit],
  );
  return rows as unknown as Answer[];
}
