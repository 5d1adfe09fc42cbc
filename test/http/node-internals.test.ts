/** Undocumented parts of Node: present, and where one is not, everything is answered all the same. */
import { type Test, test } from 'tap';
import { checkNodeInternals, NODE_INTERNALS } from '../../http/node-internals/checks.ts';
import { CONNECTION_BELOW } from '../../http/node-internals/connection-below.ts';
import type { NodeInternal } from '../../http/node-internals/node-internal.ts';
import { type Script, startOrigin } from '../support/origin.ts';
import { everything, exchange, statuses } from '../support/raw-client.ts';
import { askHttp2, dialTls, openHttp2, startSecureEdge } from '../support/secure-edge.ts';

/** Says which request it got. */
const mirror: Script = (request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += String(chunk);
  });
  request.once('end', () => {
    response.writeHead(200, { 'Cache-Control': request.url === '/private' ? 'no-store' : 'max-age=60' });
    response.end(`[${request.method} ${request.url} ${body.length}]`);
  });
};

function asked(method: string, target: string, fields = '', body = ''): string {
  return `${method} ${target} HTTP/1.1\r\nHost: site.test\r\n${fields}\r\n${body}`;
}

const CLOSE = 'Connection: close\r\n';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: foo/1\r\n';

/** Bytes that are sent at once on one connection. */
const CONVERSATIONS: Readonly<Record<string, string>> = {
  'a miss': asked('GET', '/miss', CLOSE),
  'a miss and hits': `${asked('GET', '/a').repeat(20)}${asked('GET', '/a', CLOSE)}`,
  'many requests, some of which are not stored': `${(asked('GET', '/b') + asked('GET', '/private')).repeat(40)}${asked('HEAD', '/b', CLOSE)}`,
  'bodies with a length': `${asked('POST', '/p', 'Content-Length: 5\r\n', 'hello').repeat(30)}${asked('GET', '/p', CLOSE)}`,
  'a large body': asked('POST', '/large', `Content-Length: 300000\r\n${CLOSE}`, 'x'.repeat(300_000)),
  chunks: `${asked('POST', '/c', 'Transfer-Encoding: chunked\r\n', `${'1\r\nx\r\n'.repeat(500)}0\r\n\r\n`)}${asked('GET', '/c', CLOSE)}`,
  'malformed chunks': asked('POST', '/m', 'Transfer-Encoding: chunked\r\n', '1\r\nx\r\nnothing\r\n'),
  'an upgrade that is not granted': `${asked('GET', '/u', UPGRADE)}${asked('GET', '/v', CLOSE)}`,
  'what is malformed behind others': `${asked('GET', '/d')}${asked('POST', '/d', 'Content-Length: 1\r\n', 'x')}\x01\r\n\r\n`,
  'no request': 'hello\r\n\r\n',
};

/** Returns the parts of answers that do not vary from run to run. */
function essence(text: string): string {
  return `${statuses(text).join()} ${[...text.matchAll(/\[[A-Z]+ [^\]]*\]/g)].join()}`;
}

/** Returns the answers of a network, by conversation. */
async function answers(t: Test): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  await t.test('one edge answers every conversation', async (t) => {
    const origin = await startOrigin(mirror);
    const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
    t.teardown(() => origin.close());
    const plain = edge.node.addresses.listen;
    for (const [what, bytes] of Object.entries(CONVERSATIONS)) found[what] = essence(await exchange(plain, bytes));
    const secured = await dialTls(edge.port, 'site.test', { ALPNProtocols: ['http/1.1'] });
    secured.write(CONVERSATIONS['bodies with a length'] as string);
    found['over TLS'] = essence(await everything(secured));
    const session = openHttp2(t, edge);
    const many = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        askHttp2(session, `/h${i % 7}`, i % 5 === 0 ? { ':method': 'POST' } : {}, i % 5 === 0 ? 'body' : undefined),
      ),
    );
    found['over HTTP/2'] = many.map(({ status, text }) => `${status} ${text}`).join();
    found['plain HTTP to a TLS port'] = essence(await exchange(`127.0.0.1:${edge.port}`, asked('GET', '/')));
    found['a name without a certificate'] = await dialTls(edge.port, 'other.test').then(
      () => 'taken',
      (error: NodeJS.ErrnoException) => error.code ?? '',
    );
  });
  return found;
}

/** Conversations whose end differs without it. */
const DIFFERS: ReadonlyMap<NodeInternal, readonly string[]> = new Map([
  [CONNECTION_BELOW, ['plain HTTP to a TLS port', 'a name without a certificate']],
]);

test('this version of Node has every internal that is used', async (t) => {
  const warnings: object[] = [];
  await checkNodeInternals({ warn: (details) => warnings.push(details) });
  t.strictSame(warnings, []);
  for (const { name, isInUse } of NODE_INTERNALS) t.ok(isInUse, name);
});

test('each missing internal is logged, with its consequence', async (t) => {
  for (const internal of NODE_INTERNALS) {
    internal.isOff = true;
    const messages: string[] = [];
    await checkNodeInternals({ warn: (_details, message) => messages.push(message) });
    t.match(messages, [internal.without]);
    internal.isOff = false;
  }
});

test('without any one internal every request is answered alike', { timeout: 120_000 }, async (t) => {
  const usual = await answers(t);
  t.match(usual['a miss and hits'], /^(200,?){21} /);
  t.equal(usual['plain HTTP to a TLS port'], '400 ');
  for (const internal of NODE_INTERNALS) {
    internal.isOff = true;
    try {
      const found = await answers(t);
      const same = Object.keys(usual).filter((what) => !DIFFERS.get(internal)?.includes(what));
      for (const what of same) t.equal(found[what], usual[what], `${internal.name}: ${what}`);
      for (const what of DIFFERS.get(internal) ?? []) t.match(found[what], /^ ?$|ECONNRESET|EPROTO/, what);
    } finally {
      internal.isOff = false;
    }
  }
});
