/** What a thread does with the database, again and again: the same code for every way to reach it. */
import type { Access } from './ways.ts';

/** Rows of the table. */
const ITEMS = 20_000;
const LARGE = 1000;
const BUSY_MS = 2;

/** Five columns of five types. `schema`: where it goes. */
export const tableOf = (schema: string): string[] => [
  `create table ${schema}.item (id int primary key, name text, weight float8, sold boolean, made timestamptz)`,
  `insert into ${schema}.item
   select n, 'the name of item ' || n, n / 7.0, n % 2 = 0, timestamptz '2020-01-01' + n * interval '1 minute' from generate_series(1, ${ITEMS}) n`,
  `analyze ${schema}.item`,
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
  /** Point queries of a thread that has something else to do: what it computes counts for the rate, and not for the query's time. */
  'point query, then 2 ms of computing': async (access: Access, schema: string) => {
    await WORKS['point query'](access, schema);
    return BUSY_MS;
  },
  /** BEGIN, a row read, the row changed, COMMIT. */
  transaction: async (access: Access, schema: string) => {
    const id = anyId();
    await access.transaction(async (query) => {
      await expectRows(1, query(`select weight from ${schema}.item where id = $1`, [id]));
      await query(`update ${schema}.item set weight = weight + 1 where id = $1`, [id]);
    });
  },
} satisfies Record<string, (access: Access, schema: string) => Promise<number | void>>;

export type Work = keyof typeof WORKS;
export const LARGE_RESULTS: Work = '1,000 rows';

const anyId = (most = ITEMS): number => 1 + Math.floor(Math.random() * most);

async function expectRows(count: number, result: Promise<readonly unknown[]>): Promise<void> {
  const rows = await result;
  if (rows.length !== count) throw new Error(`${rows.length} rows came instead of ${count}`);
}

export interface Outcome {
  readonly perSecond: number;
  /** Of each, in ms. */
  readonly latencies: Float64Array;
}

/** `inFlight` at a time, for `slice` ms; what is under way then is waited for, and counts. */
export async function repeat(work: Work, access: Access, schema: string, inFlight: number, slice: number): Promise<Outcome> {
  const latencies: number[] = [];
  const start = performance.now();
  const lane = async (): Promise<void> => {
    do {
      const before = performance.now();
      const busy = await WORKS[work](access, schema);
      const after = performance.now();
      latencies.push(after - before);
      if (busy !== undefined) while (performance.now() - after < busy);
    } while (performance.now() - start < slice);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { perSecond: (latencies.length * 1000) / (performance.now() - start), latencies: Float64Array.from(latencies) };
}
