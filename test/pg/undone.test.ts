/** A transaction that has ended by no statement of its own has not been committed, whatever its body believes. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join as path } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ask, join, on, open, WHERE } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

const written = async (): Promise<number[]> => (await ask('select n from undone order by n')).map(({ n }) => n);

beforeEach(async () => {
  await ask('create table if not exists undone (n int)');
  await ask('truncate undone');
});

/** What is behind each connection of a pool, on its owner: for what else may happen to it. */
interface Behind {
  readonly borrow: string;
  reset(borrow: string): Promise<void>;
}

describe.each(WHERE)('on %s', (where) => {
  test.each(['pool.transaction', 'a transaction within one', 'transactionSync'])('reset behind its back, %s rejects', async (how) => {
    // What is done to the session here is done on the owner's thread, so the bytes have to come by there.
    const pool = await open({ max: 1, lend: 'relayed' });
    const behind: Behind[] = [];
    pool.pool.on('create', (session) => behind.push(session as Behind));
    const run = await on(where, pool);
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const done = run(
      async (p, _, kind, shared) => {
        const insert = (n: number): string => `insert into undone values (${n})`;
        const pause = async (): Promise<void> => {
          shared[0] = 1;
          while (Atomics.load(shared, 0) === 1) await new Promise((resolve) => setTimeout(resolve, 1));
        };
        const body = async (tx: Pick<typeof p, 'query'>): Promise<string> => {
          await tx.query(insert(1));
          await pause();
          return p.query(insert(2)).then(
            () => 'written',
            (error) => error.code,
          );
        };
        if (kind === 'transactionSync' && 'transactionSync' in p)
          try {
            p.transactionSync((tx) => {
              tx.query(insert(1));
              shared[0] = 1;
              Atomics.wait(shared, 0, 1);
              try {
                tx.query(insert(2));
              } catch {
                // The body goes on as if nothing had been.
              }
            });
            return 'committed';
          } catch (error) {
            return (error as { code: string }).code;
          }
        const whole = kind === 'a transaction within one' ? p.transaction(() => p.transaction(body).catch(() => {})) : p.transaction(body);
        return whole.then(
          () => 'committed',
          (error) => error.code,
        );
      },
      how,
      flag,
    );
    await until(() => Atomics.load(flag, 0) === 1);
    await behind[0].reset(behind[0].borrow);
    Atomics.store(flag, 0, 2);
    Atomics.notify(flag, 0);
    expect(await done).toBe('ERR_PG_ROLLED_BACK');
    expect(await written()).toEqual([]);
    expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  });

  test('the server, or what stands before it, says that there is no transaction any more: it rejects, and what follows is refused', async () => {
    let connection: { prependOnceListener(event: string, listener: (message: { status: string }) => void): void } | undefined;
    const pool = await open({
      max: 1,
      lend: 'relayed',
      onConnect: (client) => {
        connection = (client as unknown as { connection: typeof connection }).connection;
      },
    });
    const run = await on(where, pool);
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const done = run(async (p, _, shared) => {
      const codes: unknown[] = [];
      const code = await p
        .transaction(async (tx) => {
          await tx.query('insert into undone values (1)');
          shared[0] = 1;
          while (Atomics.load(shared, 0) === 1) await new Promise((resolve) => setTimeout(resolve, 1));
          await tx.query('insert into undone values (2)');
          codes.push(await tx.query('insert into undone values (3)').catch((error) => error.code));
        })
        .catch((error) => error.code);
      return [...codes, code];
    }, flag);
    await until(() => Atomics.load(flag, 0) === 1);
    connection!.prependOnceListener('readyForQuery', (message) => {
      message.status = 'I';
    });
    Atomics.store(flag, 0, 2);
    expect(await done).toEqual(['ERR_PG_ROLLED_BACK', 'ERR_PG_ROLLED_BACK']);
  });

  test('a body may end it by a statement of its own', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (p) => {
      const told: unknown[] = [];
      for (const text of ['commit', 'end', `insert into undone values (9); commit`, 'rollback', 'abort'])
        told.push(
          await p.transaction(async (tx) => {
            await tx.query('insert into undone values (1)');
            await tx.query(text);
            return text;
          }),
        );
      if ('transactionSync' in p) p.transactionSync((tx) => tx.query('rollback'));
      return told.length;
    });
    expect(seen).toBe(5);
    expect(await written()).toEqual([1, 1, 1, 9]);
  });
});

test('two copies of the package on one thread: when one leaves, the transaction of the other goes on', async () => {
  const root = path(import.meta.dirname, '../..');
  const copy = mkdtempSync(path(root, 'node_modules', '.copy-'));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  cpSync(path(root, 'dist'), path(copy, 'dist'), { recursive: true });
  cpSync(path(root, 'package.json'), path(copy, 'package.json'));
  const pool = await open({ max: 2, orphans: 'release' });
  const left: unknown[] = [];
  pool.pool.on('detach', (...args) => left.push(args));
  const worker = await join(pool);
  const attachments = await worker.pg(
    async (first, { handle, load }, url) => {
      const second = await ((await load(url)) as typeof import('cenote/pg/worker')).attachPgPool(handle as never);
      await first.query('select 1');
      await second.transaction(async (tx) => {
        await tx.query('insert into undone values (1)');
        await first.end();
        await tx.query('insert into undone values (2)');
      });
      return second.query('select 1').then(() => 'still attached');
    },
    pathToFileURL(path(copy, 'dist/pg/worker.js')).href,
  );
  expect(attachments).toBe('still attached');
  await until(() => left.length > 0);
  expect(left).toEqual([[worker.id, 0, expect.any(Number)]]);
  expect(await written()).toEqual([1, 2]);
});
