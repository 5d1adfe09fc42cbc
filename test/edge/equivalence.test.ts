/**
 * Prepared delivery, and our own HTTP/1.1 server, change nothing but time: the same requests get the same bytes from an
 * edge with both, or with the server alone, as from one whose requests are read by `node:http`.
 *
 * `npm run equivalence` plays 20,000 requests; `SEAWALL_EQUIVALENCE_REQUESTS` and `SEAWALL_EQUIVALENCE_SEED` ask for
 * another number, or for others.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import tap, { test } from 'tap';
import { type RegionConfig, regionSchema, type SiteConfig, siteSchema } from '../../config/schema.ts';
import { type EdgeNode, startEdge } from '../../edge/node.ts';
import type { Delivery } from '../../edge/visitor-server.ts';
import { epochMs, wallNow } from '../../lib/clock.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { createLog } from '../../telemetry/log.ts';
import { SECRET } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { converse, difference } from './answers.ts';
import {
  type Conversation,
  conversations,
  countRequests,
  missingKinds,
  oddConversations,
  summary,
  WARMING,
  WARMING_ODD,
} from './conversations.ts';

tap.setTimeout(240_000);

/** Part that `npm test` plays. */
const SLICE = { requests: 4_000, seed: 20_260_101 };

const REQUESTS = Number(process.env['SEAWALL_EQUIVALENCE_REQUESTS'] ?? SLICE.requests);
const SEED = Number(process.env['SEAWALL_EQUIVALENCE_SEED'] ?? SLICE.seed);

/** Conversations that are held at a time. */
const AT_ONCE = 24;

const HOUR = { 'Cache-Control': 'max-age=3600' };
const BODY = 'hello, this is a body of some bytes';
const OLD = 'Sun, 06 Nov 2016 08:49:37 GMT';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const send =
  (status: number, fields: Readonly<Record<string, string>>, body: string | Buffer = BODY): Answer =>
  (response) => {
    response.writeHead(status, {
      'Content-Length': Buffer.byteLength(body),
      Date: new Date(clock.now).toUTCString(),
      ...fields,
    });
    response.end(body);
  };

/** Names the requester. */
const greet =
  (fields: Readonly<Record<string, string>>): Answer =>
  (response, request) => {
    const { cookie = '', authorization = '' } = request.headers;
    send(200, fields, `hello ${cookie} ${authorization}`)(response, request);
  };

/** By the last part of the path. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  fresh: send(200, HOUR),
  marker: send(200, HOUR, '<<marker>>'),
  etag: send(200, { ...HOUR, ETag: '"v1"', 'Last-Modified': OLD, 'Content-Type': 'text/plain' }),
  vary: (response, request) => {
    const coding = request.headers['accept-encoding'] ?? 'none';
    send(200, { ...HOUR, ETag: '"v1"', Vary: 'Accept-Encoding, Accept-Language' }, coding)(response, request);
  },
  'vary-who': send(200, { ...HOUR, Vary: 'X-Forwarded-For, Cookie' }),
  big: send(200, { ...HOUR, ETag: '"v1"' }, Buffer.alloc(100_000, 'abcdefghij')),
  empty: send(200, HOUR, ''),
  chunked: (response) => {
    response
      .writeHead(200, { ...HOUR, Date: new Date(clock.now).toUTCString(), 'Transfer-Encoding': 'chunked' })
      .write('one, ');
    response.end('two');
  },
  missing: send(404, HOUR, 'not here'),
  redirect: send(301, { ...HOUR, Location: '/elsewhere', ETag: '"v1"' }, ''),
  private: send(200, { 'Cache-Control': 'private' }),
  'no-store': send(200, { 'Cache-Control': 'no-store' }),
  stale: send(200, { 'Cache-Control': 'max-age=0, stale-while-revalidate=0', ETag: '"v1"' }),
  'no-content': send(204, HOUR, ''),
  cookie: send(200, { ...HOUR, 'Set-Cookie': 'a=b' }),
  browser: send(200, { ...HOUR, Expires: OLD, Pragma: 'x', Age: '7' }),
  honour: send(200, { ...HOUR, ETag: '"v1"' }),
  never: send(200, HOUR),
  ruled: greet({}),
  'ruled.css': greet({ 'Content-Type': 'text/css' }),
  'page.css': greet({ 'Content-Type': 'text/html' }),
  keyed: greet({}),
  named: greet({}),
  guessed: greet({ 'Last-Modified': OLD }),
  encoded: send(200, { ...HOUR, 'Content-Encoding': 'br' }),
  'no-date': (response) => {
    response.sendDate = false;
    response.writeHead(200, { ...HOUR, 'Content-Length': 2 }).end('ok');
  },
  /** Shows what the origin got to see. */
  echo: (response, request) => {
    const { via, connection, ...seen } = request.headers;
    send(200, { 'Cache-Control': 'no-store' }, JSON.stringify([request.method, request.url, seen]))(response, request);
  },
};

function answer(request: IncomingMessage, response: ServerResponse): void {
  const name = /([^/?]*)(?:\?.*)?$/.exec(request.url ?? '')?.[1] ?? '';
  const make = ANSWERS[name] ?? ANSWERS['fresh'];
  request.resume().once('end', () => make?.(response, request));
}

function siteOf(origin: string, name: string, others: object): SiteConfig {
  return siteSchema.parse({ name, hosts: [`${name}.test`], origin: { servers: [{ url: origin }] }, ...others });
}

function regionOf(origin: string, limits: object): RegionConfig {
  const rules = [
    { path: '*/honour', request_directives: 'honour' },
    { path: '*/never', cache: 'never' },
    { path: '*/ruled', ttl: '1h' },
    { path: '*.css', ttl: '1h' },
    { path: '*/keyed', ttl: '1h', cookies: 'key' },
    { path: '*/named', ttl: '1h', cookies: { bypass: ['session*'] } },
  ].map((rule) => ({ ...rule, path: rule.path.replace('*', '/*') }));
  const region = regionSchema.parse({
    region: 'eu',
    tier_secret: SECRET,
    edges: [{ name: 'eu-1', listen: '127.0.0.1:0', tier: '127.0.0.1:0' }],
    limits: { drain_timeout: '1s', ...limits },
    sites: [{ include: 'site.yaml' }],
  });
  const sites = [
    siteOf(origin, 'site', { rules }),
    siteOf(origin, 'key', {
      rules,
      key: { headers: ['Accept-Language'], cookies: ['currency'], query: { deny: ['utm_*'] }, sort_query: true },
    }),
    siteOf(origin, 'changed', {
      rules: [...rules, { browser_ttl: '5m' }],
      cache_status: false,
      request_headers: { set: { 'X-Set': 'x' }, remove: ['If-Modified-Since'] },
      response_headers: { set: { 'X-Frame-Options': 'DENY', Server: 'edge' }, remove: ['ETag'] },
    }),
    siteOf(origin, 'redirect', { redirect: { host: 'site.test' } }),
  ];
  return { ...region, file: 'eu.yaml', sites, reachableShields: [] };
}

/** Stands still while they are asked. */
const clock: { now: number } = { now: wallNow() };

/** Clock steps between parts of the conversations: they show in the seconds. */
const STEPS_MS = [0, 1, 998, 1, 61_000, 700_300];

/** The second one's requests are read by `node:http`, and nothing is prepared. */
type Pair = readonly [EdgeNode, EdgeNode];

async function startPair(origin: string, limits: object, first: Delivery): Promise<Pair> {
  const log = createLog({ name: 'equivalence', level: 'silent' });
  const region = regionOf(origin, limits);
  const [edge] = region.edges;
  if (edge === undefined) throw new Error('no edge');
  const start = (delivery: Delivery): Promise<EdgeNode> =>
    startEdge({
      region,
      edge,
      origin: new OriginPools(region.network, region.sites),
      log,
      delivery,
      now: () => epochMs(clock.now),
    });
  return [await start(first), await start('node:http')];
}

/** @returns The first conversation that the two answer differently, and how. */
async function compare(pair: Pair, all: readonly Conversation[], atOnce: number): Promise<string | undefined> {
  let next = 0;
  let found: string | undefined;
  const hold = async (): Promise<void> => {
    for (let held = all[next++]; held !== undefined && found === undefined; held = all[next++]) {
      const [one, other] = await Promise.all([
        converse(pair[0].addresses.listen, held),
        converse(pair[1].addresses.listen, held),
      ]);
      const differs = difference(one, other);
      if (differs !== undefined) found = `${differs}\nafter\n  ${summary(held)}`;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, hold));
  return found;
}

async function started(limits: object, first: Delivery): Promise<{ pair: Pair; close: () => Promise<unknown> }> {
  const origin = await startOrigin(answer);
  const pair = await startPair(origin.url, limits, first);
  return {
    pair,
    close: async () => {
      await Promise.all(pair.map((edge) => edge.close()));
      await origin.close();
    },
  };
}

test('the part that npm test plays has every method, host, path and field line', async (t) => {
  t.strictSame(missingKinds(conversations(SLICE.requests, SLICE.seed)), []);
});

for (const first of ['prepared', 'ordinary'] as const) {
  test(`${REQUESTS} generated requests are answered alike by ${first} delivery and node:http`, async (t) => {
    const { pair, close } = await started({ max_header: '16KiB', max_headers: 100 }, first);
    t.teardown(close);
    const all = conversations(REQUESTS, SEED);
    t.ok(countRequests(all) >= REQUESTS, `${countRequests(all)} requests`);
    t.equal(await compare(pair, [WARMING], 1), undefined);
    const part = Math.ceil(all.length / STEPS_MS.length);
    for (const [i, step] of STEPS_MS.entries()) {
      clock.now += step;
      t.equal(await compare(pair, all.slice(i * part, (i + 1) * part), AT_ONCE), undefined);
    }
    const [{ answeredPrepared }, byNode] = pair;
    if (first === 'prepared') t.ok(answeredPrepared / countRequests(all) > 0.25, `${answeredPrepared} prepared`);
    else t.equal(answeredPrepared, 0);
    t.equal(byNode.answeredPrepared, 0);
  });
}

for (const first of ['prepared', 'ordinary'] as const) {
  test(`requests that parsers disagree about, and silent ones, are answered alike: ${first}`, async (t) => {
    const impatient = { header_timeout: '3s', request_timeout: '3s', keep_alive_timeout: '3s' };
    const { pair, close } = await started({ max_header: '16KiB', max_headers: 100, ...impatient }, first);
    t.teardown(close);
    const all = [...oddConversations(), { turns: [{ bytes: '', cuts: [], methods: ['?'] }] }];
    t.ok(all.length > 300, `${all.length} conversations`);
    t.equal(await compare(pair, WARMING_ODD, 1), undefined);
    t.equal(await compare(pair, all, all.length), undefined);
    t.equal(pair[0].answeredPrepared > 0, first === 'prepared');
  });
}
