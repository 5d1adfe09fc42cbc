import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import fastify from 'fastify';
import { test } from 'tap';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import type { Journal } from '../../journal/journal.ts';
import type { JournalMessage, JournalPosition } from '../../journal/message.ts';
import { streamJournal } from '../../journal/stream.ts';
import { identityOf } from '../../journal/terms.ts';
import { formatNodeField, journalTarget, MAX_LINE_BYTES, readJournalTarget } from '../../journal/wire.ts';
import { epochMs } from '../../lib/clock.ts';
import { aPurge, purges } from './contract.ts';
import { followOn, newJournal, SECRET, serve, serveJournal, source } from './served.ts';
import { Clock, settle } from './simulation.ts';

const PATIENCE_MS = 20_000;
const ANONYMOUS = { identity: undefined, seq: 0 };

function at(journal: Journal, seq: number): JournalPosition {
  return { identity: identityOf(journal.state().terms, seq), seq };
}

/** Takes so many messages, then goes away. */
async function take(messages: AsyncIterable<JournalMessage>, count: number): Promise<JournalMessage[]> {
  const taken: JournalMessage[] = [];
  for await (const message of messages) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

/** The answer to a request as a node sends it, unread. */
async function ask(url: string, target: string, field: string | undefined): Promise<IncomingMessage> {
  const request = get(`${url}${target}`, {
    agent: false,
    headers: field === undefined ? {} : { 'Seawall-Tier': field },
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined); // tests cut connections
  return response;
}

function askAsNode(url: string): Promise<IncomingMessage> {
  return ask(url, '/v1/journal?after=0', formatNodeField('eu-1', SECRET));
}

test('a stream is a greeting, existing records, new records, and heartbeats between them', async (t) => {
  const journal = newJournal(t, () => epochMs(42));
  const clock = new Clock();
  await journal.append(purges(2));
  const { url } = await serveJournal(t, journal, { wait: clock.wait });
  const messages = source(url)(ANONYMOUS, new AbortController().signal)[Symbol.asyncIterator]();
  const next = async (): Promise<JournalMessage> => (await messages.next()).value;
  const state = journal.state();
  t.same(await next(), { type: 'hello', state });
  t.same(await next(), { type: 'records', records: await journal.read(0, 2) });
  await journal.append([aPurge({ selector: 'größe/☃/😀', why: 'two\nlines' })]);
  t.same(await next(), { type: 'records', records: await journal.read(2, 1) });
  await clock.advance(1_000);
  t.same(await next(), { type: 'heartbeat', newest: 3, floor: 0 });
  await journal.compact(43);
  await clock.advance(1_000);
  t.same(await next(), { type: 'heartbeat', newest: 3, floor: 3 });
  await messages.return?.();
});

for (const { what, after, term, first } of [
  { what: 'the number asked for', after: 7, term: 1, first: 8 },
  { what: 'the number asked for, of an earlier term', after: 6, term: 0, first: 7 },
  { what: 'the floor, when records that were asked for are gone', after: 1, term: 0, first: 6 },
  { what: 'the floor, for another identity', after: 9, term: undefined, first: 6 },
  { what: 'the floor, for a number that the term did not give out', after: 7, term: 0, first: 6 },
  { what: 'the floor, for a number that nobody has given out', after: 11, term: 1, first: 6 },
]) {
  test(`a stream begins after ${what}`, async (t) => {
    let now = 0;
    const file = join(t.testdir(), 'journal.db');
    const before = openEmbeddedJournal(file, { now: () => epochMs(now) });
    await before.append(purges(5));
    now = 1_000;
    await before.append(purges(1));
    await before.close();
    const journal = openEmbeddedJournal(file, { now: () => epochMs(now) });
    t.teardown(() => journal.close());
    await journal.compact(1_000);
    await journal.append(purges(4));
    const { url } = await serveJournal(t, journal);
    const identity = term === undefined ? 'other' : journal.state().terms[term]?.identity;
    const [hello, records] = await take(source(url)({ identity, seq: after }, new AbortController().signal), 2);
    t.match(hello, { state: { floor: 5, newest: 10, terms: [{ after: 0 }, { after: 6 }] } });
    t.match(records, { type: 'records', records: [{ seq: first }] });
  });
}

test('a follower catches up with 10,000 records, in order and whole, and then follows new ones', async (t) => {
  const journal = newJournal(t);
  for (let batch = 0; batch < 10; batch += 1) await journal.append(purges(1_000, `batch-${batch}`));
  const { url } = await serveJournal(t, journal);
  const { follower, target } = followOn(t, source(url));
  t.ok(await follower.caughtUp(at(journal, 10_000), PATIENCE_MS));
  t.same(target.applied, await journal.read(0, 10_000));
  for (let round = 1; round <= 50; round += 1) {
    const { last } = await journal.append(purges(round % 5 === 0 ? 5 : 1, `live-${round}`));
    t.ok(await follower.caughtUp(at(journal, last), PATIENCE_MS));
  }
  t.same(target.applied.slice(10_000), await journal.read(10_000, 1_000));
});

test('lines stay within their bound, whatever the records are', async (t) => {
  const journal = newJournal(t);
  const longest = aPurge({
    selector: '\u{1f600}'.repeat(8_192),
    why: '\u0001'.repeat(1_024),
    who: '\u0001'.repeat(255),
  });
  await journal.append(Array.from({ length: 100 }, () => longest));
  await journal.append(purges(2_000));
  const { url } = await serveJournal(t, journal);
  const response = await askAsNode(url);
  t.equal(response.headers['content-type'], 'application/x-ndjson');
  t.equal(response.headers['cache-control'], 'no-store');
  let [longestLine, bytes, records] = [0, 0, 0];
  let text = '';
  for await (const chunk of response) {
    text += (chunk as Buffer).toString('latin1');
    const lines = text.split('\n');
    text = lines.pop() as string;
    for (const line of lines) {
      longestLine = Math.max(longestLine, line.length);
      bytes += line.length;
      records += (JSON.parse(line).records ?? []).length;
    }
    if (records === 2_100) break;
  }
  t.ok(bytes > 3_000_000, 'that was a lot');
  t.ok(longestLine <= MAX_LINE_BYTES, `${longestLine} bytes`);
});

/** Counts records that were read. */
function counted(journal: Journal): { journal: Journal; count: () => number; listeners: () => number } {
  let [records, listeners] = [0, 0];
  const wrapper: Journal = {
    state: () => journal.state(),
    current: () => journal.current(),
    append: (list, once) => journal.append(list, once),
    async read(seq, limit) {
      const read = await journal.read(seq, limit);
      records += read.length;
      return read;
    },
    subscribe(listener) {
      const stop = journal.subscribe(listener);
      listeners += 1;
      return () => {
        listeners -= 1;
        stop();
      };
    },
    isWritable: true,
    compact: (before) => journal.compact(before),
    close: () => journal.close(),
  };
  return { journal: wrapper, count: () => records, listeners: () => listeners };
}

/** Some 50 MB: more than all buffers between two sockets. */
async function fill(journal: Journal): Promise<number> {
  const big = Array.from({ length: 500 }, () => aPurge({ selector: 'x'.repeat(16_000) }));
  for (let batch = 0; batch < 6; batch += 1) await journal.append(big);
  return journal.state().newest;
}

test('a follower that does not read holds at most one batch, and is cut off', async (t) => {
  const { journal, count, listeners } = counted(newJournal(t));
  const total = await fill(journal);
  const { url, ended, problems } = await serveJournal(t, journal, { stallTimeoutMs: 300 });
  const response = await askAsNode(url); // and does not read
  await ended[0];
  t.same(problems, ['journal_slow_follower']);
  t.ok(count() < total, `${count()} of ${total} records were read for it`);
  t.equal(listeners(), 0, 'nothing of it is left');
  response.destroy();
});

test('a slow follower gets everything at its own pace', async (t) => {
  const { journal } = counted(newJournal(t));
  const total = await fill(journal);
  let held = 0;
  const { url, problems } = await serveJournal(t, journal, {}, (_request, response) => {
    const write = response.write.bind(response) as (chunk: string) => boolean;
    response.write = ((chunk: string) => {
      held = Math.max(held, response.writableLength + chunk.length);
      return write(chunk);
    }) as typeof response.write;
  });
  const seqs: number[] = [];
  for await (const message of source(url)(ANONYMOUS, new AbortController().signal)) {
    await settle();
    if (message.type !== 'records') continue;
    for (const { seq } of message.records) seqs.push(seq);
    if (seqs.length >= total) break;
  }
  t.same(
    seqs,
    Array.from({ length: total }, (_, index) => index + 1),
  );
  t.ok(held < MAX_LINE_BYTES, `${held} bytes were held for it`);
  t.same(problems, []);
});

const CUTS = 15;

test('connections that are cut repeatedly lose nothing and repeat nothing', async (t) => {
  const journal = newJournal(t);
  for (let batch = 0; batch < 20; batch += 1) await journal.append(purges(500, `batch-${batch}`));
  let cuts = 0;
  const { url } = await serveJournal(t, journal, {}, (request, response) => {
    if (cuts === CUTS) return;
    cuts += 1;
    let left = 2 + (cuts % 4);
    const write = response.write.bind(response) as (chunk: string) => boolean;
    response.write = ((chunk: string) => {
      left -= 1;
      if (left > 0) return write(chunk);
      request.socket.write(chunk.slice(0, chunk.length / 2)); // in the middle of a line, and of a chunk of HTTP
      request.socket.destroy();
      return false;
    }) as typeof response.write;
  });
  const { follower, target } = followOn(t, source(url));
  t.ok(await follower.caughtUp(at(journal, 10_000), PATIENCE_MS));
  t.same(target.applied, await journal.read(0, 10_000));
  t.equal(cuts, CUTS);
  t.equal(target.calls.filter((call) => call.startsWith('restart')).length, 1, 'it is the same journal all the time');
});

test('a follower skips to the floor when records are removed while they are sent', async (t) => {
  let now = 0;
  const base = newJournal(t, () => epochMs(now));
  await base.append(purges(1_000));
  now = 1_000;
  await base.append(purges(10));
  let isCompacted = false;
  const journal: Journal = {
    ...counted(base).journal,
    async read(seq, limit) {
      // As if compaction came between two batches.
      if (seq >= 400 && !isCompacted) {
        isCompacted = true;
        t.ok(await follower.caughtUp(at(base, 400), PATIENCE_MS));
        void base.compact(1_000);
      }
      return base.read(seq, limit);
    },
  };
  const { url, problems } = await serveJournal(t, journal);
  const { follower, target } = followOn(t, source(url));
  t.ok(await follower.caughtUp(at(journal, 1_010), PATIENCE_MS));
  t.ok(target.calls.includes('skipTo 1000'));
  t.same(problems, []);
});

test('the server ends its streams when it closes', async (t) => {
  const { journal, listeners } = counted(newJournal(t));
  const stopping = new AbortController();
  const { url, ended } = await serveJournal(t, journal, { signal: stopping.signal });
  const messages = source(url)(ANONYMOUS, new AbortController().signal)[Symbol.asyncIterator]();
  t.match(await messages.next(), { value: { type: 'hello' } });
  stopping.abort();
  await ended[0];
  t.match(await messages.next(), { done: true });
  t.equal(listeners(), 0);
});

test('a follower that disconnects leaves nothing behind', async (t) => {
  const { journal, listeners } = counted(newJournal(t));
  const { url, ended, problems } = await serveJournal(t, journal);
  const leaving = new AbortController();
  const messages = source(url)(ANONYMOUS, leaving.signal)[Symbol.asyncIterator]();
  await messages.next();
  t.equal(listeners(), 1);
  leaving.abort();
  await t.rejects(messages.next(), { code: 'journal_ended' });
  await ended[0];
  t.equal(listeners(), 0);
  t.same(problems, []);
});

test('closing a journal ends its streams', async (t) => {
  const journal = newJournal(t);
  const clock = new Clock();
  const { url, ended } = await serveJournal(t, journal, { wait: clock.wait });
  const response = await askAsNode(url);
  await journal.close();
  await clock.advance(1_000);
  await t.rejects(Array.fromAsync(response));
  await ended[0];
});

test('a closed journal refuses streams with 503', async (t) => {
  const journal = newJournal(t);
  const { url, ended } = await serveJournal(t, journal);
  await journal.close();
  const response = await ask(url, '/v1/journal?after=0', formatNodeField('eu-1', SECRET));
  t.equal(response.statusCode, 503);
  response.resume();
  await ended[0];
});

for (const { what, target, field, status } of [
  ...[
    ['no number', '/v1/journal'],
    ['a negative number', '/v1/journal?after=-1'],
    ['half a number', '/v1/journal?after=1.5'],
    ['an exponent', '/v1/journal?after=1e3'],
    ['a number beyond all', '/v1/journal?after=9007199254740993'],
    ['a strange identity', '/v1/journal?identity=%00&after=1'],
  ].map(([reason, path]) => ({
    what: reason as string,
    target: path as string,
    field: formatNodeField('eu-1', SECRET),
    status: 400,
  })),
]) {
  test(`refused with ${status}: ${what}`, async (t) => {
    const { journal, listeners } = counted(newJournal(t));
    const { url, ended } = await serveJournal(t, journal);
    const response = await ask(url, target, field);
    t.equal(response.statusCode, status);
    const body = Buffer.concat(await Array.fromAsync(response)).toString();
    t.match(JSON.parse(body), { status, code: 'bad_request' });
    await ended[0];
    t.equal(listeners(), 0);
  });
}

test('a position survives the way into a URL and back', async (t) => {
  for (const position of [ANONYMOUS, { identity: 'a-b.c_1', seq: 2 ** 53 - 1 }]) {
    t.same(readJournalTarget(journalTarget(position)), position);
  }
});

test('a Fastify route streams alike', async (t) => {
  const journal = newJournal(t);
  await journal.append(purges(3));
  const server = fastify({ forceCloseConnections: true });
  server.get('/v1/journal', (request, reply) => {
    reply.hijack();
    void streamJournal(journal, request.raw, reply.raw, {});
  });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  const { follower, target } = followOn(t, source(url));
  t.ok(await follower.caughtUp(at(journal, 3), PATIENCE_MS));
  await journal.append(purges(1));
  t.ok(await follower.caughtUp(at(journal, 4), PATIENCE_MS));
  t.same(target.applied, await journal.read(0, 10));
  await follower.stop();
});

const LYING: readonly (readonly [what: string, body: string | Buffer, code: string])[] = [
  ['a page', '<!doctype html>\n', 'journal_bad_message'],
  ['a line without end', 'x'.repeat(MAX_LINE_BYTES + 1), 'journal_bad_message'],
  ['bytes that are not UTF-8', Buffer.from([0x22, 0xc3, 0x22, 0x0a]), 'journal_bad_message'],
];

for (const [what, body, code] of LYING) {
  test(`a server that sends ${what} is disconnected`, async (t) => {
    const { url, sockets } = await serve(t, (_request, response) => void response.writeHead(200).write(body));
    await t.rejects(take(source(url)(ANONYMOUS, new AbortController().signal), 1), { code });
    for (const socket of sockets) if (!socket.destroyed) await once(socket, 'close');
    t.equal(sockets.size, 0, 'the connection is closed');
  });
}

test('a server that refuses, redirects or is down is an error', async (t) => {
  const { url } = await serve(t, (request, response) => {
    response.writeHead(request.url?.includes('after=1') ? 503 : 302, { Location: '/elsewhere' }).end('no');
  });
  const { signal } = new AbortController();
  await t.rejects(take(source(url)(ANONYMOUS, signal), 1), { code: 'journal_refused', message: '302' });
  await t.rejects(take(source(url)({ identity: 'a', seq: 1 }, signal), 1), { code: 'journal_refused', message: '503' });
  await t.rejects(take(source('http://127.0.0.1:1')(ANONYMOUS, signal), 1), { code: 'journal_unreachable' });
});
