import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'tap';
import { type Network, startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { ask, open } from '../support/visitor.ts';

const REGIONS = { eu: 2, us: 2 };
const REQUESTS = 200;

function edgeOf(network: Network, i: number): string {
  return (network.edges[i % network.edges.length] as (typeof network.edges)[number]).addresses.listen;
}

test('200 concurrent requests over four edges of two regions cause one fetch from the origin', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('shared');
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const replies = await Promise.all(Array.from({ length: REQUESTS }, (_, i) => ask(edgeOf(network, i), '/cold')));
  t.ok(replies.every(({ status, text, complete }) => status === 200 && text === 'shared' && complete));
  t.equal(origin.requests.length, 1);
});

test('200 concurrent HEADs over four edges of two regions cause a few requests to the origin', async (t) => {
  const origin = await startOrigin((_request, response) => {
    setTimeout(
      () => response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': 6 }).end('shared'),
      500,
    );
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const head = { method: 'HEAD' };
  const replies = await Promise.all(Array.from({ length: REQUESTS }, (_, i) => ask(edgeOf(network, i), '/cold', head)));
  t.ok(
    replies.every(({ status, headers, text }) => status === 200 && headers['content-length'] === '6' && text === ''),
  );
  t.ok(origin.requests.length <= 10, `${origin.requests.length}: at most five for each of two shields`);
});

test('a herd causes one fetch where the origin takes longer than the freshness lifetime', async (t) => {
  const origin = await startOrigin((request, response) => {
    const isFirst = request.headers['if-none-match'] === undefined;
    setTimeout(() => {
      response
        .writeHead(isFirst ? 200 : 304, { 'Cache-Control': 's-maxage=1', ETag: '"1"' })
        .end(isFirst ? 'slow' : '');
    }, 1_300);
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (const fetches of [1, 2, 3]) {
    const replies = await Promise.all(Array.from({ length: REQUESTS }, (_, i) => ask(edgeOf(network, i), '/slow')));
    t.ok(replies.every(({ status, text, complete }) => status === 200 && text === 'slow' && complete));
    t.equal(origin.requests.length, fetches, 'the second time it is validated, once as well');
  }
});

test('a herd shares one slow body, and gets its bytes before it ends', async (t) => {
  let first: ServerResponse | undefined;
  const origin = await startOrigin((_request, response) => {
    first = response;
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).write('beginning ');
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const started = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const response = await open(edgeOf(network, i), '/slow');
      const [chunk] = (await once(response, 'data')) as [Buffer];
      return { response, text: String(chunk) };
    }),
  );
  t.ok(started.every(({ text }) => text === 'beginning '));
  const rests = started.map(async ({ response }) => String((await once(response, 'data'))[0]));
  first?.end('end');
  t.ok((await Promise.all(rests)).every((rest) => rest === 'end'));
  t.equal(origin.requests.length, 1);
});

test('a herd shares one large body, which arrives whole everywhere', async (t) => {
  const body = Buffer.alloc(8 * 1024 * 1024, 'large body ');
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': body.length }).end(body);
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const replies = await Promise.all(Array.from({ length: 12 }, (_, i) => ask(edgeOf(network, i), '/large')));
  t.ok(replies.every((reply) => reply.complete && reply.body.equals(body)));
  t.equal(origin.requests.length, 1);
});

test('a herd gets separate responses when they turn out private, without waiting for the first body', async (t) => {
  let held: ServerResponse | undefined;
  const origin = await startOrigin((_request, response) => {
    const number = origin.requests.length;
    response.writeHead(200, { 'Cache-Control': 'private' }).write(`answer ${number}`);
    if (number === 1) held = response;
    else response.end();
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  let answered = 0;
  const replies = Array.from({ length: REQUESTS }, async (_, i) => {
    const reply = await ask(edgeOf(network, i), '/private');
    if (++answered === REQUESTS - 1) held?.end(); // only when all others have theirs
    return reply;
  });
  const texts = (await Promise.all(replies)).map(({ text }) => text);
  t.equal(new Set(texts).size, REQUESTS);
  t.equal(origin.requests.length, REQUESTS);
});

test('a failing origin is asked once for all waiters of a herd, not for each', async (t) => {
  const origin = await startOrigin((_request, response) => response.writeHead(503).end('busy'));
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const replies = await Promise.all(Array.from({ length: REQUESTS }, (_, i) => ask(edgeOf(network, i), '/busy')));
  t.ok(replies.every(({ status, text }) => status === 503 && text === 'busy'));
  t.ok(origin.requests.length <= REQUESTS / 4, `${origin.requests.length} requests`);
});

test('a body that breaks off under a herd breaks off for every request', async (t) => {
  let first: ServerResponse | undefined;
  const origin = await startOrigin((_request, response) => {
    first = response;
    response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': 100 }).write('some');
  });
  const network = await startNetwork({ origin: origin.url, regions: REGIONS });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const started = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const response = await open(edgeOf(network, i), '/broken');
      response.on('error', () => undefined);
      const [chunk] = (await once(response, 'data')) as [Buffer];
      return { response, text: String(chunk), closed: new Promise((resolve) => response.once('close', resolve)) };
    }),
  );
  first?.destroy();
  await Promise.all(started.map(({ closed }) => closed));
  t.ok(started.every(({ response, text }) => !response.complete && text === 'some'));
});
