import type { Dirent } from 'node:fs';
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';

/** Anything longer is most likely generated. */
const MOST_BYTES = 512 * 1024;

const EXTENSIONS = new Set(
  `.js .mjs .cjs .jsx .ts .mts .cts .tsx .json .json5 .md .mdx .txt .rst .adoc .css .scss .sass .less .html .htm .xml .svg .vue .svelte .astro
  .yml .yaml .toml .ini .conf .sh .bash .ps1 .bat .sql .graphql .proto .py .rb .go .rs .c .h .cc .cpp .cxx .hpp .java .kt .kts .scala .swift
  .m .cs .fs .php .pl .lua .r .jl .ex .exs .erl .hs .ml .clj .dart .zig .tex`.split(/\s+/),
);

export interface SourceFile {
  path: string;
  /** The path below the folder: what the index knows the file by. */
  name: string;
}

export interface FoundFiles {
  files: SourceFile[];
  /** How many there were before the limit. */
  found: number;
  bytes: number;
  /** Files that vanished or would not be read, and folders that would not be listed. */
  skipped: number;
}

/**
 * At most `limit` of the source and text files below `folder`, the same ones every time and spread over all of it.
 * Each is read once, so that whoever indexes them first does not pay for a cold disk.
 */
export async function findFiles(folder: string, limit: number, signal: AbortSignal): Promise<FoundFiles> {
  const root = await openFolder(folder);
  const paths: string[] = [];
  let skipped = 0;
  for (const folders = [root]; folders.length > 0; ) {
    signal.throwIfAborted();
    const at = folders.pop()!;
    let entries: Dirent[];
    try {
      entries = await readdir(at, { withFileTypes: true });
    } catch {
      skipped++;
      continue;
    }
    const sources: string[] = [];
    for (const entry of entries) {
      const path = join(at, entry.name);
      // Symbolic links are neither, so that a loop of them is no loop here.
      if (entry.isDirectory() && entry.name !== '.git') folders.push(path);
      else if (entry.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase())) sources.push(path);
    }
    const sizes = await Promise.all(
      sources.map((path) =>
        lstat(path).then(
          ({ size }) => size,
          () => Number.POSITIVE_INFINITY,
        ),
      ),
    );
    paths.push(...sources.filter((_, index) => sizes[index] <= MOST_BYTES));
  }
  paths.sort();

  const taken = Math.min(limit, paths.length);
  const files: SourceFile[] = [];
  let bytes = 0;
  for (let index = 0; index < taken; index++) {
    signal.throwIfAborted();
    const path = paths[Math.floor((index * paths.length) / taken)];
    try {
      bytes += (await readFile(path)).length;
      files.push({ path, name: relative(root, path) });
    } catch {
      skipped++;
    }
  }
  return { files, found: paths.length, bytes, skipped };
}

async function openFolder(folder: string): Promise<string> {
  const refusal = (error: NodeJS.ErrnoException): never => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') throw new Error(`There is no folder ${folder}`);
    throw new Error(`The folder ${folder} cannot be read (${error.code})`);
  };
  const root = await realpath(folder).catch(refusal);
  if (!(await stat(root).catch(refusal)).isDirectory()) throw new Error(`${folder} is not a folder`);
  await readdir(root).catch(refusal);
  return root;
}
