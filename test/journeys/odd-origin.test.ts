import { once } from 'node:events';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startTcp } from '../support/origin.ts';
import { dial } from '../support/raw-client.ts';
import { ask, type Reply } from '../support/visitor.ts';

const OK = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n';
const ABC = 'Content-Length: 3\r\n\r\nabc';
const QUICK = { first_byte_timeout: '300ms', idle_timeout: '300ms' } as const;

interface Odd {
  readonly rule: string;
  readonly bytes: string;
  /** True if the origin closes the connection afterwards. */
  readonly ends?: boolean;
  readonly method?: string;
  /** Keys of the site's `origin`. */
  readonly access?: object;
}

/** Asks twice, past an edge that does not own the key; what the origin was asked is the number of its answers. */
async function askTwice({
  bytes,
  ends = false,
  method = 'GET',
  access,
}: Odd): Promise<{ replies: Reply[]; asked: number }> {
  let asked = 0;
  const origin = await startTcp((socket) => {
    asked++;
    socket.write(bytes, 'latin1');
    if (ends) socket.end();
  });
  const network = await startNetwork({ origin: origin.url, access: { ...QUICK, ...access } });
  const path = network.pathOf('eu-2', '/odd');
  const replies = [await ask(network.at('eu-1'), path, { method }), await ask(network.at('eu-1'), path, { method })];
  await Promise.all([network.close(), origin.close()]);
  return { replies, asked };
}

for (const odd of [
  { rule: 'no HTTP', bytes: 'lorem ipsum\r\n\r\n' },
  { rule: 'HTTP/0.9', bytes: '<html>hello</html>', ends: true },
  { rule: 'another protocol', bytes: `ICY 200 OK\r\n${ABC}` },
  { rule: 'nothing, and closes', bytes: '', ends: true },
  { rule: 'half a head, and closes', bytes: `${OK}Foo: b`, ends: true },
  { rule: 'a status of four digits', bytes: `HTTP/1.1 1000 OK\r\n${ABC}` },
  { rule: 'status 000', bytes: `HTTP/1.1 000 OK\r\n${ABC}` },
  { rule: 'two Content-Lengths', bytes: `${OK}Content-Length: 4\r\n${ABC}` },
  { rule: 'Content-Length and chunked', bytes: `${OK}Transfer-Encoding: chunked\r\n${ABC}` },
  { rule: 'a coding that it was not asked for', bytes: `${OK}Transfer-Encoding: gzip\r\n\r\nabc`, ends: true },
  { rule: 'the same under chunked', bytes: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` },
  { rule: 'a control character in a value', bytes: `${OK}X: a\x01b\r\n${ABC}` },
  { rule: 'NUL in a value', bytes: `${OK}X: a\0b\r\n${ABC}` },
  { rule: 'a folded header', bytes: `${OK}X: a\r\n b\r\n${ABC}` },
  { rule: 'HTTP/2.0', bytes: `${OK.replace('1.1', '2.0')}${ABC}` },
  { rule: 'an empty line first', bytes: `\r\n${OK}${ABC}` },
  {
    rule: 'bare LF, where the site refuses it',
    bytes: `${OK}${ABC}`.replaceAll('\r\n', '\n'),
    access: { bare_lf: 'refuse' },
  },
  { rule: 'a switch of protocols that nobody asked for', bytes: 'HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n' },
  { rule: 'a header section of 200 KB', bytes: `${OK}${`X: ${'y'.repeat(1000)}\r\n`.repeat(200)}${ABC}` },
] satisfies readonly Odd[]) {
  test(`an origin sends ${odd.rule}: 502, and nothing is stored`, async (t) => {
    const { replies, asked } = await askTwice(odd);
    for (const { status, text, headers } of replies) {
      t.equal(status, 502);
      t.match(text, /origin_bad_response.*[0-9a-f]{32}/s);
      t.match(headers['cache-status'], /^"eu-1";detail=origin_bad_response$/);
    }
    t.ok(asked >= 2);
  });
}

for (const { rule, bytes } of [
  { rule: 'nothing', bytes: '' },
  { rule: 'half a head', bytes: `${OK}Foo: b` },
]) {
  const seen = askTwice({ rule, bytes }); // at once, as it takes a timeout
  test(`an origin sends ${rule}, and waits: 504`, async (t) => {
    const { replies, asked } = await seen;
    for (const { status, text } of replies) {
      t.equal(status, 504);
      t.match(text, /origin_timeout.*[0-9a-f]{32}/s);
    }
    t.equal(asked, 2);
  });
}

for (const odd of [
  { rule: 'fewer bytes than it said', bytes: `${OK}Content-Length: 10\r\n\r\nabc`, ends: true },
  { rule: 'fewer bytes than it said, and waits', bytes: `${OK}Content-Length: 10\r\n\r\nabc` },
  { rule: 'chunks without the last one', bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, ends: true },
  { rule: 'chunks, and waits', bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n` },
  { rule: 'a chunk size that is none', bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n` },
] satisfies readonly Odd[]) {
  const seen = askTwice(odd); // at once, as it may take a timeout
  test(`an origin sends ${odd.rule}: the visitor sees the response break off, and nothing is stored`, async (t) => {
    const { replies, asked } = await seen;
    for (const { status, text, complete } of replies) {
      t.equal(status, 200);
      t.equal(text, 'abc');
      t.equal(complete, false);
    }
    t.equal(asked, 2);
  });
}

test('an origin breaks off: a client of HTTP/1.0, whose response ends with its connection, sees a reset', async (t) => {
  const origin = await startTcp((socket) => socket.end(`${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  const error = once(socket, 'error');
  socket.resume().write('GET / HTTP/1.0\r\nHost: site.test\r\n\r\n');
  t.match(await error, [{ code: 'ECONNRESET' }]);
});

for (const { see, ...odd } of [
  { rule: 'more bytes than it said', bytes: `${OK}${ABC}def`, see: { text: 'abc' } },
  { rule: 'a body until it closes', bytes: `${OK}\r\nabc`, ends: true, see: { text: 'abc' } },
  {
    rule: 'HTTP/1.0',
    bytes: `HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n${ABC}`,
    ends: true,
    see: { text: 'abc' },
  },
  {
    rule: 'Connection: close and fields of that connection',
    bytes: `${OK}Connection: close, X-Hop\r\nX-Hop: y\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: x\r\n${ABC}`,
    ends: true,
    see: { text: 'abc', headers: { 'x-hop': undefined, 'keep-alive': undefined, 'proxy-authenticate': undefined } },
  },
  {
    rule: 'Connection with names that it must not have',
    bytes: `${OK}Connection: Cache-Control, Content-Length, ETag\r\nETag: "a"\r\n${ABC}`,
    see: { text: 'abc', headers: { etag: '"a"', 'content-length': '3' } },
  },
  {
    rule: 'bytes above 127 in a value',
    bytes: `${OK}X: caf\xe9 \xff\r\n${ABC}`,
    see: { headers: { x: 'caf\xe9 \xff' } },
  },
  { rule: 'no reason phrase', bytes: `HTTP/1.1 200\r\nCache-Control: max-age=60\r\n${ABC}`, see: { text: 'abc' } },
  {
    rule: 'a header section of 100 KB',
    bytes: `${OK}${`X: ${'y'.repeat(1000)}\r\n`.repeat(100)}${ABC}`,
    see: { text: 'abc', headers: { x: Array(100).fill('y'.repeat(1000)).join(', ') } },
  },
  {
    rule: '204 with a length and bytes after it',
    bytes: `HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n${ABC}`,
    see: { status: 204, text: '', headers: { 'content-length': undefined } },
  },
  {
    rule: 'spaces before colons and behind chunk sizes',
    bytes: `${OK}X : y\r\nTransfer-Encoding\t: chunked\r\n\r\n3 \r\nabc\r\n0 \r\n\r\n`,
    see: { text: 'abc', headers: { x: 'y' } },
  },
  {
    rule: 'one Content-Length twice',
    bytes: `${OK}Content-Length: 3\r\n${ABC}`,
    see: { text: 'abc', headers: { 'content-length': '3' } },
  },
  { rule: 'bare LF', bytes: `${OK}X: y\r\n${ABC}`.replaceAll('\r\n', '\n'), see: { text: 'abc', headers: { x: 'y' } } },
  {
    rule: '100 Continue that nobody asked for',
    bytes: `HTTP/1.1 100 Continue\r\n\r\n${OK}${ABC}`,
    see: { text: 'abc', interim: [] },
  },
  {
    rule: 'another service for the site',
    bytes: `${OK}Alt-Svc: h3=":443"; ma=86400\r\n${ABC}`,
    see: { text: 'abc', headers: { 'alt-svc': undefined } },
  },
  {
    rule: 'words between nodes',
    bytes: `${OK}Seawall-Error: unknown_host\r\nSeawall-Tier: version=9\r\n${ABC}`,
    see: { status: 200, text: 'abc', headers: { 'seawall-error': undefined, 'seawall-tier': undefined } },
  },
] satisfies readonly (Odd & { see: object })[]) {
  test(`an origin sends ${odd.rule}: the response is whole, and stored`, async (t) => {
    const { replies, asked } = await askTwice(odd);
    for (const reply of replies) {
      t.equal(reply.complete, true);
      t.match(reply, see);
    }
    t.equal(asked, 1);
  });
}

for (const method of ['GET', 'POST']) {
  test(`an origin answers ${method} with endless 1xx: 502, and the number passed on is bounded`, async (t) => {
    const interim = `HTTP/1.1 103 Early Hints\r\nLink: ${'y'.repeat(1000)}\r\n\r\n`.repeat(64);
    const origin = await startTcp((socket) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(interim));
      };
      socket.on('drain', more);
      more();
    });
    const network = await startNetwork({ origin: origin.url });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const reply = await ask(network.at('eu-1'), network.pathOf('eu-2', '/interim'), { method });
    t.match(reply, { status: 502, text: /origin_bad_response/ });
    t.ok(reply.interim.length >= 64);
  });
}

test('an origin sends the largest accepted header section: fields added by nodes do not exceed the bound', async (t) => {
  const origin = await startTcp((socket) => {
    socket.write(`${OK}X: ${'y'.repeat(128 * 1024 - OK.length - 5 - ABC.length + 3)}\r\n${ABC}`);
  });
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 4; i++) {
    const reply = await ask(network.at('eu-1'), network.pathOf('eu-2', `/largest/${i}/`));
    t.match(reply, { status: 200, text: 'abc', complete: true, tiers: [/^"shield-1"/, /^"eu-2"/, /^"eu-1"/] });
  }
  t.equal(await network.metric('shield-1', 'seawall_fills_total'), 4);
});

test('an origin sends Content-Length with a 304, without a body', async (t) => {
  const { replies } = await askTwice({ rule: '', bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n' });
  for (const reply of replies) t.match(reply, { status: 304, complete: true, text: '' });
});

test('an origin sends a body after HEAD: it is not read as a response', async (t) => {
  const { replies } = await askTwice({ rule: '', bytes: `${OK}${ABC}`, method: 'HEAD' });
  for (const reply of replies) {
    t.match(reply, { status: 200, complete: true, text: '', headers: { 'content-length': '3' } });
  }
});

for (const { rule, bytes, interim } of [
  { rule: '102', bytes: 'HTTP/1.1 102 Processing\r\n\r\n', interim: [{ status: 102 }] },
  {
    rule: '103 twice',
    bytes:
      'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\nHTTP/1.1 103 Hm\r\nLink: </c>\r\n\r\n',
    interim: [
      { status: 103, headers: { link: '</a>; rel=preload, </b>' } },
      { status: 103, headers: { link: '</c>' } },
    ],
  },
]) {
  test(`an origin sends ${rule} first: it is passed on and not stored`, async (t) => {
    const { replies, asked } = await askTwice({ rule, bytes: `${bytes}${OK}${ABC}` });
    t.match(replies[0], { status: 200, text: 'abc', interim });
    t.match(replies[1], { status: 200, text: 'abc' });
    t.strictSame(replies[1]?.interim, []);
    t.equal(replies[1]?.headers['link'], undefined);
    t.equal(asked, 1);
  });
}

test('an origin sends trailers: they are passed on, and stored', async (t) => {
  const bytes = `${OK}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n`;
  const { replies, asked } = await askTwice({ rule: '', bytes });
  for (const reply of replies) t.match(reply, { text: 'abc', complete: true, trailers: { 'x-sum': '42' } });
  t.equal(asked, 1);
});

test('an origin sends forbidden trailers: fields of the connection and the framing are dropped', async (t) => {
  const trailers =
    'Keep-Alive: x\r\nTE: y\r\nUpgrade: h3\r\nContent-Length: 7\r\nConnection: X-Own\r\nX-Own: 1\r\nX-Sum: 42';
  const bytes = `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n${trailers}\r\n\r\n`;
  const { replies } = await askTwice({ rule: '', bytes });
  for (const reply of replies) {
    t.match(reply, { text: 'abc', complete: true });
    t.strictSame(reply.trailers, { 'x-sum': '42' });
  }
});
