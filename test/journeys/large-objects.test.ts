/**
 * Large objects through real nodes: a film that is larger than the memory of each node, over HTTP/1.1 and HTTP/2,
 * through one edge and through all tiers (docs/adr/0022-large-objects.md).
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Test, test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { ask, open, read } from '../support/visitor.ts';

const MIB = 2 ** 20;
const LENGTH = 24 * MIB + 4_321;

/** @returns Bytes of a version of the film, which tell both. */
function filmOf(version: number): Buffer {
  const film = Buffer.alloc(LENGTH);
  for (let at = 0; at + 4 <= LENGTH; at += 4) film.writeUInt32LE((at ^ (version * 0x9e3779b9)) >>> 0, at);
  return film;
}

const FILMS = [filmOf(0), filmOf(1)];

/** Film at the origin: its version, and the bytes of it that were sent. */
class Film {
  version = 0;
  sent = 0;
  hasRanges = true;

  get bytes(): Buffer {
    return FILMS[this.version] as Buffer;
  }

  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    const tag = `"film-${this.version}"`;
    const { 'if-match': ifMatch, 'if-range': ifRange, 'if-none-match': ifNoneMatch, range } = request.headers;
    if (ifMatch !== undefined && ifMatch !== tag) {
      response.writeHead(412).end();
      return;
    }
    const fields = { ETag: tag, 'Cache-Control': 'max-age=60', 'Accept-Ranges': 'bytes', 'Content-Type': 'video/mp4' };
    if (ifNoneMatch === tag) {
      response.writeHead(304, fields).end();
      return;
    }
    const applies = this.hasRanges && (ifRange === undefined || ifRange === tag);
    const [, first = '', last = ''] = (applies && /^bytes=(\d*)-(\d*)$/.exec(range ?? '')) || [];
    const isRange = first !== '' || last !== '';
    const start = first === '' ? (last === '' ? 0 : LENGTH - Number(last)) : Number(first);
    const end = first === '' || last === '' ? LENGTH : Math.min(Number(last) + 1, LENGTH);
    const place = isRange ? { 'Content-Range': `bytes ${start}-${end - 1}/${LENGTH}` } : {};
    response.writeHead(isRange ? 206 : 200, { ...fields, ...place, 'Content-Length': end - start });
    const { bytes } = this;
    const step = (at: number): void => {
      if (response.destroyed) return;
      if (at >= end) {
        response.end();
        return;
      }
      const next = Math.min(at + 65_536, end);
      this.sent += next - at;
      if (response.write(bytes.subarray(at, next))) setImmediate(step, next);
      else response.once('drain', () => step(next));
    };
    step(start);
  };
}

async function start(t: Test, memory: string, regions: Record<string, number>, shields: number) {
  const film = new Film();
  const origin = await startOrigin(film.answer);
  const network = await startNetwork({ origin: origin.url, memory, regions, shields });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return { film, origin, network };
}

const PLACES = [
  { value: undefined, first: 0, last: LENGTH - 1 },
  { value: 'bytes=0-99', first: 0, last: 99 },
  { value: `bytes=${7 * MIB - 10}-${9 * MIB + 10}`, first: 7 * MIB - 10, last: 9 * MIB + 10 },
  { value: 'bytes=-500', first: LENGTH - 500, last: LENGTH - 1 },
  { value: `bytes=${20 * MIB + 1}-`, first: 20 * MIB + 1, last: LENGTH - 1 },
];

for (const { what, regions, shields, at } of [
  { what: 'one edge', regions: { eu: 1 }, shields: 0, at: 'eu-1' },
  { what: 'owner, shield and origin', regions: { eu: 2 }, shields: 1, at: 'eu-1' },
  { what: 'an edge that is not the owner, owner, shield and origin', regions: { eu: 2 }, shields: 1, at: 'eu-2' },
] as const) {
  test(`${what}: every range of a film that is larger than the memory`, async (t) => {
    const { film, network } = await start(t, '16MiB', regions, shields);
    const path = network.pathOf('eu-1', '/film/');
    for (const { value, first, last } of [...PLACES, ...PLACES]) {
      const headers = value === undefined ? {} : { Range: value };
      const given = await ask(network.at(at), path, { headers });
      t.equal(given.status, value === undefined ? 200 : 206);
      t.ok(given.complete);
      t.equal(hash(given.body), hash(film.bytes.subarray(first, last + 1)), value ?? 'the whole');
      if (value !== undefined) t.equal(given.headers['content-range'], `bytes ${first}-${last}/${LENGTH}`);
    }
  });
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('through all tiers, owner and shield hold the chunks that were asked for; the origin is asked for no more', async (t) => {
  const { film, origin, network } = await start(t, '128MiB', { eu: 2 }, 1);
  const path = network.pathOf('eu-1', '/film/');
  await ask(network.at('eu-1'), path, { headers: { Range: 'bytes=0-9' } });
  const before = film.sent;
  const range = { Range: `bytes=${10 * MIB + 5}-${13 * MIB}` };
  const first = await ask(network.at('eu-1'), path, { headers: range });
  t.match(first.tiers.at(-1), /fwd=partial/);
  t.equal(film.sent - before, 4 * MIB, 'the four chunks that the range touches');
  const asked = origin.requests.length;
  const again = await ask(network.at('eu-1'), path, { headers: range });
  t.match(again.tiers, [/^"eu-1";hit/]);
  t.ok(again.body.equals(first.body));
  const byOther = await ask(network.at('eu-2'), path, { headers: range });
  t.match(byOther.tiers[0], /^"eu-1";hit/);
  t.equal(origin.requests.length, asked);
});

test('a film that changes in the middle of a download: that one breaks off, the next is whole and new', async (t) => {
  const { film, network } = await start(t, '16MiB', { eu: 2 }, 1);
  const path = network.pathOf('eu-1', '/film/');
  await ask(network.at('eu-1'), path, { headers: { Range: 'bytes=0-9' } });
  const under = await open(network.at('eu-1'), path, { headers: { Range: `bytes=1000-${LENGTH - 2}` } });
  film.version = 1;
  const broken = await read(under);
  t.notOk(broken.complete);
  t.equal(
    hash(broken.body),
    hash((FILMS[0] as Buffer).subarray(1_000, 1_000 + broken.body.length)),
    'all of one version',
  );
  const next = await ask(network.at('eu-1'), path);
  t.ok(next.complete);
  t.equal(hash(next.body), hash(FILMS[1] as Buffer));
});

test('a purge takes the whole film', async (t) => {
  const { film, network } = await start(t, '128MiB', { eu: 1 }, 0);
  const path = network.pathOf('eu-1', '/film/');
  await ask(network.at('eu-1'), path);
  const { core } = network.edge('eu-1');
  core.ledger.apply([{ seq: 1, site: 'site', kind: 'prefix', selector: '//site.test/film/', soft: false }]);
  film.version = 1;
  const next = await ask(network.at('eu-1'), path, { headers: { Range: `bytes=${3 * MIB}-${3 * MIB + 9}` } });
  t.equal(hash(next.body), hash((FILMS[1] as Buffer).subarray(3 * MIB, 3 * MIB + 10)));
});

test('an origin that answers a range with the whole: visitors get their ranges, and it is remembered', async (t) => {
  const { film, origin, network } = await start(t, '128MiB', { eu: 1 }, 0);
  film.hasRanges = false;
  const path = network.pathOf('eu-1', '/film/');
  const reader = await open(network.at('eu-1'), path);
  reader.destroy();
  for (let i = 0; i < 3; i++) {
    const given = await ask(network.at('eu-1'), path, { headers: { Range: `bytes=${23 * MIB}-${23 * MIB + 9}` } });
    t.equal(hash(given.body), hash(film.bytes.subarray(23 * MIB, 23 * MIB + 10)));
  }
  t.ok(origin.requests.length <= 4, `${origin.requests.length}`);
});

test('over HTTP/2: the whole, a range, and several at once on one connection', async (t) => {
  const film = new Film();
  const origin: Origin = await startOrigin(film.answer);
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
  const session = openHttp2(t, edge);
  const answers = await Promise.all(
    PLACES.map(({ value }) => askHttp2(session, '/film', value === undefined ? {} : { range: value })),
  );
  for (const [i, { status, text, reset }] of answers.entries()) {
    const { value, first, last } = PLACES[i] as (typeof PLACES)[number];
    t.equal(status, value === undefined ? 200 : 206);
    t.equal(reset, 0);
    t.equal(hash(Buffer.from(text, 'latin1')), hash(film.bytes.subarray(first, last + 1)), value ?? 'the whole');
  }
});
