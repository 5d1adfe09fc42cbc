/** The chunked coding: read alike however it is cut, and as `node:http` reads it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { test } from 'tap';
import { ChunkedReader } from '../../../http/http1/chunked.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const MAX_TRAILER_BYTES = 1_000;
const MAX_LINE_BYTES = 4_096;

interface Read {
  readonly body: string;
  readonly trailers: string;
  /** Bytes after the body; `undefined` until it is complete. */
  readonly rest: string | undefined;
  readonly isRefused: boolean;
}

class Refused extends Error {}

const OPTIONS = {
  maxTrailerBytes: MAX_TRAILER_BYTES,
  spaceAfterSize: false,
  fault: (detail: string) => new Refused(detail),
};

function read(text: string, cuts: readonly number[] = []): Read & { readonly pieces: number } {
  const reader = new ChunkedReader(OPTIONS);
  const body: string[] = [];
  let isRefused = false;
  let rest = '';
  let from = 0;
  for (const cut of [...new Set([...cuts.map((at) => at % (text.length + 1)), text.length])].sort((a, b) => a - b)) {
    const bytes = Buffer.from(`__${text.slice(from, cut)}\n`, 'latin1');
    from = cut;
    let end = 2;
    try {
      end = reader.read(bytes, 2, bytes.length - 1);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      isRefused = true;
    }
    if (reader.dataTo > reader.dataFrom) body.push(bytes.toString('latin1', reader.dataFrom, reader.dataTo));
    if (isRefused) break;
    if (reader.isDone) rest += bytes.toString('latin1', end, bytes.length - 1);
  }
  const { isDone, trailers } = reader;
  return { body: body.join(''), trailers, rest: isDone ? rest : undefined, isRefused, pieces: body.length };
}

const LINE =
  /^([0-9a-fA-F]{1,13})((?:;(?:[\t\x20-\x21\x23-\x7e\x80-\xff]|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*")*)?)\r\n/;

/** The coding read with expressions, all at once. */
function reference(text: string): Read & { readonly withoutExtensions: string } {
  let [at, body, withoutExtensions] = [0, '', ''];
  const outcome = (isRefused: boolean, trailers = '', rest?: string) => ({
    body,
    trailers,
    rest,
    isRefused,
    withoutExtensions,
  });
  for (;;) {
    const line = LINE.exec(text.slice(at));
    const isLong = line === null ? text.length - at >= MAX_LINE_BYTES : line[0].length > MAX_LINE_BYTES;
    if (isLong) return outcome(true);
    if (line === null) return outcome(!couldBeLine(text.slice(at)));
    at += line[0].length;
    const size = Number.parseInt(line[1] as string, 16);
    withoutExtensions += `${line[1]}\r\n`;
    if (size === 0) break;
    const data = text.slice(at, at + size);
    body += data;
    withoutExtensions += data;
    at += data.length;
    const end = text.slice(at, at + 2);
    if (data.length < size) return outcome(false);
    if (end !== '\r\n') return outcome(!'\r\n'.startsWith(end));
    withoutExtensions += end;
    at += 2;
  }
  const end = `\n${text.slice(at)}`.indexOf('\n\r\n');
  const trailers = end < 0 ? text.slice(at) : text.slice(at, at + end);
  if (trailers.length + (end < 0 ? 0 : 2) > MAX_TRAILER_BYTES) return outcome(true);
  if (end < 0) return { ...outcome(false, trailers.slice(0, trailers.lastIndexOf('\n') + 1)) };
  withoutExtensions += '\r\n'; // what trailers say is for others to judge
  return outcome(false, trailers, text.slice(at + end + 2));
}

/** Returns whether further bytes could complete the text to a line. */
function couldBeLine(text: string): boolean {
  return ['\n', '\r\n', '"\r\n', 'x"\r\n', '0\r\n', '\r\n'].some((end) => LINE.test(`${text}${end}`)) || text === '';
}

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/);
const quoted = fc.stringMatching(/^"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e]){0,8}"$/);
const extension = fc
  .tuple(token, fc.option(fc.oneof(token, quoted)))
  .map(([name, value]) => (value === null ? `;${name}` : `;${name}=${value}`));
const size = (bytes: number) =>
  fc.tuple(fc.nat(3), fc.boolean()).map(([zeros, isUpper]) => {
    const digits = '0'.repeat(zeros) + bytes.toString(16);
    return isUpper ? digits.toUpperCase() : digits;
  });
const latin1 = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 60 });
const data = fc.oneof(
  { weight: 3, arbitrary: latin1.filter((text) => text !== '') },
  fc.constantFrom('\r\n', '0\r\n\r\n', '1\r\na\r\n', '\r', '\n'),
  fc.nat(3_000).map((length) => 'x'.repeat(length + 1)),
);
const chunk = data.chain((text) =>
  fc
    .tuple(size(text.length), fc.array(extension, { maxLength: 3 }))
    .map(([digits, extensions]) => `${digits}${extensions.join('')}\r\n${text}\r\n`),
);
const trailer = fc
  .tuple(token, token)
  .filter(([name]) => !/^(content-length|transfer-encoding|connection|upgrade)$/i.test(name))
  .map(([name, value]) => `${name}: ${value}\r\n`);
const sound = fc
  .tuple(
    fc.array(chunk, { maxLength: 30 }),
    size(0),
    fc.array(extension, { maxLength: 2 }),
    fc.array(trailer, { maxLength: 3 }),
  )
  .map(
    ([chunks, last, extensions, trailers]) =>
      `${chunks.join('')}${last}${extensions.join('')}\r\n${trailers.join('')}\r\n`,
  );
const cuts = fc.array(fc.nat(20_000), { maxLength: 20 });

/** Input that careless readers read in another way. */
const ODD = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ';',
  '"',
  '\\',
  '\0',
  '\x7f',
  '0',
  'g',
  '0x',
  '-',
  '+',
  '_',
  ',',
  '\v',
  '\xa0',
  ';a=',
  '0\r\n\r\n',
];
const damaged = fc
  .tuple(
    sound,
    fc.array(fc.tuple(fc.nat(20_000), fc.nat(3), fc.constantFrom('', ...ODD)), { minLength: 1, maxLength: 3 }),
  )
  .map(([text, changes]) => {
    let changed = text;
    for (const [at, length, odd] of changes) {
      const from = at % changed.length;
      changed = changed.slice(0, from) + odd + changed.slice(from + length);
    }
    return changed;
  });

test('well-formed chunks are read as written, however they are cut', async () => {
  fuzz(
    'well-formed chunks are read as written, however they are cut',
    fc.property(sound, cuts, latin1, (text, at, behind) => {
      const { withoutExtensions: _, ...expected } = reference(text + behind);
      const { pieces, ...found } = read(text + behind, at);
      return same(found, expected) && found.rest === behind && pieces <= new Set(at).size + 1;
    }),
    { numRuns: 500 },
  );
});

test('damaged chunks are refused or read alike, however they are cut', async () => {
  fuzz(
    'damaged chunks are refused or read alike, however they are cut',
    fc.property(damaged, cuts, (text, at) => {
      const { withoutExtensions: _, ...expected } = reference(text);
      const { pieces: _pieces, ...found } = read(text, at);
      outcome(expected.isRefused ? 'refused' : expected.rest === undefined ? 'cut off' : 'whole');
      return same(found, expected);
    }),
    { numRuns: 2_000 },
  );
});

/** Data before what is refused may have been handed on. */
function same(found: Read, expected: Read): boolean {
  if (found.isRefused !== expected.isRefused) return false;
  return (
    found.isRefused ||
    (found.body === expected.body && found.rest === expected.rest && found.trailers === expected.trailers)
  );
}

test('a line or trailers above the bound are refused, however they are cut', async (t) => {
  const line = (length: number) => `1;${'a'.repeat(length - 4)}\r\nx\r\n0\r\n\r\n`;
  const trailers = (length: number) => `0\r\n${`a: ${'b'.repeat(length - 7)}\r\n`}\r\n`;
  for (const at of [
    [],
    [5],
    [4_000],
    [4_094],
    [4_095],
    [4_096],
    [MAX_TRAILER_BYTES],
    Array.from({ length: 5_000 }, (_, i) => i),
  ]) {
    t.equal(read(line(MAX_LINE_BYTES), at).isRefused, false);
    t.equal(read(line(MAX_LINE_BYTES + 1), at).isRefused, true);
    t.equal(read(trailers(MAX_TRAILER_BYTES), at).isRefused, false);
    t.equal(read(trailers(MAX_TRAILER_BYTES + 1), at).isRefused, true);
  }
});

test('many small chunks are passed on as one piece', async (t) => {
  const { body, pieces } = read(`${'1\r\na\r\n'.repeat(2_000)}0\r\n\r\n`);
  t.equal(body, 'a'.repeat(2_000));
  t.equal(pieces, 1);
});

test('node:http reads chunks alike, except that it is stricter with extensions', async (t) => {
  const parsed = await nodeReader(t);
  await fuzz(
    'node:http reads chunks alike, except that it is stricter with extensions',
    fc.asyncProperty(fc.oneof(sound, damaged), async (text) => {
      const own = read(text);
      const found = await parsed(text);
      // What it takes is taken here, with the same end.
      if (found !== undefined && (own.rest === undefined || own.body !== found)) return false;
      if (own.rest === undefined) return true;
      return (await parsed(reference(text).withoutExtensions)) === own.body;
    }),
    { numRuns: 300 },
  );
});

/**
 * Returns a function that has `node:http` read a body: `undefined` unless it is whole, and nothing but a request
 * follows it.
 */
async function nodeReader(t: {
  teardown(end: () => void): void;
}): Promise<(coded: string) => Promise<string | undefined>> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('error', () => undefined);
    request.on('end', () => response.end(Buffer.concat(pieces).toString('hex')));
  });
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  return async (coded) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.end(
      Buffer.from(
        `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${coded}`,
        'latin1',
      ),
    );
    await once(socket, 'close');
    const match = /^HTTP\/1\.1 200 .*?\r\n\r\n([0-9a-f]*)$/s.exec(answer);
    return match === null ? undefined : Buffer.from(match[1] as string, 'hex').toString('latin1');
  };
}
