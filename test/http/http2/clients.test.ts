/**
 * Clients of other makers: nghttp2 inside Node, in its own programs and in
 * curl, with header sections that make use of all that HPACK has.
 */
import { execFile } from 'node:child_process';
import { connect, constants, sensitiveHeaders } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { startOrigin, startTcp, text } from '../../support/origin.ts';
import { askHttp2, dialTls, openHttp2, type SecureEdge, startSecureEdge } from '../../support/secure-edge.ts';

const SITE = [{ name: 'site', hosts: ['site.test'] }];
const run = promisify(execFile);

const value = fc.oneof(
  fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/),
  fc.uint8Array({ minLength: 1, maxLength: 20 }).map((all) => String.fromCharCode(...all.map((byte) => byte | 0x80))),
  fc.constantFrom('', 'v'.repeat(127), 'v'.repeat(128), 'v'.repeat(2_000)),
);
const sections = fc.uniqueArray(fc.tuple(fc.stringMatching(/^x-own-[a-z0-9-]{1,12}$/), value), {
  maxLength: 12,
  selector: ([name]) => name,
});

test('header sections reach the origin and return unchanged, over a whole connection', async (t) => {
  const origin = await startOrigin((request, response) => {
    const sent = Object.entries(request.headers).filter(
      ([name]) => name.startsWith('x-') && !name.startsWith('x-forwarded'),
    );
    response.writeHead(200, Object.fromEntries(sent.map(([name, is]) => [name.replace('x-', 'y-'), is])));
    response.end();
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  const session = openHttp2(t, edge);
  await fc.assert(
    fc.asyncProperty(sections, fc.nat(3), async (fields, secrets) => {
      const headers = Object.fromEntries(fields);
      const secret = fields.slice(0, secrets).map(([name]) => name);
      const answer = await askHttp2(session, '/', { ...headers, [sensitiveHeaders]: secret });
      const { headers: seen } = answer;
      return answer.status === 200 && fields.every(([name, is]) => seen[name.replace('x-', 'y-')] === is);
    }),
    { numRuns: 300 },
  );
});

test('sections of more than one frame work in both directions', async (t) => {
  const long = Array.from({ length: 10 }, (_, i) => [`x-${i}`, String(i).repeat(2_500)] as const);
  const origin = await startTcp((socket, head) => {
    const own = head.split('\r\n').filter((line) => /^x-\d:/.test(line));
    socket.write(['HTTP/1.1 200 OK', 'Content-Length: 5', ...own, '', 'hello'].join('\r\n'));
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  const { status, text: body, headers } = await askHttp2(openHttp2(t, edge), '/', Object.fromEntries(long));
  t.equal(status, 200);
  t.equal(body, 'hello');
  for (const [name, is] of long) t.equal(headers[name], is);
});

for (const headerTableSize of [0, 100, 4_096, 65_536]) {
  test(`a client whose table has ${headerTableSize} bytes`, async (t) => {
    const edge = await anEdge(t);
    const session = connect(`https://site.test:${edge.port}`, {
      settings: { headerTableSize },
      createConnection: () =>
        connectTls({
          host: '127.0.0.1',
          port: edge.port,
          servername: 'site.test',
          rejectUnauthorized: false,
          ALPNProtocols: ['h2'],
        }),
    });
    t.teardown(() => session.destroy());
    for (let i = 0; i < 3; i++) t.match(await askHttp2(session, '/a'), { status: 200, text: 'hello' });
    session.settings({ headerTableSize: 50 });
    for (let i = 0; i < 3; i++) t.match(await askHttp2(session, '/a'), { status: 200, text: 'hello' });
  });
}

test('a thousand concurrent requests run a hundred at a time', async (t) => {
  const edge = await anEdge(t, { max_streams: 100 });
  const session = openHttp2(t, edge);
  const answers = await Promise.all(Array.from({ length: 1_000 }, (_, i) => askHttp2(session, `/${i % 50}`)));
  t.equal(answers.filter(({ status, text: body }) => status === 200 && body === 'hello').length, 1_000);
});

test('a TLS session is resumed and speaks HTTP/2 again', async (t) => {
  const edge = await anEdge(t);
  const first = await dialTls(edge.port, 'site.test', { ALPNProtocols: ['h2'] });
  const session = await new Promise<Buffer>((resolve) => first.once('session', resolve));
  first.destroy();
  const again = connect(`https://site.test:${edge.port}`, {
    createConnection: () =>
      connectTls({
        host: '127.0.0.1',
        port: edge.port,
        servername: 'site.test',
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
        session,
      }),
  });
  t.teardown(() => again.destroy());
  t.equal((await askHttp2(again, '/a')).status, 200);
  t.ok((again.socket as unknown as { isSessionReused(): boolean }).isSessionReused());
});

test('a PING of Node’s client is answered, and its GOAWAY accepted', async (t) => {
  const edge = await anEdge(t);
  const session = openHttp2(t, edge);
  await askHttp2(session, '/a');
  const echoed = await new Promise<Buffer>((resolve) =>
    session.ping(Buffer.from('12345678'), (_error, _ms, payload) => resolve(payload)),
  );
  t.equal(echoed.toString(), '12345678');
  session.goaway(constants.NGHTTP2_NO_ERROR);
  session.close();
  await new Promise<void>((resolve) => session.once('close', () => resolve()));
  t.pass('closed');
});

test('h2load: hits, misses and uploads all succeed', async (t) => {
  const origin = await startOrigin((request, response) => {
    request.resume();
    request.once('end', () => {
      response.writeHead(200, { 'Cache-Control': request.url === '/a' ? 'max-age=60' : 'no-store' });
      response.end('x'.repeat(20_000));
    });
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'any', hosts: ['*'] }], { drain_timeout: '100ms' });
  for (const args of [
    ['-n2000', '-c4', '-m100', `https://127.0.0.1:${edge.port}/a`],
    ['-n200', '-c4', '-m100', `https://127.0.0.1:${edge.port}/b`],
    ['-n200', '-c2', '-m20', '-d', import.meta.filename, `https://127.0.0.1:${edge.port}/c`],
    ['-n200', '-c2', '-m20', '-w10', '-W12', `https://127.0.0.1:${edge.port}/a`], // windows of 1 and 4 KB
  ]) {
    const { stdout } = await run('h2load', args);
    t.match(stdout, /(\d+) total, \1 started, \1 done, \1 succeeded, 0 failed, 0 errored/, args.join(' '));
  }
});

test('nghttp loads a page and its subresources', async (t) => {
  const edge = await anEdge(t);
  const to = (path: string): string => `https://127.0.0.1:${edge.port}${path}`;
  const { stdout } = await run('nghttp', ['-H:authority: site.test', '-s', to('/a'), to('/b'), to('/c')]);
  t.equal((stdout.match(/ 200 /g) ?? []).length, 3, stdout);
});

test('curl runs many transfers over one connection', async (t) => {
  const edge = await anEdge(t);
  const to = ['--resolve', `site.test:${edge.port}:127.0.0.1`, `https://site.test:${edge.port}/[1-50]`];
  const { stdout } = await run('curl', [
    '-skZ',
    '--http2',
    '-o',
    '/dev/null',
    '-w',
    '%{http_version} %{http_code}\n',
    ...to,
  ]);
  t.equal(stdout, '2 200\n'.repeat(50));
});

async function anEdge(t: Test, limits: Parameters<typeof startSecureEdge>[3] = {}): Promise<SecureEdge> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  t.teardown(() => origin.close());
  return startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms', ...limits });
}
