import fc from 'fast-check';
import { test } from 'tap';
import { UNTRUSTED_FIELDS } from '../../../config/untrusted-fields.ts';
import {
  appendCdnLoop,
  appendVia,
  claimedScheme,
  clientAddress,
  hasCdnLoop,
  NO_CHAIN,
  refusedOverride,
  removeHopByHop,
  reportedChain,
  setForwarded,
  stripUntrusted,
  type VisitorAddress,
} from '../../../http/fields/forwarding.ts';
import { fieldLines, fieldValue, type RawHeaders } from '../../../http/fields/headers.ts';
import { CidrSet } from '../../../lib/cidr-set.ts';
import { fuzzer } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const names = (headers: RawHeaders) => headers.filter((_, i) => i % 2 === 0);
const withValues = (...list: string[]) => list.flatMap((name) => [name, 'x']);

for (const { rfc, rule, headers, left } of [
  {
    rfc: '9110 7.6.1',
    rule: 'what Connection names',
    headers: ['Connection', 'a, b', 'a', '1', 'B', '2', 'c', '3'],
    left: ['c'],
  },
  {
    rfc: '9110 7.6.1',
    rule: 'in several lines and any case',
    headers: ['connection', 'A', 'CONNECTION', ',close, b', 'a', '1', 'b', '2', 'b', '3'],
    left: [],
  },
  { rfc: '9110 7.6.1', rule: 'before Connection, too', headers: ['a', '1', 'Connection', 'a'], left: [] },
  {
    rfc: '9110 7.6.1',
    rule: 'known ones that it does not name',
    headers: withValues(
      'Keep-Alive',
      'Proxy-Connection',
      'TE',
      'Transfer-Encoding',
      'Upgrade',
      'Trailer',
      'HTTP2-Settings',
    ),
    left: [],
  },
  {
    rfc: '9110 11.7',
    rule: 'credentials and challenges of proxies',
    headers: withValues('Proxy-Authenticate', 'Proxy-Authorization', 'Proxy-Authentication-Info'),
    left: [],
  },
  {
    rfc: '9110 7.6.1',
    rule: 'nothing else',
    headers: withValues('Host', 'WWW-Authenticate', 'Authorization', 'Content-Length', 'Via', 'X-A'),
    left: ['Host', 'WWW-Authenticate', 'Authorization', 'Content-Length', 'Via', 'X-A'],
  },
]) {
  test(`RFC ${rfc}: removed: ${rule}`, async (t) => {
    t.strictSame(names(removeHopByHop(headers)), left);
  });
}

for (const name of [
  ...['Host', 'Content-Length', 'Content-Type', 'Content-Encoding', 'Content-Language', 'Content-Range'],
  ...['Content-Location', 'Expect', 'Max-Forwards'],
  ...['Cache-Control', 'CDN-Cache-Control', 'Surrogate-Control', 'Pragma', 'Age', 'Date', 'Expires', 'Vary', 'ETag'],
  ...[
    'Last-Modified',
    'Cache-Status',
    'Cache-Groups',
    'Cache-Group-Invalidation',
    'Cache-Tag',
    'Surrogate-Key',
    'xkey',
  ],
  ...['Range', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since', 'If-Range'],
  ...['Authorization', 'Cookie', 'Set-Cookie', 'Origin'],
  ...['Via', 'CDN-Loop', 'Forwarded', 'X-Real-IP', 'X-Forwarded-For', 'X-Forwarded-Proto', 'Seawall-Tier'],
]) {
  test(`RFC 9110 7.6.1: Connection cannot remove ${name}`, async (t) => {
    t.strictSame(removeHopByHop(['Connection', `close, ${name}`, name, 'x', 'X-A', 'y']), [name, 'x', 'X-A', 'y']);
  });
}

test('removing fields leaves the given list unchanged', async (t) => {
  const headers = Object.freeze(['Connection', 'a', 'a', '1']);
  t.strictSame(removeHopByHop(headers), []);
});

test('RFC 9110 7.6.3: Via is appended to', async (t) => {
  const headers = ['Host', 'a.example'];
  appendVia(headers, '1.1', 'seawall');
  t.strictSame(headers, ['Host', 'a.example', 'Via', '1.1 seawall']);
  appendVia(headers, '2.0', 'seawall');
  t.strictSame(headers, ['Host', 'a.example', 'Via', '1.1 seawall, 2.0 seawall']);
  const lines = ['via', '1.0 fred', 'VIA', '1.1 p.example', 'X-A', ''];
  appendVia(lines, '1.1', 'seawall');
  t.equal(fieldValue(lines, 'via'), '1.0 fred, 1.1 p.example, 1.1 seawall', 'the latest stands last');
  const empty = ['Via', ''];
  appendVia(empty, '1.1', 'seawall');
  t.strictSame(empty, ['Via', '1.1 seawall']);
});

test('RFC 8586 2: CDN-Loop is appended to', async (t) => {
  const headers = ['CDN-Loop', 'other.example; a="b"'];
  appendCdnLoop(headers, 'seawall.example');
  t.strictSame(headers, ['CDN-Loop', 'other.example; a="b", seawall.example']);
  t.equal(hasCdnLoop(headers, 'seawall.example'), true);
});

for (const { rule, lines, found } of [
  { rule: 'none', lines: [], found: false },
  { rule: 'alone', lines: ['seawall.example'], found: true },
  { rule: 'any case', lines: ['SeaWall.Example'], found: true },
  { rule: 'with parameters', lines: ['other, seawall.example ; a=1; b="2"'], found: true },
  {
    rule: 'in a later line',
    lines: ['FooCDN, barcdn; host="foo123.bar.cdn"', 'baz-cdn; abc="123", seawall.example'],
    found: true,
  },
  { rule: 'another that begins the same', lines: ['seawall.example.org, seawall'], found: false },
  { rule: 'only as a parameter', lines: ['other; id=seawall.example; seawall.example'], found: false },
  { rule: 'behind a quoted string that never ends', lines: ['x; a=", seawall.example'], found: true },
  { rule: 'inside a quoted string that a later one ends', lines: ['x; a=", seawall.example, b; c="d"'], found: true },
]) {
  test(`RFC 8586: loop: ${rule}`, async (t) => {
    const headers = lines.flatMap((line) => ['CDN-Loop', line]);
    t.equal(hasCdnLoop(headers, 'seawall.example'), found);
    t.equal(hasCdnLoop(headers, 'SEAWALL.example'), found);
  });
}

test('property: a visitor cannot hide a forwarding loop', async () => {
  const hostile = fc.string({ unit: fc.constantFrom('"', ',', ';', '\\', '=', 'a', ' ') });
  fuzz(
    'property: a visitor cannot hide a forwarding loop',
    fc.property(fc.array(hostile), (lines) => {
      const headers = lines.flatMap((line) => ['CDN-Loop', line]);
      appendCdnLoop(headers, 'seawall.example');
      appendCdnLoop(headers, 'other.example; a="b"');
      return hasCdnLoop(headers, 'seawall.example');
    }),
    { numRuns: 1000 },
  );
});

for (const name of [
  ...['Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Anything', 'Forwarded-For'],
  ...['Forwarded-Proto', 'X-Forward-For', 'X-Forward-Proto', 'X-Original-Forwarded-For', 'X-Real-IP', 'Client-IP'],
  ...['X-Client-IP', 'X-Cluster-Client-IP', 'X-Originating-IP', 'X-Remote-IP', 'X-Remote-Addr', 'True-Client-IP'],
  ...['CF-Connecting-IP', 'CF-Connecting-IPv6', 'CF-Pseudo-IPv4', 'CF-Visitor', 'Fastly-Client-IP', 'Fly-Client-IP'],
  ...['X-Azure-ClientIP', 'X-Azure-SocketIP', 'X-Envoy-External-Address', 'Incap-Client-IP'],
  ...['X-Scheme', 'X-Url-Scheme', 'Front-End-Https', 'X-Https', 'X-SSL', 'X-ARR-SSL'],
  ...['X-Host', 'X-Original-Host', 'X-HTTP-Host-Override', 'Proxy-Host', 'X-Server-Name', 'X-Server-Port'],
  ...['X-Original-URL', 'X-Original-URI', 'X-Rewrite-URL', 'X-Override-URL', 'X-HTTP-DestinationURL', 'X-Proxy-URL'],
  ...['X-HTTP-Path-Override', 'X-Envoy-Original-Path', 'Request-URI', 'Base-URL'],
  ...['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'],
  ...['Proxy', 'X-Middleware-Subrequest', 'Surrogate-Capability', 'Cache-Status'],
  ...['Seawall-Tier', 'Seawall-As-Of', 'seawall-anything'],
  // Beside the ones that every list has.
  ...['X-Forwarded', 'Proxy-Client-IP', 'WL-Proxy-Client-IP', 'WL-Proxy-SSL', 'X-HTTP-Host', 'X-Backend-Host'],
  ...['X-Original-Method', 'X-Original-Remote-Addr', 'X-Accel-Redirect', 'X-Accel-Mapping', 'X-Sendfile-Type'],
  ...['X-Middleware-Rewrite', 'Remote-User', 'X-Remote-User', 'Client-Cert', 'Client-Cert-Chain', 'SSL-Client-S-DN'],
  ...['X-SSL-Client-Verify', 'X-Forwarded-Client-Cert', 'X-ARR-ClientCert', 'X-ProxyUser-Ip', 'Ali-CDN-Real-IP'],
  ...[
    'CF-IPCountry',
    'CF-Worker',
    'CloudFront-Viewer-Address',
    'Fastly-SSL',
    'Akamai-Client-IP',
    'X-Vercel-IP-Country',
  ],
  // Users, as gateways name them.
  ...['X-Userinfo', 'X-JWT-Assertion', 'X-JWT-Payload', 'X-Proxy-User', 'X-Proxy-Role', 'X-Proxy-Roles'],
  ...['X-Vouch-User', 'X-Vouch-IdP-Claims-Email', 'X-Forwarded-User', 'X-Forwarded-Groups', 'X-Authenticated-Userid'],
  ...['X-Amzn-OIDC-Identity', 'CF-Access-Authenticated-User-Email', 'CF-Access-JWT-Assertion', 'X-Remote-Group'],
  ...['X-Goog-Authenticated-User-Email', 'X-MS-Client-Principal-Name', 'X-WEBAUTH-USER', 'X-Auth-Request-Email'],
  ...['X-Auth-Request-User', 'X-WebAuth-User', 'X-MS-Client-Principal', 'X-Amzn-OIDC-Data', 'Https', 'X-Country-Code'],
]) {
  test(`a visitor cannot set ${name}`, async (t) => {
    for (const spelling of [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replace('-', '.')]) {
      t.strictSame(
        stripUntrusted(['Accept', '*/*', spelling, 'x', 'Cookie', 'a=b']),
        ['Accept', '*/*', 'Cookie', 'a=b'],
        spelling,
      );
    }
  });
}

const CHARS_OF_NAMES = [...'_.!~']; // besides letters, digits and hyphens

test('property: no spelling that CGI reads as an untrusted field passes', async () => {
  const anyName = fc.constantFrom(...UNTRUSTED_FIELDS.flatMap(([, , names]) => names.split(' ')));
  const anyCase = fc.array(fc.boolean(), { minLength: 40, maxLength: 40 });
  const joint = fc.constantFrom('-', ...CHARS_OF_NAMES);
  fuzz(
    'property: no spelling that CGI reads as an untrusted field passes',
    fc.property(
      anyName,
      anyCase,
      joint,
      fc.string({ unit: fc.constantFrom('a', 'B', '-', '_', '7') }),
      (name, upper, sep, rest) => {
        const whole = name.endsWith('*') ? name.slice(0, -1) + rest : name;
        const spelling = [...whole.replaceAll('-', sep)]
          .map((char, i) => (upper[i] ? char.toUpperCase() : char))
          .join('');
        return stripUntrusted([spelling, 'x']).length === 0;
      },
    ),
    { numRuns: 2000 },
  );
});

test('property: forwarded fields have one reading: no other field becomes the same CGI variable', async () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'B', '-', '_', '.', '!', '7'), minLength: 1, maxLength: 8 });
  fuzz(
    'property: forwarded fields have one reading: no other field becomes the same CGI variable',
    fc.property(fc.array(name), (list) => {
      const passed = names(stripUntrusted(withValues(...list))).map((each) => each.toLowerCase());
      const variables = new Set(passed.map((each) => each.replace(/[^a-z0-9]/g, '_')));
      return variables.size === new Set(passed).size;
    }),
    { numRuns: 2000 },
  );
});

test('a site can allow a method override, in its own spelling only', async (t) => {
  const allowed = new Set(['x-http-method-override']);
  const headers = withValues('X-HTTP-Method-Override', 'X_HTTP_Method_Override', 'X-Method-Override');
  t.strictSame(names(stripUntrusted(headers, allowed)), ['X-HTTP-Method-Override']);
});

for (const { rule, method = 'POST', headers, allowed = [], refused } of [
  { rule: 'another method', headers: ['X-HTTP-Method-Override', 'DELETE'], refused: 'DELETE' },
  { rule: 'in any spelling', headers: ['x_http.method', ' put '], refused: 'put' },
  { rule: 'a safe one as well', headers: ['X-Method-Override', 'GET'], refused: 'GET' },
  { rule: 'on a GET', method: 'GET', headers: ['X-HTTP-Method-Override', 'POST'], refused: 'POST' },
  { rule: 'the second of two', headers: ['X-HTTP-Method', 'POST', 'X-HTTP-Method', 'DELETE'], refused: 'DELETE' },
  { rule: 'not the same method', headers: ['X-HTTP-Method-Override', 'post'], refused: undefined },
  { rule: 'not an empty one', headers: ['X-HTTP-Method-Override', ''], refused: undefined },
  {
    rule: 'not one that the site allows',
    headers: ['X-HTTP-Method-Override', 'DELETE'],
    allowed: ['x-http-method-override'],
    refused: undefined,
  },
  {
    rule: 'a twin of one that the site allows',
    headers: ['X_HTTP_Method_Override', 'DELETE'],
    allowed: ['x-http-method-override'],
    refused: 'DELETE',
  },
]) {
  test(`a method override is refused: ${rule}`, async (t) => {
    t.equal(refusedOverride(method, headers, new Set(allowed)), refused);
  });
}

test('fields that a browser sets pass', async (t) => {
  const headers = withValues(
    'Host',
    'User-Agent',
    'Accept',
    'Accept-Encoding',
    'Accept-Language',
    'Cookie',
    'Authorization',
    'Origin',
    'Referer',
    'Range',
    'If-None-Match',
    'Cache-Control',
    'Via',
    'CDN-Loop',
    'Sec-Fetch-Mode',
    'X-Requested-With',
    'X-CSRF-Token',
    'Upgrade-Insecure-Requests',
    'Traceparent',
    'Seawallpaper',
    'X-Client-Version',
    'X-Auth-Token',
    'X-Api-Key',
    'X-User-Id',
    'X-WP-Nonce',
    'Sec-CH-UA',
    'Upgrade-Insecure-Requests',
  );
  t.strictSame(stripUntrusted(headers), headers);
});

const VISITOR: VisitorAddress = { ip: '192.0.2.1', proto: 'https', host: 'www.example.org' };

for (const { rfc, rule, visitor = VISITOR, believed, forwarded, addresses } of [
  { rfc: '7239 4', rule: 'IPv4', forwarded: 'for=192.0.2.1;host=www.example.org;proto=https', addresses: '192.0.2.1' },
  {
    rfc: '7239 6',
    rule: 'IPv6 in brackets and quotes',
    visitor: { ...VISITOR, ip: '2001:db8:0::1' },
    forwarded: 'for="[2001:db8::1]";host=www.example.org;proto=https',
    addresses: '2001:db8::1',
  },
  {
    rfc: '4291 2.5.5.2',
    rule: 'IPv4 mapped into IPv6',
    visitor: { ...VISITOR, ip: '::ffff:192.0.2.1' },
    forwarded: 'for=192.0.2.1;host=www.example.org;proto=https',
    addresses: '192.0.2.1',
  },
  {
    rfc: '7239 4',
    rule: 'a host that is no token is quoted',
    visitor: { ...VISITOR, host: '[::1]:8080' },
    forwarded: 'for=192.0.2.1;host="[::1]:8080";proto=https',
    addresses: '192.0.2.1',
  },
  {
    rfc: '7239 4',
    rule: 'a host cannot end its quotes',
    visitor: { ...VISITOR, host: 'a";for=6.6.6.6;x="\\' },
    forwarded: 'for=192.0.2.1;host="a\\";for=6.6.6.6;x=\\"\\\\";proto=https',
    addresses: '192.0.2.1',
  },
  {
    rfc: '7239 6.2',
    rule: 'a socket without an address',
    visitor: { ...VISITOR, ip: '' },
    forwarded: 'for=unknown;host=www.example.org;proto=https',
    addresses: '',
  },
  {
    rfc: '7239 4',
    rule: 'X-Forwarded-For counts, and Forwarded is translated from it',
    believed: [
      'X-Forwarded-For',
      '198.51.100.7, 10.0.0.1',
      'Forwarded',
      'for=198.51.100.7;by=x',
      'Forwarded',
      'for=10.0.0.1',
    ],
    forwarded: 'for=198.51.100.7, for=10.0.0.1, for=192.0.2.1;host=www.example.org;proto=https',
    addresses: '198.51.100.7, 10.0.0.1, 192.0.2.1',
  },
  {
    rfc: '7239 7.4',
    rule: 'X-Forwarded-For translated',
    believed: ['X-Forwarded-For', '198.51.100.7, 2001:db8::1, rubbish'],
    forwarded: 'for=198.51.100.7, for="[2001:db8::1]", for=unknown, for=192.0.2.1;host=www.example.org;proto=https',
    addresses: '198.51.100.7, 2001:db8::1, unknown, 192.0.2.1',
  },
  {
    rfc: '7239 7.4',
    rule: 'Forwarded translated',
    believed: ['Forwarded', 'For="[2001:db8::1]:4711";proto=http, for=_hidden'],
    forwarded: 'For="[2001:db8::1]:4711";proto=http, for=_hidden, for=192.0.2.1;host=www.example.org;proto=https',
    addresses: '2001:db8::1, unknown, 192.0.2.1',
  },
  {
    rfc: '7239 8.1',
    rule: 'nothing left of an open quote is passed on',
    believed: ['Forwarded', 'for=6.6.6.6, for="7.7.7.7, for=198.51.100.7'],
    forwarded: 'for=198.51.100.7, for=192.0.2.1;host=www.example.org;proto=https',
    addresses: '198.51.100.7, 192.0.2.1',
  },
  {
    rfc: '7239 4',
    rule: 'nothing to go on from',
    believed: ['Accept', '*/*'],
    forwarded: 'for=192.0.2.1;host=www.example.org;proto=https',
    addresses: '192.0.2.1',
  },
]) {
  test(`RFC ${rfc}: forwarded: ${rule}`, async (t) => {
    const headers = ['Accept', '*/*'];
    setForwarded(headers, visitor, believed === undefined ? NO_CHAIN : reportedChain(believed));
    t.strictSame(headers, [
      ...['Accept', '*/*', 'Forwarded', forwarded, 'X-Forwarded-For', addresses],
      ...['X-Forwarded-Proto', visitor.proto, 'X-Forwarded-Host', visitor.host],
    ]);
  });
}

test('incoming fields of these names are removed, unless they are trusted', async (t) => {
  const headers = [
    'X-Forwarded-For',
    '6.6.6.6',
    'forwarded',
    'for=6.6.6.6',
    'X_Forwarded_Host',
    'evil.example',
    'X-Forwarded-Proto',
    'http',
    'x-forwarded-host',
    'evil.example',
  ];
  setForwarded(headers, VISITOR, NO_CHAIN);
  t.notMatch(headers.join('\n'), /6\.6\.6\.6|evil/);
  for (const name of ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']) {
    t.equal(fieldLines(headers, name).length, 1, name);
  }
});

test('the incoming list may be the outgoing one', async (t) => {
  const headers = ['X-Forwarded-For', '198.51.100.7'];
  setForwarded(headers, VISITOR, reportedChain(headers));
  t.equal(fieldValue(headers, 'x-forwarded-for'), '198.51.100.7, 192.0.2.1');
});

const proxies = new CidrSet(['10.0.0.0/8', '2001:db8:ffff::/48', '192.0.2.99']);
const trusted = (ip: string): boolean => proxies.has(ip);

for (const { rule, socket = '10.0.0.1', headers, address } of [
  { rule: 'nobody trusted', socket: '203.0.113.9', headers: ['X-Forwarded-For', '6.6.6.6'], address: '203.0.113.9' },
  { rule: 'nothing reported', headers: [], address: '10.0.0.1' },
  { rule: 'one proxy', headers: ['X-Forwarded-For', '198.51.100.7'], address: '198.51.100.7' },
  {
    rule: 'what the visitor wrote is not reached',
    headers: ['X-Forwarded-For', '6.6.6.6, 198.51.100.7'],
    address: '198.51.100.7',
  },
  { rule: 'two proxies', headers: ['X-Forwarded-For', '6.6.6.6, 198.51.100.7, 10.0.0.2'], address: '198.51.100.7' },
  {
    rule: 'several lines',
    headers: ['X-Forwarded-For', '6.6.6.6', 'x-forwarded-for', '198.51.100.7', 'X-Forwarded-For', '10.0.0.2'],
    address: '198.51.100.7',
  },
  { rule: 'only proxies', headers: ['X-Forwarded-For', '10.0.0.3, 10.0.0.2'], address: '10.0.0.3' },
  {
    rule: 'a mapped socket address',
    socket: '::ffff:10.0.0.1',
    headers: ['X-Forwarded-For', '198.51.100.7'],
    address: '198.51.100.7',
  },
  { rule: 'a mapped visitor', headers: ['X-Forwarded-For', '::ffff:198.51.100.7'], address: '198.51.100.7' },
  { rule: 'a mapped proxy', headers: ['X-Forwarded-For', '198.51.100.7, ::FFFF:0a00:0002'], address: '198.51.100.7' },
  { rule: 'IPv6 in its canonical form', headers: ['X-Forwarded-For', '2001:DB8:0:0::1'], address: '2001:db8::1' },
  { rule: 'ports', headers: ['X-Forwarded-For', '198.51.100.7:1234, [2001:db8:ffff::1]:8'], address: '198.51.100.7' },
  { rule: 'a word stops the walk', headers: ['X-Forwarded-For', '6.6.6.6, unknown'], address: '10.0.0.1' },
  {
    rule: 'a word stops the walk at the proxy before',
    headers: ['X-Forwarded-For', '6.6.6.6, unknown, 10.0.0.2'],
    address: '10.0.0.2',
  },
  { rule: 'a short IPv4 address', headers: ['X-Forwarded-For', '127.1'], address: '10.0.0.1' },
  { rule: 'an octal IPv4 address', headers: ['X-Forwarded-For', '010.0.0.2'], address: '10.0.0.1' },
  { rule: 'a zone', headers: ['X-Forwarded-For', 'fe80::1%eth0'], address: '10.0.0.1' },
  { rule: 'a network', headers: ['X-Forwarded-For', '198.51.100.0/24'], address: '10.0.0.1' },
  {
    rule: 'an open quote of the visitor hides nothing',
    headers: ['X-Forwarded-For', '", 198.51.100.7'],
    address: '198.51.100.7',
  },
  { rule: 'empty members', headers: ['X-Forwarded-For', '198.51.100.7, ,'], address: '198.51.100.7' },
  { rule: 'Forwarded', headers: ['Forwarded', 'for=6.6.6.6, for=198.51.100.7;proto=https'], address: '198.51.100.7' },
  {
    rule: 'Forwarded, in any case, with IPv6',
    headers: ['Forwarded', 'Proto=https;FOR="[2001:DB8::1]:4711", for=10.0.0.2'],
    address: '2001:db8::1',
  },
  { rule: 'Forwarded, obfuscated port', headers: ['Forwarded', 'for="198.51.100.7:_x"'], address: '198.51.100.7' },
  { rule: 'Forwarded, escaped characters', headers: ['Forwarded', 'for="198.51.100\\.7"'], address: '198.51.100.7' },
  { rule: 'Forwarded, without for', headers: ['Forwarded', 'for=6.6.6.6, proto=https'], address: '10.0.0.1' },
  { rule: 'Forwarded, for twice', headers: ['Forwarded', 'for=6.6.6.6;for=198.51.100.7'], address: '10.0.0.1' },
  { rule: 'Forwarded, something before a pair', headers: ['Forwarded', 'x for=198.51.100.7'], address: '10.0.0.1' },
  { rule: 'Forwarded, obfuscated', headers: ['Forwarded', 'for=_hidden'], address: '10.0.0.1' },
  {
    rule: 'Forwarded, an open quote of the visitor',
    headers: ['Forwarded', 'for=", for=198.51.100.7'],
    address: '198.51.100.7',
  },
  {
    rule: 'Forwarded, a quoted list',
    headers: ['Forwarded', 'for=198.51.100.7;host="a, for=6.6.6.6"'],
    address: '10.0.0.1',
  },
  {
    rule: 'X-Forwarded-For outweighs Forwarded',
    headers: ['Forwarded', 'for=6.6.6.6', 'X-Forwarded-For', '198.51.100.7'],
    address: '198.51.100.7',
  },
  { rule: 'a socket that is gone', socket: '', headers: ['X-Forwarded-For', '6.6.6.6'], address: '' },
]) {
  test(`the visitor's address: ${rule}`, async (t) => {
    t.equal(clientAddress(socket, reportedChain(headers), trusted), address);
  });
}

for (const { rule, headers, field, chain, scheme } of [
  {
    rule: 'a proxy that writes X-Forwarded-*, a visitor that sends Forwarded',
    headers: ['Forwarded', 'for=6.6.6.6;proto=http;host=evil.test', 'X-Forwarded-For', '198.51.100.7'],
    chain: ['198.51.100.7'],
    scheme: undefined,
  },
  {
    rule: 'the same, with the scheme',
    headers: [
      'Forwarded',
      'for=198.51.100.7;proto=http',
      'X-Forwarded-For',
      '198.51.100.7',
      'X-Forwarded-Proto',
      'https',
    ],
    chain: ['198.51.100.7'],
    scheme: 'https',
  },
  {
    rule: 'a proxy that writes Forwarded, a visitor that sends X-Forwarded-*: the config says which counts',
    headers: ['X-Forwarded-For', '6.6.6.6', 'X-Forwarded-Proto', 'http', 'Forwarded', 'for=198.51.100.7;proto=https'],
    field: 'forwarded',
    chain: ['198.51.100.7'],
    scheme: 'https',
  },
  {
    rule: 'a proxy that writes X-Forwarded-For only, and the config says so',
    headers: ['Forwarded', 'for=6.6.6.6;proto=https'],
    field: 'x-forwarded-for',
    chain: [],
    scheme: undefined,
  },
  {
    rule: 'a proxy that writes Forwarded, and nobody sends the other',
    headers: ['Forwarded', 'for=198.51.100.7;proto=https'],
    chain: ['198.51.100.7'],
    scheme: 'https',
  },
] as const) {
  test(`a report of a proxy: ${rule}`, async (t) => {
    t.strictSame(reportedChain(headers, field).addresses, chain);
    t.equal(claimedScheme(headers, field), scheme);
  });
}

test('property: Forwarded and X-Forwarded-For always agree', async () => {
  const hostile = fc.string({
    unit: fc.constantFrom(
      '"',
      ',',
      ';',
      '=',
      '[',
      ']',
      '6.6.6.6',
      '10.0.0.2',
      'for=',
      ' ',
      '::1',
      '198.51.100.7',
      '_x',
    ),
  });
  const lines = fc.array(fc.tuple(fc.constantFrom('Forwarded', 'X-Forwarded-For'), hostile));
  fuzz(
    'property: Forwarded and X-Forwarded-For always agree',
    fc.property(lines, fc.constantFrom(undefined, 'forwarded', 'x-forwarded-for'), (given, field) => {
      const headers = given.flat();
      const own: string[] = [];
      setForwarded(own, VISITOR, reportedChain(headers, field));
      const listed = reportedChain(own, 'x-forwarded-for').addresses;
      return listed.join() === reportedChain(own, 'forwarded').addresses.join();
    }),
    { numRuns: 5000 },
  );
});

test('property: untrusted addresses change nothing', async () => {
  const hostile = fc.string({
    unit: fc.constantFrom('"', ',', ';', '=', '\\', '[', ']', ':', '%', '6.6.6.6', '10.0.0.2', 'for=', ' ', '::1'),
  });
  fuzz(
    'property: untrusted addresses change nothing',
    fc.property(fc.array(hostile), fc.boolean(), (lines, modern) => {
      const name = modern ? 'Forwarded' : 'X-Forwarded-For';
      const headers = lines.flatMap((line) => [name, line]);
      const report = modern ? 'for=198.51.100.7;host="a.example:80"' : '198.51.100.7';
      const last = headers.length - 1;
      if (last > 0) headers[last] += `, ${report}`;
      else headers.push(name, report);
      return clientAddress('10.0.0.1', reportedChain(headers), trusted) === '198.51.100.7';
    }),
    { numRuns: 2000 },
  );
});

test('property: clientAddress reads what setForwarded writes', async () => {
  const ip = fc.oneof(fc.ipV4(), fc.ipV6());
  fuzz(
    'property: clientAddress reads what setForwarded writes',
    fc.property(ip, fc.boolean(), (address, modern) => {
      const headers: string[] = [];
      setForwarded(headers, { ...VISITOR, ip: address, host: 'a.example:80' }, NO_CHAIN);
      const name = modern ? 'forwarded' : 'x-forwarded-for';
      const read = clientAddress('10.0.0.1', reportedChain([name, fieldValue(headers, name) ?? '']), trusted);
      return read === clientAddress(address, NO_CHAIN, () => false);
    }),
  );
});
