import fc from 'fast-check';
import { test } from 'tap';
import { RepeatedHead } from '../../../http/upstream/repeated-head.ts';
import { ResponseError } from '../../../http/upstream/response-fields.ts';
import { ResponseParser } from '../../../http/upstream/response-parser.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';
import { BARE_LF, type Shape, SOUND, UNSOUND } from './response-shapes.ts';

const fuzz = fuzzer(import.meta.filename);

const MAX_HEAD_BYTES = 128 * 1024;

interface Read {
  readonly interim: readonly (readonly [number, readonly string[]])[];
  readonly head: readonly [number, string, readonly string[]] | undefined;
  readonly body: string;
  readonly trailers: readonly string[] | undefined;
  readonly error: boolean;
  /** Bytes after the end of the response. */
  readonly left: string;
  readonly keepsAlive: boolean;
}

/** Reads the bytes in pieces that end at the cuts, each in a buffer that is written over afterwards. */
function read(
  { bytes, ends = false, isHead = false }: Shape,
  cuts: readonly number[] = [],
  bareLf = false,
  repeated?: RepeatedHead,
): Read {
  const interim: [number, readonly string[]][] = [];
  let head: Read['head'];
  let trailers: Read['trailers'];
  const body: Buffer[] = [];
  const parser = new ResponseParser({ maxHeadBytes: MAX_HEAD_BYTES, bareLf, repeated });
  parser.begin(isHead ? 'head' : 'other', {
    onInterim: (status, headers) => interim.push([status, headers]),
    onHead: ({ status, statusText, headers }) => {
      head = [status, statusText, headers];
    },
    onData: (piece) => body.push(piece),
    onEnd: (fields) => {
      trailers = fields;
    },
  });
  const all = Buffer.from(bytes, 'latin1');
  let error = false;
  let at = 0;
  try {
    for (const cut of [...cuts, all.length]) {
      if (parser.isDone) break;
      const shared = Buffer.alloc(all.length + 100, '\r\nX');
      all.copy(shared, 0, at, cut);
      const used = parser.read(shared, cut - at);
      if (used > cut - at || used < 0) throw new Error('read more than there was');
      at = used < cut - at ? at + used : cut;
      shared.fill('Z');
    }
    if (ends && !parser.isDone) parser.close();
  } catch (thrown) {
    if (!(thrown instanceof ResponseError)) throw thrown;
    error = true;
  }
  const left = parser.isDone ? all.toString('latin1', at) : '';
  const { keepsAlive } = parser;
  return { interim, head, body: Buffer.concat(body).toString('latin1'), trailers, error, left, keepsAlive };
}

for (const bareLf of [false, true]) {
  const grammar = bareLf ? ' (LF accepted)' : '';
  for (const [rule, shape] of Object.entries({ ...SOUND, ...(bareLf && BARE_LF) })) {
    test(`a response ${rule} is read alike however it is cut${grammar}`, async (t) => {
      const whole = read(shape, [], bareLf);
      t.equal(whole.error, false);
      t.ok(whole.head && whole.trailers);
      const everywhere = Array.from({ length: shape.bytes.length }, (_, at) => at + 1);
      t.strictSame(read(shape, everywhere, bareLf), whole, 'byte by byte');
      for (const cut of everywhere) {
        const { error, head, body, trailers } = read(shape, [cut], bareLf);
        t.strictSame({ error, head, body, trailers }, pick(whole), `cut at ${cut}`);
      }
    });
  }

  for (const [rule, shape] of Object.entries({ ...UNSOUND, ...(!bareLf && BARE_LF) })) {
    test(`${rule} is an error, however it is cut${grammar}`, async (t) => {
      const ends = { ...shape, ends: true };
      t.equal(read(ends, [], bareLf).error, true);
      t.equal(read(ends, [], bareLf).trailers, undefined);
      const step = Math.max(1, Math.floor(shape.bytes.length / 200));
      for (let cut = 1; cut < shape.bytes.length; cut += step) {
        t.equal(read(ends, [cut], bareLf).error, true, `cut at ${cut}`);
      }
    });
  }
}

test('a deviation with one reading is passed on in its regular form', async (t) => {
  t.strictSame(read(SOUND['with whitespace before colons'] as Shape).head?.[2], [
    'X',
    'a',
    'Y',
    'b',
    'Content-Length',
    '3',
  ]);
  t.strictSame(read(SOUND['with one Content-Length twice'] as Shape).head?.[2], ['Content-Length', '3', 'X', 'y']);
  t.strictSame(read(SOUND['with a list of one Content-Length'] as Shape).head?.[2], ['Content-Length', '3']);
  for (const shape of Object.values(BARE_LF)) {
    const { head, body, left } = read(shape, [], true);
    t.notMatch(JSON.stringify(head), /\\[rn]/);
    t.equal(left, '');
    t.match(body, /^abc$|^a\r\n\r\nb\n\nc$/);
  }
});

function pick({ error, head, body, trailers }: Read) {
  return { error, head, body, trailers };
}

const name = fc
  .stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/)
  .filter((text) => !/^(content-length|transfer-encoding|connection|keep-alive)$/i.test(text));
const value = fc.stringMatching(/^(?:[\x21-\x7e\xa1-\xff](?:[\t\x20-\x7e\xa1-\xff]{0,30}[\x21-\x7e\xa1-\xff])?)?$/);
const fields = fc.array(fc.tuple(name, value), { maxLength: 8 });
const lines = (list: readonly (readonly [string, string])[]): string => list.map(([n, v]) => `${n}: ${v}\r\n`).join('');
const chunks = fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }), { maxLength: 5 });

test('a well-formed response is read as written', async () => {
  const arbitrary = fc.record({
    status: fc.integer({ min: 200, max: 999 }).filter((status) => status !== 204 && status !== 304),
    fields,
    chunks,
    trailers: fields,
    isChunked: fc.boolean(),
    cuts: fc.array(fc.nat(1_000)),
    rest: fc.string({ unit: 'binary-ascii', maxLength: 20 }),
    /** Start of a body whose template has empty lines at its top. */
    top: fc.stringMatching(/^[\r\n]{0,4}$/),
    bareLf: fc.boolean(),
  });
  fuzz(
    'a well-formed response is read as written',
    fc.property(arbitrary, ({ status, fields: head, chunks: rows, top, bareLf, trailers, isChunked, cuts, rest }) => {
      const body = top === '' ? rows : [top, ...rows];
      const text = body.join('');
      const framing = isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${text.length}\r\n`;
      const coded = body.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
      const content = isChunked ? `${coded}0\r\n${lines(trailers)}\r\n` : text;
      const bytes = `HTTP/1.1 ${status} Fine\r\n${lines(head)}${framing}\r\n${content}${rest}`;
      const sorted = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
      const seen = read({ bytes }, sorted, bareLf);
      const expected = framing.slice(0, -2).split(': ');
      return (
        !seen.error &&
        seen.head?.[0] === status &&
        JSON.stringify(seen.head[2]) === JSON.stringify([...head.flat(), ...expected]) &&
        seen.body === text &&
        JSON.stringify(seen.trailers) === JSON.stringify(isChunked ? trailers.flat() : []) &&
        seen.left === rest
      );
    }),
    { numRuns: 1_000 },
  );
});

test('a damaged response is read alike however it is cut', async () => {
  const base = fc.constantFrom(
    ...[...Object.values(SOUND), ...Object.values(UNSOUND), ...Object.values(BARE_LF)].filter(
      (shape) => shape.bytes.length < 500,
    ),
  );
  const damage = fc.array(fc.tuple(fc.nat(400), fc.constantFrom('', '\r', '\n', ' ', '\0', ':', '0', 'f', '\r\n')), {
    maxLength: 3,
  });
  fuzz(
    'a damaged response is read alike however it is cut',
    fc.property(base, damage, fc.array(fc.nat(500)), fc.boolean(), (shape, damages, cuts, bareLf) => {
      let { bytes } = shape;
      for (const [at, by] of damages) {
        const place = at % (bytes.length + 1);
        bytes = bytes.slice(0, place) + by + bytes.slice(place + (by === '' ? 1 : 0));
      }
      const damaged = { ...shape, bytes, ends: true };
      const sorted = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
      const { error, head } = read(damaged, [], bareLf);
      outcome(`${error ? 'refused' : 'whole'}, ${head === undefined ? 'without' : 'with'} a head`);
      return JSON.stringify(pick(read(damaged, [], bareLf))) === JSON.stringify(pick(read(damaged, sorted, bareLf)));
    }),
    { numRuns: 6_000 },
  );
});

const small = fc.constantFrom(
  ...[...Object.values(SOUND), ...Object.values(UNSOUND), ...Object.values(BARE_LF)].filter(
    (shape) => shape.bytes.length < 500,
  ),
);

test('a response is read alike whatever the heads of its server were before', async () => {
  const changes = fc.array(
    fc.tuple(
      fc.nat(200),
      fc.constantFrom('', '\r', '\n', ' ', '\t', '\0', '\x7f', ':', 'x', '\xff', ', 3', '\r\nA: b'),
    ),
    { maxLength: 2 },
  );
  fuzz(
    'a response is read alike whatever the heads of its server were before',
    fc.property(small, changes, changes, fc.array(fc.nat(500), { maxLength: 2 }), (shape, before, after, cuts) => {
      const changed = (list: readonly (readonly [number, string])[]): Shape => {
        let { bytes } = shape;
        for (const [at, by] of list) {
          const place = at % (bytes.length + 1);
          bytes = bytes.slice(0, place) + by + bytes.slice(place + 1);
        }
        return { ...shape, bytes, ends: true };
      };
      const [first, second] = [changed(before), changed(after)];
      const repeated = new RepeatedHead();
      for (const one of [shape, first, second]) read(one, [], false, repeated);
      const places = [...new Set(cuts.map((cut) => cut % (second.bytes.length + 1)))].sort((a, b) => a - b);
      return JSON.stringify(read(second, places, false, repeated)) === JSON.stringify(read(second, places));
    }),
    { numRuns: 6_000 },
  );
});
