/** Every snippet of the documentation runs, and prints what it says it prints. */
import { describe, expect, test } from 'vitest';
import { fencesOf, pages } from './markdown.ts';
import { programsOf } from './programs.ts';
import { project, runProgram, tsc } from './run.ts';

const programs = pages.flatMap(programsOf);

describe('snippets', () => {
  test.concurrent.each(programs)('$where', async ({ files, main, prints }) => {
    const { code, lines, stderr } = await runProgram(project(files), main);
    expect({ code, stderr }, lines.join('\n')).toEqual({ code: 0, stderr: '' });
    expect(lines.sort()).toEqual([...prints].sort());
  });

  test('are all marked as text, js or ts', () => {
    const languages = new Set(pages.flatMap(fencesOf).map(({ language }) => language));
    expect([...languages].sort()).toEqual(['js', 'text', 'ts']);
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
