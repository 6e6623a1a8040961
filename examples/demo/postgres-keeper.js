// The process behind postgres.ts: copies the PostgreSQL binaries to a temp folder, starts a server there, and takes both away again.
// Plain JavaScript, so that it starts at once and without a loader. Argument: the folder that holds bin, lib and share.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keep } from './keep.js';

const START_LIMIT = 60_000;
const QUIT_LIMIT = 5_000;

const native = process.argv[2];
// PostgreSQL refuses to run as root: it runs as "nobody" then, who is -2 on macOS.
const nobody = process.platform === 'darwin' ? -2 : 65534;
const identity = process.getuid() === 0 ? { uid: nobody, gid: nobody } : undefined;

let folder;
let server;

let run;

await keep(start, stop, { down, up: () => run() });

async function start(ended) {
  folder = mkdtempSync(join(temporary(), 'cenote-postgres-'));
  const data = join(folder, 'data');
  const password = randomBytes(24).toString('hex');
  stage(password);

  const layOut = ['-D', data, '-U', 'postgres', '--pwfile', join(folder, 'password'), '--auth=scram-sha-256'];
  const initdb = () =>
    launch('initdb', [...layOut, '--encoding=UTF8', '--no-locale', '--no-sync', '--no-instructions'], ended, killGroup).gone;
  let outcome = await initdb();
  if (outcome === 'exit 1' && complaint().includes('could not look up effective user')) {
    anyAccountWillDo();
    outcome = await initdb();
  }
  if (outcome !== 'exit 0') throw new Error(`initdb failed in ${folder} (${outcome})${complaint()}`);

  const settings = {
    // A socket in a folder of its own needs no free port, and nobody else reaches it.
    listen_addresses: '',
    unix_socket_directories: folder,
    // The data is thrown away, so it need not survive a crash.
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    autovacuum: 'off',
    max_wal_size: '2GB',
    // Shared memory in files of the data folder: a server that was killed leaves nothing in /dev/shm.
    dynamic_shared_memory_type: 'mmap',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  run = async () => {
    server = launch('postgres', ['-D', data, ...options], ended, (child) => child.kill('SIGQUIT'));
    await ready(join(data, 'postmaster.pid'), ended);
  };
  await run();
  return { url: `postgres://postgres:${password}@localhost:5432/postgres?host=${encodeURIComponent(folder)}&sslmode=disable`, folder };
}

/** Fast shutdown: whoever is connected is told to go. The data stays. */
async function down() {
  server.child.kill('SIGINT');
  await server.gone;
}

async function stop() {
  if (!folder) return;
  if (server) {
    // At once and without a last checkpoint, again because the data is thrown away.
    server.child.kill('SIGQUIT');
    const gone = await Promise.race([server.gone, sleep(QUIT_LIMIT, undefined, { ref: false })]);
    if (!gone) server.child.kill('SIGKILL');
    await server.gone;
  }
  // The last children of a killed server or initdb may still be writing: hence the retries.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** TMPDIR, unless it is too long (the path of a socket has room for about 100 bytes) or is root's own, so that the server could not get at its files. */
function temporary() {
  const folder = realpathSync.native(tmpdir());
  const fits = Buffer.byteLength(folder) <= 60 && (!identity || isOpenToAll(folder));
  return fits ? folder : realpathSync('/tmp');
}

function isOpenToAll(folder) {
  const enterable = (statSync(folder).mode & 0o001) !== 0;
  return enterable && (folder === dirname(folder) || isOpenToAll(dirname(folder)));
}

/** A copy which the server's user can read, wherever node_modules is, and with the links that npm makes only if it may run install scripts. */
function stage(password) {
  copy(native, folder);
  for (const { source, target } of JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8'))) {
    const link = join(folder, target.replace(/^native\//, ''));
    if (!existsSync(link)) symlinkSync(basename(source), link);
  }
  for (const name of readdirSync(join(folder, 'bin'))) chmodSync(join(folder, 'bin', name), 0o755);
  writeFileSync(join(folder, 'password'), password, { mode: 0o600 });
  writeFileSync(join(folder, 'log'), '', { mode: 0o600 });
  if (!identity) return;
  // chown takes as unsigned what spawn takes as signed.
  for (const path of ['', ...readdirSync(folder, { recursive: true })])
    lchownSync(join(folder, path), identity.uid >>> 0, identity.gid >>> 0);
}

/** What is in the one folder into the other. Several times as fast as cpSync on Node 20. */
function copy(from, to) {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(target);
      copy(source, target);
    } else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (!entry.name.endsWith('.a')) copyFileSync(source, target, constants.COPYFILE_FICLONE);
  }
}

/**
 * initdb insists on a name for its user id, though it is told to use another one, and ids without an account are common in containers.
 * In our copies it asks for the first account of the system instead: getpwent() is as long a name and returns the same record.
 */
function anyAccountWillDo() {
  for (const path of [join(folder, 'bin', 'initdb'), join(folder, 'bin', 'postgres')]) {
    const binary = readFileSync(path);
    const name = binary.indexOf('\0getpwuid\0');
    if (name >= 0) binary.write('\0getpwent\0', name, 'latin1');
    writeFileSync(path, binary);
  }
}

/** Starts a binary as the server's user, and has it ended by `end` as soon as the parent is gone. `gone` tells how it ended. */
function launch(binary, args, ended, end) {
  ended.throwIfAborted();
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn(join(folder, 'bin', binary), args, {
    ...identity,
    cwd: folder,
    // PGDATA, LD_LIBRARY_PATH, LC_ALL and their like are not meant for this server.
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', HOME: folder, LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const gone = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(`exit ${code ?? signal}`));
    child.once('error', (error) => resolve(error.code ?? error.message));
  });
  ended.addEventListener('abort', () => end(child), { once: true });
  return { child, gone };
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** The server writes "ready" into the eighth line of its pid file, or "standby" if it is one: this is what pg_ctl waits for, too. */
async function ready(pidFile, ended) {
  for (const deadline = Date.now() + START_LIMIT; Date.now() < deadline; ) {
    ended.throwIfAborted();
    if (existsSync(pidFile) && /^(ready|standby)\b/.test(readFileSync(pidFile, 'utf8').split('\n')[7] ?? '')) return;
    const gone = await Promise.race([server.gone, sleep(10)]);
    if (gone) throw new Error(`the server did not start (${gone})${complaint()}`);
  }
  throw new Error(`the server was not ready within ${START_LIMIT / 1000} s${complaint()}`);
}

/** The line of the log that says most, if there is one. */
function complaint() {
  const lines = readFileSync(join(folder, 'log'), 'utf8').trim().split('\n');
  const line = lines.findLast((line) => /error|fatal|panic|cannot|could not/i.test(line)) ?? lines.at(-1);
  return line ? `: ${line}` : '';
}
