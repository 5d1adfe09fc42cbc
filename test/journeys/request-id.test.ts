/** The identifier of a request: in its answer, at the origin and in the logs of all nodes. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { dial } from '../support/raw-client.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { ask } from '../support/visitor.ts';

const folder = mkdtempSync(join(tmpdir(), 'seawall-request-id-'));
const ID = /^[0-9a-f]{32}$/;

interface Line {
  readonly target: string;
  readonly id: string;
}

const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

test('each answer has an id of its own, which is that of its lines and that the origin got', async (t) => {
  const origin = await startOrigin((request, response) => {
    const isCached = request.url?.startsWith('/page') ?? false;
    const size = request.url === '/page-large' ? 100_000 : 5;
    response.setHeader('X-Request-Id', 'of-the-origin');
    response.setHeader('ETag', '"1"');
    response.setHeader('Cache-Control', isCached ? 'max-age=60' : 'no-store');
    response.statusCode = request.url === '/missing' ? 404 : 200;
    response.end('x'.repeat(size));
  });
  const file = join(folder, 'each.jsonl');
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, accessLog: file });
  t.teardown(() => origin.close());
  const edge = network.at('eu-1');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const asked: readonly [target: string, headers?: Record<string, string>, method?: string][] = [
    ...['/page', '/page', '/page', '/page', '/page-large', '/page-large', '/private', '/missing'].map(
      (target) => [target] as [string],
    ),
    ['/page', {}, 'HEAD'],
    ['/page', { 'If-None-Match': '"1"' }],
    ['/page', { Range: 'bytes=1-2' }],
    ['/page', { Range: 'bytes=99-' }],
    ['/private', { 'X-Request-Id': 'from-a-visitor' }, 'POST'],
    ['/a/../b'],
    ['/page', { 'X-Request-Id': 'from-a-visitor' }],
  ];
  const ids: string[] = [];
  for (const [target, headers = {}, method = 'GET'] of asked) {
    const { headers: answer } = await ask(edge, target, { headers, method, agent });
    t.match(answer['x-request-id'], ID, `${method} ${target} ${JSON.stringify(headers)}`);
    ids.push(answer['x-request-id'] as string);
  }
  t.equal(new Set(ids).size, ids.length);
  t.ok(network.edge('eu-1').answeredPrepared > 0, 'some were answered with prepared bytes');
  agent.destroy();
  await network.close();
  t.strictSame(
    linesOf(file).map(({ id }) => id),
    ids,
  );
  for (const { url, headers } of origin.requests) {
    t.ok(ids.includes(headers['x-request-id'] as string), `${url}: ${headers['x-request-id']}`);
  }
  t.strictSame(ids.indexOf(origin.requests[0]?.headers['x-request-id'] as string), 0, 'that of the request it is for');
});

test('requests in one packet get the ids of their own', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.setHeader('Cache-Control', 'max-age=60');
    response.end('hello');
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  for (let i = 0; i < 3; i++) await ask(network.at('eu-1'), '/');
  const visitor = dial(network.at('eu-1'));
  const request = 'GET / HTTP/1.1\r\nHost: site.test\r\n\r\n';
  visitor.write(request.repeat(50) + request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  let text = '';
  for await (const piece of visitor) text += piece;
  const ids = [...text.matchAll(/x-request-id: ([0-9a-f]{32})\r\n/gi)].map(([, id]) => id);
  t.equal(ids.length, 51);
  t.equal(new Set(ids).size, 51);
  await network.close();
  await origin.close();
});

test('an id is kept from a trusted proxy only, where it needs no quoting', async (t) => {
  const origin = await startOrigin((_request, response) => response.setHeader('Cache-Control', 'max-age=60').end('hi'));
  const file = join(folder, 'proxy.jsonl');
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    accessLog: file,
    trustedProxies: ['127.0.0.1'],
  });
  const given = ['lb-1', 'lb-2', 'lb-3', 'has space', '"'];
  const got: (string | undefined)[] = [];
  for (const id of given) {
    got.push((await ask(network.at('eu-1'), '/', { headers: { 'X-Request-ID': id } })).headers['x-request-id']);
  }
  await network.close();
  t.match(got, ['lb-1', 'lb-2', 'lb-3', ID, ID]);
  t.strictSame(
    linesOf(file).map(({ id }) => id),
    got,
  );
  t.equal(origin.requests[0]?.headers['x-request-id'], 'lb-1');
  await origin.close();
});

test('the log of each node has the id of a request that fails', async (t) => {
  const lines: { name?: string; id?: string; msg?: string }[] = [];
  const out = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).split('\n')) if (line !== '') lines.push(JSON.parse(line));
      done();
    },
  });
  const log = pino({ level: 'debug' }, out);
  const origin = await startOrigin((_request, response) => response.destroy());
  const network = await startNetwork({ origin: origin.url, regions: { eu: 2 }, log });
  const { headers, text } = await ask(network.at('eu-1'), network.pathOf('eu-2', '/broken'), {
    headers: { Accept: 'text/plain' },
  });
  const id = headers['x-request-id'];
  t.match(id, ID);
  t.match(text, `Request: ${id}`);
  await network.close();
  await origin.close();
  const nodes = new Set(lines.filter((line) => line.id === id).map((line) => (line as { node?: string }).node));
  t.ok(
    ['eu-1', 'eu-2', 'shield-1'].every((node) => nodes.has(node)),
    [...nodes].join(),
  );
  t.strictSame(
    lines.filter(({ msg, id: other }) => msg === 'request failed' && other !== id),
    [],
  );
});

test('over HTTP/2, too, and none where the config says `off`', async (t) => {
  const origin = await startOrigin((_request, response) => response.setHeader('Cache-Control', 'max-age=60').end('hi'));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
  const session = await openHttp2(t, edge);
  const ids: unknown[] = [];
  for (let i = 0; i < 5; i++) ids.push((await askHttp2(session, '/')).headers['x-request-id']);
  t.ok(
    ids.every((id) => ID.test(String(id))),
    ids.join(),
  );
  t.equal(new Set(ids).size, 5);
});
