/**
 * Input of visitors is read in linear time. The same kind of input, eight times as long, may take at most about eight
 * times as long; 24 are allowed for, and a quadratic function takes 64. The least of many runs counts, which a busy
 * machine does not change.
 */
import { test } from 'tap';
import { cacheKey, hasTooManyParameters, keyedLike, MAX_PARAMETERS } from '../../cache/key.ts';
import { parseDirectives, requestDirectives } from '../../cache/policy/directives.ts';
import { responseTags } from '../../cache/tags.ts';
import { normalisedField, varyMembers } from '../../cache/vary.ts';
import { compilePattern } from '../../config/pattern.ts';
import { rulePath } from '../../config/rule-path.ts';
import { siteSchema } from '../../config/schema.ts';
import { errorPage, HttpError } from '../../http/errors.ts';
import { evaluateConditional, evaluateIfRange } from '../../http/fields/conditional.ts';
import { parseHttpDate } from '../../http/fields/date.ts';
import { parseEntityTagList } from '../../http/fields/etag.ts';
import { boundedFields } from '../../http/fields/field-bounds.ts';
import {
  claimedScheme,
  hasCdnLoop,
  removeHopByHop,
  reportedChain,
  stripUntrusted,
} from '../../http/fields/forwarding.ts';
import { listMembers, type RawHeaders, trimOws } from '../../http/fields/headers.ts';
import { parseRange } from '../../http/fields/range.ts';
import { parseSection, Recogniser } from '../../http/http1/recogniser.ts';
import { CompressionError } from '../../http/http2/errors.ts';
import { HpackDecoder } from '../../http/http2/hpack-decoder.ts';
import { decodeHuffman } from '../../http/http2/huffman.ts';
import { normalisePath, parseRequestTarget } from '../../http/request-target.ts';
import { epochMs } from '../../lib/clock.ts';

const GROWTH = 8;
const MAX_RATIO = 24;
const LEAST_RUNS = 3;
const MAX_RUNS = 60;
const PATIENCE_MS = 2_000;

/** Characters of the shorter input: what does not depend on the length is little beside it. */
const LENGTH = 4 * 1024;

/** Maximum time per byte of the longest input; most take a twentieth. */
const MAX_NANOS_A_BYTE = 1_000;

const site = siteSchema.parse({
  name: 'www',
  hosts: ['*'],
  origin: { servers: [{ url: 'http://127.0.0.1' }] },
  key: { query: { deny: ['utm_*', 'gclid', 'fbclid'] } },
});
const like = cacheKey(site, 'http', parseRequestTarget('GET', '/', ['Host', 'a']), []);
const keyed = (query: string) => keyedLike(site, like, { ...TARGET, path: '/', query });
const TARGET = { host: 'a', port: undefined, authority: 'a', raw: '/' };
const pattern = compilePattern('/*/a*b*c*d/*.css');
const condition = (value: string): RawHeaders => ['If-None-Match', value];
const stored = { status: 200, etag: '"tag"', lastModified: undefined, date: undefined };

const recogniser = new Recogniser({ maxBytes: 1e9, maxLines: 1e9 });
/** As it comes from a visitor that sends little at a time. */
const inPieces = (text: string): unknown => {
  const head = recogniser.headInPieces();
  for (let at = 0; at < text.length; at += 7) head.add(text.slice(at, at + 7));
  return head.text;
};

/** Readers, and texts that are repeated to make long ones. */
const READERS: readonly (readonly [what: string, read: (text: string) => unknown, units: readonly string[]])[] = [
  ['list members', listMembers, [',', 'a,', '"', '"a",', '\\"', ' ', '"\\']],
  ['white space', trimOws, [' ', ' a', '\t']],
  [
    'a section of lines',
    (text) => parseSection(`${text}\r\n`, 1e9),
    ['a:b\r\n', 'a', 'a: \t', ':', '\r', '\n', 'a:\r\n'],
  ],
  ['a line of a section', (text) => parseSection(`a: ${text}\r\n`, 1e9), ['v', 'v ', ' v', ':', '\t']],
  ['a head so far', (text) => inPieces(`GET / HTTP/1.1\r\n${text}`), ['a:b\r\n', 'a', 'a: ', '\r']],
  ['a request line so far', (text) => inPieces(`GET /${text}`), ['a', ' H', ' ']],
  ['a path as rules see it', rulePath, [';a=b', ';', ';%41', '%41', '/a;', '/..', '//', 'A', ';%2f', ';%', '/;/']],
  ['a path', normalisePath, ['%41', '%2f', '%', '%4', 'a', '%zz', '/']],
  [
    'a target',
    (text) => quietly(() => parseRequestTarget('GET', `/${text}`, ['Host', 'a'])),
    ['%2e', '/', '.', '..', ';', '%2f', '/a', '?'],
  ],
  [
    'an absolute target',
    (text) => quietly(() => parseRequestTarget('GET', `http://${text}`, ['Host', 'a'])),
    ['a', 'a.', '-', ':', '['],
  ],
  ['a Host', (text) => quietly(() => parseRequestTarget('GET', '/', ['Host', text])), ['a', 'a.', '-', ':1', '[:']],
  ['a query', keyed, ['%&', 'a&', '&', 'utm_a&', '%41%42=c&', '%ff&', '+&', '=', 'a%', 'z&b&']],
  ['the number of parameters', (text) => hasTooManyParameters(site, text), ['&', 'a&', 'a']],
  ['a path against a pattern', (text) => pattern(`/${text}`), ['/a', 'ab', '/', '.css', 'abcd/']],
  [
    'Cache-Control',
    (text) => requestDirectives(text, text),
    ['a,', 'a=b,', '"', 'no-cache="a",', '\\"', ',', 'no-cache="a', '"\\'],
  ],
  ['directives', parseDirectives, ['private="a",', 'private=a,', '"a"', '"\\a']],
  [
    'If-None-Match',
    (text) => evaluateConditional(condition(text), stored, epochMs(0)),
    ['"a",', ',', '"', 'W/', ' ', '"tag",'],
  ],
  ['entity tags', parseEntityTagList, ['"a",', ',', '"', 'W/"a"', ' ', '""', '"a" ']],
  ['If-Range', (text) => evaluateIfRange(['If-Range', text], stored, epochMs(0)), ['"a', 'W/', 'a']],
  ['Range', (text) => parseRange(`bytes=${text}`), ['0-0,', ',', '9', '-', ' ']],
  ['a date', (text) => parseHttpDate(text, epochMs(0)), ['S', 'Sun, 06 Nov 1994 08:49:37 GMT', ' ']],
  ['Accept of an error', (text) => errorPage(new HttpError('bad_target'), '1', text), ['a/b,', ';', 'a/b;q=0.1,', ',']],
  ['a field to vary by', (text) => normalisedField(['A', text], 'a'), ['a,', ',', ' ', ', ', '"']],
  [
    'Accept-Encoding',
    (text) => normalisedField(['accept-encoding', text], 'accept-encoding'),
    ['a,', 'a;q=0.5,', ';', ',', 'b,a,'],
  ],
  [
    'Accept-Language',
    (text) => normalisedField(['accept-language', text], 'accept-language'),
    ['a,', 'a;q=0.5,', 'b,a,'],
  ],
  ['Vary', (text) => varyMembers(['Vary', text], []), ['a,', ',']],
  [
    'tags',
    (text) => responseTags(site, 'a', ['Surrogate-Key', text, 'Cache-Groups', text]),
    ['a ', ' ', '\t', ',', '"a", '],
  ],
  ['Connection', (text) => removeHopByHop(['Connection', text, 'A', 'b']), ['a,', ',', ' ', '"']],
  ['CDN-Loop', (text) => hasCdnLoop(['CDN-Loop', text], 'seawall'), ['a,', 'a;b="c",', ',', ';', ' ']],
  ['X-Forwarded-For', (text) => reportedChain(['X-Forwarded-For', text]), ['1.2.3.4,', ',', ' ', '[::1],', ':']],
  ['Forwarded', (text) => reportedChain(['Forwarded', text]), ['for=1.2.3.4,', 'a=b;', ';', '"', 'for="', '\\"']],
  ['the scheme of a proxy', (text) => claimedScheme(['X-Forwarded-Proto', text]), ['http,', ',']],
  ['names that no visitor may send', (text) => stripUntrusted([text, 'a']), ['a', 'a-', '_']],
  ['fields with a bound', (text) => quietly(() => boundedFields(['Range', text, 'If-None-Match', text])), ['a,', ',']],
  [
    'strings of HPACK',
    (text) => quietly(() => decodeHuffman(Buffer.from(text, 'latin1'), 0, text.length)),
    ['\x1c', '\x00'],
  ],
];

function quietly(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof HttpError || error instanceof CompressionError) return undefined;
    throw error;
  }
}

function micros(read: (text: string) => unknown, text: string): number {
  const began = process.hrtime.bigint();
  read(text);
  return Number(process.hrtime.bigint() - began) / 1e3;
}

/**
 * @returns Microseconds, the least of as many runs as are of use: a bound is kept if any of them keeps it. On a busy
 * machine many runs may go by before the compiler, a thread of its own, is through.
 */
function leastMicros(
  read: (text: string) => unknown,
  texts: readonly [short: string, long: string],
  isEnough: (short: number, long: number) => boolean,
): [short: number, long: number] {
  let [short, long] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const patience = performance.now() + PATIENCE_MS;
  const isPatient = (run: number): boolean => run < MAX_RUNS || performance.now() < patience;
  for (let run = 0; isPatient(run) && !(run >= LEAST_RUNS && isEnough(short, long)); run++) {
    short = Math.min(short, micros(read, texts[0]));
    long = Math.min(long, micros(read, texts[1]));
  }
  return [short, long];
}

/** Times below this are too short to compare, and pass. */
const QUICK_MICROS = 40;

function ratioOf(short: number, long: number): number {
  return long / Math.max(short, QUICK_MICROS / GROWTH);
}

for (const [what, read, units] of READERS) {
  test(`${what} takes linear time`, async (t) => {
    for (const unit of units) {
      const texts = [LENGTH, GROWTH * LENGTH].map((length) => unit.repeat(Math.ceil(length / unit.length)));
      const nanosOf = (short: number): number => (short * 1e3) / LENGTH;
      const [short, long] = leastMicros(
        read,
        texts as [string, string],
        (few, many) => ratioOf(few, many) <= MAX_RATIO && nanosOf(few) <= MAX_NANOS_A_BYTE,
      );
      const [ratio, nanos] = [ratioOf(short, long), nanosOf(short)];
      t.ok(
        ratio <= MAX_RATIO,
        `${JSON.stringify(unit)}: ${ratio.toFixed(1)} times as long for ${GROWTH} times as much`,
      );
      t.ok(nanos <= MAX_NANOS_A_BYTE, `${JSON.stringify(unit)}: ${nanos.toFixed(0)} ns a byte`);
    }
  });
}

test('header blocks of HTTP/2 take time linear in their decoded size', async (t) => {
  const decode = (block: string): unknown => {
    const bytes = Buffer.from(block, 'latin1');
    return new HpackDecoder().decode(bytes, 0, bytes.length, { add: () => undefined });
  };
  const texts = ['\x82'.repeat(LENGTH), '\x82'.repeat(GROWTH * LENGTH)] as const;
  const [short, long] = leastMicros(decode, texts, (few, many) => ratioOf(few, many) <= MAX_RATIO);
  t.ok(ratioOf(short, long) <= MAX_RATIO, `${ratioOf(short, long).toFixed(1)} times as long`);
});

test('a query with the most parameters that a site allows costs less than a miss', async (t) => {
  for (const unit of ['%&', '%ff%fe&', '%41%42&', 'utm_a&', 'a&']) {
    const query = unit.repeat(MAX_PARAMETERS).slice(0, 8_000);
    const [least] = leastMicros(keyed, [query, ''], (few) => few < 1_000);
    t.ok(least < 1_000, `${unit}: ${least.toFixed(0)} µs`);
  }
});

test('a varied list costs little, however many members it has', async (t) => {
  const read = (text: string): unknown => normalisedField(['accept-encoding', text], 'accept-encoding');
  for (const unit of ['a,', 'a;q=0.5,', 'b,a,']) {
    for (const length of [1_000, 3_600, 25_000]) {
      const text = unit.repeat(length / unit.length);
      const [least] = leastMicros(read, [text, ''], (few) => few < MAX_LIST_MICROS);
      t.ok(least < MAX_LIST_MICROS, `${length} bytes of ${unit}: ${least.toFixed(0)} µs`);
    }
  }
});

const MAX_LIST_MICROS = 500;

test('an escape that no decoder accepts is compared as written, without an exception', async (t) => {
  const original = globalThis.decodeURIComponent;
  let thrown = 0;
  globalThis.decodeURIComponent = (text) => {
    try {
      return original(text);
    } catch (error) {
      thrown++;
      throw error;
    }
  };
  t.teardown(() => {
    globalThis.decodeURIComponent = original;
  });
  const target = keyed('%=1&%ff=2&%c3=3&%ed%a0%80=4&%f4%90%80%80=5&utm_a=6&ut%6d_b=7&%C3%A4=8').target;
  t.equal(thrown, 0);
  t.notMatch(target, /utm_a|ut%6d_b/);
  t.match(target, '%ff=2');
});
