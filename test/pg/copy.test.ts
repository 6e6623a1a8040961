/** COPY: what pg does of it by itself works, and what needs the socket says so at once and leaves the connection as it was. */
import { expect, test } from 'vitest';
import { ask, join, newName, on, open, WHERE } from '../support/postgres.ts';
import { settled, until } from '../support/wait.ts';

const NO_COPY = expect.stringContaining('COPY with a stream works on no thread');

test.each(WHERE)('objects that want the socket, as those of pg-copy-streams do, are told that there is none: on %s', async (where) => {
  await ask('create table if not exists copied (a int)');
  const run = await on(where, await open({ max: 1 }));
  const seen = await settled(
    run(async (pool, { load }) => {
      const { EventEmitter } = (await load('node:events')) as typeof import('node:events');
      class Copy extends EventEmitter {
        connection: any;
        text: string;
        readonly failed: Promise<string>;
        constructor(text: string) {
          super();
          this.text = text;
          this.failed = new Promise((resolve) => this.once('error', (error) => resolve(error.message)));
        }
        handleError(error: Error) {
          this.emit('error', error);
        }
        handleReadyForQuery() {}
      }
      class CopyFrom extends Copy {
        submit(connection: any) {
          connection.query(this.text);
        }
      }
      class CopyTo extends Copy {
        submit(connection: any) {
          connection.stream.listeners('data');
          connection.query(this.text);
        }
      }
      const client = await pool.connect();
      const pid = client.processID;
      const told: unknown[] = [];
      for (const copy of [new CopyFrom('copy copied from stdin'), new CopyTo('copy copied to stdout')]) {
        told.push(await client.query(copy).failed);
        const { rows } = await client.query('select 1 as a');
        told.push(rows[0].a, client.getTransactionStatus());
      }
      client.release();
      const next = await pool.connect();
      told.push(next.processID === pid);
      next.release();
      return told;
    }),
  );
  expect(seen).toEqual([NO_COPY, 1, 'I', NO_COPY, 1, 'I', true]);
});

test.each(WHERE)('nobody waits for rows that will not come, whatever way it is asked: on %s', async (where) => {
  await ask('create table if not exists copied (a int)');
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await settled(
    run(async (p, { load }) => {
      const { default: Cursor } = (await load('pg-cursor')) as any;
      const text = 'COPY /* from */ copied (a) FROM STDIN';
      const message = (error: Error): string => error.message;
      const told: unknown[] = [
        await p.query(text).catch(message),
        await p.query({ text, queryMode: 'extended' } as never).catch(message),
        await p.query({ text, name: 'copying' }).catch(message),
        await p.iterate(text).next().catch(message),
      ];
      const client = await p.connect();
      told.push(await client.query(new Cursor(text)).read(1).catch(message));
      client.release();
      const out = await p.query('copy (select 1 union select 2) to stdout');
      told.push(out.command, out.rowCount, out.rows, (await p.query('select 1 as a')).rows);
      return told;
    }),
  );
  // The first is pg's own word.
  const failed = expect.stringContaining('No source stream defined');
  expect(seen).toEqual([failed, NO_COPY, NO_COPY, NO_COPY, NO_COPY, 'COPY', 2, [], [{ a: 1 }]]);
  expect(await ask('select state from pg_stat_activity where application_name = $1', [pool.pool.name])).toEqual([{ state: 'idle' }]);
});

test.each(WHERE)(
  'the streams of pg-copy-streams work, both ways, and an error of the server leaves the connection: on %s',
  async (where) => {
    await ask('create table if not exists streamed (a int, b text)');
    await ask('truncate streamed');
    const run = await on(where, await open({ max: 1 }));
    const seen = await settled(
      run(async (pool, { load }) => {
        const { default: copy } = (await load('pg-copy-streams')) as any;
        const { pipeline } = (await load('node:stream/promises')) as typeof import('node:stream/promises');
        const { Readable } = (await load('node:stream')) as typeof import('node:stream');
        const client = await pool.connect();
        const pid = client.processID;
        // More than any buffer on the way takes at once.
        const lines = Array.from({ length: 20_000 }, (_, n) => `${n}\t${'x'.repeat(n % 50)}\n`);
        const into = client.query(copy.from('copy streamed from stdin'));
        await pipeline(Readable.from(lines), into as never);
        const next = client.query('select count(*)::int as n, sum(a)::int as sum from streamed');
        const told: unknown[] = [(into as any).rowCount, (await next).rows];
        let out = '';
        for await (const chunk of client.query(copy.to('copy (select * from streamed order by a) to stdout')) as any) out += chunk;
        told.push(out === lines.join(''));
        const failed = client.query(copy.from('copy streamed from stdin'));
        told.push(await pipeline(Readable.from(['not a number\tx\n']), failed as NodeJS.WritableStream).catch((error) => error.code));
        told.push((await client.query('select 1 as a')).rows, client.processID === pid, client.getTransactionStatus());
        client.release();
        return told;
      }),
    );
    const sum = (20_000 * 19_999) / 2;
    expect(seen).toEqual([20_000, [{ n: 20_000, sum }], true, '22P02', [{ a: 1 }], true, 'I']);
  },
);

test.each(WHERE)('rows that are not ended when the connection is given back are no rows, and the connection is: on %s', async (where) => {
  await ask('create table if not exists unended (a int)');
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await settled(
    run(async (pool, { load }) => {
      const { default: copy } = (await load('pg-copy-streams')) as any;
      const told: unknown[] = [];
      // Given back in the middle of it, with more on the way, and in the tick in which it begins.
      for (const [rows, more] of [
        ['1\n', 0],
        ['1\n', 50],
        [undefined, 0],
      ] as const) {
        const client = await pool.connect();
        const pid = client.processID;
        const into = client.query(copy.from('copy unended from stdin')) as any;
        const failed = new Promise<string>((resolve) => into.once('error', ({ message }: Error) => resolve(message)));
        if (rows !== undefined) await new Promise((resolve) => into.write(rows, resolve));
        for (let n = 0; n < more; n++) into.write(`${n}\n`.repeat(2000));
        client.release();
        const { rows: left } = await pool.query('select count(*)::int as n, pg_backend_pid() as pid from unended');
        told.push(left[0].n, left[0].pid === pid || pid === 0, /given back before the end|has been given back|released/.test(await failed));
      }
      return told;
    }),
  );
  expect(seen).toEqual([0, true, true, 0, true, true, 0, true, true]);
  await until(() => pool.pool.activeCount() === 0);
});

test('a thread that dies in the middle of a COPY leaves its place at once', async () => {
  await ask('create table if not exists unended (a int)');
  const name = newName();
  const pool = await open({ name, max: 1 });
  const took: number[] = [];
  for (let round = 0; round < 3; round++) {
    const thread = await join(pool);
    await thread.pg(async (p, { load }) => {
      const { default: copy } = (await load('pg-copy-streams')) as any;
      const client = await p.connect();
      const into = client.query(copy.from('copy unended from stdin')) as any;
      into.on('error', () => {});
      await new Promise((resolve) => into.write('1\n', resolve));
    });
    await thread.terminate();
    const from = performance.now();
    expect((await pool.query('select count(*)::int as n from unended')).rows).toEqual([{ n: 0 }]);
    took.push(performance.now() - from);
  }
  expect(pool.pool.stats()).toMatchObject({ created: 4 });
  // A server that does not react to a cancel is waited for longer than this. The quickest counts, as threads pause.
  expect(Math.min(...took)).toBeLessThan(2500);
});
