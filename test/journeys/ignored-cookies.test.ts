/**
 * Cookies that do not count: the origin does not see them in what may be an answer for all, so nobody writes
 * into a page of all what the key does not say. What is one visitor's own keeps all of its cookies.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'tap';
import { startOrigin } from '../support/origin.ts';
import { openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { ANONYMOUS, type Fields, play, type Rules } from '../support/two-visitors.ts';

const EVIL = '<script>evil</script>';

const RULES: Rules = [
  { path: '/never/*', cache: 'never' },
  { path: '/never-200/*.pdf', status: 200, cache: 'never' },
  { path: ['/*.css', '/*.pdf'], ttl: '1m' },
  { path: '/ignore/*', ttl: '1m', cookies: 'ignore' },
  { path: '/some/*', ttl: '1m', cookies: { bypass: ['session*'] } },
  { path: '/key/*', ttl: '1m', cookies: 'key' },
  { ttl: '1m', stale_while_revalidate: '1h', stale_if_error: '1h', request_directives: 'honour' },
];

const KEY = { key: { cookies: ['currency'] } };

interface Case {
  readonly path: string;
  readonly cookie: string;
  /** Cookie field that the origin sees; `nobody`: none. */
  readonly sent: string;
  readonly site?: object;
  readonly fields?: Fields;
}

const CASES: readonly Case[] = [
  { path: '/post', cookie: `_ga=${EVIL}`, sent: 'nobody' },
  { path: '/post', cookie: `OptanonConsent=a=${EVIL}&b=1; _gid="1"`, sent: 'nobody' },
  { path: '/post', cookie: ';;', sent: 'nobody' },
  { path: '/post', cookie: '_ga=1; currency=USD; _gid=2', sent: 'currency=USD', site: KEY },
  { path: '/post', cookie: '; currency=USD', sent: 'currency=USD', site: KEY },
  { path: '/post', cookie: '_ga=1; session=alice', sent: '_ga=1; session=alice' },
  { path: '/x.css', cookie: `session=alice; theme=${EVIL}`, sent: 'nobody' },
  { path: '/ignore/a', cookie: `session=${EVIL}; _ga=1`, sent: 'nobody' },
  { path: '/ignore/a', cookie: 'session=1; currency=EUR', sent: 'currency=EUR', site: KEY },
  { path: '/some/a', cookie: `theme=${EVIL}; _ga=1`, sent: 'nobody' },
  { path: '/some/a', cookie: 'theme=dark; session_1=alice', sent: 'theme=dark; session_1=alice' },
  { path: '/key/a', cookie: 'theme=dark; _ga=1; a=1', sent: 'a=1; theme=dark' },
  { path: '/never/a', cookie: '_ga=1; session=alice', sent: '_ga=1; session=alice' },
  { path: '/never-200/a.pdf', cookie: 'session=alice', sent: 'session=alice' },
];

for (const { path, cookie, sent, site } of CASES) {
  test(`${path.slice(0, 20)} with ${cookie.slice(0, 60)} is answered for all`, async (t) => {
    for (const fields of [{}, { 'Cache-Control': 'max-age=60' }, { 'Content-Type': 'text/css' }] as Fields[]) {
      const { as, origin } = await play(t, { rules: RULES, ...(site && { site }), fields });
      t.equal((await as({ Cookie: cookie }, path)).text, `hello ${sent}`, JSON.stringify(fields));
      if (sent === 'nobody') {
        t.equal((await as(ANONYMOUS, path)).text, 'hello nobody');
        t.equal((await as({ Cookie: cookie }, `${path}?head`, undefined, 'HEAD')).status, 200);
        t.equal(origin.requests.at(-1)?.headers.cookie, undefined, 'nor in a HEAD');
      }
    }
  });
}

test('more cookies than the limit are kept', async (t) => {
  const many = Array.from({ length: 257 }, (_, i) => `c${i}=${EVIL}`).join('; ');
  const [ignore] = RULES.filter(({ cookies }) => cookies === 'ignore');
  const plain = await play(t, { rules: [ignore ?? {}] });
  t.equal((await plain.as({ Cookie: many }, '/ignore/a')).text, 'hello nobody');
  const keying = await play(t, { rules: RULES });
  t.equal((await keying.as({ Cookie: many }, '/ignore/a')).text, `hello ${many}`, 'the key holds all of them');
  t.equal((await keying.as(ANONYMOUS, '/ignore/a')).text, 'hello nobody');
  t.match((await keying.as({ Cookie: many }, '/ignore/a')).headers['cache-status'], /hit/);
});

test('other methods, and requests with a body, keep all cookies', async (t) => {
  const { as } = await play(t, { rules: RULES });
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.equal((await as({ Cookie: '_ga=1', 'Content-Length': '0' }, '/post', undefined, method)).text, 'hello _ga=1');
  }
});

test('Authorization stays, and so do the cookies beside it', async (t) => {
  const { as, origin } = await play(t, { rules: RULES });
  const basic = { Authorization: 'Basic YQ==', Cookie: '_ga=1' };
  t.equal((await as(basic, '/ignore/a')).text, 'hello Basic YQ==');
  t.equal(origin.requests.at(-1)?.headers.cookie, '_ga=1');
});

test('Vary: Cookie has one variant for requests whose cookies are ignored', async (t) => {
  const { as, origin } = await play(t, { rules: RULES, fields: { Vary: 'Cookie' } });
  await as(ANONYMOUS, '/post');
  for (const edge of ['eu-1', 'eu-2', 'eu-1', 'eu-2']) {
    t.equal((await as({ Cookie: '_ga=1' }, '/post', edge)).text, 'hello nobody');
  }
  t.equal(origin.requests.length, 1);
  t.equal((await as({ Cookie: 'session=alice' }, '/post')).text, 'hello session=alice');
});

test('a page from a background revalidation is not personal', async (t) => {
  const { as, origin } = await play(t, {
    rules: [{ ttl: '1ms', stale_while_revalidate: '1h' }],
    fields: { ETag: '"1"' },
  });
  await as(ANONYMOUS, '/post');
  await new Promise((resolve) => setTimeout(resolve, 5));
  const arrived = origin.next();
  t.match((await as({ Cookie: `_ga=${EVIL}` }, '/post', 'eu-1')).headers['cache-status'], /hit|fwd/);
  t.equal((await arrived).headers.cookie, undefined);
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
});

test('a 304 to a request with ignored cookies is not personal', async (t) => {
  const { as, origin } = await play(t, { rules: [{ ttl: '1ms', cookies: 'ignore' }], fields: { ETag: '"1"' } });
  await as(ANONYMOUS, '/post');
  await new Promise((resolve) => setTimeout(resolve, 5));
  origin.script = (request, response) =>
    response.writeHead(304, { ETag: '"1"', 'X-User': request.headers.cookie ?? 'nobody' }).end();
  const answered = await as({ Cookie: `session=${EVIL}` }, '/post');
  t.equal(answered.headers['x-user'], 'nobody');
  t.equal(answered.text, 'hello nobody');
});

test('a cookie that the origin did not see is not replaced', async (t) => {
  const { as, origin } = await play(t, { rules: RULES });
  origin.script = (_, response) =>
    response.writeHead(404, { 'Set-Cookie': ['session=new; HttpOnly', 'other=1', '_ga=2'] }).end();
  const cookies = async (cookie: string, path: string): Promise<string | undefined> =>
    (await as({ Cookie: cookie }, path)).headers['set-cookie'];
  t.equal(await cookies('session=alice', '/missing.css'), 'other=1, _ga=2', 'she stays logged in');
  t.equal(await cookies('_ga=1', '/post'), 'session=new; HttpOnly, other=1');
  t.equal(
    await cookies('_ga=1; session=alice', '/post'),
    'session=new; HttpOnly, other=1, _ga=2',
    'it saw all of them',
  );
  t.equal(await cookies('', '/missing.css'), 'session=new; HttpOnly, other=1, _ga=2');
});

test('a requested part becomes part of the page for all', async (t) => {
  const { as, origin } = await play(t, { rules: RULES });
  origin.script = (request, response) => {
    const page = `hello ${request.headers.cookie ?? 'nobody'}`.padEnd(40, '.');
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const [from, to] = range === null ? [0, 39] : [Number(range[1]), Number(range[2])];
    const fields = range === null ? {} : { 'Content-Range': `bytes ${from}-${to}/40` };
    response.writeHead(range === null ? 200 : 206, { ETag: '"1"', ...fields }).end(page.slice(from, to + 1));
  };
  t.equal((await as({ Cookie: 'session=alice', Range: 'bytes=6-18' }, '/post')).text, 'session=alice');
  t.equal((await as({ Cookie: `_ga=${EVIL}`, Range: 'bytes=6-13' }, '/post')).text, 'nobody..');
  t.equal((await as({ Range: 'bytes=6-18' }, '/post')).text, 'nobody.......');
  t.match((await as(ANONYMOUS, '/post')).text, /^hello nobody\.+$/);
});

test('requests with different ignored cookies share one fill', async (t) => {
  const { as, origin } = await play(t, { rules: RULES });
  const waiting: (() => void)[] = [];
  origin.script = (request: IncomingMessage, response: ServerResponse) =>
    void waiting.push(() => response.end(`hello ${request.headers.cookie ?? 'nobody'}`));
  const arrived = origin.next();
  const first = as({ Cookie: `_ga=${EVIL}` }, '/slow');
  await arrived;
  const others = Array.from({ length: 10 }, (_, i) => as({ Cookie: `_ga=${i}` }, '/slow'));
  await new Promise((resolve) => void setImmediate(resolve));
  for (const answer of waiting) answer();
  for (const reply of await Promise.all([first, ...others])) t.equal(reply.text, 'hello nobody');
  t.equal(origin.requests.length, 1);
});

test('ignored cookies are ignored over HTTP/2, with each cookie in a field of its own', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(`hello ${request.headers.cookie ?? 'nobody'}`);
  });
  t.teardown(() => origin.close());
  const site = { name: 'a', hosts: ['localhost'], keys: { rules: [...RULES] as never, ...KEY } };
  const edge = await startSecureEdge(t, origin.url, [site]);
  const session = openHttp2(t, edge, 'localhost');
  const ask = async (path: string, cookie: string | string[]): Promise<string> => {
    const stream = session.request({ ':path': path, cookie });
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await once(stream, 'end');
    return text;
  };
  for (const path of ['/post', '/ignore/a', '/some/a', '/x.css']) {
    t.equal(await ask(path, [`_ga=${EVIL}`, '_gid=2']), 'hello nobody', path);
    t.equal(await ask(path, []), 'hello nobody');
    t.equal(await ask(path, ['_ga=1', 'currency=USD']), 'hello currency=USD');
    t.equal(await ask(path, ['currency=USD', '_ga=2']), 'hello currency=USD');
  }
  t.equal(await ask('/post', ['_ga=1', 'session=alice']), 'hello _ga=1; session=alice');
});
