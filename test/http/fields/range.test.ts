import fc from 'fast-check';
import { test } from 'tap';
import {
  type ByteRange,
  formatContentRange,
  multipartEnd,
  multipartLength,
  multipartPart,
  parseContentRange,
  parseRange,
  type RangeSpec,
  resolveRanges,
  unsatisfiedContentRange,
} from '../../../http/fields/range.ts';
import { fuzzer } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const MAX = Number.MAX_SAFE_INTEGER;

for (const { rfc, rule, value, specs } of [
  { rfc: '14.1.2', rule: 'first and last', value: 'bytes=0-499', specs: [{ first: 0, last: 499 }] },
  { rfc: '14.1.2', rule: 'first only', value: 'bytes=9500-', specs: [{ first: 9500, last: undefined }] },
  { rfc: '14.1.2', rule: 'suffix', value: 'bytes=-500', specs: [{ suffix: 500 }] },
  {
    rfc: '14.1.2',
    rule: 'several',
    value: 'bytes=0-0,-1, 5-6',
    specs: [{ first: 0, last: 0 }, { suffix: 1 }, { first: 5, last: 6 }],
  },
  { rfc: '14.1', rule: 'units have no case', value: 'BYTES=0-0', specs: [{ first: 0, last: 0 }] },
  {
    rfc: '5.6.1.2',
    rule: 'empty members',
    value: 'bytes=,0-0 ,\t,1-1',
    specs: [
      { first: 0, last: 0 },
      { first: 1, last: 1 },
    ],
  },
  { rfc: '14.1.2', rule: 'leading zeros', value: 'bytes=000-007', specs: [{ first: 0, last: 7 }] },
  { rfc: '14.1.2', rule: 'the largest safe integer', value: `bytes=0-${MAX}`, specs: [{ first: 0, last: MAX }] },
  { rfc: '14.1.2', rule: 'larger than that', value: `bytes=0-${MAX}0`, specs: undefined },
  { rfc: '14.1.2', rule: 'a first that is larger than that', value: `bytes=${MAX}0-`, specs: undefined },
  { rfc: '14.1.1', rule: 'last before first', value: 'bytes=5-4', specs: undefined },
  { rfc: '14.1.1', rule: 'one bad member', value: 'bytes=0-1, 5-4', specs: undefined },
  { rfc: '14.2', rule: 'absent', value: undefined, specs: undefined },
  { rfc: '14.2', rule: 'another unit', value: 'items=0-1', specs: undefined },
  { rfc: '14.2', rule: 'no unit', value: '0-1', specs: undefined },
  { rfc: '14.1.1', rule: 'no members', value: 'bytes=', specs: undefined },
  { rfc: '14.1.1', rule: 'only commas', value: 'bytes=,,', specs: undefined },
  { rfc: '14.1.1', rule: 'only a dash', value: 'bytes=-', specs: undefined },
  { rfc: '14.1.1', rule: 'no dash', value: 'bytes=5', specs: undefined },
  { rfc: '14.1.1', rule: 'two dashes', value: 'bytes=0-1-2', specs: undefined },
  { rfc: '14.1.1', rule: 'a negative number', value: 'bytes=--5', specs: undefined },
  { rfc: '14.1.1', rule: 'a space around the dash', value: 'bytes=0 -1', specs: undefined },
  { rfc: '14.2', rule: 'a space before =', value: 'bytes =0-1', specs: undefined },
  { rfc: '14.1.1', rule: 'hexadecimal', value: 'bytes=0x0-0x1', specs: undefined },
  { rfc: '14.1.1', rule: 'an exponent', value: 'bytes=0-1e3', specs: undefined },
  { rfc: '14.1.1', rule: 'digits that are not ASCII', value: 'bytes=0-\u0661', specs: undefined },
  { rfc: '5.3', rule: 'two lines, joined', value: 'bytes=0-1, bytes=2-3', specs: undefined },
]) {
  test(`RFC 9110 ${rfc}: Range: ${rule}`, async (t) => {
    t.strictSame(parseRange(value), specs);
  });
}

const from = (first: number, last?: number): RangeSpec => ({ first, last });
const bytes = (start: number, end: number): ByteRange => ({ start, end });

for (const { rfc, rule, specs, length = 10_000, ranges } of [
  { rfc: '14.1.2', rule: 'the first 500 bytes', specs: [from(0, 499)], ranges: [bytes(0, 500)] },
  { rfc: '14.1.2', rule: 'the last 500 bytes', specs: [{ suffix: 500 }], ranges: [bytes(9500, 10_000)] },
  { rfc: '14.1.2', rule: 'from 9500 on', specs: [from(9500)], ranges: [bytes(9500, 10_000)] },
  { rfc: '14.1.2', rule: 'a last beyond the end', specs: [from(9999, MAX)], ranges: [bytes(9999, 10_000)] },
  { rfc: '14.1.2', rule: 'a suffix longer than everything', specs: [{ suffix: 10_001 }], ranges: [bytes(0, 10_000)] },
  { rfc: '14.1.2', rule: 'everything is still a range', specs: [from(0)], ranges: [bytes(0, 10_000)] },
  { rfc: '14.1.2', rule: 'first at the end', specs: [from(10_000)], ranges: 'unsatisfiable' },
  { rfc: '14.1.2', rule: 'a suffix of nothing', specs: [{ suffix: 0 }], ranges: 'unsatisfiable' },
  {
    rfc: '15.3.7.2',
    rule: 'unsatisfiable members are left out',
    specs: [from(20_000), from(5, 5), { suffix: 0 }],
    ranges: [bytes(5, 6)],
  },
  { rfc: '14.2', rule: 'nothing to choose from', specs: [from(0)], length: 0, ranges: 'whole' },
  { rfc: '14.2', rule: 'nothing to take the last of', specs: [{ suffix: 5 }], length: 0, ranges: 'whole' },
  {
    rfc: '15.3.7.2',
    rule: 'the order of the request',
    specs: [{ suffix: 1 }, from(0, 0)],
    ranges: [bytes(9999, 10_000), bytes(0, 1)],
  },
  {
    rfc: '15.3.7.2',
    rule: 'overlapping ones are joined',
    specs: [from(500, 700), from(601, 999)],
    ranges: [bytes(500, 1000)],
  },
  {
    rfc: '15.3.7.2',
    rule: 'adjacent ones are joined',
    specs: [from(500, 600), from(601, 999)],
    ranges: [bytes(500, 1000)],
  },
  {
    rfc: '15.3.7.2',
    rule: 'one byte apart are not',
    specs: [from(500, 600), from(602, 999)],
    ranges: [bytes(500, 601), bytes(602, 1000)],
  },
  {
    rfc: '15.3.7.2',
    rule: 'one inside another',
    specs: [from(0, 99), from(10, 19), from(200, 299)],
    ranges: [bytes(0, 100), bytes(200, 300)],
  },
  {
    rfc: '15.3.7.2',
    rule: 'joined ones take the first place',
    specs: [from(700, 799), from(0, 9), from(600, 699)],
    ranges: [bytes(600, 800), bytes(0, 10)],
  },
  {
    rfc: '17.15',
    rule: 'sixteen ranges',
    specs: Array.from({ length: 16 }, (_, i) => from(i * 2, i * 2)),
    ranges: Array.from({ length: 16 }, (_, i) => bytes(i * 2, i * 2 + 1)),
  },
  {
    rfc: '17.15',
    rule: 'seventeen ranges',
    specs: Array.from({ length: 17 }, (_, i) => from(i * 2, i * 2)),
    ranges: 'whole',
  },
  {
    rfc: '17.15',
    rule: 'seventeen that cannot be satisfied',
    specs: Array.from({ length: 17 }, () => from(10_000)),
    ranges: 'whole',
  },
  { rfc: '17.15', rule: 'everything twice', specs: [from(0), from(0)], ranges: 'whole' },
  { rfc: '17.15', rule: 'everything and one byte', specs: [from(0), from(0, 0)], ranges: 'whole' },
  { rfc: '17.15', rule: 'everything in two halves', specs: [from(0, 4999), from(5000)], ranges: [bytes(0, 10_000)] },
]) {
  test(`RFC 9110 ${rfc}: ranges: ${rule}`, async (t) => {
    t.strictSame(resolveRanges(specs, length), ranges);
  });
}

for (const { rule, value, range } of [
  { rule: 'of a known length', value: 'bytes 42-1233/1234', range: { start: 42, end: 1234, length: 1234 } },
  { rule: 'of an unknown length', value: 'bytes 42-1233/*', range: { start: 42, end: 1234, length: undefined } },
  { rule: 'unsatisfied', value: 'bytes */1234', range: { unsatisfied: 1234 } },
  { rule: 'unsatisfied, of nothing', value: 'bytes */0', range: { unsatisfied: 0 } },
  { rule: 'one byte', value: 'bytes 0-0/1', range: { start: 0, end: 1, length: 1 } },
  { rule: 'units have no case', value: 'Bytes 0-0/1', range: { start: 0, end: 1, length: 1 } },
  { rule: 'absent', value: undefined, range: undefined },
  { rule: 'last before first', value: 'bytes 5-4/10', range: undefined },
  { rule: 'last at the length', value: 'bytes 0-10/10', range: undefined },
  { rule: 'unsatisfied, length unknown', value: 'bytes */*', range: undefined },
  { rule: 'no length', value: 'bytes 0-1', range: undefined },
  { rule: 'no last', value: 'bytes 0-/10', range: undefined },
  { rule: 'another unit', value: 'items 0-1/10', range: undefined },
  { rule: 'an equals sign', value: 'bytes=0-1/10', range: undefined },
  { rule: 'two spaces', value: 'bytes  0-1/10', range: undefined },
  { rule: 'two values', value: 'bytes 0-1/10, bytes 0-1/10', range: undefined },
  { rule: 'a last beyond safe integers', value: `bytes 0-${MAX}/*`, range: undefined },
  { rule: 'a length beyond safe integers', value: `bytes 0-1/${MAX}0`, range: undefined },
  { rule: 'an unsatisfied length beyond safe integers', value: `bytes */${MAX}0`, range: undefined },
  { rule: 'nonsense', value: 'content-range-store-value', range: undefined },
]) {
  test(`RFC 9110 14.4: Content-Range: ${rule}`, async (t) => {
    t.strictSame(parseContentRange(value), range);
  });
}

test('RFC 9110 14.4: Content-Range is written', async (t) => {
  t.equal(formatContentRange(bytes(0, 500), 1234), 'bytes 0-499/1234');
  t.equal(unsatisfiedContentRange(47_022), 'bytes */47022');
});

test('RFC 9110 14.6: multipart/byteranges is written', async (t) => {
  const ranges = [bytes(0, 2), bytes(8, 10)];
  const body = multipart('0123456789', ranges, 'text/plain', 'THIS_STRING_SEPARATES');
  t.equal(
    body.toString(),
    [
      '',
      '--THIS_STRING_SEPARATES',
      'Content-Type: text/plain',
      'Content-Range: bytes 0-1/10',
      '',
      '01',
      '--THIS_STRING_SEPARATES',
      'Content-Type: text/plain',
      'Content-Range: bytes 8-9/10',
      '',
      '89',
      '--THIS_STRING_SEPARATES--',
      '',
    ].join('\r\n'),
  );
});

test('RFC 9110 14.6: a part without a type has no Content-Type', async (t) => {
  t.equal(multipartPart(bytes(0, 1), 2, undefined, 'x').toString(), '\r\n--x\r\nContent-Range: bytes 0-0/2\r\n\r\n');
});

test('header bytes pass unchanged', async (t) => {
  const part = multipartPart(bytes(0, 1), 2, 'text/\xe9', 'x');
  t.equal(part.includes(0xe9), true);
  t.equal(part.includes(0xc3), false, 'not encoded a second time');
});

/** Assembles what an engine would send. */
function multipart(content: string, ranges: ByteRange[], contentType: string | undefined, boundary: string): Buffer {
  const parts = ranges.flatMap((range) => [
    multipartPart(range, content.length, contentType, boundary),
    Buffer.from(content.slice(range.start, range.end)),
  ]);
  return Buffer.concat([...parts, multipartEnd(boundary)]);
}

const length = fc.integer({ min: 1, max: 50 });
const spec: fc.Arbitrary<RangeSpec> = fc.oneof(
  fc.tuple(fc.nat(60), fc.option(fc.nat(60), { nil: undefined })).map(([first, more]) => ({
    first,
    last: more === undefined ? undefined : first + more,
  })),
  fc.nat(60).map((suffix) => ({ suffix })),
);

test('property: every Range of the grammar is read', async () => {
  const text = (one: RangeSpec) => ('suffix' in one ? `-${one.suffix}` : `${one.first}-${one.last ?? ''}`);
  fuzz(
    'property: every Range of the grammar is read',
    fc.property(fc.array(spec, { minLength: 1 }), (specs) => {
      const parsed = parseRange(`bytes=${specs.map(text).join(', ')}`);
      return JSON.stringify(parsed) === JSON.stringify(specs);
    }),
  );
});

test('property: ranges hold the requested bytes, once, and no others', async () => {
  fuzz(
    'property: ranges hold the requested bytes, once, and no others',
    fc.property(fc.array(spec, { minLength: 1, maxLength: 20 }), length, (specs, total) => {
      const wanted = specs.map((one) => positions(one, total));
      const sum = wanted.reduce((count, some) => count + some.length, 0);
      const ranges = resolveRanges(specs, total);
      if (specs.length > 16 || sum > total) return ranges === 'whole';
      if (sum === 0) return ranges === 'unsatisfiable';
      if (typeof ranges === 'string') return false;
      const given = ranges.flatMap(({ start, end }) => positions({ first: start, last: end - 1 }, total));
      const apart = ranges.every((a) => ranges.every((b) => a === b || a.end < b.start || b.end < a.start));
      const sorted = (list: number[]) => [...new Set(list)].sort((a, b) => a - b).join();
      return apart && new Set(given).size === given.length && sorted(given) === sorted(wanted.flat());
    }),
    { numRuns: 2000 },
  );
});

test('property: a written Content-Range is read back', async () => {
  fuzz(
    'property: a written Content-Range is read back',
    fc.property(fc.nat(), fc.integer({ min: 1 }), fc.nat(), (start, size, rest) => {
      const range = { start, end: start + size };
      const parsed = parseContentRange(formatContentRange(range, range.end + rest));
      return JSON.stringify(parsed) === JSON.stringify({ ...range, length: range.end + rest });
    }),
  );
});

test('property: the announced length of a multipart body is exact', async () => {
  const range = fc
    .tuple(fc.nat(50), fc.integer({ min: 1, max: 50 }))
    .map(([start, size]) => bytes(start, start + size));
  const type = fc.option(fc.constantFrom('text/plain', 'image/\xe9'), { nil: undefined });
  fuzz(
    'property: the announced length of a multipart body is exact',
    fc.property(
      fc.array(range, { minLength: 1 }),
      type,
      fc.stringMatching(/^[0-9a-z]{1,70}$/),
      (ranges, contentType, boundary) => {
        const content = 'x'.repeat(100);
        return (
          multipartLength(ranges, 100, contentType, boundary) ===
          multipart(content, ranges, contentType, boundary).length
        );
      },
    ),
  );
});

/** The definition of section 14.1.2, byte by byte. */
function positions(one: RangeSpec, total: number): number[] {
  const all = Array.from({ length: total }, (_, i) => i);
  if ('suffix' in one) return all.filter((i) => i >= total - one.suffix);
  return all.filter((i) => i >= one.first && (one.last === undefined || i <= one.last));
}
