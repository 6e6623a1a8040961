/** Statements that are sent together on a thread's own socket, where the server says that the connection is no good: over a server that says so. */
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { OwnConnections } from '../../src/pg/borrower/own-connections.ts';
import { type Along, OwnSession } from '../../src/pg/borrower/own-session.ts';
import type { RemoteSession } from '../../src/pg/borrower/sessions.ts';
import { Descriptors } from '../../src/pg/driver/descriptors.ts';
import type { Driver } from '../../src/pg/driver/lane.ts';
import { OwnConnection } from '../../src/pg/driver/own-connection.ts';
import { parkingSocket } from '../../src/pg/driver/parking-socket.ts';
import { Custody } from '../../src/pg/messages/custody.ts';
import { receiveError, sendOwnError } from '../../src/pg/messages/database-error.ts';
import { WHOLE } from '../../src/pg/messages/mode.ts';
import type { Answer, OfferedSocket } from '../../src/pg/messages/protocol.ts';
import { habitOf } from '../../src/pg/sql/reads.ts';
import { LeaseRevokedError } from '../../src/shared/errors.ts';
import { settled, until } from '../support/wait.ts';

const descriptors = Descriptors.find();
const own = test.skipIf(descriptors.why !== undefined);

const message = (type: string, body: string | Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(4 + Buffer.byteLength(body), 1);
  return Buffer.concat([head, Buffer.from(body as string)]);
};
const query = (text: string): Buffer => message('Q', `${text}\0`);
const READY = message('Z', 'I');
const DONE = Buffer.concat([message('C', 'SELECT 0\0'), READY]);
const GONE = Buffer.concat([message('E', 'SFATAL\0C57P03\0Mno longer what it was\0\0'), READY]);

/** A session on a socket to a server that the test plays, and what it asks of the owner, which may have taken the connection back. */
async function playing(takenBack?: Error) {
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\cenote-${process.pid}` : join(tmpdir(), `cenote-${process.pid}-together.sock`);
  let server!: Socket;
  const heard: Buffer[] = [];
  const listener = createServer((socket) => {
    server = socket;
    socket.on('data', (bytes) => heard.push(bytes));
  });
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  const stream = parkingSocket();
  onTestFinished(() => {
    stream.destroy();
    server.destroy();
    listener.close();
  });
  await new Promise<void>((resolve) => void stream.connect(path, resolve));
  stream.pause();
  await until(() => server !== undefined);
  const custody = new Custody();
  for (const did of [custody.offer(1), custody.accept(1), custody.park(1, 0)]) expect(did).toBe(true);
  const pass = custody.pass();
  const offered = {
    custody: custody.buffer,
    dirt: 0,
    asksReadOnly: false,
    profile: 0,
    queryTimeout: 0,
    types: { own: [], others: [] },
  } as const;
  const descriptor = { fd: descriptors.of({ connection: { stream } } as never)!, pass };
  const thread = { driver: pg as unknown as Driver, address: {}, attachment: 1, isOwn: new Map() };
  const connection = OwnConnection.of(thread, custody, descriptor, { ...offered, descriptor }, 7)!;
  onTestFinished(() => connection.destroy());
  const calls: string[] = [];
  const state: Answer = { turn: 1, pid: 7, status: 'I', unclean: false, pinned: false };
  const remote = {
    judge: async () => {
      calls.push(`judge, ${custody.state}`);
      return state;
    },
    lost: async () => {
      calls.push(`lost, ${custody.state}`);
      return takenBack && structuredClone(sendOwnError(takenBack));
    },
  } as unknown as RemoteSession;
  const connections = {
    of: () => connection,
    take: (_: unknown, speaker: never) => (connection.take(speaker, 0) ? connection : undefined),
    attachment: 1,
    pool: 'pool',
  } as unknown as OwnConnections;
  const unasked: Answer[] = [];
  const session = (borrow: string): OwnSession => new OwnSession(remote, borrow, connections, [0, 1], (answer) => unasked.push(answer));
  const hangUp = (): Promise<void> => new Promise((resolve) => server.once('close', () => resolve()).destroy());
  const say = (bytes: Buffer): void => void server.write(bytes);
  /** What the owner answers to a borrow that has asked for the socket. */
  const offer = (): OfferedSocket => {
    custody.seize();
    custody.offer(1);
    return { ...offered, descriptor: { fd: descriptors.of({ connection: { stream } } as never)!, pass: custody.pass() } };
  };
  return {
    thread,
    offer,
    state,
    session: session('1:test:1'),
    another: () => session('1:test:2'),
    custody,
    calls,
    heard,
    unasked,
    say,
    hangUp,
  };
}

/** Two statements: the one that is asked, and the only other that there is to go with it. `events` has how each of them ends. */
function twoStatements() {
  const [first, second] = ['select 1 as first', 'select 1 as second'].map((text) => {
    habitOf(text).note(1, 10);
    return query(text);
  }) as [Buffer, Buffer];
  const events: string[] = [];
  const counts = { begun: 0 };
  let left = 1;
  const company = {
    next: (fits: (args: readonly unknown[]) => boolean) => {
      if (left-- <= 0 || !fits(['', second, WHOLE, undefined])) return undefined;
      return {
        begin: () => ++counts.begun === 1,
        back: () => void (events.includes('back') || events.push('back')),
        end: (answer?: unknown) => void events.push(`second, ${(answer as Answer | undefined)?.bytes?.length}`),
      };
    },
  };
  const told = (answer: Answer | Promise<Answer>): void =>
    void Promise.resolve(answer).then(({ bytes, broken }) => events.push(`first, ${broken === true ? 'broken' : bytes?.length}`));
  return { events, counts, length: first.length + second.length, along: { args: ['', first, WHOLE, undefined], company, told } as Along };
}

own('it is judged when all have their answers, and before the connection goes back', async () => {
  const { session, custody, calls, heard, say } = await playing();
  const { events, counts, length, along } = twoStatements();
  const all = session.speakAlong('1:test:1', along);
  await until(() => Buffer.concat(heard).length === length);
  say(GONE);
  // Its asker hears of it. No other is begun on this connection, and the one that was sent stands in line again.
  await until(() => events.length === 2);
  expect(events).toEqual(['back', `first, ${GONE.length}`]);
  expect([calls, custody.state, counts.begun]).toEqual([[], 'BORROWERS', 0]);
  say(DONE);
  const answer = await settled(all);
  expect(calls).toEqual(['judge, HANDED']);
  expect(answer).toMatchObject({ status: 'I', pid: 7 });
  expect(events).toEqual(['back', `first, ${GONE.length}`, 'second, undefined']);
  expect(session.isHere).toBe(false);
});

own('a connection that is lost in the middle of them is given back as broken', async () => {
  const { session, calls, heard, say, hangUp } = await playing();
  const { events, counts, length, along } = twoStatements();
  const all = session.speakAlong('1:test:1', along);
  await until(() => Buffer.concat(heard).length === length);
  say(DONE.subarray(0, -3));
  void hangUp();
  expect(await settled(all)).toMatchObject({ broken: true, error: expect.anything() });
  // The owner is told once. What was sent with the lost one, and not begun, stands in line again.
  expect([calls, events, counts.begun]).toEqual([['lost, BORROWERS'], ['back', 'second, undefined', 'first, broken'], 0]);
  expect(session.isHere).toBe(false);
});

own('no more bytes are sent together than a socket takes at once', async () => {
  const { session, heard, say } = await playing();
  const texts = Array.from({ length: 8 }, (_, n) => `select 1 as n${n} -- ${'x'.repeat(1900)}`);
  // Longer than what is looked at in a text: many parameters, say.
  const bound = (text: string): Buffer => {
    const value = 'v'.repeat(13_000);
    const bind = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1]), Buffer.alloc(4), Buffer.from(value), Buffer.from([0, 0])]);
    bind.writeInt32BE(value.length, 6);
    const parse = message('P', `\0${text}\0\0\0`);
    const described = [message('D', 'P\0'), message('E', '\0\0\0\0\0'), message('S', '')];
    return Buffer.concat([parse, message('B', bind), ...described]);
  };
  const [first, ...others] = texts.map((text) => {
    habitOf(text).note(1, 10);
    return bound(text);
  });
  let along = 0;
  const company = {
    next: (fits: (args: readonly unknown[]) => boolean) => {
      if (along === others.length || !fits(['', others[along], WHOLE, undefined])) return undefined;
      along++;
      return { begin: () => true, back() {}, end() {} };
    },
  };
  const all = session.speakAlong('1:test:1', { args: ['', first, WHOLE, undefined], company, told: () => {} });
  // What it is to be is known, and no more comes: the server has not answered.
  await until(() => Buffer.concat(heard).length >= 4 * first.length);
  expect([along + 1, Buffer.concat(heard).length]).toEqual([4, 4 * first.length]);
  expect([4 * first.length <= 65_536, 5 * first.length > 65_536]).toEqual([true, true]);
  for (let left = 0; left <= along; left++) say(DONE);
  expect((await settled(all)).status).toBe('I');
});

own('a session that something has to be undone in is never parked, but left to the owner', async () => {
  const { session, custody, heard, say } = await playing();
  const begun = session.begin('1:test:1', 'BEGIN', 'unused');
  await until(() => heard.length > 0);
  say(Buffer.concat([message('C', 'BEGIN\0'), message('Z', 'T')]));
  expect(await settled(begun)).toMatchObject({ status: 'T', unclean: true });
  session.park();
  expect(custody.receive()).toMatchObject({ status: 'T', isUndone: false });
});

own('the server has hung up while no thread used the connection: nothing is sent, and it is asked elsewhere', async () => {
  const { session: first, another, custody, heard, hangUp, calls } = await playing();
  expect(first.takesSocket()).toBe(true);
  first.park();
  await hangUp();
  await until(() => custody.parkedFor >= 2);
  const session = another();
  const answer = await settled(session.speak('1:test:2', '', query('select 1'), WHOLE));
  expect(answer).toMatchObject({ broken: true, unsent: true, error: { message: 'Connection terminated unexpectedly' } });
  expect([heard, calls, session.isHere]).toEqual([[], ['lost, BORROWERS'], false]);
});

own.each([
  [1, true],
  [2, false],
  [-1, false],
])('one that was parked %i ms ago is looked at before it is used, unless that is less than 2', async (ago, isTaken) => {
  const { session: first, another, custody, hangUp } = await playing();
  expect(first.takesSocket()).toBe(true);
  first.park();
  await hangUp();
  Object.defineProperty(custody, 'parkedFor', { value: ago });
  expect(another().takesSocket()).toBe(isTaken);
});

own('what the server has said meanwhile is heard before anything is sent', async () => {
  const { session: first, another, custody, heard, say, hangUp, calls, unasked } = await playing();
  expect(first.takesSocket()).toBe(true);
  first.park();
  say(message('N', 'SNOTICE\0C00000\0Mwhile it was idle\0\0'));
  await until(() => custody.parkedFor >= 2);
  const session = another();
  expect(session.takesSocket()).toBe(true);
  expect(unasked.map(({ heard: said }) => said?.map(({ event, message: { message: text } }: any) => [event, text]))).toEqual([
    [['notice', 'while it was idle']],
  ]);
  session.park();
  say(message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0'));
  await hangUp();
  await until(() => custody.parkedFor >= 2);
  const next = another();
  expect([next.takesSocket(), heard]).toEqual([false, []]);
  expect(receiveError((await settled(next.hello('1:test:2'))).error!)).toMatchObject({ code: '57P01' });
  expect(calls).toEqual(['lost, BORROWERS']);
});

own('what is asked after the owner has taken the connection back is refused with that, and not to be asked elsewhere', async () => {
  const { session, heard, hangUp, calls } = await playing(new LeaseRevokedError('taken back', 'pool'));
  const text = query('select 1');
  const speaks = session.speak('1:test:1', '', text, WHOLE);
  await until(() => heard.length > 0);
  void hangUp();
  for (const answer of [await settled(speaks), await settled(session.speak('1:test:1', '', text, WHOLE))]) {
    expect(receiveError(answer.error!)).toBeInstanceOf(LeaseRevokedError);
    expect([answer.broken, answer.unsent ?? false]).toEqual([true, false]);
  }
  expect(calls).toEqual(['lost, BORROWERS']);
});

own.each(['goes on', 'has ended', 'is destroyed'])(
  'a borrow that waits for the socket and %s: it is taken up only if it goes on',
  async (how) => {
    const { thread, offer, state, custody } = await playing();
    let answer!: (answer: Answer) => void;
    const adopted = new Promise<Answer>((resolve) => {
      answer = resolve;
    });
    const remote = { adopt: () => adopted, hello: async () => state } as unknown as RemoteSession;
    const connections = new OwnConnections(thread, { name: 'pool' } as never);
    onTestFinished(() => connections.close());
    const session = new OwnSession(remote, '1:test:3', connections, [0, 2], () => {});
    const asked = session.hello('1:test:3').then(
      () => 'answered',
      (error) => error.message,
    );
    expect(session.isHere).toBe(true);
    if (how === 'has ended') expect(connections.leaves(0)).toBe(false);
    if (how === 'is destroyed') session.destroy();
    const socket = offer();
    answer({ ...state, socket });
    const goesOn = how === 'goes on';
    // What it has asked is said by neither thread.
    expect(await settled(asked)).toEqual(goesOn ? 'answered' : expect.stringMatching(/has ended|was given up/));
    await new Promise((resolve) => setImmediate(resolve));
    expect([custody.state, session.isHere]).toEqual([goesOn ? 'BORROWERS' : 'OFFERED', goesOn]);
    // The thread has the descriptor, or has closed it.
    expect(custody.claim(socket.descriptor!.pass)).toBe(false);
  },
);
