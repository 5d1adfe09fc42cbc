/**
 * Header blocks (RFC 7541): its own examples, what breaks them, and what holds
 * for any. nghttp2 is on the other side in clients.test.ts.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { CompressionError } from '../../../http/http2/errors.ts';
import { headerBlock } from '../../../http/http2/header-block.ts';
import { HpackDecoder } from '../../../http/http2/hpack-decoder.ts';
import { decodeHuffman, encodeHuffman, huffmanLength } from '../../../http/http2/huffman.ts';
import { Section } from '../../../http/http2/section.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

function decode(block: Buffer, decoder = new HpackDecoder()): string[] {
  const fields: string[] = [];
  decoder.decode(block, 0, block.length, { add: ({ name, value }) => fields.push(`${name}: ${value}`) });
  return fields;
}

/** Appendix C: blocks of one connection, one after the other. */
const EXAMPLES: Readonly<Record<string, readonly (readonly [block: string, fields: readonly string[]])[]>> = {
  'C.2.1, a literal that is kept': [
    ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key: custom-header']],
    ['be', ['custom-key: custom-header']],
  ],
  'C.2.2, a literal that is not': [['040c 2f73 616d 706c 652f 7061 7468', [':path: /sample/path']]],
  'C.2.3, a literal that nobody is to keep': [['1008 7061 7373 776f 7264 0673 6563 7265 74', ['password: secret']]],
  'C.2.4, a field of the static table': [['82', [':method: GET']]],
  'C.3, requests': [
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    ],
    [
      '8286 84be 5808 6e6f 2d63 6163 6865',
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    ],
    [
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      [
        ':method: GET',
        ':scheme: https',
        ':path: /index.html',
        ':authority: www.example.com',
        'custom-key: custom-value',
      ],
    ],
  ],
  'C.4, requests in the Huffman code': [
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    ],
    [
      '8286 84be 5886 a8eb 1064 9cbf',
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    ],
    [
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      [
        ':method: GET',
        ':scheme: https',
        ':path: /index.html',
        ':authority: www.example.com',
        'custom-key: custom-value',
      ],
    ],
  ],
  'C.6, responses in the Huffman code, in a table of 256 bytes': [
    [
      '3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      [
        ':status: 302',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:21 GMT',
        'location: https://www.example.com',
      ],
    ],
    [
      '4883 640e ffc1 c0bf',
      [
        ':status: 307',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:21 GMT',
        'location: https://www.example.com',
      ],
    ],
    [
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      [
        ':status: 200',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:22 GMT',
        'location: https://www.example.com',
        'content-encoding: gzip',
        'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
      ],
    ],
  ],
};

for (const [name, blocks] of Object.entries(EXAMPLES)) {
  test(`RFC 7541 ${name}`, async (t) => {
    const decoder = new HpackDecoder();
    for (const [block, fields] of blocks) t.strictSame(decode(bytes(block), decoder), fields, block);
  });
}

for (const [name, block] of [
  ['2.3.3: index 0', '80'],
  ['2.3.3: an index beyond both tables', 'be'],
  ['2.3.3: a name beyond both tables', '7f00 01 61'],
  ['4.2: a table size behind a field', '82 20'],
  ['4.2: a table size beyond what is allowed', '3fe2 1f'],
  ['5.1: a number that does not end', 'ff ffff ffff ffff ffff 7f'],
  ['5.1: a number that breaks off', 'ff 80'],
  ['5.2: a string that breaks off', '00 0561 62'],
  ['5.2: a literal without a value', '00 0161'],
  ['5.2: a literal without a name', '00'],
  ['5.2: a literal without both, of a known name', '04'],
  ['5.2: Huffman padding of eight bits', '04 82 1fff'],
  ['5.2: Huffman padding with zeros', '04 81 18'],
  ['5.2: the end of the string within it', '04 84 ffff ffff'],
] as const) {
  test(`RFC 7541 ${name} is an error of the connection`, async (t) => {
    t.throws(() => decode(bytes(block)), CompressionError);
  });
}

test('RFC 7541 4.4: a field larger than the table empties it, without an error', async (t) => {
  const decoder = new HpackDecoder();
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([bytes('40'), Buffer.from([name.length]), Buffer.from(name), lengthOf(value), Buffer.from(value)]);
  decode(literal('a', 'b'), decoder);
  t.strictSame(decode(bytes('be'), decoder), ['a: b']);
  decode(literal('large', 'x'.repeat(4_096)), decoder);
  t.throws(() => decode(bytes('be'), decoder), CompressionError);
});

test('RFC 7541 4.3: a smaller table evicts the oldest entries; a size of 0 evicts all', async (t) => {
  const decoder = new HpackDecoder();
  for (const name of ['a', 'b', 'c']) decode(Buffer.concat([bytes('4001'), Buffer.from(name), bytes('0131')]), decoder);
  t.strictSame(decode(bytes('be bf c0'), decoder), ['c: 1', 'b: 1', 'a: 1']);
  t.strictSame(decode(bytes('3f2b be bf'), decoder), ['c: 1', 'b: 1'], '74 bytes hold two');
  t.throws(() => decode(bytes('c0'), decoder), CompressionError);
  t.strictSame(decode(bytes('20'), decoder), []);
  t.throws(() => decode(bytes('be'), decoder), CompressionError);
});

function lengthOf(value: string): Buffer {
  return number(0, 0x7f, value.length);
}

/** One character for each byte. */
const latin1 = fc.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all).toString('latin1'));

test('any string survives the Huffman code, in the announced number of bytes', async () => {
  fuzz(
    'any string survives the Huffman code, in the announced number of bytes',
    fc.property(latin1, (text) => {
      const coded = Buffer.alloc(huffmanLength(text) + 8);
      const end = encodeHuffman(text, coded, 4);
      return end - 4 === huffmanLength(text) && decodeHuffman(coded, 4, end) === text;
    }),
    { numRuns: 2_000 },
  );
});

test('random bytes are Huffman code or an error', async () => {
  fuzz(
    'random bytes are Huffman code or an error',
    fc.property(fc.uint8Array({ maxLength: 64 }), (all) => {
      try {
        const text = decodeHuffman(all, 0, all.length);
        outcome(text === '' ? 'nothing' : 'text');
        const again = Buffer.alloc(huffmanLength(text));
        encodeHuffman(text, again, 0);
        return again.equals(Buffer.from(all)); // the code has one form for each string
      } catch (error) {
        outcome('refused');
        return error instanceof CompressionError;
      }
    }),
    { numRuns: 5_000 },
  );
});

const names = fc.oneof(
  fc.constantFrom(':status', 'age', 'set-cookie', 'content-type', 'etag', 'accept-encoding', 'x-own', 'cache-status'),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,40}$/),
);
const values = fc.oneof(
  latin1,
  fc.constantFrom('', '200', 'gzip, deflate', 'text/html', 'x'.repeat(127), 'x'.repeat(128), '\xff'.repeat(400)),
);

test('encoded fields are decoded, whatever was encoded before', async () => {
  const decoder = new HpackDecoder();
  fuzz(
    'encoded fields are decoded, whatever was encoded before',
    fc.property(fc.array(fc.tuple(names, values), { maxLength: 30 }), (fields) => {
      const expected = fields.map(([name, value]) => `${name}: ${value}`);
      return String(decode(headerBlock(fields.flat()), decoder)) === String(expected);
    }),
    { numRuns: 2_000 },
  );
});

test('secret values are encoded as never indexed (RFC 7541, section 7.1.3)', async (t) => {
  const [first] = headerBlock(['set-cookie', 'session=1']);
  t.equal((first as number) & 0xf0, 0x10);
});

/** A table as RFC 7541, section 2.3 describes it, in as few lines as it takes. */
class SimpleTable {
  fields: string[] = [];
  max = 4_096;

  add(name: string, value: string): void {
    this.fields.unshift(`${name}: ${value}`);
    this.trim();
  }

  trim(): void {
    const size = (): number => this.fields.reduce((sum, field) => sum + field.length - 2 + 32, 0);
    while (size() > this.max) this.fields.pop();
  }
}

const steps = fc.array(
  fc.oneof(
    fc.record({ step: fc.constant('keep' as const), name: fc.stringMatching(/^[a-z]{1,20}$/), length: fc.nat(900) }),
    fc.record({ step: fc.constant('refer' as const), index: fc.integer({ min: 62, max: 66 }) }),
    fc.record({ step: fc.constant('resize' as const), size: fc.nat(4_096) }),
  ),
  { minLength: 10, maxLength: 60 },
);

test('the dynamic table agrees with a simple model', async (t) => {
  let references = 0;
  fuzz(
    'the dynamic table agrees with a simple model',
    fc.property(steps, (all) => {
      const decoder = new HpackDecoder();
      const table = new SimpleTable();
      for (const one of all) {
        if (one.step === 'keep') {
          const value = 'v'.repeat(one.length);
          const name = Buffer.from(one.name);
          decode(
            Buffer.concat([bytes('40'), Buffer.from([name.length]), name, lengthOf(value), Buffer.from(value)]),
            decoder,
          );
          table.add(one.name, value);
        } else if (one.step === 'resize') {
          decode(number(0x20, 0x1f, one.size), decoder);
          table.max = one.size;
          table.trim();
        } else {
          const expected = table.fields[one.index - 62];
          let seen: string | undefined;
          try {
            [seen] = decode(number(0x80, 0x7f, one.index), decoder);
          } catch (error) {
            if (!(error instanceof CompressionError)) return false;
          }
          if (seen !== undefined) references++;
          if (seen !== expected) return false;
        }
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.ok(references > 100, `${references} references were followed`);
});

function number(pattern: number, mask: number, value: number): Buffer {
  if (value < mask) return Buffer.from([pattern | value]);
  const all = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) all.push((rest & 0x7f) | 0x80);
  return Buffer.from([...all, rest]);
}

test('random bytes are fields or a connection error', async () => {
  fuzz(
    'random bytes are fields or a connection error',
    fc.property(fc.uint8Array({ maxLength: 200 }), (all) => {
      try {
        decode(Buffer.from(all));
        return true;
      } catch (error) {
        return error instanceof CompressionError;
      }
    }),
    { numRuns: 10_000 },
  );
});

test('few bytes that decode to many are held within the bounds', async (t) => {
  const decoder = new HpackDecoder();
  const value = 'x'.repeat(4_000);
  decode(Buffer.concat([bytes('4001'), Buffer.from('a'), lengthOf(value), Buffer.from(value)]), decoder);
  const bomb = Buffer.alloc(128 * 1024, 0xbe); // 500 MB of fields
  const section = new Section({ max_header: 32 * 1024, max_headers: 200 });
  decoder.decode(bomb, 0, bomb.length, section);
  t.ok(section.fields.length <= 8, `${section.fields.length} lines are held`);
  t.equal(section.trailers(), 'too-large');
});

for (const [name, fields, verdict] of [
  [
    'a whole one',
    [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/'],
    ],
    'fine',
  ],
  [
    'no path',
    [
      [':method', 'GET'],
      [':scheme', 'https'],
    ],
    'malformed',
  ],
  [
    'an empty path',
    [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', ''],
    ],
    'malformed',
  ],
  [
    'a pseudo-header field twice',
    [
      [':method', 'GET'],
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/'],
    ],
    'malformed',
  ],
  [
    'one behind the others',
    [
      [':method', 'GET'],
      [':scheme', 'https'],
      ['a', 'b'],
      [':path', '/'],
    ],
    'malformed',
  ],
  [
    'one that is not known',
    [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/'],
      [':protocol', 'websocket'],
    ],
    'malformed',
  ],
  [
    'a method that is no token',
    [
      [':method', 'GE T'],
      [':scheme', 'https'],
      [':path', '/'],
    ],
    'malformed',
  ],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
    ],
    'fine',
  ],
  [
    'CONNECT with a path',
    [
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
      [':path', '/'],
    ],
    'malformed',
  ],
] as const) {
  test(`RFC 9113 8.3: ${name}: ${verdict}`, async (t) => {
    t.equal(sectionOf(fields).request(), verdict);
  });
}

const WHOLE = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
] as const;

for (const [name, value] of [
  ['Upper', 'a'],
  ['', 'a'],
  ['a b', 'c'],
  ['a\r', 'b'],
  ['a:', 'b'],
  ['connection', 'close'],
  ['keep-alive', '1'],
  ['proxy-connection', 'a'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['te', 'gzip'],
  ['content-length', '-1'],
  ['content-length', '1,1'],
  ['content-length', '0x1'],
  ['content-length', ''],
  ['a', ' b'],
  ['a', 'b\t'],
  ['a', 'b\r\nc: d'],
  ['a', 'b\0'],
  ['a', 'b\n'],
  [':path', '/\n'],
  [':authority', 'a\r'],
] as const) {
  test(`RFC 9113 8.2: malformed: ${JSON.stringify(`${name}: ${value}`)}`, async (t) => {
    const base = WHOLE.filter(([own]) => own !== name);
    const fields = name.startsWith(':') ? [...base, [name, value] as const] : [...WHOLE, [name, value] as const];
    t.equal(sectionOf(fields).request(), 'malformed');
  });
}

test('RFC 9113 8.2: te: trailers, empty values and bytes beyond ASCII are accepted', async (t) => {
  for (const [name, value] of [
    ['te', 'trailers'],
    ['te', 'Trailers'],
    ['a', ''],
    ['a', '\xe9 b'],
    ["!#$%&'*+-.^_`|~", '1'],
  ] as const) {
    t.equal(sectionOf([...WHOLE, [name, value]]).request(), 'fine', name);
  }
});

test('RFC 9113 8.1.1: two Content-Length fields are malformed, even of the same value', async (t) => {
  t.equal(sectionOf([...WHOLE, ['content-length', '1'], ['content-length', '1']]).request(), 'malformed');
});

test('a section beyond the bounds is refused; the lines of a split Cookie count once', async (t) => {
  const lines = (name: string, count: number) => Array.from({ length: count }, () => [name, 'v'] as const);
  t.equal(sectionOf([...WHOLE, ...lines('a', 200)]).request(), 'fine');
  t.equal(sectionOf([...WHOLE, ...lines('a', 201)]).request(), 'too-large');
  t.equal(sectionOf([...WHOLE, ...lines('a', 200), ...lines('cookie', 300)]).request(), 'fine');
  t.equal(sectionOf([...WHOLE, ['a', 'x'.repeat(32 * 1024)]]).request(), 'too-large');
});

function sectionOf(fields: readonly (readonly [string, string])[]): Section {
  const section = new Section({ max_header: 32 * 1024, max_headers: 200 });
  const block = Buffer.concat(
    fields.flatMap(([name, value]) => [
      bytes('00'),
      lengthOf(name),
      Buffer.from(name, 'latin1'),
      lengthOf(value),
      Buffer.from(value, 'latin1'),
    ]),
  );
  new HpackDecoder().decode(block, 0, block.length, section);
  return section;
}
