/** Phases that requests pass, as the channels and the debug log say. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { type Test, test } from 'tap';
import type { EdgeNode } from '../../edge/node.ts';
import { TRACE_PHASES, type TraceMessage, type TracePhase, Tracer, traceChannel } from '../../lib/trace.ts';
import { startNetwork } from '../support/network.ts';
import { startOrigin, startTcp, text } from '../support/origin.ts';
import { dial, statuses, until } from '../support/raw-client.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { ask } from '../support/visitor.ts';

/** @returns Phases of each request, by node, until the test ends. */
function phasesSeen(t: Test): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  const note = (message: unknown): void => {
    const { node, phase } = message as TraceMessage;
    seen.set(node, [...(seen.get(node) ?? []), phase]);
  };
  const channels = (Object.keys(TRACE_PHASES) as TracePhase[]).map(traceChannel);
  for (const one of channels) subscribe(one, note);
  t.teardown(() => {
    for (const one of channels) unsubscribe(one, note);
  });
  return seen;
}

const HOUR = { 'Cache-Control': 'max-age=3600' };
const READ = ['receive', 'admit', 'route'];
const ANSWERED = ['lookup', 'fetch', 'cache'];
const SENT = ['deliver', 'log'];

for (const { name, target, method = 'GET', body, status, edge, shield = [] } of [
  {
    name: 'a miss',
    target: '/new',
    status: 200,
    edge: [...READ, 'body', ...ANSWERED, ...SENT],
    shield: ['receive', ...ANSWERED, ...SENT],
  },
  {
    name: 'a body',
    target: '/',
    method: 'POST',
    body: 'x',
    status: 200,
    edge: [...READ, 'body', ...ANSWERED, ...SENT],
    shield: ['receive', ...ANSWERED, ...SENT],
  },
  { name: 'PURGE', target: '/', method: 'PURGE', status: 405, edge: ['receive', 'purge', ...SENT] },
  { name: 'a redirect', target: '/old', status: 308, edge: [...READ, ...SENT] },
  { name: 'a refused head', target: '/a/%2e%2e/b', status: 400, edge: ['receive', ...SENT] },
  { name: 'a refused method', target: '/', method: 'TRACE', status: 405, edge: ['receive', ...SENT] },
  {
    name: 'a body that is too large',
    target: '/',
    method: 'POST',
    body: 'x'.repeat(2_000),
    status: 413,
    edge: [...READ, 'body', ...SENT],
  },
] as const) {
  test(`${name} passes ${edge.join(', ')} at the edge`, async (t) => {
    const origin = await startOrigin((request, response) => {
      request.resume();
      text('hello', HOUR)(request, response);
    });
    const network = await startNetwork({
      origin: origin.url,
      regions: { eu: 1 },
      site: { max_request_body: '1KiB', ...(target === '/old' && { redirect: { host: 'elsewhere.test' } }) },
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const seen = phasesSeen(t);
    const answer = await ask(network.at('eu-1'), target, { method, ...(body && { body }) });
    t.equal(answer.status, status);
    t.strictSame(seen.get('eu-1'), edge);
    t.strictSame(seen.get('shield-1') ?? [], shield);
    t.equal(await network.metric('eu-1', 'seawall_requests_total', { listener: 'public' }), 1);
  });
}

const SWITCHED = ['receive', 'fetch', ...SENT];

for (const { name, head, fields = '', status, edge, shield = [] } of [
  { name: 'a websocket', head: '101 Switching Protocols', status: 101, edge: SWITCHED, shield: SWITCHED },
  { name: 'a declined websocket', head: '403 Forbidden', status: 403, edge: SWITCHED, shield: SWITCHED },
  { name: 'a websocket without an answer', head: '', status: 502, edge: SWITCHED, shield: SWITCHED },
  { name: 'a websocket with a body', head: '', fields: 'Content-Length: 1\r\n', status: 400, edge: ['receive'] },
]) {
  test(`${name} passes ${edge.join(', ')} at the edge`, async (t) => {
    const origin = await startTcp((socket) =>
      head === ''
        ? socket.resetAndDestroy()
        : socket.write(
            `HTTP/1.1 ${head}\r\n${status === 101 ? 'Connection: Upgrade\r\nUpgrade: websocket' : 'Content-Length: 0'}\r\n\r\n`,
          ),
    );
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const seen = phasesSeen(t);
    const socket = dial(network.at('eu-1'));
    socket.write(`GET /ws HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${fields}\r\n`);
    t.strictSame(statuses(await until(socket, /\r\n\r\n/)), [status]);
    t.strictSame(seen.get('eu-1'), edge);
    t.strictSame(seen.get('shield-1') ?? [], shield);
    socket.destroy();
  });
}

async function network(t: Test, log?: Logger) {
  const origin = await startOrigin(text('hello', HOUR));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, ...(log && { log }) });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return network;
}

const HIT = ['receive', 'lookup', ...SENT];
const SMALL = 'hello';
const LARGE = 'x'.repeat(100_000);

for (const { name, body = SMALL, method = 'GET', headers = {} } of [
  { name: 'a hit' },
  { name: 'a hit by HEAD', method: 'HEAD' },
  { name: 'a 304', headers: { 'if-none-match': '"v1"' } },
  { name: 'a range', headers: { range: 'bytes=1-3' } },
  { name: 'a hit of a large body', body: LARGE },
  { name: 'a range of a large body', body: LARGE, headers: { range: 'bytes=1-70000' } },
]) {
  test(`${name} passes ${HIT.join(', ')}, over HTTP/1.1 and HTTP/2`, async (t) => {
    const origin = await startOrigin(text(body, { ...HOUR, ETag: '"v1"' }));
    t.teardown(() => origin.close());
    const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
    const agent = new Agent({ keepAlive: true });
    t.teardown(() => agent.destroy());
    const session = openHttp2(t, edge);
    const { listen } = edge.node.addresses;
    const overHttp1 = async () => (await ask(listen, '/page', { method, headers, agent })).headers;
    const overHttp2 = async () => (await askHttp2(session, '/page', { ':method': method, ...headers })).headers;
    await ask(listen, '/page', { agent });
    await askHttp2(session, '/page');
    for (const way of [overHttp1, overHttp2]) {
      const before = edge.node.answeredPrepared;
      const seen = phasesSeen(t);
      t.match((await way())['cache-status'], /;hit/);
      t.strictSame(seen.get('eu-1'), HIT);
      t.equal(edge.node.answeredPrepared, before + 1);
    }
  });
}

/** @returns Keys that the store of an edge is asked for, one for each time, until the test ends. */
function keysLookedUp(t: Test, { core: { store } }: EdgeNode): string[] {
  const keys: string[] = [];
  const get = store.get.bind(store);
  store.get = (key) => {
    keys.push(String(key));
    return get(key);
  };
  t.teardown(() => {
    store.get = get;
  });
  return keys;
}

for (const { name, target = '/page', first = target, answer = HOUR, headers, method, hit, lookups = 1 } of [
  { name: 'a miss', target: '/new', first: '/page', hit: false },
  { name: 'a miss whose target is spelt otherwise', target: '/ne%77', first: '/page', hit: false, lookups: 2 },
  { name: 'a miss below a segment that is resolved', target: '/never/../new', first: '/page', hit: false, lookups: 2 },
  { name: 'a miss of what is not looked up', target: '/never/new', first: '/page', hit: false },
  { name: 'a hit', hit: true },
  { name: 'a hit whose target is spelt otherwise', target: '/pag%65', first: '/page', hit: true, lookups: 2 },
  { name: 'a hit of several ranges', headers: { range: 'bytes=0-0,3-4' }, hit: true },
  { name: 'a response that has to be validated', answer: { 'Cache-Control': 'no-cache', ETag: '"v1"' }, hit: false },
  { name: 'a miss by HEAD', target: '/new', first: '/page', method: 'HEAD', hit: false },
] as const) {
  test(`${name} is looked up once for each key that it may have, over HTTP/1.1 and HTTP/2`, async (t) => {
    for (const version of ['1.1', '2']) {
      let lookedUp: string[] = [];
      let before: string[] | undefined; // what is stored afterwards is looked for once more
      const origin = await startOrigin((...exchange) => {
        before ??= [...lookedUp];
        text(SMALL, answer)(...exchange);
      });
      t.teardown(() => origin.close());
      const keys = { dot_segments: 'resolve' as const, rules: [{ path: '/never/*', cache: 'never' as const }] };
      const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'], keys }]);
      const agent = new Agent({ keepAlive: true });
      t.teardown(() => agent.destroy());
      const session = openHttp2(t, edge);
      const { listen } = edge.node.addresses;
      const request = async (path: string, fields = {}, verb = 'GET') =>
        version === '1.1'
          ? (await ask(listen, path, { method: verb, headers: fields, agent })).headers
          : (await askHttp2(session, path, { ':method': verb, ...fields })).headers;
      await request(first, headers, method); // as a section that was seen before
      await request(first);
      lookedUp = keysLookedUp(t, edge.node);
      before = undefined;
      const answered = await request(target, headers, method);
      t.equal(/;hit/.test(String(answered['cache-status'])), hit, String(answered['cache-status']));
      const asked = before ?? lookedUp;
      t.strictSame([asked.length, new Set(asked).size], [lookups, lookups], asked.join(' '));
    }
  });
}

test('the debug log has a line for each phase, and a request has one id at all nodes', async (t) => {
  const lines: TraceMessage[] = [];
  const write = (line: string): void => {
    const message = JSON.parse(line) as TraceMessage;
    if (message.phase !== undefined) lines.push(message);
  };
  const { at } = await network(t, pino({ level: 'debug' }, { write }));
  await ask(at('eu-1'), '/page');
  t.equal(new Set(lines.map(({ id }) => id || lines[0]?.id)).size, 1, 'one id');
  t.match(
    lines.map(({ node, phase, fwd, to, status, target }) => ({ node, phase, fwd, to, status, target })),
    [
      { node: 'eu-1', phase: 'receive', target: '/page' },
      { node: 'eu-1', phase: 'admit' },
      { node: 'eu-1', phase: 'route' },
      { node: 'eu-1', phase: 'body' },
      { node: 'eu-1', phase: 'lookup', fwd: 'uri-miss' },
      { node: 'eu-1', phase: 'fetch', to: 'shield-1' },
      { node: 'shield-1', phase: 'receive', target: '/page' },
      { node: 'shield-1', phase: 'lookup', fwd: 'uri-miss' },
      { node: 'shield-1', phase: 'fetch', to: 'origin' },
    ],
  );
  t.ok(lines.some(({ node, phase, result }) => node === 'eu-1' && phase === 'log' && result === 'uri-miss'));
});

test('nothing is traced without a debug log and without a subscriber', async (t) => {
  const log = pino({ level: 'info' }, { write: () => undefined });
  const tracer = new Tracer('eu-1', log);
  t.equal(tracer.begin({ id: 'one' }), undefined);
  phasesSeen(t);
  t.not(tracer.begin({ id: 'one' }), undefined, 'a subscriber turns it on at once');
});

test('docs/debugging.md names every phase', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/debugging.md'), 'utf8');
  const items = page.replaceAll(/\n {2}(?=\S)/g, ' '); // each on one line
  const named = [...items.matchAll(/^- `(\w+)`\. Channel: `seawall:(\w+)`; message: (.*)$/gm)];
  t.strictSame(
    named.map(([, phase, name, meaning]) => [phase, name, meaning]),
    Object.entries(TRACE_PHASES).map(([phase, meaning]) => [phase, phase, meaning]),
  );
});
