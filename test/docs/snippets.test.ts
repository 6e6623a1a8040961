/** Every snippet of the documentation runs, and prints what it says it prints. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, postgres } from '../support/postgres.ts';
import { redis } from '../support/redis.ts';
import { fencesOf, pages } from './markdown.ts';
import { programsOf } from './programs.ts';
import { project, runProgram, tsc } from './run.ts';

const programs = pages.flatMap(programsOf);

/** Packages that some of them use. The others must do without. */
const PACKAGES = [
  ...['pg', 'pg-cursor', 'kysely', 'drizzle-orm', 'knex', 'typeorm', 'sequelize', 'pg-promise', 'pg-boss', 'bullmq'],
  ...['@prisma/adapter-pg', '@mikro-orm', 'prom-client', '@opentelemetry'],
];

let databases = 0;
let last: Promise<unknown> = Promise.resolve();
/** An empty database of its own, on the server of this file. */
async function database(): Promise<string> {
  const name = `snippet_${++databases}`;
  await (last = last.then(() => ask(`create database ${name}`)));
  const url = new URL((await postgres()).url);
  url.pathname = name;
  return url.href;
}

// Not in the time of whichever snippet comes first.
beforeAll(async () => void (await postgres()));

describe('snippets', () => {
  test.concurrent.for(programs)('$where', async ({ files, main, prints }, { skip }) => {
    const text = [...files.values()].join('\n');
    const packages = PACKAGES.filter((name) => text.includes(`'${name}`) || (name === 'pg' && /'cenote\/(pg|budget)'/.test(text)));
    const variables: NodeJS.ProcessEnv = text.includes('DATABASE_URL') ? { DATABASE_URL: await database() } : {};
    if (text.includes('REDIS_URL')) {
      const url = await redis();
      // Said aloud, as a program of the documentation is not run here.
      if (url === undefined) return skip('no redis-server on this machine');
      variables.REDIS_URL = url;
    }
    const { code, lines, stderr } = await runProgram(project(files, [...packages, 'piscina', '@types']), main, variables);
    expect({ code, stderr }, lines.join('\n')).toEqual({ code: 0, stderr: '' });
    expect(lines.sort()).toEqual([...prints].sort());
  });

  test('are all marked as text, js or ts, and pictures as mermaid', () => {
    const languages = new Set(pages.flatMap(fencesOf).map(({ language }) => language));
    expect([...languages].sort()).toEqual(['js', 'mermaid', 'text', 'ts']);
    expect(programs.length).toBeGreaterThan(15);
  });

  test('in TypeScript have no type errors', async () => {
    const files = new Map(programs.filter(({ main }) => main.endsWith('.mts')).flatMap((program) => [...program.files]));
    expect(files.size).toBe(2);
    files.set(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          ...{ strict: true, noEmit: true, target: 'es2022', module: 'nodenext', lib: ['es2022', 'esnext.disposable'], types: ['node'] },
          ...{ allowImportingTsExtensions: true, moduleDetection: 'force', skipLibCheck: true },
        },
      }),
    );
    files.set('package.json', '{ "type": "module" }');
    expect(await tsc(project(files), '-p', '.')).toEqual({ code: 0, lines: [], stderr: '' });
  });
});
