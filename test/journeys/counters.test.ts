import { test } from 'tap';
import { samplesOf, startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { dial, everything, exchange, statuses } from '../support/raw-client.ts';
import { ask } from '../support/visitor.ts';

test('each node counts its requests by listener, site and result', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/counted/');
  for (const edge of ['eu-1', 'eu-1', 'eu-2']) await ask(network.at(edge), path);
  await ask(network.at('eu-1'), '/', { headers: { Host: 'unknown.test' } });
  await exchange(network.at('eu-1'), 'no HTTP\r\n\r\n');

  const requests = (node: string, labels: Record<string, string>) =>
    network.metric(node, 'seawall_requests_total', labels);
  t.equal(await requests('eu-1', { listener: 'public', site: 'site', result: 'uri-miss', status: '2xx' }), 1);
  t.equal(await requests('eu-1', { listener: 'public', site: 'site', result: 'peer-hit', status: '2xx' }), 1);
  t.equal(await requests('eu-1', { listener: 'public', site: '', result: 'unknown_host', status: '4xx' }), 1);
  t.equal(await requests('eu-1', { listener: 'public', site: '', result: 'bad_request' }), 1);
  t.equal(await requests('eu-2', { listener: 'tier', result: 'uri-miss' }), 1);
  t.equal(await requests('eu-2', { listener: 'tier', result: 'hit' }), 1);
  t.equal(await requests('eu-2', { listener: 'public', result: 'hit' }), 1);
  t.equal(await requests('shield-1', { listener: 'tier', result: 'uri-miss' }), 1);
  t.equal(await network.metric('eu-1', 'seawall_response_body_bytes_total', { site: 'site' }), 10);
  t.equal(await network.metric('shield-1', 'seawall_fills_total'), 1);
  t.equal(await network.metric('shield-1', 'seawall_cache_keys'), 1);
  t.ok((await network.metric('eu-2', 'seawall_cache_bytes')) > 0);
  t.equal(await network.metric('eu-1', 'seawall_store_refusals_total', { reason: 'not-hot' }), 2);
});

test('a stale response that was validated is no hit: revalidated after a 304, otherwise expired', async (t) => {
  let tag = '"1"';
  const origin = await startOrigin((request, response) => {
    const isSame = request.headers['if-none-match'] === tag;
    response.writeHead(isSame ? 304 : 200, { 'Cache-Control': 'max-age=0', ETag: tag }).end(isSame ? '' : tag);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (const next of ['"1"', '"1"', '"2"']) {
    tag = next;
    t.equal((await ask(network.at('eu-1'), '/')).text, next);
  }
  for (const node of ['eu-1', 'shield-1']) {
    const results = ['uri-miss', 'revalidated', 'expired', 'stale'];
    const counted = results.map((result) => network.metric(node, 'seawall_requests_total', { result }));
    t.same(await Promise.all(counted), [1, 1, 1, 0], node);
  }
});

test('the class of the status is counted on every path', async (t) => {
  const origin = await startOrigin((request, response) => {
    const [, status] = /^\/(\d+)/.exec(request.url ?? '') ?? [];
    const location = Number(status) === 301 ? { Location: '/' } : {};
    response.writeHead(Number(status), { 'Cache-Control': 'max-age=60', ETag: '"1"', ...location }).end('answer');
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const at = network.at('eu-1');
  const requests = (status: string, result?: string) =>
    network.metric('eu-1', 'seawall_requests_total', { status, ...(result !== undefined && { result }) });
  for (const path of ['/200', '/301', '/404', '/500']) {
    await ask(at, path);
    await ask(at, path); // from memory, but for the error
  }
  await ask(at, '/200', { headers: { 'If-None-Match': '"1"' } });
  await ask(at, '/200', { headers: { Range: 'bytes=0-1' } });
  await ask(at, '/200', { headers: { Range: 'bytes=90-' } });
  await ask(at, '/200', { method: 'HEAD' });
  t.same([await requests('2xx', 'hit'), await requests('2xx')], [3, 4]);
  t.same([await requests('3xx', 'hit'), await requests('3xx')], [2, 3]);
  t.same([await requests('4xx', 'hit'), await requests('4xx')], [2, 3]);
  t.equal(await requests('5xx'), 2);
});

test('values made up by visitors become no labels', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(request.url === '/418' ? 418 : 200).end();
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 40; i++) {
    await ask(network.at('eu-1'), `/made-up-${i}`, { headers: { Host: i % 2 ? `made-up-${i}.test` : 'site.test' } });
  }
  await ask(network.at('eu-1'), '/418');
  const samples = samplesOf(await network.metricsText('eu-1')).filter(({ name }) => name.startsWith('seawall_'));
  t.notMatch(JSON.stringify(samples), /made-up/);
  const series = samples.filter(({ name }) => name === 'seawall_requests_total');
  t.ok(series.length <= 5, JSON.stringify(series));
  t.equal(series.filter(({ labels }) => labels['status'] === '4xx').length, 2, 'of the unknown hosts, and of /418');
});

test('/healthz reports that the node serves; any other path is not found', async (t) => {
  const origin = await startOrigin(text('hello'));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (const node of [...network.edges, ...network.shields]) {
    const control = `http://${node.addresses.control}`;
    const health = await fetch(`${control}/healthz`);
    t.equal(health.status, 200);
    t.match(await health.json(), { node: node.name, status: 'ok' });
    t.equal((await fetch(`${control}/`)).status, 404);
    t.equal((await fetch(`${control}/metrics`, { method: 'DELETE' })).status, 405);
  }
});

const POST = 'POST /up HTTP/1.1\r\nHost: site.test\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n`;

for (const { what, sent, result } of [
  { what: 'chunks that are none', sent: `${CHUNKED}\r\nzz\r\n`, result: 'bad_request' },
  { what: 'chunks that go wrong', sent: `${CHUNKED}\r\n3\r\nabc\r\nzz\r\n`, result: 'bad_request' },
  {
    what: 'broken chunks with an Upgrade',
    sent: `${CHUNKED}Connection: upgrade\r\nUpgrade: h2c\r\n\r\nzz\r\n`,
    result: 'bad_request',
  },
  { what: 'trailers that are none', sent: `${CHUNKED}\r\n0\r\na b: c\r\n\r\n`, result: 'bad_request' },
  { what: 'half of its body, and the end', sent: `${POST}Content-Length: 10\r\n\r\nabc`, result: 'bad_request' },
  { what: 'bytes that are no request', sent: 'no HTTP\r\n\r\n', result: 'bad_request' },
  { what: 'a body that is too large', sent: `${POST}Content-Length: 999999999\r\n\r\nabc`, result: 'body_too_large' },
]) {
  test(`a request with ${what} is counted once`, async (t) => {
    const origin = await startOrigin(text('hello'));
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits: { drain_timeout: '100ms' } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const socket = dial(network.at('eu-1'));
    const answers = everything(socket);
    socket.end(Buffer.from(sent, 'latin1'));
    t.equal(statuses(await answers).length, 1);
    const visitors = { listener: 'public' };
    t.equal(await network.metric('eu-1', 'seawall_requests_total', { ...visitors, result }), 1);
    t.equal(await network.metric('eu-1', 'seawall_requests_total', visitors), 1);
  });
}
