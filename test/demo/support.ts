import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, onTestFinished } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const isRoot = process.getuid?.() === 0;
/** An ordinary user, to whom root can hand a process. */
export const NOBODY = 65534;

// Servers and threads start here by the dozen, and other tests may run beside us: bounds are for what hangs, not for what is slow.
export const PATIENTLY = { timeout: 120_000 };

/**
 * TMPDIR of all the demos that a test file starts, one after the other: what they leave is easily seen there.
 * It is one for all of them because tsx keeps its cache in it.
 */
export const TEMPORARY = openFolder();
afterAll(() => removeFolder(TEMPORARY));

/** A temp folder for this test, which other users may enter. */
export function temporaryFolder(): string {
  const folder = openFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
  chmodSync(folder, 0o1777);
  return folder;
}

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** A small folder with what real ones have in them: odd names, odd contents, a loop of links. */
export function corpus(): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'deep', 'down'), { recursive: true });
  for (let index = 0; index < 90; index++) {
    const lines = Array.from(
      { length: 300 },
      (_, line) => `export const value${line} = computeSomething(${index * line}, 'text ${line % 17}');`,
    );
    writeFileSync(join(folder, 'deep', `module-${index}.ts`), lines.join('\n'));
  }
  writeFileSync(join(folder, 'deep', 'down', 'seabirds.md'), '# Birds\n\nThe wandering albatross circles a cenote.\n');
  writeFileSync(join(folder, 'zeros.txt'), Buffer.concat([Buffer.from('petrel\0shearwater\0'), Buffer.alloc(5_000)]));
  writeFileSync(join(folder, 'wide.txt'), Buffer.from('a fulmar in two bytes a letter', 'utf16le'));
  writeFileSync(join(folder, 'latin.txt'), Buffer.from([0x63, 0x61, 0x66, 0xe9, 0xff, 0xfe]));
  writeFileSync(join(folder, 'words.txt'), Array.from({ length: 60_000 }, (_, index) => index.toString(36)).join(' '));
  writeFileSync(join(folder, 'empty.js'), '');
  writeFileSync(join(folder, "it's \x1b[31m odd\n.js"), 'const kittiwake = 1;');
  writeFileSync(join(folder, 'huge.json'), ' '.repeat(600 * 1024));
  writeFileSync(join(folder, 'picture.png'), 'not text');
  symlinkSync('..', join(folder, 'deep', 'round'));
  symlinkSync('nowhere', join(folder, 'broken.ts'));
  return folder;
}
/** The files of it that are to be indexed. */
export const CORPUS_FILES = 97;

export interface Demo {
  child: ChildProcess;
  /** What it has said so far. */
  readonly output: string;
  /** Resolves when the output so far contains `text`. */
  says(text: string): Promise<void>;
  ended: Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>;
}

/** Starts the demo as `npm run demo` does. */
export function startDemo(args: string[], { env = {}, uid }: { env?: NodeJS.ProcessEnv; uid?: number | undefined } = {}): Demo {
  const child = spawn(process.execPath, ['--import', './scripts/typescript.js', 'examples/demo/demo.ts', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: TEMPORARY, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const ended: Demo['ended'] = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => stdout.includes(text) && resolve();
      child.stdout.on('data', look);
      child.once('close', () => reject(new Error(`ended without saying "${text}": ${stdout}${stderr}`)));
      look();
    });
  return {
    child,
    get output() {
      return stdout;
    },
    says,
    ended,
  };
}

/** The temp folders that are left, and the processes whose program lies in one. */
export function leftovers(temporary = TEMPORARY): string[] {
  return [...readdirSync(temporary).filter((name) => name.startsWith('cenote-')), ...processesFrom(temporary)];
}

export function processesFrom(folder: string): string[] {
  if (process.platform !== 'linux') {
    const processes = execFileSync('ps', ['-axo', 'pid=,command='], { encoding: 'utf8' }).split('\n');
    return processes.filter((line) => line.includes(`${folder}/`) && !line.includes('keeper.js'));
  }
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && programOf(pid).startsWith(`${folder}/`));
}

function programOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return '';
  }
}

/** A port of this machine at which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether root can hand a process that works in this repository to this user. */
export function mayRead(uid: number): boolean {
  try {
    const look = `fs.accessSync('node_modules'); fs.accessSync('examples/demo/demo.ts', fs.constants.R_OK)`;
    execFileSync(process.execPath, ['-e', look], { cwd: ROOT, uid, gid: uid, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
