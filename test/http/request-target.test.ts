import fc from 'fast-check';
import { test } from 'tap';
import { HttpError } from '../../http/errors.ts';
import { normalisePath, parseOriginForm, parseRequestTarget } from '../../http/request-target.ts';
import { fuzzer, outcome } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const HOST = ['Host', 'www.example.org'];
const AT_HOST = { host: 'www.example.org', port: undefined, authority: 'www.example.org' };

for (const { rfc, rule, method = 'GET', target, headers = HOST, parsed } of [
  {
    rfc: '9112 3.2.1',
    rule: 'origin-form',
    target: '/where?q=now',
    parsed: { ...AT_HOST, path: '/where', query: 'q=now', raw: '/where?q=now' },
  },
  { rfc: '9112 3.2.1', rule: 'no query', target: '/', parsed: { ...AT_HOST, path: '/', query: undefined, raw: '/' } },
  {
    rfc: '3986 3.4',
    rule: 'an empty query is not none',
    target: '/?',
    parsed: { ...AT_HOST, path: '/', query: '', raw: '/?' },
  },
  {
    rfc: '3986 3.4',
    rule: 'question marks in the query',
    target: '/a?b?c=/../',
    parsed: { ...AT_HOST, path: '/a', query: 'b?c=/../', raw: '/a?b?c=/../' },
  },
  {
    rfc: '9112 3.2.1',
    rule: 'two slashes name no host',
    target: '//evil.example/a',
    parsed: { ...AT_HOST, path: '//evil.example/a', query: undefined, raw: '//evil.example/a' },
  },
  {
    rfc: '9112 3.2.2',
    rule: 'absolute-form',
    target: 'http://www.example.org/pub?a',
    parsed: { ...AT_HOST, path: '/pub', query: 'a', raw: '/pub?a' },
  },
  {
    rfc: '9112 3.2.2',
    rule: 'its authority replaces Host',
    target: 'https://Other.example:8443/',
    parsed: {
      host: 'other.example',
      port: 8443,
      authority: 'other.example:8443',
      path: '/',
      query: undefined,
      raw: '/',
    },
  },
  {
    rfc: '3986 3.1',
    rule: 'schemes have no case',
    target: 'HTTP://www.example.org/',
    parsed: { ...AT_HOST, path: '/', query: undefined, raw: '/' },
  },
  {
    rfc: '9110 4.2.3',
    rule: 'absolute-form without path',
    target: 'http://www.example.org',
    parsed: { ...AT_HOST, path: '/', query: undefined, raw: '/' },
  },
  {
    rfc: '9110 4.2.3',
    rule: 'absolute-form with a query only',
    target: 'http://www.example.org?a/b',
    parsed: { ...AT_HOST, path: '/', query: 'a/b', raw: '/?a/b' },
  },
  {
    rfc: '9112 3.2.4',
    rule: 'asterisk-form',
    method: 'OPTIONS',
    target: '*',
    parsed: { ...AT_HOST, path: '*', query: undefined, raw: '*' },
  },
  {
    rfc: '9112 3.2.4',
    rule: 'OPTIONS in absolute-form without path',
    method: 'OPTIONS',
    target: 'http://www.example.org',
    parsed: { ...AT_HOST, path: '*', query: undefined, raw: '*' },
  },
  {
    rfc: '9112 3.2.4',
    rule: 'OPTIONS in absolute-form with a path',
    method: 'OPTIONS',
    target: 'http://www.example.org/',
    parsed: { ...AT_HOST, path: '/', query: undefined, raw: '/' },
  },
  {
    rfc: '9110 4.2.3',
    rule: 'hosts have no case',
    target: '/',
    headers: ['hOST', 'WWW.Example.ORG:8080'],
    parsed: {
      host: 'www.example.org',
      port: 8080,
      authority: 'www.example.org:8080',
      path: '/',
      query: undefined,
      raw: '/',
    },
  },
  {
    rfc: '3986 3.2.2',
    rule: 'IPv4',
    target: '/',
    headers: ['Host', '192.0.2.1:80'],
    parsed: { host: '192.0.2.1', port: 80, authority: '192.0.2.1:80', path: '/', query: undefined, raw: '/' },
  },
  {
    rfc: '3986 3.2.2',
    rule: 'a short IPv6',
    target: '/',
    headers: ['Host', '[::1]:1080'],
    parsed: { host: '[::1]', port: 1080, authority: '[::1]:1080', path: '/', query: undefined, raw: '/' },
  },
  {
    rfc: '3986 3.2.2',
    rule: 'IPv6',
    target: '/',
    headers: ['Host', '[2001:DB8::1]:8080'],
    parsed: {
      host: '[2001:db8::1]',
      port: 8080,
      authority: '[2001:db8::1]:8080',
      path: '/',
      query: undefined,
      raw: '/',
    },
  },
  {
    rfc: '3986 2.1',
    rule: 'percent-encoding stays',
    target: '/%e2%82%ac/a%2Fb',
    parsed: { ...AT_HOST, path: '/%e2%82%ac/a%2Fb', query: undefined, raw: '/%e2%82%ac/a%2Fb' },
  },
  {
    rfc: '3986 2.1',
    rule: 'a broken escape in the query is the application’s',
    target: '/?q=100%',
    parsed: { ...AT_HOST, path: '/', query: 'q=100%', raw: '/?q=100%' },
  },
  {
    rfc: '3986 3.3',
    rule: 'dots that are no dot segment',
    target: '/.well-known/..a/a../.../a.b',
    parsed: { ...AT_HOST, path: '/.well-known/..a/a../.../a.b', query: undefined, raw: '/.well-known/..a/a../.../a.b' },
  },
]) {
  test(`RFC ${rfc}: ${rule}`, async (t) => {
    t.strictSame(parseRequestTarget(method, target, headers), parsed);
  });
}

for (const host of ['www.example.org', 'WWW.EXAMPLE.ORG.', 'www.example.org:', 'www.example.org.:']) {
  test(`RFC 3986 6.2.3: ${host} is one host`, async (t) => {
    t.match(parseRequestTarget('GET', '/', ['Host', host]), { ...AT_HOST, port: undefined });
    t.match(parseRequestTarget('GET', `http://${host}/`, HOST), { ...AT_HOST, port: undefined });
  });
}

test('a port stays, and is written once', async (t) => {
  const { host, port, authority } = parseRequestTarget('GET', '/', ['Host', 'site.test.:8080']);
  t.strictSame({ host, port, authority }, { host: 'site.test', port: 8080, authority: 'site.test:8080' });
  t.equal(parseRequestTarget('GET', '/', ['Host', '[::1]:']).authority, '[::1]');
});

test('RFC 9112 3.3: HTTP/1.0 without Host gets the address that it connected to', async (t) => {
  const at = { impliedHost: '192.0.2.1:80' };
  t.equal(parseRequestTarget('GET', '/', [], at).authority, '192.0.2.1:80');
  t.equal(parseRequestTarget('GET', 'http://a.example/', [], at).authority, 'a.example');
  t.equal(parseRequestTarget('GET', '/', ['Host', 'a.example'], at).authority, 'a.example');
  t.throws(() => parseRequestTarget('GET', '/', ['Host', ''], at), { code: 'bad_host' });
});

for (const { target, raw } of [
  { target: '/?q=a\\b', raw: '/?q=a%5Cb' },
  { target: '/?q=\xc3\xa4\\', raw: '/?q=%C3%A4%5C' },
  { target: '/\xc3\xa4/x?\xe4', raw: '/%C3%A4/x?%E4' },
  { target: 'http://www.example.org/\xff', raw: '/%FF' },
]) {
  test(`raw bytes pass escaped: ${raw}`, async (t) => {
    t.equal(parseRequestTarget('GET', target, HOST).raw, raw);
    if (target.startsWith('/')) t.equal(parseOriginForm(AT_HOST, target).raw, raw);
  });
}

for (const { target, raw } of [
  { target: '/a/./b', raw: '/a/b' },
  { target: '/a/../b?c=/../', raw: '/b?c=/../' },
  { target: '/a/b/..', raw: '/a/' },
  { target: '/..', raw: '/' },
  { target: '/../../a', raw: '/a' },
  { target: '/a/%2e%2E/b', raw: '/b' },
  { target: '/a/.%2e/./%2e/b', raw: '/b' },
  { target: '/a//../b', raw: '/a/b' },
  { target: '/.well-known/...', raw: '/.well-known/...' },
]) {
  test(`RFC 3986 5.2.4: dot segments are resolved where a site says so: ${target}`, async (t) => {
    t.equal(parseRequestTarget('GET', target, HOST, { dotSegments: () => 'resolve' }).raw, raw);
    t.equal(parseOriginForm(AT_HOST, target, 'resolve').raw, raw);
  });
}

for (const target of ['/a/..;/b', '/a/..%2fb', '/a%2f../b', '/a/..%5Cb', '/a\\..\\b', '/a/..;x=y/b']) {
  test(`an ambiguous target is refused, although the site resolves dot segments: ${target}`, async (t) => {
    const options = { dotSegments: () => 'resolve' as const };
    t.throws(() => parseRequestTarget('GET', target, HOST, options), { code: 'bad_target' });
  });
}

for (const { rule, value } of [
  { rule: 'empty', value: '' },
  { rule: 'a list', value: 'a.example, b.example' },
  { rule: 'user information', value: 'user@a.example' },
  { rule: 'a space', value: 'a.example b' },
  { rule: 'a tab at the end', value: 'a.example\t' },
  { rule: 'a line feed at the end', value: 'a.example\n' },
  { rule: 'a path', value: 'a.example/b' },
  { rule: 'a query', value: 'a.example?b' },
  { rule: 'a fragment', value: 'a.example#b' },
  { rule: 'a backslash', value: 'a.example\\b' },
  { rule: 'a scheme', value: 'http://a.example' },
  { rule: 'percent-encoding', value: 'a%2eexample' },
  { rule: 'a zero byte', value: 'a.example\0' },
  { rule: 'a byte beyond ASCII', value: '\xe4.example' },
  { rule: 'two dots at the end', value: 'a.example..' },
  { rule: 'nothing but a dot', value: '.' },
  { rule: 'a dot behind an IPv6 address', value: '[::1].' },
  { rule: 'a letter that becomes k in lower case', value: '\u212a.example' },
  { rule: 'an empty label', value: 'a..example' },
  { rule: 'a dot first', value: '.example' },
  { rule: 'only a port', value: ':80' },
  { rule: 'port 0', value: 'a.example:0' },
  { rule: 'port 65536', value: 'a.example:65536' },
  { rule: 'a port with a leading zero', value: 'a.example:080' },
  { rule: 'a port with a sign', value: 'a.example:+80' },
  { rule: 'two ports', value: 'a.example:80:80' },
  { rule: 'IPv6 without brackets', value: '2001:db8::1' },
  { rule: 'IPv6 that is none', value: '[2001:db8::1::2]' },
  { rule: 'IPv6 with a zone', value: '[fe80::1%25eth0]' },
  { rule: 'an open bracket', value: '[2001:db8::1' },
  { rule: 'a future address', value: '[v1.fe80]' },
  { rule: 'IPv4 in brackets', value: '[192.0.2.1]' },
  { rule: '256 characters', value: `${'a.'.repeat(127)}aa` },
]) {
  test(`RFC 9112 3.2: Host refused: ${rule}`, async (t) => {
    t.throws(() => parseRequestTarget('GET', '/', ['Host', value]), { code: 'bad_host', status: 400 });
    t.throws(() => parseRequestTarget('GET', 'http://good.example/', ['Host', value]), { code: 'bad_host' });
    // What follows a slash or question mark is no longer authority there.
    if (/[/?]/.test(value)) return;
    t.throws(() => parseRequestTarget('GET', `http://${value}/`, HOST), { code: 'bad_target' }, 'nor in the target');
  });
}

test('RFC 9112 3.2: exactly one Host is required', async (t) => {
  t.throws(() => parseRequestTarget('GET', '/', []), { code: 'bad_host' });
  t.throws(() => parseRequestTarget('GET', 'http://a.example/', []), { code: 'bad_host' }, 'in absolute-form, too');
  t.throws(() => parseRequestTarget('GET', '/', ['Host', 'a.example', 'host', 'a.example']), { code: 'bad_host' });
});

test('the longest host and the highest port are accepted', async (t) => {
  const host = `${'a.'.repeat(127)}a`;
  t.equal(parseRequestTarget('GET', '/', ['Host', `${host}:65535`]).port, 65_535);
  t.equal(host.length, 255);
});

for (const { rule, method = 'GET', target } of [
  { rule: 'empty', target: '' },
  { rule: 'asterisk-form of another method', target: '*' },
  { rule: 'asterisk and more', method: 'OPTIONS', target: '*/' },
  { rule: 'authority-form', target: 'www.example.org:80' },
  { rule: 'a relative path', target: 'index.html' },
  { rule: 'only a query', target: '?a' },
  { rule: 'another scheme', target: 'ftp://www.example.org/' },
  { rule: 'something before the scheme', target: 'xhttp://www.example.org/' },
  { rule: 'a scheme without slashes', target: 'http:/www.example.org/' },
  { rule: 'no authority', target: 'http:///a' },
  { rule: 'user information', target: 'http://user:secret@www.example.org/' },
  { rule: 'a fragment', target: '/a#b' },
  { rule: 'a fragment in the query', target: '/a?b#c' },
  { rule: 'a backslash', target: '/a\\b' },
  { rule: 'a backslash for a slash', target: '\\a' },
  { rule: 'a space', target: '/a b' },
  { rule: 'a tab', target: '/a\tb' },
  { rule: 'a line feed at the end', target: '/a\n' },
  { rule: 'a zero byte', target: '/a\0' },
  { rule: 'DEL', target: '/\x7f' },
  { rule: 'a percent sign alone', target: '/100%' },
  { rule: 'a percent sign with one digit', target: '/%4' },
  { rule: 'a percent sign with no hexadecimal', target: '/%zz' },
  { rule: 'a percent sign before an escape', target: '/%%41' },
  { rule: 'an escaped zero byte', target: '/a%00.png' },
  { rule: '/./', target: '/a/./b' },
  { rule: '/../', target: '/a/../b' },
  { rule: '/. at the end', target: '/a/.' },
  { rule: '/.. at the end', target: '/a/..' },
  { rule: '/.. alone', target: '/..' },
  { rule: '/.. before the query', target: '/a/..?b' },
  { rule: '/.. in absolute-form', target: 'http://www.example.org/..' },
  { rule: 'both dots escaped', target: '/a/%2e%2E/b' },
  { rule: 'the first dot escaped', target: '/a/%2e./b' },
  { rule: 'the second dot escaped', target: '/a/.%2E/b' },
  { rule: 'one dot escaped', target: '/a/%2e' },
  { rule: 'the slash after escaped', target: '/a/..%2fb' },
  { rule: 'the slash before escaped', target: '/a%2F../b' },
  { rule: 'a backslash escaped', target: '/a/..%5Cb' },
  { rule: 'everything escaped', target: '/a%2f%2e%2e%2fb' },
  { rule: 'a parameter', target: '/a/..;/b' },
  { rule: 'a parameter with a value', target: '/a/..;x=y/b' },
]) {
  test(`RFC 9112 3.2: target refused: ${rule}`, async (t) => {
    t.throws(() => parseRequestTarget(method, target, HOST), { code: 'bad_target', status: 400 });
  });
}

test('RFC 9110 9.3.6: CONNECT is refused', async (t) => {
  t.throws(() => parseRequestTarget('CONNECT', 'www.example.org:443', HOST), {
    code: 'method_not_implemented',
    status: 501,
  });
});

for (const { rule, path, normal } of [
  { rule: 'nothing to do', path: '/a/b.c', normal: '/a/b.c' },
  { rule: 'unreserved characters are decoded', path: '/%41%7a%30%2D%2e%5F%7e', normal: '/Az0-._~' },
  { rule: 'others are not, but in upper case', path: '/%2f%3a%e4%25', normal: '/%2F%3A%E4%25' },
  { rule: 'once only', path: '/%2541', normal: '/%2541' },
  { rule: 'case matters', path: '/A', normal: '/A' },
]) {
  test(`RFC 3986 6.2.2: ${rule}`, async (t) => {
    t.equal(normalisePath(path), normal);
  });
}

/** Any characters of a request line, dangerous ones more often. */
const hostile = fc.string({
  unit: fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%',
    '\\',
    '?',
    '#',
    ';',
    '*',
    '@',
    ':',
    'http://',
    'a',
    '%41',
    '%00',
    ' ',
    '\xe4',
  ),
});

test('property: a target is refused by code or is safe to pass on', async () => {
  fuzz(
    'property: a target is refused by code or is safe to pass on',
    fc.property(hostile, fc.constantFrom('GET', 'OPTIONS'), fc.boolean(), (text, method, slash) => {
      const target = slash ? `/${text}` : text;
      let parsed: ReturnType<typeof parseRequestTarget>;
      try {
        parsed = parseRequestTarget(method, target, HOST);
      } catch (error) {
        outcome(`refused: ${(error as HttpError).message.replace(/.*\(|\)$/g, '')}`);
        return error instanceof HttpError && error.status === 400;
      }
      outcome(parsed.path === '*' ? 'the server' : parsed.query === undefined ? 'a path' : 'a path with a query');
      if (parsed.path === '*') return method === 'OPTIONS' && parsed.raw === '*';
      const once = decodeURIComponent(parsed.path.replace(/%(?!2e|2f|5c)/gi, '%25')).replaceAll('\\', '/');
      const segments = once.split('/').map((segment) => segment.split(';', 1)[0]);
      return (
        !segments.includes('.') &&
        !segments.includes('..') &&
        /^\/[\x21-\x7e]*$/.test(parsed.raw) &&
        !/[#\\]/.test(parsed.raw) &&
        parsed.raw === (parsed.query === undefined ? parsed.path : `${parsed.path}?${parsed.query}`)
      );
    }),
    { numRuns: 5000 },
  );
});

test('property: the WHATWG parser accepts the same targets', async () => {
  const path = fc.string({
    unit: fc.constantFrom('/', 'a', '.', '%2e', '%2F', '%e4', ';', '~', '+', 'B'),
    maxLength: 12,
  });
  fuzz(
    'property: the WHATWG parser accepts the same targets',
    fc.property(path, (text) => {
      try {
        const { raw } = parseRequestTarget('GET', `/${text}`, HOST);
        return new URL(`http://www.example.org${raw}`).pathname === raw;
      } catch (error) {
        return error instanceof HttpError;
      }
    }),
    { numRuns: 2000 },
  );
});

test('property: dot segments are resolved as in browsers, or the target is refused', async () => {
  const path = fc.string({
    unit: fc.constantFrom('/', 'a', '.', '..', '%2e', '%2E', '%2F', ';', '\xe4', '%e4', '\\', '?'),
    maxLength: 12,
  });
  fuzz(
    'property: dot segments are resolved as in browsers, or the target is refused',
    fc.property(path, (text) => {
      try {
        const { raw } = parseRequestTarget('GET', `/${text}`, HOST, { dotSegments: () => 'resolve' });
        const bytes = `/${text}`.replaceAll('\xe4', '%E4').replace(/(\?.*)$/, (query) => query.replaceAll('\\', '%5C'));
        const { pathname, search } = new URL(`http://www.example.org${bytes}`);
        const query = search === '' && raw.endsWith('?') ? '?' : search; // WHATWG forgets an empty query
        return raw === pathname + query;
      } catch (error) {
        return error instanceof HttpError;
      }
    }),
    { numRuns: 5000 },
  );
});

test('property: normalising is idempotent and keeps the meaning', async () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const piece = fc.oneof(
    byte.map((value) => `%${value.toString(16).padStart(2, '0')}`),
    byte.map((value) => `%${value.toString(16).padStart(2, '0').toUpperCase()}`),
    fc.constantFrom('/', 'a', 'Z', '~', '.', '!', ':'),
  );
  const bytes = (path: string) =>
    path.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  fuzz(
    'property: normalising is idempotent and keeps the meaning',
    fc.property(fc.array(piece), (pieces) => {
      const path = `/${pieces.join('')}`;
      const normal = normalisePath(path);
      return normalisePath(normal) === normal && bytes(normal) === bytes(path);
    }),
  );
});
