/**
 * Conversations of visitors, well-behaved and not: what is sent on one
 * connection, in which pieces. A grammar for fast-check, and shapes that are
 * known to divide parsers.
 */
import fc from 'fast-check';
import { ODD_SHAPES } from './odd-shapes.ts';

/** Bytes sent at once, after the turn before has been answered. */
export interface Turn {
  readonly bytes: string;
  /** Offsets at which the bytes are split into writes. */
  readonly cuts: readonly number[];
  /** Methods of its requests, as far as answers are expected. */
  readonly methods: readonly string[];
}

export interface Conversation {
  readonly turns: readonly Turn[];
}

const MARKER = 'GET /marker HTTP/1.1\r\nHost: site.test\r\n\r\n';

const BROWSER = [
  'sec-ch-ua: "Chromium";v="126", "Not.A/Brand";v="24"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
  'Sec-Fetch-Site: none',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-User: ?1',
  'Sec-Fetch-Dest: document',
  'DNT: 1',
  'priority: u=0, i',
  'Referer: https://site.test/index.html?a=b',
];

const OPTIONAL_LINES = [
  ...['Accept-Encoding: gzip, deflate, br, zstd', 'Accept-Encoding: br;q=1.0, gzip;q=0.8', 'Accept-Encoding: identity'],
  ...['Accept-Encoding: gzip;q=2', 'Accept-Language: en-GB,en;q=0.9,de;q=0.8', 'Accept-Language: de'],
  ...['Cookie: a=b; c=d', 'Cookie: currency=EUR; session=1', 'Cookie: currency=EUR; currency=USD', 'cookie: x'],
  ...['Cookie: _ga=1', 'Cookie: session=1', 'Cookie: currency =EUR; _gid=2', 'Cookie: b=2; a=1', 'Cookie: a=1; b=2'],
  ...[
    'If-None-Match: "v1"',
    'If-None-Match: W/"v1"',
    'If-None-Match: "v0", "v1"',
    'If-None-Match: *',
    'If-None-Match: v1',
  ],
  ...['If-None-Match: "v2"', 'If-None-Match: "a,b", W/"v1"', 'If-None-Match: , "v1" ,', 'If-None-Match: "v1'],
  ...['If-Modified-Since: Sun, 06 Nov 2022 08:49:37 GMT', 'If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT'],
  ...['If-Modified-Since: Sunday, 06-Nov-22 08:49:37 GMT', 'If-Modified-Since: yesterday', 'If-Match: "v1"'],
  ...['If-Unmodified-Since: Sun, 06 Nov 2022 08:49:37 GMT', 'If-Range: "v1"', 'If-Range: "v2"', 'If-Range: W/"v1"'],
  ...['If-Range: Sun, 06 Nov 2016 08:49:37 GMT'],
  ...['Range: bytes=0-9', 'Range: bytes=5-', 'Range: bytes=-3', 'Range: bytes=0-0,5-6', 'Range: bytes=999999999-'],
  ...[
    'Range: bytes=9-5',
    'Range: lines=1-2',
    'Range: bytes=',
    'Range: BYTES=1-2',
    'Range: bytes=0-99999999999999999999',
  ],
  ...[
    'Cache-Control: max-age=0',
    'Cache-Control: no-cache',
    'Cache-Control: only-if-cached',
    'Cache-Control: no-store',
  ],
  ...['Cache-Control: max-age=100', 'Cache-Control: min-fresh=100000', 'Cache-Control: max-stale', 'Pragma: no-cache'],
  ...['Authorization: Basic eDp5', 'Origin: https://other.test', 'X-Requested-With: XMLHttpRequest', 'X-Custom: 1'],
  ...[
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Proto: https',
    'Forwarded: for=1.2.3.4;proto=https',
    'X-Real-IP: 1.2.3.4',
  ],
  ...['CDN-Loop: other', 'CDN-Loop: seawall', 'Via: 1.1 other', 'Max-Forwards: 0', 'Cache-Status: "x"; hit'],
  ...[
    'X-HTTP-Method-Override: DELETE',
    'X-Original-URL: /admin',
    'Seawall-Tier: secret="x"',
    'Surrogate-Capability: x',
  ],
  ...[
    'Connection: keep-alive',
    'Connection: Keep-Alive',
    'connection: keep-alive',
    'Keep-Alive: timeout=5',
    'TE: trailers',
  ],
  ...['Connection: X-Custom', 'Connection: keep-alive, X-Custom', 'Proxy-Connection: keep-alive', 'Content-Length: 0'],
  ...[
    'X-Empty:',
    'X-Tight:x',
    'X-Loose:   x   ',
    'X-Tab:\tx\t',
    'X-High: \xe4\xff',
    'x-!#$%&: token',
    'Fastly-Soft-Purge: 1',
  ],
];

const HOSTS = [
  ...['site.test', 'site.test', 'site.test', 'site.test', 'key.test', 'key.test', 'changed.test', 'changed.test'],
  ...['SITE.test', 'site.test:80', 'site.test:8080', 'redirect.test', 'unknown.test', '', 'a b', '[::1]', 'site.test.'],
];

/** A folder of which everything is in the store. */
const WARM = '/warm/';

/** Paths that any request may use without changing the answers to later ones. */
const SHARED_PATHS = new Set(['fresh', 'etag', 'big', 'empty', 'missing', 'redirect', 'browser']);

/** The rest is below a folder of the conversation, so that no other sees what is stored. */
const PATHS = [
  ...[
    'fresh',
    'fresh',
    'fresh',
    'etag',
    'etag',
    'etag',
    'vary',
    'vary',
    'vary-who',
    'big',
    'empty',
    'chunked',
    'missing',
  ],
  ...['ruled', 'ruled', 'RULED', 'ruled;a=b', 'ruled.css', 'page.css', 'keyed', 'keyed', 'named', 'guessed', 'encoded'],
  ...[
    'redirect',
    'private',
    'no-store',
    'stale',
    'no-content',
    'cookie',
    'browser',
    'honour',
    'never',
    'no-date',
    'echo',
  ],
  ...[
    'fresh?a=1',
    'fresh?b=2&a=1',
    'fresh?utm_source=x',
    'fr%65sh',
    'fresh%2Fx',
    'fresh%zz',
    '%2e%2e/fresh',
    './fresh',
  ],
  ...[
    'fresh#x',
    'fr\\esh',
    'fresh;a=b',
    'fresh?',
    'fresh?%41',
    '~fresh',
    "fresh'(x)*!",
    'Fresh',
    'fresh//x',
    'a/../fresh',
  ],
];

const METHODS = [
  ...new Array<string>(14).fill('GET'),
  'HEAD',
  'HEAD',
  'HEAD',
  'OPTIONS',
  'get',
  'PURGE',
  'TRACE',
  'FOO',
];

const line = fc.constantFrom(...OPTIONAL_LINES);

/** One request that is at least shaped like one. */
const request = fc
  .record({
    method: fc.constantFrom(...METHODS),
    host: fc.constantFrom(...HOSTS),
    path: fc.constantFrom(...PATHS),
    browser: fc.boolean(),
    lines: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 5, arbitrary: fc.array(line, { maxLength: 3 }) },
    ),
    hostLast: fc.boolean(),
  })
  .map(({ method, host, path, browser, lines, hostLast }) => (folder: string): string => {
    const others = [...(browser ? BROWSER : []), ...lines];
    const all = hostLast ? [...others, `Host: ${host}`] : [`Host: ${host}`, ...others];
    const own = host === 'site.test' && SHARED_PATHS.has(path) ? WARM : folder;
    return `${method} ${own}${path} HTTP/1.1\r\n${all.map((text) => `${text}\r\n`).join('')}\r\n`;
  });

const HOSTS_OF_BROWSERS = ['site.test', 'key.test', 'changed.test'];
const PATHS_OF_BROWSERS = [...['fresh', 'etag', 'vary', 'big', 'empty', 'missing', 'redirect', 'browser', 'fresh?a=1']];
const LINES_OF_BROWSERS = [
  ...[[], ['Accept-Encoding: gzip, deflate, br, zstd'], ['Cookie: currency=EUR'], ['If-None-Match: "v1"']],
  ...[['Cache-Control: max-age=0', 'If-Modified-Since: Sun, 06 Nov 2022 08:49:37 GMT'], ['Range: bytes=0-9']],
];

/** Ordinary requests of a browser, which prepared delivery is made for. */
const ordinary = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
    host: fc.constantFrom(...HOSTS_OF_BROWSERS),
    path: fc.constantFrom(...PATHS_OF_BROWSERS),
    lines: fc.constantFrom(...LINES_OF_BROWSERS),
  })
  .map(({ method, host, path, lines }) => ordinaryRequest(method, host, path, lines));

/** The same header section every time, as on most connections, also with what a store does not have. */
const likeTheLast = fc
  .record({
    host: fc.constantFrom(...HOSTS_OF_BROWSERS),
    lines: fc.constantFrom(...LINES_OF_BROWSERS),
    asked: fc.array(
      fc.tuple(
        fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'OPTIONS'),
        fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...PATHS_OF_BROWSERS) }, fc.constantFrom(...PATHS)),
      ),
      { minLength: 2, maxLength: 16, size: 'max' },
    ),
  })
  .map(({ host, lines, asked }) =>
    asked.map(([method, path]) => (folder: string): string => {
      const own = PATHS_OF_BROWSERS.includes(path) ? WARM : folder;
      return ordinaryRequest(method, host, path, lines, own);
    }),
  );

function ordinaryRequest(
  method: string,
  host: string,
  path: string,
  lines: readonly string[],
  folder: string = WARM,
): string {
  const all = [`Host: ${host}`, 'Connection: keep-alive', ...BROWSER, ...lines];
  return `${method} ${folder}${path} HTTP/1.1\r\n${all.map((text) => `${text}\r\n`).join('')}\r\n`;
}

/** Brings everything into the store that browsers ask for. */
export const WARMING: Conversation = {
  turns: HOSTS_OF_BROWSERS.flatMap((host) =>
    PATHS_OF_BROWSERS.flatMap((path) =>
      LINES_OF_BROWSERS.slice(0, 3).map(
        (lines): Turn => ({ bytes: ordinaryRequest('GET', host, path, lines), cuts: [], methods: ['GET'] }),
      ),
    ),
  ),
};

/** A request, or one for each folder. */
type Made = string | ((folder: string) => string);

function turnOfAll(requests: readonly string[], cuts: readonly number[] = []): Turn {
  return { bytes: requests.join(''), cuts, methods: requests.map((text) => text.slice(0, text.indexOf(' '))) };
}

const turnOf = (requests: fc.Arbitrary<readonly Made[]>) =>
  fc
    .record({
      requests,
      cuts: fc.oneof(
        { weight: 9, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(fc.nat(400), { minLength: 1, maxLength: 3 }) },
      ),
    })
    .map(({ requests, cuts }) => (folder: string): Turn => {
      const made = requests.map((make) => (typeof make === 'string' ? make : make(folder)));
      return turnOfAll(
        made,
        [...cuts].sort((a, b) => a - b),
      );
    });

/** @returns What was said, without what every browser says. */
export function summary({ turns }: Conversation): string {
  return turns
    .map(({ bytes, cuts }) => {
      let text = bytes;
      for (const line of BROWSER) text = text.replaceAll(`${line}\r\n`, '');
      return `${JSON.stringify(text)}${cuts.length > 0 ? ` cut at ${cuts}` : ''}`;
    })
    .join('\n  ');
}

/** Most come one by one. */
const anyTurn = turnOf(
  fc.oneof(
    { weight: 6, arbitrary: fc.array<Made>(ordinary, { minLength: 1, maxLength: 1 }) },
    { weight: 4, arbitrary: fc.array<Made>(request, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array<Made>(fc.oneof(ordinary, request), { minLength: 2, maxLength: 5 }) },
  ),
);
const browserTurn = turnOf(
  fc.oneof(
    { weight: 9, arbitrary: fc.array<Made>(ordinary, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array<Made>(ordinary, { minLength: 2, maxLength: 9 }) },
  ),
);
const sameSectionTurns = likeTheLast.map((requests) =>
  requests.map(
    (make) =>
      (folder: string): Turn =>
        turnOfAll([make(folder)]),
  ),
);
const turns = fc.oneof(
  { weight: 2, arbitrary: fc.array(anyTurn, { minLength: 1, maxLength: 10, size: 'max' }) },
  { weight: 1, arbitrary: fc.array(browserTurn, { minLength: 1, maxLength: 24, size: 'max' }) },
  { weight: 1, arbitrary: sameSectionTurns },
);

/** @returns Conversations with at least so many requests, the same for the same seed. */
export function conversations(requests: number, seed: number): Conversation[] {
  const all: Conversation[] = [];
  let count = 0;
  const lists = fc.sample(turns, { numRuns: Math.ceil(requests / 4), seed });
  for (const list of lists) {
    if (count >= requests) break;
    const made = list.map((make) => make(`/c${all.length}/`));
    all.push({ turns: made });
    count += countRequests([{ turns: made }]);
  }
  return all;
}

export function countRequests(all: readonly Conversation[]): number {
  return all.reduce((sum, { turns }) => sum + turns.reduce((own, { methods }) => own + methods.length, 0), 0);
}

/** @returns Methods, hosts, paths and field lines of the grammar that none of the conversations has. */
export function missingKinds(all: readonly Conversation[]): string[] {
  const text = all.flatMap(({ turns }) => turns.map(({ bytes }) => bytes)).join('');
  const kinds = [
    ...METHODS.map((method) => `${method} /`),
    ...HOSTS.map((host) => `\r\nHost: ${host}\r\n`),
    ...PATHS.map((path) => `/${path} HTTP/1.1\r\n`),
    ...OPTIONAL_LINES.map((line) => `\r\n${line}\r\n`),
  ];
  return [...new Set(kinds)].filter((kind) => !text.includes(kind));
}

const GOOD: Turn = { bytes: MARKER, cuts: [], methods: ['GET'] };

const PLAIN_GET = /^GET ([^ \r\n]+) HTTP\/1\.1\r\nHost: site\.test\r\n\r\n/;

/**
 * Brings into the store what requests of `oddConversations` ask for: else it is a matter of time which of them joins a
 * fetch.
 */
export const WARMING_ODD: readonly Conversation[] = [MARKER, ...ODD_SHAPES].flatMap((bytes) => {
  const target = PLAIN_GET.exec(bytes)?.[1];
  if (target === undefined) return [];
  return [{ turns: [{ ...GOOD, bytes: MARKER.replace('/marker', () => target) }] }];
});

/** The odd shapes: alone, after a good request, behind and in front of one, and cut at every byte. */
export function oddConversations(): Conversation[] {
  return ODD_SHAPES.flatMap((bytes): Conversation[] => {
    const odd = (text: string, cuts: readonly number[] = []): Turn => ({ bytes: text, cuts, methods: ['?'] });
    const everywhere = bytes.length > 1_000 ? [] : [[odd(bytes, [...new Array(bytes.length).keys()].slice(1))]];
    return [[odd(bytes)], [GOOD, odd(bytes)], [odd(MARKER + bytes)], [odd(bytes + MARKER)], ...everywhere].map(
      (turns) => ({
        turns,
      }),
    );
  });
}
