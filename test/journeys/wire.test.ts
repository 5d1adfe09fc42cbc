/** Unusual requests of real clients, with the same answers over HTTP/1.1 and HTTP/2. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, type Script, startOrigin, startTcp } from '../support/origin.ts';
import { dial, everything, exchange, statuses, until } from '../support/raw-client.ts';
import { askHttp2, dialTls, openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { HOST } from '../support/visitor.ts';

const CURL = '/usr/bin/curl';
const OPENSSL = '/usr/bin/openssl';

const CLOSE = 'Connection: close\r\n';

/** Says which request it got. */
const mirror: Script = (request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += String(chunk);
  });
  request.once('end', () => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' });
    response.end(`[${request.method} ${request.headers.host} ${request.url} ${body}]`);
  });
};

async function start(
  t: Test,
  options: Partial<NetworkOptions> = {},
  script: Script = mirror,
): Promise<{ network: Network; origin: Origin; address: string }> {
  const origin = await startOrigin(script);
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, ...options });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return { network, origin, address: network.at('eu-1') };
}

function asked(method: string, target: string, fields = ''): string {
  return `${method} ${target} HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n`;
}

/** Requests that the origin saw, as its answers show them. */
function seen(text: string): string[] {
  return [...text.matchAll(/\[([^\s\]]+ [^\]]*?) ?\]/g)].map(([, request = '']) => request);
}

for (const upgrade of [
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n',
  'Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n',
  'Connection: upgrade\r\nUpgrade: foo/1, bar\r\n',
]) {
  test(`a request after an Upgrade that is not granted is answered: ${JSON.stringify(upgrade)}`, async (t) => {
    const { address } = await start(t);
    const first = asked('GET', '/1', upgrade);
    for (const before of ['', asked('GET', '/0'), `${asked('POST', '/0', 'Content-Length: 1\r\n')}x`]) {
      const all = before + first + asked('HEAD', '/h', upgrade) + first + asked('GET', '/2', CLOSE);
      const text = await exchange(address, all);
      const targets = seen(text).map((request) => request.split(' ')[2]);
      t.strictSame(targets, [...(before === '' ? [] : ['/0']), '/1', '/1', '/2'], before);
    }
  });
}

test('a hundred requests with Upgrade on one connection are answered', async (t) => {
  const { address } = await start(t);
  const one = asked('GET', '/many', 'Connection: Upgrade\r\nUpgrade: h2c\r\n');
  const text = await exchange(address, one.repeat(100) + asked('GET', '/last', CLOSE));
  t.equal(statuses(text).length, 101);
  t.strictSame(new Set(statuses(text)), new Set([200]));
});

test('RFC 9112 9.3.2: a request behind an unsafe one waits for its response', async (t) => {
  const slow = Promise.withResolvers<() => void>();
  const { address, origin } = await start(t, {}, (request, response) => {
    const answer = (): void => void response.end(`[${request.method} h ${request.url}]`);
    request.resume().once('end', () => {
      if (request.url === '/slow') slow.resolve(answer);
      else answer();
    });
  });
  const socket = dial(address);
  const post = `${asked('POST', '/slow', 'Content-Length: 5\r\n')}hello`;
  const others = asked('GET', '/after') + post.replace('/slow', '/next') + asked('GET', '/last', CLOSE);
  socket.write(asked('GET', '/before') + post + others);
  const answerSlow = await slow.promise;
  t.strictSame(
    origin.requests.map(({ url }) => url),
    ['/before', '/slow'],
    'nothing overtakes the POST',
  );
  answerSlow();
  const text = await everything(socket);
  t.strictSame(seen(text), ['GET h /before', 'POST h /slow', 'GET h /after', 'POST h /next', 'GET h /last']);
  t.strictSame(
    origin.requests.map(({ url }) => url),
    ['/before', '/slow', '/after', '/next', '/last'],
  );
});

const METHODS = [
  'LIST',
  'VERSION-CONTROL',
  'BAN',
  'FOO',
  'get',
  'GETX',
  'PRI',
  'MKCOLX',
  '!',
  'PROPFIND',
  'M-SEARCH',
  'CONNECT',
  'TRACE',
];
const PASS_BY_DEFAULT = new Set(['PROPFIND', 'M-SEARCH']);
const NEVER = new Map([
  ['CONNECT', 501],
  ['TRACE', 405],
  ['PRI', 501],
]);

for (const methods of ['known', 'any'] as const) {
  test(`methods: ${methods} pass alike over HTTP/1.1 and HTTP/2`, { timeout: 60_000 }, async (t) => {
    const origin = await startTcp((socket, head) => {
      const [method, target] = head.split(' ');
      const body = `[${method} ${/^host: (.*)$/im.exec(head)?.[1]} ${target}]`;
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, site: { methods } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const address = network.at('eu-1');
    const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST], keys: { methods } }]);
    const session = openHttp2(t, edge);
    for (const method of METHODS) {
      const status = NEVER.get(method) ?? (methods === 'any' || PASS_BY_DEFAULT.has(method) ? 200 : 501);
      const reached = status === 200 ? [`${method} ${HOST} /m`] : [];
      const alone = asked(method, '/m', CLOSE);
      const isConnect = method === 'CONNECT';
      const text = await exchange(address, isConnect ? alone.replace('/m', 'site.test:443') : alone);
      t.strictSame(statuses(text), [status], `${method} alone`);
      t.strictSame(seen(text), reached);
      if (isConnect) continue;
      // Behind others, on a connection that `node:http` reads by then.
      const socket = dial(address);
      for (const before of [
        asked('GET', '/a'),
        `${asked('POST', '/b', 'Content-Length: 1\r\n')}x`,
        asked('OPTIONS', '/c'),
      ]) {
        socket.write(before);
        await until(socket, /\]/);
      }
      socket.write(`${asked(method, '/m', 'Content-Length: 3\r\n')}abc`);
      const later = await until(socket, /\]|"en"|not implement|not allowed/);
      t.strictSame(statuses(later), [status], `${method} behind others`);
      if (status === 200) {
        t.strictSame(seen(later), [`${method} ${HOST} /m`]);
        socket.write(asked('GET', '/a', CLOSE));
        t.strictSame(seen(await everything(socket)), [`GET ${HOST} /a`], 'and the connection goes on');
      }
      socket.destroy();
      const answer = await askHttp2(session, '/m', { ':method': method });
      t.equal(answer.status, status, `${method} over HTTP/2`);
      t.strictSame(seen(answer.text), reached);
    }
  });
}

test('a method that is no token is 400', async (t) => {
  const { address } = await start(t, { site: { methods: 'any' } });
  for (const method of ['FOO(', '{"a"}', 'G\u00e4T', '\x16\x03\x01']) {
    t.strictSame(statuses(await exchange(address, asked(method, '/m', CLOSE))), [400], method);
  }
});

test('one host in every spelling has one entry and one key, and the origin sees the usual spelling', async (t) => {
  const { address, origin, network } = await start(t);
  for (const host of [HOST, `${HOST}.`, `${HOST}:`, `${HOST.toUpperCase()}.:80`]) {
    const text = await exchange(address, `GET /one HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`);
    t.strictSame(statuses(text), [200], host);
  }
  t.equal(origin.requests.length, 1);
  t.equal(origin.requests[0]?.headers.host, HOST);
  t.equal(network.edge('eu-1').core.store.size, 1);
});

test('SNI with a final dot gets the certificate, and HTTP/2 the entry', async (t) => {
  const origin = await startOrigin(mirror);
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST] }]);
  const socket = await dialTls(edge.port, `${HOST}.`, { ALPNProtocols: ['http/1.1'] });
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}.\r\n${CLOSE}\r\n`);
  t.strictSame(statuses(await everything(socket)), [200]);
  const { status } = await askHttp2(openHttp2(t, edge), '/', { ':authority': `${HOST}.` });
  t.equal(status, 200);
  t.equal(origin.requests.length, 1);
});

test('HTTP/1.0 without Host goes to the site for any host', async (t) => {
  const any = await start(t, { site: { hosts: [HOST, '*'] } });
  const text = await exchange(any.address, 'GET /old HTTP/1.0\r\n\r\n');
  t.strictSame(statuses(text), [200]);
  t.strictSame(seen(text), [`GET ${any.address} /old`]);
  t.strictSame(statuses(await exchange(any.address, 'GET /old HTTP/1.1\r\nConnection: close\r\n\r\n')), [400]);
  t.strictSame(statuses(await exchange(any.address, 'GET /old HTTP/1.0\r\nHost:\r\n\r\n')), [400]);
  const named = await start(t);
  t.strictSame(statuses(await exchange(named.address, 'GET /old HTTP/1.0\r\n\r\n')), [400]);
});

test('raw bytes of browsers and curl pass escaped: one entry, on any connection, over both protocols', async (t) => {
  const { address, origin } = await start(t);
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST] }]);
  const raw = '/p\xc3\xa4th?q=\xc3\xa4\\';
  const escaped = '/p%C3%A4th?q=%C3%A4%5C';
  for (const target of [raw, escaped, raw]) {
    const text = await exchange(address, asked('GET', target, CLOSE));
    t.strictSame(seen(text), [`GET ${HOST} ${escaped}`]);
  }
  t.equal(origin.requests.length, 1, 'one entry');
  const socket = dial(address);
  socket.write(Buffer.from(`${asked('POST', raw, 'Content-Length: 1\r\n')}x`, 'latin1'));
  t.strictSame(seen(await until(socket, /\]/)), [`POST ${HOST} ${escaped} x`]);
  socket.write(Buffer.from(asked('GET', raw), 'latin1'));
  t.strictSame(seen(await until(socket, /\]/)), [`GET ${HOST} ${escaped}`]);
  socket.destroy();
  const answer = await askHttp2(openHttp2(t, edge), raw);
  t.strictSame(seen(answer.text), [`GET ${HOST} ${escaped}`]);
  t.strictSame(statuses(await exchange(address, asked('GET', '/a\\b', CLOSE))), [400], 'a backslash in the path');
});

test('dot segments are resolved where a site says so: one entry, and rules see what the origin sees', async (t) => {
  const { address, origin } = await start(t, {
    site: { dot_segments: 'resolve' },
    rules: [{ path: '/never/*', cache: 'never' }],
  });
  for (const target of ['/a/b', '/a/./b', '/x/../a/b', '/x/%2e%2E/a/b', '/../a/b']) {
    t.strictSame(seen(await exchange(address, asked('GET', target, CLOSE))), [`GET ${HOST} /a/b`], target);
  }
  t.equal(origin.requests.length, 1);
  for (const target of ['/never/c', '/a/../never/c']) {
    t.match(await exchange(address, asked('GET', target, CLOSE)), /Cache-Status: .*fwd=bypass/);
  }
  t.strictSame(statuses(await exchange(address, asked('GET', '/a/..%2fb', CLOSE))), [400]);
});

test('HTTP/2 prior knowledge on a plain port, and plain HTTP on a TLS port, get an explanation', async (t) => {
  const { address, origin } = await start(t);
  const preface = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.from('000012040000000000000300000064000400a00000000200000000', 'hex'),
  ]);
  const plain = await exchange(address, preface);
  t.strictSame(statuses(plain), [400]);
  t.match(plain, /over TLS only/);
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST] }]);
  for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
    const text = await exchange(`127.0.0.1:${edge.port}`, asked(method, '/'));
    t.strictSame(statuses(text), [400], method);
    t.match(text, /Connection: close/);
    t.match(text, /speaks HTTPS/);
  }
});

for (const kind of ['hit', 'miss', 'uncacheable', 'POST'] as const) {
  test(`a visitor that has half-closed gets its response: ${kind}`, async (t) => {
    const { address } = await start(t, {}, (request, response) => {
      request.resume();
      setTimeout(() => {
        if (request.url === '/uncacheable') response.setHeader('Cache-Control', 'no-store');
        else response.setHeader('Cache-Control', 'max-age=60');
        response.end('the whole answer');
      }, 20);
    });
    if (kind === 'hit') await exchange(address, asked('GET', '/hit', CLOSE));
    const socket = dial(address);
    socket.end(kind === 'POST' ? `${asked('POST', '/POST', 'Content-Length: 1\r\n')}x` : asked('GET', `/${kind}`));
    const text = await everything(socket);
    t.strictSame(statuses(text), [200]);
    t.match(text, /the whole answer$|the whole answer\r\n0\r\n\r\n$/);
  });
}

test('pipelined requests are all answered although the visitor has half-closed', async (t) => {
  const { address } = await start(t);
  const socket = dial(address);
  socket.end(
    [
      asked('GET', '/1'),
      asked('GET', '/2'),
      asked('POST', '/3', 'Content-Length: 1\r\n'),
      'x',
      asked('GET', '/4'),
    ].join(''),
  );
  t.strictSame(
    seen(await everything(socket)).map((request) => request.split(' ')[2]),
    ['/1', '/2', '/3', '/4'],
  );
});

test(
  'RFC 5246 7.4.1.1: a client cannot renegotiate',
  { skip: !existsSync(OPENSSL) && 'openssl is missing' },
  async (t) => {
    const origin = await startOrigin(mirror);
    t.teardown(() => origin.close());
    const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST] }]);
    const args = ['s_client', '-tls1_2', '-connect', `127.0.0.1:${edge.port}`, '-servername', HOST];
    const child = spawn(OPENSSL, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: unknown): void => {
      output += String(chunk);
      if (/Verify return code/.test(output) && child.stdin.writable) child.stdin.write('R\n');
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.stdin.on('error', () => undefined);
    await once(child, 'close');
    t.match(output, /Protocol *: TLSv1\.2/);
    t.match(output, /RENEGOTIATING/);
    t.match(output, /no renegotiation/);
  },
);

for (const { rule, args, says } of [
  { rule: 'HTTP/2 without TLS', args: ['--http2-prior-knowledge'], says: /^400$/ },
  { rule: 'HTTP/1.1 that offers h2c', args: ['--http2'], says: /^200$/ },
] as const) {
  test(`real curl and ${rule}`, { skip: !existsSync(CURL) && 'curl is missing' }, async (t) => {
    const { address } = await start(t);
    const child = spawn(CURL, [
      '-sS',
      ...args,
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-H',
      `Host: ${HOST}`,
      `http://${address}/`,
    ]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += String(chunk);
      });
    }
    await once(child, 'close');
    t.match(output, says);
    t.notMatch(output, /Empty reply/);
  });
}

test('real curl with plain HTTP on a TLS port', { skip: !existsSync(CURL) && 'curl is missing' }, async (t) => {
  const origin = await startOrigin(mirror);
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST] }]);
  const child = spawn(CURL, [
    '-sS',
    '-H',
    'Accept: text/plain',
    '-w',
    '%{http_code}',
    `http://127.0.0.1:${edge.port}/`,
  ]);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  await once(child, 'close');
  t.match(output, /came as plain HTTP/);
  t.match(output, /400$/);
  t.equal(await edge.count('seawall_requests_total', { result: 'plain_http' }), 1);
});
