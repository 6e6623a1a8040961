/** What a thread does with the database, again and again: the same code for every way to reach it. */
import type { Access } from './way.ts';

/** Rows of the two tables. */
const ITEMS = 20_000;
const FILES = 100;
const LARGE = 1000;
const CHARACTERS = 100_000;
const BUSY_MS = 2;

/** Five columns of five types; and long texts, kept as they are. `schema`: where they go. */
export const tablesOf = (schema: string): string[] => [
  `create table ${schema}.item (id int primary key, name text, weight float8, sold boolean, made timestamptz)`,
  `insert into ${schema}.item
   select n, 'the name of item ' || n, n / 7.0, n % 2 = 0, timestamptz '2020-01-01' + n * interval '1 minute' from generate_series(1, ${ITEMS}) n`,
  `create table ${schema}.file (id int primary key, content text storage external)`,
  `insert into ${schema}.file select n, repeat(chr(97 + n % 26), ${CHARACTERS}) from generate_series(1, ${FILES}) n`,
  `analyze ${schema}.item`,
  `analyze ${schema}.file`,
];

export const WORKS = {
  /** One row by primary key: parse, bind and execute each time, as without a name nothing is prepared. */
  'point query': async (access: Access, schema: string) => {
    await expectRows(1, access.query(`select id, name, weight, sold, made from ${schema}.item where id = $1`, [anyId()]));
  },
  '1,000 rows': async (access: Access, schema: string) => {
    const from = anyId(ITEMS - LARGE);
    const text = `select id, name, weight, sold, made from ${schema}.item where id >= $1 and id < $1 + ${LARGE}`;
    await expectRows(LARGE, access.query(text, [from]));
  },
  /** One row with a text of 100,000 characters. */
  '100 KB': async (access: Access, schema: string) => {
    await expectRows(1, access.query(`select id, content from ${schema}.file where id = $1`, [anyId(FILES)]));
  },
  /** Point queries of a thread that has something else to do: what it computes counts for the rate, and not for the query's time. */
  'point query, then 2 ms of computing': async (access: Access, schema: string) => {
    await WORKS['point query'](access, schema);
    return BUSY_MS;
  },
  /** Between BEGIN and COMMIT: a row is read, changed, and another one read. */
  'transaction of 3 statements': async (access: Access, schema: string) => {
    const id = anyId();
    await access.transaction(async (query) => {
      await expectRows(1, query(`select weight from ${schema}.item where id = $1`, [id]));
      await query(`update ${schema}.item set weight = weight + 1 where id = $1`, [id]);
      await expectRows(1, query(`select name from ${schema}.item where id = $1`, [anyId()]));
    });
  },
} satisfies Record<string, (access: Access, schema: string) => Promise<number | void>>;

export type Work = keyof typeof WORKS;
export const ALL_WORKS = Object.keys(WORKS) as readonly Work[];
export const POINT_QUERY: Work = 'point query';
export const TRANSACTION: Work = 'transaction of 3 statements';
/** In which it is seen how long the main thread is kept from all else. */
export const LARGE_RESULTS: Work = '1,000 rows';

const anyId = (most = ITEMS): number => 1 + Math.floor(Math.random() * most);

async function expectRows(count: number, result: Promise<readonly unknown[]>): Promise<void> {
  const rows = await result;
  if (rows.length !== count) throw new Error(`${rows.length} rows came instead of ${count}`);
}

export interface Outcome {
  readonly perSecond: number;
  /** Of each that succeeded, in ms. In shared memory: to hand them over costs the main thread nothing, however many there are. */
  readonly latencies: Float64Array;
  /** How many did not, and what the first of them said. */
  readonly failed: number;
  readonly error: string | undefined;
}

/** `lanes` at a time, for `slice` ms; what is under way then is waited for, and counts. */
export async function repeat(work: Work, access: Access, schema: string, lanes: number, slice: number): Promise<Outcome> {
  const latencies: number[] = [];
  let failed = 0;
  let error: string | undefined;
  const start = performance.now();
  const once = async (): Promise<void> => {
    const before = performance.now();
    try {
      const busy = await WORKS[work](access, schema);
      const after = performance.now();
      latencies.push(after - before);
      if (busy !== undefined) while (performance.now() - after < busy);
    } catch (reason) {
      failed++;
      error ??= String(reason);
    }
  };
  const lane = async (): Promise<void> => {
    do await once();
    while (performance.now() - start < slice);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const perSecond = (latencies.length * 1000) / (performance.now() - start);
  const shared = new Float64Array(new SharedArrayBuffer(latencies.length * Float64Array.BYTES_PER_ELEMENT));
  shared.set(latencies);
  return { perSecond, latencies: shared, failed, error };
}
