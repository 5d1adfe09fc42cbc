/**
 * Visitors of the soak, a process of its own: at a bounded rate, over all protocols, with connections that stay and
 * that go, readers that are slow, senders that leave. Compares every body with what it has to be.
 *
 * Arguments: the actions a second, then HOST:PORT of each edge for HTTP, then of each for TLS. Sends a report to its
 * parent when that says `report`.
 * @module
 */
import { Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { seededRandom, zipf } from '../../test/support/random.ts';
import { bodyOf, etagOf, HOST, PAGES, pathOf, sizeOf } from './content.ts';

/** Answers and failures since the last report. */
export interface Seen {
  actions: number;
  /** Actions that were left out since too many were under way. */
  left: number;
  wrongBodies: number;
  /** Failures by a word for each kind. */
  errors: Record<string, number>;
  /** Longest and 99th percentile of the time to a whole answer of a plain GET. */
  longestMs: number;
  p99Ms: number;
}

const [rateText = '', ...addresses] = process.argv.slice(2);
const rate = Number(rateText);
const plain = addresses.slice(0, addresses.length / 2);
const secure = addresses.slice(addresses.length / 2);

const MOST_AT_A_TIME = 500;
/** Time after which an answer counts as missing. */
const PATIENCE_MS = 15_000;
const SLOW_READER_MS = 1_500;
/** A session of HTTP/2 is closed after so many requests. */
const SESSION_REQUESTS = 500;

const random = seededRandom(1);
const rank = zipf(PAGES, 0.9, random);
const kept = new Agent({ keepAlive: true, maxSockets: 64 });

let underWay = 0;
let seen = nothing();
let times: number[] = [];
const sessions = new Map<string, { session: ClientHttp2Session; requests: number }>();

function nothing(): Seen {
  return { actions: 0, left: 0, wrongBodies: 0, errors: {}, longestMs: 0, p99Ms: 0 };
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

function fail(kind: string): void {
  seen.errors[kind] = (seen.errors[kind] ?? 0) + 1;
}

type Action = (page: number) => Promise<void>;

/** Actions with their shares, in percent. */
const ACTIONS: readonly (readonly [share: number, name: string, action: Action])[] = [
  [45, 'get', async (page) => whole(page, await ask(page, {}, kept), true)],
  [15, 'http2', overHttp2],
  [12, 'new connection', async (page) => whole(page, await ask(page, {}), true)],
  [6, 'range', range],
  [6, 'conditional', conditional],
  [3, 'head', head],
  [5, 'post', post],
  [4, 'leaves', leave],
  [2, 'slow', slow],
  [2, 'none', none],
];

function drawn(): (typeof ACTIONS)[number] {
  let left = random() * 100;
  for (const entry of ACTIONS) {
    left -= entry[0];
    if (left < 0) return entry;
  }
  return ACTIONS[0] as (typeof ACTIONS)[number]; // the shares are 100 together
}

async function act(): Promise<void> {
  const [, name, action] = drawn();
  underWay++;
  seen.actions++;
  try {
    await action(rank());
  } catch (error) {
    fail(`${name}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  } finally {
    underWay--;
  }
}

function send(page: number, headers: OutgoingHttpHeaders, agent: Agent | undefined, method = 'GET'): ClientRequest {
  return request(`http://${pick(plain)}${pathOf(page)}`, {
    method,
    headers: { Host: HOST, ...headers },
    agent: agent ?? new Agent({ keepAlive: false }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
}

function answered(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once('response', resolve);
    asked.once('error', reject);
  });
}

function ask(page: number, headers: OutgoingHttpHeaders, agent?: Agent, method?: string): Promise<IncomingMessage> {
  const asked = send(page, headers, agent, method);
  asked.end();
  return answered(asked);
}

async function bytesOf(answer: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function compare(got: Buffer, wanted: Buffer): void {
  if (!got.equals(wanted)) seen.wrongBodies++;
}

async function whole(page: number, answer: IncomingMessage, isTimed: boolean): Promise<void> {
  const began = performance.now();
  const body = await bytesOf(answer);
  if (answer.statusCode === 200) compare(body, bodyOf(page));
  else fail(`status ${answer.statusCode}`);
  if (isTimed) times.push(performance.now() - began);
}

async function range(page: number): Promise<void> {
  const first = Math.floor(random() * sizeOf(page));
  const last = Math.min(sizeOf(page) - 1, first + 5_000);
  const answer = await ask(page, { Range: `bytes=${first}-${last}` }, kept);
  const body = await bytesOf(answer);
  if (answer.statusCode === 206) compare(body, bodyOf(page).subarray(first, last + 1));
  else if (answer.statusCode === 200) compare(body, bodyOf(page));
  else fail(`range: status ${answer.statusCode}`);
}

async function conditional(page: number): Promise<void> {
  const answer = await ask(page, { 'If-None-Match': etagOf(page) }, kept);
  const body = await bytesOf(answer);
  if (answer.statusCode !== 304 || body.length !== 0) fail(`conditional: status ${answer.statusCode}`);
}

async function head(page: number): Promise<void> {
  const answer = await ask(page, {}, kept, 'HEAD');
  const body = await bytesOf(answer);
  if (answer.statusCode !== 200 || body.length !== 0) fail(`head: status ${answer.statusCode}`);
}

async function post(page: number): Promise<void> {
  const body = bodyOf(page);
  const asked = send(page, { 'Content-Length': body.length }, undefined, 'POST');
  asked.end(body);
  const answer = await answered(asked);
  const text = (await bytesOf(answer)).toString();
  if (answer.statusCode !== 200) fail(`post: status ${answer.statusCode}`);
  else if (text !== String(body.length)) seen.wrongBodies++;
}

/** A visitor that goes in the middle of an answer. */
async function leave(page: number): Promise<void> {
  const answer = await ask(page, {});
  answer.once('error', () => undefined); // by its own doing
  answer.destroy();
}

async function slow(page: number): Promise<void> {
  const answer = await ask(page, {});
  await wait(SLOW_READER_MS);
  await whole(page, answer, false);
}

async function none(): Promise<void> {
  const answer = await ask(PAGES + Math.floor(random() * 1_000), {}, kept);
  await bytesOf(answer);
  if (answer.statusCode !== 404) fail(`none: status ${answer.statusCode}`);
}

async function overHttp2(page: number): Promise<void> {
  const address = pick(secure);
  const stream = sessionTo(address).request({ ':path': pathOf(page), ':authority': HOST });
  stream.setTimeout(PATIENCE_MS, () => stream.destroy(new Error('no answer')));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  stream.once('response', (headers) => resolve(Number(headers[':status'])));
  stream.once('error', reject);
  const status = await promise;
  const body = await bytesOf(stream);
  if (status === 200) compare(body, bodyOf(page));
  else fail(`http2: status ${status}`);
}

function sessionTo(address: string): ClientHttp2Session {
  const known = sessions.get(address);
  if (known !== undefined && !known.session.closed && ++known.requests < SESSION_REQUESTS) return known.session;
  known?.session.close(); // once its requests are answered
  const [host = '', port] = address.split(':');
  const session = connectHttp2(`https://${HOST}`, {
    createConnection: () =>
      connectTls({ host, port: Number(port), servername: HOST, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
  });
  session.on('error', () => sessions.delete(address)); // its requests fail, and count
  sessions.set(address, { session, requests: 0 });
  return session;
}

setInterval(() => {
  for (let i = 0; i < rate / 20; i++) {
    if (underWay < MOST_AT_A_TIME) void act();
    else seen.left++;
  }
}, 50);

process.on('message', () => {
  times.sort((a, b) => a - b);
  seen.longestMs = times.at(-1) ?? 0;
  seen.p99Ms = times[Math.floor(times.length * 0.99)] ?? 0;
  process.send?.(seen);
  seen = nothing();
  times = [];
});
process.once('disconnect', () => process.exit());
