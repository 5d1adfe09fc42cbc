/**
 * Pipelines that mix requests of every kind: each gets its own answer, in order; what is not safe waits for what is
 * before it; and the connection stays with the server that read it.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { startNetwork } from '../../support/network.ts';
import { type Origin, type Script, startOrigin } from '../../support/origin.ts';
import { dial, everything, until } from '../../support/raw-client.ts';
import { ask } from '../../support/visitor.ts';

const LARGE = 200_000;

/** One request as it is sent, and its answer. */
interface Asked {
  readonly bytes: string;
  readonly method: string;
  readonly status: number;
  /** Absent: any. */
  readonly body?: string;
  /** Path of it at the origin; absent: it is not sent there, or it does not matter when. */
  readonly passed?: string;
  readonly isUnsafe?: boolean;
  /** True if nothing behind it is answered. */
  readonly closes?: boolean;
}

const head = (method: string, target: string, fields = ''): string =>
  `${method} ${target} HTTP/1.1\r\nHost: site.test\r\n${fields}\r\n`;

/** The origin's answer to a path: `/KIND/TURNS/ID`, after so many turns of the event loop. */
const bodyOf = (path: string): string => {
  const text = `[${path}]`;
  return path.includes('large') ? text.repeat(Math.ceil(LARGE / text.length)) : text;
};

const get = (path: string, changes: Partial<Asked> = {}, fields = ''): Asked => ({
  bytes: head('GET', path, fields),
  method: 'GET',
  status: 200,
  body: bodyOf(path),
  ...changes,
});

const post = (path: string, framed: string): Asked => ({
  bytes: `${head('POST', path).slice(0, -2)}${framed}`,
  method: 'POST',
  status: 200,
  body: `${bodyOf(path)}abc`,
  passed: path,
  isUnsafe: true,
});

const KINDS: Readonly<Record<string, (id: string) => Asked>> = {
  hit: () => get('/hit/0/a'),
  'another hit': () => get('/hit/0/b'),
  'large hit': () => get('/hit-large/0/c'),
  'head of a hit': () => ({ ...get('/hit/0/a', { body: '' }), method: 'HEAD', bytes: head('HEAD', '/hit/0/a') }),
  'not modified': () => get('/hit/0/a', { status: 304, body: '' }, 'If-None-Match: "v1"\r\n'),
  'part of a hit': () => get('/hit/0/a', { status: 206, body: bodyOf('/hit/0/a').slice(1, 4) }, 'Range: bytes=1-3\r\n'),
  'fast miss': (id) => get(`/miss/0/${id}`, { passed: `/miss/0/${id}` }),
  'slow miss': (id) => get(`/miss/9/${id}`, { passed: `/miss/9/${id}` }),
  'miss in chunks': (id) => get(`/chunked/3/${id}`, { passed: `/chunked/3/${id}` }),
  'large miss': (id) => get(`/large/2/${id}`, { passed: `/large/2/${id}` }),
  'head of a miss': (id) => {
    const path = `/miss/4/${id}`;
    return { ...get(path, { body: '', passed: path }), method: 'HEAD', bytes: head('HEAD', path) };
  },
  'an error of the origin': (id) => get(`/error/3/${id}`, { status: 500, passed: `/error/3/${id}` }),
  'a refusal': () => ({ bytes: head('GET', '/a/../b'), method: 'GET', status: 400 }),
  'another host': () => ({
    ...{ bytes: 'GET / HTTP/1.1\r\nHost: other.invalid\r\n\r\n', method: 'GET', status: 421 },
  }),
  'a body': (id) => post(`/post/2/${id}`, 'Content-Length: 3\r\n\r\nabc'),
  'a body in chunks': (id) => post(`/post/0/${id}`, 'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n'),
  'no body': (id) => ({ ...post(`/post/1/${id}`, 'Content-Length: 0\r\n\r\n'), body: bodyOf(`/post/1/${id}`) }),
  OPTIONS: () => ({ bytes: head('OPTIONS', '/', 'Max-Forwards: 0\r\n'), method: 'OPTIONS', status: 204, body: '' }),
  'a field of the connection': (id) => get(`/miss/1/${id}`, { passed: `/miss/1/${id}` }, 'TE: trailers\r\n'),
  'an upgrade that is not granted': (id) =>
    get(`/miss/1/${id}`, { passed: `/miss/1/${id}` }, 'Connection: upgrade\r\nUpgrade: h2c\r\n'),
  'the end': (id) => get(`/miss/1/${id}`, { closes: true, passed: `/miss/1/${id}` }, 'Connection: close\r\n'),
  'the end, from the store': () => get('/hit/0/a', { closes: true }, 'Connection: Close\r\n'),
};

const NAMES = Object.keys(KINDS);

/** Kinds behind which `node:http` reads the connection. */
const HANDED_OFF = new Set(['a field of the connection', 'an upgrade that is not granted']);

/**
 * Up to a request that closes the connection, where `node:http` reads it: its parser refuses what is behind that, and
 * then answers before it may be lost. No client may send there (RFC 9112, section 9.6).
 */
function upToTheEnd(names: readonly string[]): readonly string[] {
  const handedOff = names.findIndex((name) => HANDED_OFF.has(name));
  const end = names.findIndex((name, i) => i > handedOff && KINDS[name]?.('').closes === true);
  return handedOff < 0 || end < 0 ? names : names.slice(0, end + 1);
}

/** Arrival of a request at the origin, or its answer. */
interface Event {
  readonly path: string;
  readonly is: 'begun' | 'done';
}

function scripted(events: Event[]): Script {
  return (request, response) => {
    const path = request.url as string;
    const [, kind = '', turns = '0'] = path.split('/');
    events.push({ path, is: 'begun' });
    let sent = '';
    request.setEncoding('latin1').on('data', (piece: string) => {
      sent += piece;
    });
    request.once('end', async () => {
      for (let left = Number(turns); left > 0; left--) await nextTurn();
      answer(response, kind, bodyOf(path) + sent);
      events.push({ path, is: 'done' });
    });
  };
}

function answer(response: ServerResponse, kind: string, body: string): void {
  const isStored = kind.startsWith('hit');
  response.statusCode = kind === 'error' ? 500 : 200;
  response.setHeader('Cache-Control', isStored ? 'max-age=3600' : 'no-store');
  if (isStored) response.setHeader('ETag', '"v1"');
  if (kind !== 'chunked') response.setHeader('Content-Length', body.length);
  response.end(body);
}

async function start(t: Test, script: Script, limits: object = {}) {
  const origin: Origin = await startOrigin(script);
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const address = network.at('eu-1');
  return { origin, network, address, edge: network.edge('eu-1') };
}

/** @returns Status and body of each answer; the last one may have no end. */
function answersIn(text: string, methods: readonly string[]): { status: number; body: string }[] {
  const answers: { status: number; body: string }[] = [];
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd < 0) throw new Error(`no head: ${JSON.stringify(text.slice(at, at + 80))}`);
    const fields = text.slice(at, headEnd + 2);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(fields)?.[1]);
    const method = methods[answers.length];
    at = headEnd + 4;
    let body = '';
    const length = /^content-length: (\d+)\r$/im.exec(fields)?.[1];
    if (method === 'HEAD' || status === 204 || status === 304) body = '';
    else if (length !== undefined) {
      body = text.slice(at, at + Number(length));
      at += Number(length);
    } else {
      for (let size = -1; size !== 0; ) {
        const lineEnd = text.indexOf('\r\n', at);
        size = Number.parseInt(text.slice(at, lineEnd), 16);
        body += text.slice(lineEnd + 2, lineEnd + 2 + size);
        at = lineEnd + 4 + size;
      }
    }
    answers.push({ status, body });
  }
  return answers;
}

/** @returns What is wrong with the answers, or with when the origin was asked. */
function faultOf(asked: readonly Asked[], text: string, events: readonly Event[]): string | undefined {
  const end = asked.findIndex(({ closes }) => closes === true);
  const expected = end < 0 ? asked : asked.slice(0, end + 1);
  const answers = answersIn(
    text,
    expected.map(({ method }) => method),
  );
  const got = answers.map(({ status }) => status).join(' ');
  const due = expected.map(({ status }) => status).join(' ');
  if (got !== due) return `${got} for ${due}`;
  for (const [i, { body, bytes }] of expected.entries()) {
    if (body !== undefined && body !== answers[i]?.body)
      return `another body for ${bytes}: ${answers[i]?.body.slice(0, 80)}`;
  }
  const at = (path: string, is: Event['is']): number =>
    events.findIndex((event) => event.path === path && event.is === is);
  for (const [i, { passed, isUnsafe }] of expected.entries()) {
    if (passed === undefined) continue;
    if (at(passed, 'begun') < 0) return `${passed} has not been asked for`;
    for (const before of expected.slice(0, i)) {
      if (before.passed === undefined || !(isUnsafe || before.isUnsafe)) continue;
      if (at(passed, 'begun') < at(before.passed, 'done')) return `${passed} before the answer to ${before.passed}`;
    }
  }
  for (const { passed } of asked.slice(expected.length)) {
    if (passed !== undefined && at(passed, 'begun') >= 0) return `${passed} was asked for behind the end`;
  }
  return undefined;
}

async function send(socket: Socket, bytes: string, cuts: readonly number[]): Promise<void> {
  let from = 0;
  for (const cut of [...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length]) {
    socket.write(Buffer.from(bytes.slice(from, cut), 'latin1'));
    from = cut;
    if (cut < bytes.length) await nextTurn();
  }
}

/** Each alone, and each in front of and behind each other one. */
const PAIRS = NAMES.flatMap((name) => [[name], ...NAMES.map((next) => [name, next])]);

async function playing(t: Test) {
  const events: Event[] = [];
  const { address, edge } = await start(t, scripted(events));
  for (const name of ['hit', 'another hit', 'large hit']) {
    await ask(address, (KINDS[name]?.('') as Asked).bytes.split(' ')[1] as string);
  }
  let played = 0;
  /** The visitor closes its side behind the last request, and gets all answers. */
  const play = async (names: readonly string[], cuts: readonly number[]): Promise<string | undefined> => {
    const run = played++;
    const asked = names.map((name, i) => (KINDS[name] as (id: string) => Asked)(`${run}-${i}`));
    const socket = dial(address);
    await once(socket, 'connect');
    const text = everything(socket);
    await send(socket, asked.map(({ bytes }) => bytes).join(''), cuts);
    socket.end();
    return faultOf(asked, await text, events);
  };
  return { play, address, edge };
}

test('every pair of requests is answered in order, sent at once and half-closed', async (t) => {
  const { play } = await playing(t);
  for (const names of PAIRS) t.equal(await play(names, []), undefined, names.join(', then '));
});

test('property: pipelines of all kinds, cut anywhere, are answered in order', async (t) => {
  const { play } = await playing(t);
  const names = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 24, size: 'max' }).map(upToTheEnd);
  const cuts = fc.oneof(fc.constant<number[]>([]), fc.array(fc.nat(2_000), { maxLength: 4 }));
  await fc.assert(
    fc.asyncProperty(names, cuts, async (list, at) => {
      const fault = await play(list, at);
      if (fault !== undefined) throw new Error(fault);
    }),
    { numRuns: 300 },
  );
});

test('a connection stays here behind pipelined requests that go to the origin', async (t) => {
  const { address, edge } = await playing(t);
  for (const name of NAMES.filter((one) => !HANDED_OFF.has(one) && KINDS[one]?.('').closes !== true)) {
    const asked = ['slow miss', name, 'fast miss'].map((one, i) =>
      (KINDS[one] as (id: string) => Asked)(`${NAMES.indexOf(name)}-${i}`),
    );
    const socket = dial(address);
    socket.write(asked.map(({ bytes }) => bytes).join(''));
    await until(socket, new RegExp(`\\[${asked.at(-1)?.passed}\\]`));
    const before = edge.answeredPrepared;
    socket.write(head('GET', '/hit/0/a'));
    await until(socket, /\[\/hit\/0\/a\]$/);
    t.equal(edge.answeredPrepared, before + 1, `a hit behind ${name} has prepared bytes`);
    socket.destroy();
  }
});

test('safe requests are answered side by side, 16 at a time', async (t) => {
  const held: { path: string; finish: () => void }[] = [];
  const { address, origin } = await start(t, ({ url = '' }, response) => {
    held.push({ path: url, finish: () => response.end(`[${url}]`) });
  });
  const paths = Array.from({ length: 40 }, (_, i) => `/${i}`);
  const socket = dial(address);
  socket.write(paths.map((path) => head('GET', path)).join(''));
  const text = everything(socket);
  while (held.length < 16) await origin.next();
  t.strictSame(held.map(({ path }) => path).sort(), paths.slice(0, 16).sort());
  // The last ones first: their answers wait for the first one's.
  for (let done = 0; done < paths.length; ) {
    const next = held.pop();
    if (next === undefined) await origin.next();
    else {
      next.finish();
      done++;
    }
  }
  while (origin.requests.length < paths.length) await origin.next();
  socket.end();
  t.strictSame(
    [...(await text).matchAll(/\[(.*?)\]/g)].map(([, path]) => path),
    paths,
  );
});

test('when the visitor goes, all of its requests at the origin end', async (t) => {
  const closed: Promise<unknown>[] = [];
  const { address, origin } = await start(t, ({ socket }) => {
    closed.push(once(socket, 'close'));
  });
  const socket = dial(address);
  socket.write(['/1', '/2', '/3'].map((path) => head('GET', path)).join(''));
  while (origin.requests.length < 3) await origin.next();
  socket.resetAndDestroy();
  t.equal((await Promise.all(closed)).length, 3);
});

test('the time to write an answer does not count while answers before it are sent', async (t) => {
  const [first, large] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { address } = await start(
    t,
    ({ url = '' }, response) => {
      response.setHeader('Cache-Control', 'no-store');
      if (url === '/first') void first.promise.then(() => response.end('first'));
      else {
        response.end('x'.repeat(LARGE));
        large.resolve();
      }
    },
    { write_timeout: '100ms' },
  );
  const socket = dial(address);
  socket.write(head('GET', '/first') + head('GET', '/large', 'Connection: close\r\n'));
  const text = everything(socket);
  await large.promise;
  setTimeout(first.resolve, 500);
  t.strictSame(
    answersIn(await text, ['GET', 'GET']).map(({ body }) => body.length),
    ['first'.length, LARGE],
  );
});
