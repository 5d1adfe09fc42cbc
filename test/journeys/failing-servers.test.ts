/**
 * Origin servers that fail while their twins are well: visitors see nothing of it, and the servers get no more requests
 * (promise P4).
 */
import type { ServerResponse } from 'node:http';
import { type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, type Script, startOrigin, text } from '../support/origin.ts';
import { ask } from '../support/visitor.ts';

const KEPT = { 'Cache-Control': 'max-age=60' };

interface Pair {
  readonly network: Network;
  readonly bad: Origin;
  readonly good: Origin;
}

/** Two servers behind one shield, one of which does what a script says. */
async function pair(t: Test, script: Script, access: NetworkOptions['access'] = {}): Promise<Pair> {
  const [bad, good] = await Promise.all([startOrigin(script), startOrigin(text('good', KEPT))]);
  const network = await startNetwork({ origin: [bad.url, good.url], regions: { eu: 1 }, access });
  t.teardown(() => Promise.all([network.close(), bad.close(), good.close()]));
  return { network, bad, good };
}

function status(code: number, fields: Readonly<Record<string, string>> = {}): Script {
  return (_request, response) => void response.writeHead(code, fields).end('bad');
}

/** Announces more than it sends. */
function cutBody(_request: unknown, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Length': 100_000, ...KEPT });
  response.write(Buffer.alloc(50_000), () => response.destroy());
}

for (const code of [502, 503, 504]) {
  test(`a server answers ${code}: the next one is asked, and it is soon left out`, async (t) => {
    const { network, bad } = await pair(t, status(code));
    for (let i = 0; i < 40; i++) t.match(await ask(network.at('eu-1'), `/${i}`), { status: 200, text: 'good' });
    t.ok(bad.requests.length < 15, `${bad.requests.length} of 40 requests went to it`);
    t.equal(await network.metric('shield-1', 'seawall_targets_left_out_total', { cause: 'errors' }), 1);
    t.ok((await network.metric('shield-1', 'seawall_retries_total', { cause: 'status' })) >= 5);
  });
}

for (const [what, script, statuses] of [
  ['answers 500, which is no status of failover_on', status(500), [200, 500]],
  ['breaks off bodies that have no validator', cutBody, [200]],
] as const) {
  test(`a server ${what}: it is left out once half of its responses failed`, async (t) => {
    const { network, bad } = await pair(t, script);
    for (let i = 0; i < 40; i++) {
      const reply = await ask(network.at('eu-1'), `/${i}`);
      t.ok((statuses as readonly number[]).includes(reply.status));
      if (i >= 20) t.match(reply, { status: 200, text: 'good', complete: true });
    }
    t.ok(bad.requests.length < 15, `${bad.requests.length} of 40 requests went to it`);
    t.equal(await network.metric('shield-1', 'seawall_targets_left_out_total', { cause: 'errors' }), 1);
  });
}

test('a page that fails at every server leaves none of them out', async (t) => {
  const { network, bad, good } = await pair(t, status(500));
  good.script = status(500);
  for (let i = 0; i < 20; i++) t.match(await ask(network.at('eu-1'), `/${i}`), { status: 500 });
  for (const { requests } of [bad, good]) t.ok(requests.length >= 8, 'both are asked');
  t.equal(await network.metric('shield-1', 'seawall_targets_left_out_total'), 0);
});

test('statuses of failover_on are those of the config; the last response is passed on', async (t) => {
  const { network, good } = await pair(t, status(500), { failover_on: [500] });
  t.match(await ask(network.at('eu-1'), '/a'), { status: 200 });
  t.match(await ask(network.at('eu-1'), '/b'), { status: 200 });
  good.script = status(500, { 'X-Last': 'yes' });
  t.match(await ask(network.at('eu-1'), '/c'), { status: 500, text: 'bad' });
});

test('a POST is not sent to another server after a 503', async (t) => {
  const { network, bad, good } = await pair(t, status(503));
  const before = bad.requests.length + good.requests.length;
  const replies = [];
  for (let i = 0; i < 2; i++) replies.push(await ask(network.at('eu-1'), '/form', { method: 'POST', body: 'x' }));
  t.strictSame(replies.map((reply) => reply.status).sort(), [200, 503]);
  t.equal(bad.requests.length + good.requests.length - before, 2);
});

test('a server that asks for a pause gets one', async (t) => {
  const { network, bad } = await pair(t, status(503, { 'Retry-After': '60' }));
  for (let i = 0; i < 20; i++) t.match(await ask(network.at('eu-1'), `/${i}`), { status: 200, text: 'good' });
  t.equal(bad.requests.length, 1);
  t.equal(await network.metric('shield-1', 'seawall_targets_left_out_total', { cause: 'retry_after' }), 1);
});

test('a backup is asked when the others fail, and not before', async (t) => {
  const [main, backup] = await Promise.all([startOrigin(text('main', KEPT)), startOrigin(text('backup', KEPT))]);
  const network = await startNetwork({
    origin: [main.url, backup.url],
    servers: [{ url: main.url }, { url: backup.url, backup: true }],
    regions: { eu: 1 },
  });
  t.teardown(() => Promise.all([network.close(), main.close(), backup.close()]));
  for (let i = 0; i < 10; i++) t.match(await ask(network.at('eu-1'), `/${i}`), { text: 'main' });
  t.equal(backup.requests.length, 0);
  main.script = status(503);
  t.match(await ask(network.at('eu-1'), '/failing'), { status: 200, text: 'backup' });
  await main.close();
  t.match(await ask(network.at('eu-1'), '/gone'), { status: 200, text: 'backup' });
});

test('a server that was left out is tried with a request of the shield’s own, without cookies, and used again', async (t) => {
  const { network, bad } = await pair(t, status(503));
  for (let i = 0; i < 12; i++) await ask(network.at('eu-1'), `/${i}`, { headers: { Cookie: 'session=1' } });
  t.equal(await network.metric('shield-1', 'seawall_target_up', { target: bad.url }), 0);
  const asked = bad.requests.length;
  bad.script = text('good', KEPT);
  const trial = await bad.next();
  t.equal(bad.requests.length, asked + 1, 'nobody else was');
  t.equal(trial.headers.cookie, undefined);
  while ((await network.metric('shield-1', 'seawall_target_up', { target: bad.url })) !== 1);
  for (let i = 0; i < 100 && bad.requests.length === asked + 1; i++) await ask(network.at('eu-1'), `/later/${i}`);
  t.ok(bad.requests.length > asked + 1);
});

for (const { what, cause, failures, broken } of [
  {
    what: 'speaks no HTTP',
    cause: 'failures',
    failures: 3,
    broken: (_request, response) => void response.socket?.end('hello\r\n\r\n'),
  },
  { what: 'answers 503', cause: 'errors', failures: 5, broken: status(503) },
] satisfies { what: string; cause: string; failures: number; broken: Script }[]) {
  test(`a server that ${what} returns, though the last page that it was asked for fails at every server`, async (t) => {
    const healthy: Script = (request, response) => {
      if (request.url?.startsWith('/broken') === true) broken(request, response);
      else text('good', KEPT)(request, response);
    };
    const { network, bad, good } = await pair(t, healthy);
    good.script = healthy;
    for (let i = 0; i < 4; i++) t.match(await ask(network.at('eu-1'), `/${i}`), { status: 200 });
    bad.script = broken;
    const last = bad.requests.length + failures;
    for (let i = 0; bad.requests.length < last; i++) {
      await ask(network.at('eu-1'), bad.requests.length === last - 1 ? `/broken/${i}` : `/down/${i}`);
    }
    t.equal(await network.metric('shield-1', 'seawall_targets_left_out_total', { cause }), 1);
    bad.script = healthy;
    let isUp = false;
    for (const since = performance.now(); !isUp && performance.now() - since < 8_000; ) {
      isUp = (await network.metric('shield-1', 'seawall_target_up', { target: bad.url })) === 1;
    }
    t.ok(isUp, 'it is used again');
  });
}

test('a server that answers late is helped out by another one, within the budget', async (t) => {
  const { network, bad } = await pair(t, text('good', KEPT));
  for (let i = 0; i < 250; i++) await ask(network.at('eu-1'), `/warm/${i}`);
  const held: ServerResponse[] = [];
  bad.script = (_request, response) => void held.push(response);
  for (let i = 0; i < 20; i++) {
    const since = performance.now();
    t.match(await ask(network.at('eu-1'), `/late/${i}`), { status: 200, text: 'good' });
    t.ok(performance.now() - since < 1_000, 'long before first_byte_timeout');
  }
  t.ok(held.length >= 3 && held.length <= 6, `it is left out soon: ${held.length} requests`);
  t.equal(await network.metric('shield-1', 'seawall_hedges_total', { result: 'won' }), 3);
  t.equal(await network.metric('shield-1', 'seawall_targets_left_out_total', { cause: 'slow' }), 1);
});

test('hedges are no more than 2 % of the requests', async (t) => {
  let delayed = 0;
  const late: Script = (request, response) => {
    // One in five takes long, at either server: no server is an outlier.
    if (Number(request.url?.slice(3)) % 5 !== 0) return text('good', KEPT)(request, response);
    delayed++;
    setTimeout(() => text('good', KEPT)(request, response), 200);
  };
  const { network, good, bad } = await pair(t, text('good', KEPT));
  for (let i = 0; i < 250; i++) await ask(network.at('eu-1'), `/warm/${i}`);
  bad.script = late;
  good.script = late;
  const before = bad.requests.length + good.requests.length;
  for (let i = 0; i < 100; i++)
    await Promise.all([ask(network.at('eu-1'), `/a/${i}`), ask(network.at('eu-1'), `/b/${i}`)]);
  const extra = bad.requests.length + good.requests.length - before - 200;
  t.ok(delayed >= 40);
  t.ok(extra <= 10 + 0.02 * 450, `${extra} more`);
});

const BOOK = Buffer.alloc(300_000);
for (let i = 0; i < BOOK.length; i += 4) BOOK.writeUInt32LE(i, i);

/** Serves the book, ranges too; the first part breaks off. */
function book(etag: string, cutAfter: number | undefined): Script {
  return (request, response) => {
    const [, first] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
    const isPart = first !== undefined && request.headers['if-range'] === etag;
    const start = isPart ? Number(first) : 0;
    const range = isPart ? { 'Content-Range': `bytes ${start}-${BOOK.length - 1}/${BOOK.length}` } : {};
    response.writeHead(isPart ? 206 : 200, { ...KEPT, ...range, ETag: etag, 'Content-Length': BOOK.length - start });
    if (cutAfter === undefined) response.end(BOOK.subarray(start));
    else response.write(BOOK.subarray(start, start + cutAfter), () => response.destroy());
  };
}

for (const { rule, bad, good, whole } of [
  {
    rule: 'it is continued from another server',
    bad: book('"1"', 70_000),
    good: book('"1"', undefined),
    whole: true,
  },
  { rule: 'and once more when that breaks off too', bad: book('"1"', 70_000), good: book('"1"', 150_000), whole: true },
  { rule: 'not with another representation', bad: book('"1"', 70_000), good: book('"2"', undefined), whole: false },
  { rule: 'not without a strong validator', bad: book('W/"1"', 70_000), good: book('W/"1"', undefined), whole: false },
]) {
  test(`a body that breaks off: ${rule}`, async (t) => {
    const pages = await pair(t, bad);
    pages.good.script = good;
    let continued = 0;
    for (let i = 0; i < 2; i++) {
      const reply = await ask(pages.network.at('eu-1'), `/${i}`);
      if (whole) t.ok(reply.complete && reply.body.equals(BOOK), 'every byte, once');
      else if (reply.complete) t.ok(reply.body.equals(BOOK));
      else continued++;
    }
    if (!whole) t.equal(continued, 1, 'one was cut off, as nothing could continue it');
    else t.ok((await pages.network.metric('shield-1', 'seawall_retries_total', { cause: 'body' })) >= 1);
  });
}

test('a 503 with a lifetime does not displace a copy that stale-if-error could use', async (t) => {
  const origin = await startOrigin(text('good', { 'Cache-Control': 'max-age=0, stale-if-error=600', ETag: '"1"' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  t.match(await ask(network.at('eu-1'), '/'), { status: 200 });
  origin.script = status(503, { 'Cache-Control': 'max-age=60' });
  for (let i = 0; i < 3; i++) t.match(await ask(network.at('eu-1'), '/'), { status: 200, text: 'good' });
});
