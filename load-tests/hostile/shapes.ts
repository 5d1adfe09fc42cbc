/**
 * The catalogue: requests that are small on the wire, or cheap to make, and
 * that a careless server spends much on.
 * @module
 */
import type { Field } from '../../test/support/hpack.ts';
import { BROWSER, frame, head, http1, http2, type Shape } from './shape.ts';

/** Nearly as much as a head may have by default: 32 KiB. */
const MOST = 30_000;
/** Nearly as much as goes into a table of HPACK beside the fields that every request needs. */
const TABLE = 3_600;
/** Nearly as much as a target may have by default: 8 KiB. */
const TARGET = 8_000;
/** Each sends a byte a millisecond. */
const DRIPS = 40;
const DATA = 0;
const PRIORITY = 2;
const END_STREAM = 1;
const PADDED = 8;

const times = (text: string, bytes: number): string => text.repeat(Math.ceil(bytes / text.length)).slice(0, bytes);
const fields = (name: string, value: string): string => head('/plain', [...BROWSER, [name, value]]);
/** A new section each time, of which nothing can be remembered. */
const fresh = (name: string, value: string) => (index: number) =>
  head('/plain', [
    [name, value],
    ['x-nonce', String(index)],
  ]);
const numbered = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join('');

const READ = { like: 'read', atOnce: 8 } as const;
const MISS = { like: 'miss', atOnce: 8 } as const;
const PASS = { like: 'pass', atOnce: 2 } as const;
const LONG = { like: 'read', atOnce: 4 } as const;

/** Each of these is sent with a header section that is new each time, so that it is read each time. */
const LISTS: readonly (readonly [name: string, field: string, value: string])[] = [
  ['none-match', 'If-None-Match', `${numbered(1_600, (i) => `"${i.toString(36)}", `)}"tag"`],
  ['none-match-commas', 'If-None-Match', times(',', MOST)],
  ['none-match-open', 'If-None-Match', `"${times('a" "', MOST)}`],
  ['modified-since', 'If-Modified-Since', times('Sun, 06 Nov 1994 08:49:37 GMT, ', MOST)],
  ['range', 'Range', `bytes=${numbered(3_200, (i) => `${i}-${i},`)}`],
  ['range-commas', 'Range', `bytes=0-0${times(',', MOST)}`],
  ['range-digits', 'Range', `bytes=${times('9', MOST)}-`],
  ['control', 'Cache-Control', times('a=b,', MOST)],
  ['control-quotes', 'Cache-Control', `no-cache="${times('a,', MOST)}`],
  ['control-escapes', 'Cache-Control', `a="${times('\\"', MOST)}"`],
  ['accept', 'Accept', times('a/b;q=0.1,', MOST)],
  ['cookies', 'Cookie', times('a=b; ', MOST)],
  ['cookie-names', 'Cookie', numbered(3_000, (i) => `c${i}=1; `)],
  ['via', 'Via', times('1.1 a, ', MOST)],
  ['loop', 'CDN-Loop', times('a;b=c, ', MOST)],
  ['forwarded', 'Forwarded', times('for=1.2.3.4;proto=http, ', MOST)],
  ['forwarded-for', 'X-Forwarded-For', times('1.2.3.4, ', MOST)],
];

/**
 * Fields of which the edge takes apart so many bytes, and ignores or refuses longer ones (http/fields/field-bounds.ts).
 */
const READ_BYTES = 2_000;

const BY_LIST = LISTS.flatMap(([name, field, value]) => [
  listed(name, field, value),
  listed(`${name}-read`, field, value.slice(0, READ_BYTES).replace(/[ ,;]+$/, '')),
]);

function listed(name: string, field: string, value: string): Shape {
  return http1(name, `${field} of ${value.length} bytes`, fresh(field, value), READ);
}

const HTTP1: readonly Shape[] = [
  http1('plain', 'a plain hit, one after the other', head('/plain', BROWSER), { atOnce: 1 }),
  http1(
    'plain-read',
    'a plain hit with a header section that is new',
    (i) => head('/plain', [...BROWSER, ['x-nonce', String(i)]]),
    {
      like: 'read',
      atOnce: 1,
    },
  ),
  http1('plain-miss', 'a plain miss', (i) => head(`/private/${i}`, BROWSER), { like: 'miss', atOnce: 1 }),
  http1('plain-pass', 'a plain POST, which goes to the origin', head('/private', [['Content-Length', '0']], 'POST'), {
    like: 'pass',
    atOnce: 1,
  }),
  http1('pipelined', '17,333 hits in one write', head('/plain'), { connections: 1, atOnce: 17_333 }),
  http1('pipelined-many', '1,000 hits in one write, on 50 connections', head('/plain'), {
    connections: 50,
    atOnce: 1_000,
  }),
  http1('pipelined-post', '1,000 POSTs in one write', head('/private', [['Content-Length', '0']], 'POST'), {
    like: 'pass',
    atOnce: 1_000,
  }),
  http1('pipelined-odd', '1,000 requests of another method in one write', head('/plain', [], 'OPTIONS'), {
    like: 'pass',
    atOnce: 1_000,
  }),
  http1('query-escapes', 'parameters with broken escapes', head(`/hit?${'%&'.repeat(990)}utm_a=1`), READ),
  http1('query-escapes-new', 'the same, another each time', (i) => head(`/hit?${'%&'.repeat(990)}utm_a=${i}`), READ),
  http1(
    'query-utf8',
    'parameters with escapes that are no UTF-8',
    (i) => head(`/hit?${'%ff%ff&'.repeat(990)}utm_a=${i}`),
    READ,
  ),
  http1('query-many', '4,000 parameters', (i) => head(`/hit?${'a&'.repeat(4_000)}utm_a=${i}`), READ),
  http1(
    'query-tracking',
    '1,000 tracking parameters',
    (i) => head(`/hit?${'utm_a&gclid&'.repeat(490)}utm_b=${i}`),
    LONG,
  ),
  http1(
    'query-tracking-escapes',
    '1,000 tracking parameters with an escape',
    (i) => head(`/hit?${'%75tm_a&'.repeat(999)}utm_b=${i}`),
    LONG,
  ),
  http1(
    'query-tracking-escaped',
    'tracking parameters of escapes alone, with others that nearly are',
    (i) => head(`/hit?${'%75%74%6d%5f%61&%75%74%6d&'.repeat(300)}utm_b=${i}`),
    LONG,
  ),
  http1('path-slashes', 'a path of slashes', (i) => head(`${times('/', TARGET)}?utm_a=${i}`), LONG),
  http1('path-escapes', 'a path of escapes that need none', (i) => head(`/${times('%41', TARGET)}?utm_a=${i}`), LONG),
  http1('path-parameters', 'a path of parameters', (i) => head(`/${times(';a=b', TARGET)}?utm_a=${i}`), LONG),
  http1('path-dot-escapes', 'a path of escaped dots', (i) => head(`/a${times('%2e', TARGET)}?utm_a=${i}`), LONG),
  http1('path-long', 'a target of 30,000 bytes', (i) => head(`/${times('%41', MOST)}?utm_a=${i}`), LONG),
  http1('path-dots', 'a path of dots', (i) => head(`/${times('a../', TARGET)}?utm_a=${i}`), LONG),
  http1(
    'vary-encoding',
    'Accept-Encoding of 10,000 members',
    (i) =>
      head(`/vary?utm_a=${i}`, [
        ['Accept-Encoding', times('a,', 20_000)],
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'vary-language',
    'Accept-Language with weights',
    (i) =>
      head(`/vary?utm_a=${i}`, [
        ['Accept-Language', times('a;q=0.5,', 20_000)],
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'vary-list',
    'a field of 10,000 members that responses vary by',
    (i) =>
      head(`/vary?utm_a=${i}`, [
        ['X-Vary', times('a,', 20_000)],
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'fields',
    '190 fields of 150 bytes',
    (i) =>
      head('/plain', [
        ...Array.from({ length: 190 }, (_, k): Field => [`x-${k}`, times('v', 145)]),
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'fields-large',
    '4 fields of 7,500 bytes',
    (i) =>
      head('/plain', [
        ...Array.from({ length: 4 }, (_, k): Field => [`x-${k}`, times('v', 7_500)]),
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'field-names',
    '190 names that are new each time',
    (i) =>
      head(
        '/plain',
        Array.from({ length: 190 }, (_, k): Field => [`x-${i}-${k}`, 'v']),
      ),
    LONG,
  ),
  http1('connection', 'Connection with 7,000 names', fresh('Connection', times('a, ', 21_000)), LONG),
  http1(
    'upgrade',
    'Upgrade, TE and Expect that are not granted',
    (i) =>
      head('/plain', [
        ['TE', times('a, ', 9_000)],
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'range-miss',
    'Range of 3,200 parts, not stored',
    (i) => head(`/private/${i}`, [['Range', `bytes=${numbered(3_200, (k) => `${k}-${k},`)}`]]),
    MISS,
  ),
  // A connection each: it ends with the answer.
  http1('too-large', 'a head beyond the bound', fresh('X', times('v', 40_000)), { like: 'read', atOnce: 1 }),
  http1(
    'purge',
    'PURGE with 2,000 tags, without a secret',
    (i) =>
      head(
        '/plain',
        [
          ['Surrogate-Key', times('tag ', 10_000)],
          ['x-nonce', String(i)],
        ],
        'PURGE',
      ),
    LONG,
  ),
  http1(
    'options',
    'OPTIONS that ends here',
    (i) =>
      head(
        '/plain',
        [
          ['Max-Forwards', '0'],
          ['x-nonce', String(i)],
        ],
        'OPTIONS',
      ),
    READ,
  ),
  http1(
    'refused',
    'a dot segment, with Accept of 20,000 bytes',
    (i) =>
      head('/../a', [
        ['Accept', times('a/b,', 20_000)],
        ['x-nonce', String(i)],
      ]),
    LONG,
  ),
  http1(
    'chunks',
    'a body of chunks of one byte',
    `${head('/private', [['Transfer-Encoding', 'chunked']], 'POST')}${'1\r\na\r\n'.repeat(2_000)}0\r\n\r\n`,
    PASS,
  ),
  http1(
    'chunk-extensions',
    'chunks with extensions',
    `${head('/private', [['Transfer-Encoding', 'chunked']], 'POST')}${`1;${times('a=b;', 100)}\r\na\r\n`.repeat(100)}0\r\n\r\n`,
    PASS,
  ),
  http1(
    'drip-lines',
    'lines of `a:b`, a byte at a time',
    `${head('/plain').slice(0, -2)}${'a:b\r\n'.repeat(190)}\r\n`,
    { isDripped: true, connections: DRIPS },
  ),
  http1('drip-value', 'a field of 30,000 bytes, a byte at a time', fields('x', times('v', MOST - 500)), {
    isDripped: true,
    connections: DRIPS,
  }),
  http1('drip-target', 'a target of 8,000 bytes, a byte at a time', head(`/${times('a', TARGET)}`), {
    isDripped: true,
    connections: DRIPS,
  }),
  http1(
    'drip-post',
    'the head of a POST, a byte at a time',
    head(
      '/private',
      [
        ['Content-Length', '0'],
        ['x', times('v', MOST)],
      ],
      'POST',
    ),
    { isDripped: true, connections: DRIPS },
  ),
  ...BY_LIST,
];

/** A field of which the table holds one line, named as often as a section may have it, in two orders in turn. */
function repeated(
  name: string,
  title: string,
  field: Field,
  count: number,
  changes: Parameters<typeof http2>[3] = {},
): Shape {
  const table: Field[] = [field, ['x-a', 'a'], ['x-b', 'b']];
  const lines = new Array<number>(count).fill(0);
  return http2(
    name,
    title,
    {
      table,
      named: [
        [1, ...lines],
        [2, ...lines],
      ],
    },
    { like: 'read', ...changes },
  );
}

const BIG = 7;

const HTTP2: readonly Shape[] = [
  http2('plain', 'a plain hit, one after the other', { table: BROWSER, named: [[0, 1, 2, 3, 4]] }, { atOnce: 1 }),
  http2(
    'plain-read',
    'a plain hit with a header section that is new',
    { table: BROWSER, named: [[0, 1, 2, 3, 4]], written: (i) => [['x-nonce', String(i)]] },
    { like: 'read', atOnce: 1 },
  ),
  http2(
    'plain-miss',
    'a plain miss',
    { table: BROWSER, named: [[0, 1, 2, 3, 4]], written: (i) => [['x-n', String(i)]], path: '/private' },
    { like: 'miss', atOnce: 1 },
  ),
  http2(
    'plain-pass',
    'a plain POST, which goes to the origin',
    { path: '/private', method: 'POST', after: (id) => frame(DATA, END_STREAM, id, Buffer.alloc(0)) },
    { like: 'pass', atOnce: 1 },
  ),
  http2(
    'many',
    'hits of ten bytes, 6,000 in one write',
    { table: [['x', 'y']], named: [[0]] },
    { connections: 2, atOnce: 6_000 },
  ),
  http2(
    'query-escapes',
    'parameters with broken escapes, indexed',
    { table: [[':path', `/hit?${'%&'.repeat(1_700)}utm_a`]], named: [[0]] },
    { atOnce: 100 },
  ),
  http2(
    'query-escapes-two',
    'two such paths in turn',
    {
      table: [
        [':path', `/hit?${'%&'.repeat(850)}utm_a`],
        [':path', `/hit?${'%&'.repeat(850)}utm_b`],
      ],
      named: [[0], [1]],
    },
    { like: 'read', atOnce: 100 },
  ),
  http2(
    'path-new',
    'another path for each request, of 3,000 bytes',
    { written: (i) => [[':path', `/hit?${'a&'.repeat(1_500)}utm_a=${i}`]] },
    LONG,
  ),
  http2(
    'query-tracking-escapes',
    '200 tracking parameters with an escape, two paths in turn',
    {
      table: [
        [':path', `/hit?${'%75tm_a&'.repeat(200)}utm_a`],
        [':path', `/hit?${'%75tm_a&'.repeat(200)}utm_b`],
      ],
      named: [[0], [1]],
    },
    { like: 'read', atOnce: 100 },
  ),
  http2(
    'encoding',
    'Accept-Encoding of 1,800 members, indexed',
    { path: '/vary', table: [['accept-encoding', times('a,', TABLE)]], named: [[0]] },
    { atOnce: 100 },
  ),
  http2(
    'encoding-two',
    'the same with another field in turn',
    {
      path: '/vary',
      table: [
        ['accept-encoding', times('a,', TABLE)],
        ['x', 'a'],
        ['y', 'b'],
      ],
      named: [
        [0, 1],
        [0, 2],
      ],
    },
    { like: 'read', atOnce: 100 },
  ),
  http2(
    'encoding-lines',
    'seven lines of it',
    {
      path: '/vary',
      table: [
        ['accept-encoding', times('a,', TABLE)],
        ['x', 'a'],
        ['y', 'b'],
      ],
      named: [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [2, 0, 0, 0, 0, 0, 0, 0],
      ],
    },
    { like: 'read', atOnce: 100 },
  ),
  http2(
    'fields',
    '28 KB of fields, indexed',
    { table: [['x', times('v', TABLE)]], named: [[0, 0, 0, 0, 0, 0, 0]] },
    { atOnce: 100 },
  ),
  repeated('fields-two', '28 KB of fields, two sections in turn', ['x', times('v', TABLE)], BIG, { atOnce: 100 }),
  repeated('lines', '190 lines of a byte each, two sections in turn', ['x', 'v'], 190, { atOnce: 100 }),
  repeated('crumbs', '800 crumbs of a cookie, two sections in turn', ['cookie', ''], 800, { atOnce: 50 }),
  repeated('crumbs-names', '28 KB of cookies, two sections in turn', ['cookie', times('a=b; ', TABLE - 1)], BIG, {
    atOnce: 100,
  }),
  repeated('none-match', '28 KB of If-None-Match, two sections in turn', ['if-none-match', times('"a",', TABLE)], BIG, {
    atOnce: 100,
  }),
  repeated('control', '28 KB of Cache-Control, two sections in turn', ['cache-control', times('a=b,', TABLE)], BIG, {
    atOnce: 100,
  }),
  repeated('range', 'Range of 9,000 parts, two sections in turn', ['range', `bytes=${times('1-1,', TABLE)}0-0`], 1, {
    atOnce: 50,
  }),
  repeated('range-lines', 'seven lines of it', ['range', `bytes=${times('1-1,', TABLE)}0-0`], BIG, { atOnce: 50 }),
  repeated('loop', '28 KB of CDN-Loop, two sections in turn', ['cdn-loop', times('a;b, ', TABLE - 2)], BIG, {
    atOnce: 100,
  }),
  repeated('forwarded', '28 KB of Forwarded, two sections in turn', ['forwarded', times('for=a, ', TABLE - 3)], BIG, {
    atOnce: 100,
  }),
  repeated('too-large', 'a section of 140 KB', ['x', times('v', TABLE)], 40, { atOnce: 50 }),
  http2(
    'post',
    'bodies of nothing',
    { path: '/private', method: 'POST', after: (id) => frame(DATA, END_STREAM, id, Buffer.alloc(0)) },
    { ...PASS, atOnce: 50 },
  ),
  http2(
    'padding',
    'bodies of padding',
    {
      path: '/private',
      method: 'POST',
      after: (id) =>
        Buffer.concat([
          ...new Array(20).fill(frame(DATA, PADDED, id, Buffer.from([2, 65, 0, 0]))),
          frame(DATA, END_STREAM, id, Buffer.alloc(0)),
        ]),
    },
    { ...PASS, atOnce: 20 },
  ),
  http2(
    'data-bytes',
    'a body of 1,000 frames of one byte',
    {
      path: '/private',
      method: 'POST',
      after: (id) =>
        Buffer.concat([
          ...new Array(1_000).fill(frame(DATA, 0, id, Buffer.from('a'))),
          frame(DATA, END_STREAM, id, Buffer.alloc(0)),
        ]),
    },
    PASS,
  ),
  http2(
    'priorities',
    'PRIORITY before each request',
    {
      table: BROWSER,
      named: [[0, 1, 2, 3, 4]],
      after: (id) =>
        Buffer.concat([
          frame(PRIORITY, 0, id + 1_000, Buffer.from([0, 0, 0, 0, 1])),
          frame(DATA, END_STREAM, id, Buffer.alloc(0)),
        ]),
    },
    { ...PASS, atOnce: 20 },
  ),
  http2(
    'methods',
    'a method that the cache does not answer',
    {
      method: 'OPTIONS',
      table: [
        ['max-forwards', '0'],
        ['x', times('v', TABLE)],
      ],
      named: [[0, 1, 1, 1, 1, 1, 1]],
    },
    { like: 'read', atOnce: 20 },
  ),
  http2(
    'drip',
    'a frame of 16 KB, a byte at a time',
    { written: () => [['x', times('v', 16_000)]] },
    { isDripped: true, connections: DRIPS },
  ),
];

export const SHAPES: readonly Shape[] = [...HTTP1, ...HTTP2];
