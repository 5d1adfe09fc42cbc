/**
 * Requests of HTTP/2 that are answered with prepared bytes get what ordinary delivery gives them.
 */

import type { OutgoingHttpHeaders } from 'node:http2';
import { type Test, test } from 'tap';
import { startOrigin } from '../support/origin.ts';
import { askHttp2, openHttp2, type SecureEdge, startSecureEdge } from '../support/secure-edge.ts';

const SITE = { name: 'site', hosts: ['site.test', 'other.test'] };

const DATE = new Date().toUTCString();

/** One of each kind of stored response. */
async function twoEdges(t: Test): Promise<{ fast: SecureEdge; long: SecureEdge }> {
  const origin = await startOrigin((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    response.setHeader('Cache-Control', 'max-age=600');
    response.setHeader('Date', DATE);
    response.setHeader('Age', '5');
    response.setHeader('X-Path', path);
    if (path === '/tagged') response.setHeader('ETag', '"tag"');
    if (path === '/dated') response.setHeader('Last-Modified', 'Mon, 01 Jan 2024 00:00:00 GMT');
    if (path === '/vary') response.setHeader('Vary', 'Accept-Language');
    if (path === '/cookies') {
      response.setHeader('Cache-Control', 'public, max-age=600');
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    }
    if (path === '/missing') response.statusCode = 404;
    const isByRule = BY_RULE.has(path);
    if (isByRule) response.removeHeader('Cache-Control');
    const { cookie = '', authorization = '' } = request.headers;
    const who = isByRule ? `for ${cookie} ${authorization}` : '';
    const lang = path === '/vary' ? String(request.headers['accept-language']) : '';
    response.end(path === '/empty' ? '' : path === '/large' ? 'x'.repeat(40_000) : `body of ${path} ${lang} ${who}`);
  });
  t.teardown(() => origin.close());
  const rules = [
    { path: '/ruled', ttl: '10m' },
    { path: '/keyed', ttl: '10m', cookies: 'key' as const },
    { path: '/named', ttl: '10m', cookies: { bypass: ['a*'] } },
  ];
  const site = { ...SITE, keys: { rules, response_headers: { set: { 'X-Own': 'yes' }, remove: ['X-Gone'] } } };
  const fast = await startSecureEdge(t, origin.url, [site]);
  const long = await startSecureEdge(t, origin.url, [site], {}, { delivery: 'ordinary' });
  return { fast, long };
}

/** Answers of these are kept by a rule. */
const BY_RULE = new Set(['/ruled', '/keyed', '/named']);

const PATHS = [
  ...BY_RULE,
  '/plain',
  '/tagged',
  '/dated',
  '/vary',
  '/cookies',
  '/missing',
  '/empty',
  '/large',
  '/q?b=2&a=1',
  '/%61',
  '/a b',
];

const REQUESTS: readonly OutgoingHttpHeaders[] = [
  {},
  { ':method': 'HEAD' },
  { ':method': 'OPTIONS' },
  { 'if-none-match': '"tag"' },
  { 'if-none-match': 'W/"tag", "x"' },
  { 'if-none-match': '*' },
  { 'if-modified-since': 'Mon, 01 Jan 2024 00:00:00 GMT' },
  { 'if-modified-since': 'Sun, 31 Dec 2023 00:00:00 GMT' },
  { 'if-match': '"x"' },
  { range: 'bytes=0-3' },
  { range: 'bytes=0-1,3-4' },
  { 'accept-language': 'de' },
  { 'accept-language': 'en' },
  { cookie: ['a=1', 'b=2'] },
  { cookie: 'b=2' },
  { cookie: '_ga=1' },
  { authorization: 'Basic x' },
  { 'cache-control': 'no-cache' },
  { 'cache-control': 'only-if-cached' },
  { expect: '100-continue' },
  { te: 'trailers' },
  { host: 'site.test' },
  { host: 'other.test' },
  { ':authority': 'other.test' },
  { ':authority': 'nobody.test' },
  { ':authority': 'SITE.test' },
  { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'http' },
  { 'cdn-loop': 'seawall' },
  { 'content-length': '0' },
];

test('requests of every kind are answered alike over HTTP/2, for responses of every kind', async (t) => {
  const { fast, long } = await twoEdges(t);
  const sessions = [openHttp2(t, fast), openHttp2(t, long)] as const;
  const comparable = async (session: (typeof sessions)[number], path: string, headers: OutgoingHttpHeaders) => {
    const { status, text, headers: fields, reset } = await askHttp2(session, path, headers);
    const {
      date: _date,
      age,
      'x-request-id': _id,
      'cache-status': cacheStatus,
      ...rest
    } = fields as Record<string, unknown>;
    const page = String(text).replace(/[0-9a-f-]{32,}/g, 'ID');
    const own = String(cacheStatus).replace(/ttl=\d+/g, 'ttl');
    return {
      status,
      text: page,
      reset,
      own,
      hasAge: age !== undefined,
      rest: { ...rest, 'content-type': String(rest['content-type']).replace(/[0-9a-f-]{32,}/, 'ID') },
    };
  };
  for (let round = 0; round < 2; round++) {
    for (const path of PATHS) {
      for (const headers of REQUESTS) {
        const [quick, slow] = await Promise.all(sessions.map((session) => comparable(session, path, headers)));
        t.strictSame(quick, slow, `${path} ${JSON.stringify(headers)}`);
      }
    }
  }
  t.ok(fast.node.answeredPrepared > 100, `${fast.node.answeredPrepared} answered at once`);
  t.equal(long.node.answeredPrepared, 0);
});
