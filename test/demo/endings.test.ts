import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CORPUS_FILES, corpus, isRoot, leftovers, mayRead, NOBODY, PATIENTLY, processesFrom, startDemo, TEMPORARY } from './support.ts';

describe('an end before the end leaves neither server nor folder', () => {
  const WHILE_STARTING = 'Starting PostgreSQL';
  const HALF_WAY = '25 %';

  test('SIGINT, half-way, for an ordinary user with an empty HOME', async () => {
    const user = isRoot && mayRead(NOBODY) ? { uid: NOBODY } : {};
    const demo = startDemo([corpus(), '--files', '90'], { env: { HOME: '' }, ...user });
    await demo.says(HALF_WAY);
    demo.child.kill('SIGINT');

    const { code, stdout, stderr } = await demo.ended;
    expect(stdout).toContain(`90 of ${CORPUS_FILES} files (--files 90)`);
    expect(stderr).toBe('\nSIGINT: cleaning up ...\n');
    expect(code).toBe(130);
    expect(leftovers()).toEqual([]);
  });

  test('SIGINT, with a dashboard: until then it shows the pool and the jobs, and the files are indexed again and again', async () => {
    const demo = startDemo([corpus(), '--dashboard', '0']);
    await demo.says('until Ctrl-C');
    const [, url] = /npx cenote top (http:\/\/127\.0\.0\.1:\d+)\n/.exec(demo.output)!;
    const snapshot = async () =>
      (await (await fetch(`${url}/snapshot`)).json()) as { title: string; pools: object[]; jobs: { stats: Record<string, number> } };
    await expect.poll(async () => (await snapshot()).jobs.stats.completed, PATIENTLY).toBeGreaterThan(CORPUS_FILES);
    const { title, pools, jobs } = await snapshot();
    expect({ title, pools, jobs }).toMatchObject({
      title: 'The demo',
      pools: [{ name: 'postgres', max: 4, threads: 8 }],
      jobs: { stats: { threads: 8, failed: 0 } },
    });
    demo.child.kill('SIGINT');

    const { code, stdout, stderr } = await demo.ended;
    expect(stderr).toBe('\nSIGINT: cleaning up ...\n');
    expect(code).toBe(130);
    expect(stdout.match(new RegExp(`${CORPUS_FILES} files, [\\d.]+ MB in [\\d.]+ s`, 'g'))!.length).toBeGreaterThanOrEqual(1);
    await expect(snapshot()).rejects.toThrow();
    expect(leftovers()).toEqual([]);
  });

  test.each([
    ['SIGHUP', 129],
    ['SIGTERM', 143],
  ] as const)('%s, while the server starts', async (signal, exitCode) => {
    const demo = startDemo([corpus()]);
    await demo.says(WHILE_STARTING);
    demo.child.kill(signal);

    const { code, stderr } = await demo.ended;
    expect(stderr).toBe(`\n${signal}: cleaning up ...\n`);
    expect(code).toBe(exitCode);
    expect(leftovers()).toEqual([]);
  });

  test.each([HALF_WAY, WHILE_STARTING])('kill -9, having said "%s"', async (moment) => {
    const demo = startDemo([corpus()]);
    await demo.says(moment);
    // There must have been something to leave.
    await expect.poll(() => processesFrom(TEMPORARY), PATIENTLY).not.toEqual([]);
    demo.child.kill('SIGKILL');

    expect(await demo.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    await expect.poll(() => leftovers(), PATIENTLY).toEqual([]);
  });

  test('the server is killed', async () => {
    const demo = startDemo([corpus()]);
    await demo.says(HALF_WAY);
    const [folder] = leftovers();
    process.kill(Number.parseInt(readFileSync(join(TEMPORARY, folder, 'data', 'postmaster.pid'), 'utf8'), 10), 'SIGKILL');

    const { code, stderr } = await demo.ended;
    expect(stderr).toMatch(/^The PostgreSQL server takes no connections any more: .*\n$/);
    expect(code).toBe(1);
    await expect.poll(() => leftovers(), PATIENTLY).toEqual([]);
  });
});
