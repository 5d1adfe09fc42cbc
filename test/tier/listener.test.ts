/**
 * A node is answered alike whether its request is recognised or read by
 * `node:http`: whatever it says, and whoever it is.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import tap, { test } from 'tap';
import { formatTierField, token } from '../../http/fields/tier-field.ts';
import { type Network, SECRET, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { dial, exchange, statuses } from '../support/raw-client.ts';

const HOUR = { 'Cache-Control': 'max-age=3600', ETag: '"v1"' };

let origin: Origin;
let network: Network;

tap.before(async () => {
  origin = await startOrigin((request, response) => {
    const kind = /^\/\w\/(\w+)/.exec(request.url ?? '')?.[1];
    if (kind === 'broken') request.socket.destroy();
    else if (kind === 'private') response.writeHead(200, { 'Cache-Control': 'private', 'Content-Length': 2 }).end('me');
    else if (kind === 'chunked') response.writeHead(200, HOUR).end('in chunks');
    else if (kind === 'missing') response.writeHead(404, { ...HOUR, 'Content-Length': 4 }).end('none');
    else if (kind === 'empty') response.writeHead(204, HOUR).end();
    else response.writeHead(200, { ...HOUR, 'Content-Length': 10, Vary: 'Accept-Language' }).end('0123456789');
  });
  network = await startNetwork({ origin: origin.url, shields: 1 });
});

tap.teardown(async () => {
  await network.close();
  await origin.close();
});

const call = (members: Parameters<typeof formatTierField>[0] = {}): string =>
  `Seawall-Tier: ${formatTierField({ secret: SECRET, id: 'an-id', from: 'eu-1', proto: token('http'), ask: token('shield'), seq: 0, ...members })}`;

const GOOD = call();
const HOST = 'Host: site.test';

interface Case {
  readonly method?: string;
  readonly path?: string;
  readonly lines: readonly string[];
  readonly status: number;
  /** True if a second request for it is a hit. */
  readonly isHit?: boolean;
}

const CASES: Readonly<Record<string, Case>> = {
  'a GET': { lines: [HOST, GOOD], status: 200, isHit: true },
  'a GET with a visitor’s fields': {
    lines: [HOST, 'Accept: */*', 'Accept-Language: de', 'X-Forwarded-For: 192.0.2.1', GOOD],
    status: 200,
  },
  'a HEAD': { method: 'HEAD', lines: [HOST, GOOD], status: 200 },
  'a condition': { lines: [HOST, 'If-None-Match: "v1"', GOOD], status: 304 },
  'a range': { lines: [HOST, 'Range: bytes=2-3', GOOD], status: 206 },
  'a range that cannot be': { lines: [HOST, 'Range: bytes=20-', GOOD], status: 416 },
  'what is private': { path: 'private', lines: [HOST, GOOD], status: 200 },
  'what comes in chunks': { path: 'chunked', lines: [HOST, GOOD], status: 200, isHit: true },
  'what is not there': { path: 'missing', lines: [HOST, GOOD], status: 404 },
  nothing: { path: 'empty', lines: [HOST, GOOD], status: 204 },
  'an origin that breaks': { path: 'broken', lines: [HOST, GOOD], status: 502 },
  'who knows more of the journal': { lines: [HOST, call({ seq: 7 })], status: 200 },
  'who knows another journal': { lines: [HOST, call({ seq: 7, journal: 'another' })], status: 200 },
  'an owner': { lines: [HOST, call({ ask: token('owner') })], status: 200 },
  'another scheme': { lines: [HOST, call({ proto: token('https') })], status: 200 },
  'an unknown host': { lines: ['Host: elsewhere.test', GOOD], status: 421 },
  'dot segments': { path: 'a/../b', lines: [HOST, GOOD], status: 400 },
  'a zero byte': { path: 'a%00', lines: [HOST, GOOD], status: 400 },
  'no Host': { lines: [GOOD], status: 400 },
  'two Hosts': { lines: [HOST, HOST, GOOD], status: 400 },
  nobody: { lines: [HOST], status: 403 },
  'an empty field': { lines: [HOST, 'Seawall-Tier:'], status: 403 },
  'another secret': { lines: [HOST, call({ secret: 'wrong' })], status: 403 },
  'no secret': { lines: [HOST, call({ secret: undefined })], status: 403 },
  'the secret in capitals': { lines: [HOST, call({ secret: SECRET.toUpperCase() })], status: 403 },
  'the beginning of the secret': { lines: [HOST, call({ secret: SECRET.slice(0, -1) })], status: 403 },
  'the field twice': { lines: [HOST, GOOD, GOOD], status: 403 },
  'the field once good, once bad': { lines: [HOST, GOOD, call({ secret: 'wrong' })], status: 403 },
  'no Dictionary': { lines: [HOST, `Seawall-Tier: secret="${SECRET}`], status: 403 },
  'something behind the Dictionary': { lines: [HOST, `${GOOD}, ;`], status: 403 },
  'the secret in another field': { lines: [HOST, GOOD.replace('Seawall-Tier', 'X-Seawall-Tier')], status: 403 },
};

/** @param way - Part of the path, so that one way finds nothing that the other has stored. */
function bytesOf({ method = 'GET', path = 'plain', lines }: Case, way: 'r' | 'n'): string {
  // Two spaces are as good as one, but not recognised.
  const written = way === 'r' ? lines : lines.map((line) => line.replace(': ', ':  '));
  return `${method} /${way}/${path} HTTP/1.1\r\n${written.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** Without what is never the same: times and ids. */
function settled(text: string): string {
  return text
    .replace(/^Date: .*\r$/gim, 'Date\r')
    .replace(/^Age: \d+\r$/gim, 'Age\r')
    .replace(/ttl=-?\d+/g, 'ttl')
    .replace(/\b[0-9a-f]{32}\b/g, 'id');
}

/** Reads what comes until nothing more is expected: the last request asks to close. */
function talk(bytes: string): Promise<string> {
  const end = `GET /last HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n`;
  return exchange(network.shields[0]?.addresses.tier as string, bytes + end);
}

for (const [rule, one] of Object.entries(CASES)) {
  test(`${rule} is answered alike, first and again`, async (t) => {
    for (const time of ['first', 'again']) {
      const [own, nodes] = [await talk(bytesOf(one, 'r')), await talk(bytesOf(one, 'n'))];
      t.equal(settled(own), settled(nodes), time);
      t.equal(statuses(own)[0], one.status);
      if (time === 'again' && one.isHit) t.match(own, /^Cache-Status: "shield-1";hit;/m);
      if (one.status === 403) {
        t.match(own, /^Seawall-Error: unauthorised_tier\r$/m);
        t.notMatch(own, /0123456789/);
      }
    }
  });
}

test('requests on one connection are read alike wherever they are cut', async (t) => {
  const socket = dial(network.shields[0]?.addresses.tier as string);
  socket.setNoDelay();
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  const bytes = bytesOf(CASES['a GET'] as Case, 'r');
  for (let cut = 1; cut < bytes.length; cut += 3) {
    const before = statuses(text).length;
    socket.write(bytes.slice(0, cut));
    await nextTurn();
    socket.write(bytes.slice(cut));
    while (statuses(text).length === before || !text.endsWith('0123456789')) await nextTurn();
  }
  t.ok(statuses(text).every((status) => status === 200));
  socket.destroy();
});

test('a request without the secret behind one with it is refused', async (t) => {
  const text = await talk(bytesOf(CASES['a GET'] as Case, 'r') + bytesOf(CASES['nobody'] as Case, 'r'));
  t.strictSame(statuses(text).slice(0, 2), [200, 403]);
});
