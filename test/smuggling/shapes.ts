/**
 * Requests whose end two programs may see at different places: each carries another request in what may or may not be
 * its body. Shapes of the literature (CL.TE, TE.CL, TE.TE, CL.0, TE.0, 0.CL, chunk sizes, chunk extensions, line ends,
 * trailers, request lines, HTTP/2 to HTTP/1.1), as products of what each part may look like.
 * @module
 */
import { HOST } from '../support/visitor.ts';

/** One request, as bytes in latin1, with its number in every target. */
export interface Shape {
  readonly name: string;
  readonly text: string;
}

/** Fields of one request over HTTP/2, and its body. */
export interface Http2Shape {
  readonly name: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Target of the request that a shape hides, of the one that carries it, and of the visitor that comes after it. */
export const hidden = (number: number): string => `/hidden-${number}`;
export const carrier = (number: number): string => `/carrier-${number}`;
export const victim = (number: number): string => `/victim-${number}`;

function inner(number: number): string {
  return `GET ${hidden(number)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
}

const TRANSFER_ENCODINGS: readonly string[] = [
  'Transfer-Encoding: chunked',
  'transfer-encoding: CHUNKED',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  ' Transfer-Encoding: chunked',
  'Transfer-Encoding:chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: chunked ',
  'Transfer-Encoding: chunked\t',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: chunked\0',
  'Transfer-Encoding: \0chunked',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding: \x0cchunked',
  'Transfer-Encoding: \xa0chunked',
  'Transfer-Encoding: chunked\x0b',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding:\r\n\tchunked',
  'Transfer-Encoding:\n chunked',
  'Transfer-Encoding: chunked\nX: y',
  'Transfer-Encoding: chunked\rX: y',
  'X: y\rTransfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\r\n Transfer-Encoding: chunked',
  'Transfer_Encoding: chunked',
  'Transfer-Encoding\0: chunked',
  'Transfer-Encoding\xad: chunked',
  'Transfer-\xc4\x8boding: chunked',
  'Transfer-Encoding: chun\xc4\xb7ed',
  'Transfer-Encoding: \r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding',
  'Transfer-Encoding chunked',
  'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked',
  'TE: chunked',
];

/** Fields that say a length, which stands for LEN. */
const CONTENT_LENGTHS: readonly string[] = [
  'Content-Length: LEN',
  'content-length:LEN',
  'Content-Length : LEN',
  'Content-Length\t: LEN',
  ' Content-Length: LEN',
  'Content-Length: +LEN',
  'Content-Length: -LEN',
  'Content-Length: 0LEN',
  'Content-Length: 0xLEN',
  'Content-Length: LEN.0',
  'Content-Length: LENe0',
  'Content-Length: LEN_0',
  'Content-Length: LEN 0',
  'Content-Length: LEN\0',
  'Content-Length: \x0bLEN',
  'Content-Length: \xa0LEN',
  'Content-Length: "LEN"',
  'Content-Length: LEN;',
  'Content-Length: LEN,',
  'Content-Length: LEN, LEN',
  'Content-Length: LEN, 0',
  'Content-Length: 0, LEN',
  'Content-Length: LEN\r\nContent-Length: 0',
  'Content-Length: 0\r\nContent-Length: LEN',
  'Content-Length: LEN\r\nContent-Length: LEN',
  'Content-Length:\r\n LEN',
  'Content-Length: \r\nContent-Length: LEN',
  'Content-Length: 18446744073709551616',
  'Content-Length: 18446744073709551616\r\nContent-Length: LEN',
  'Content-Length: \nContent-Length: LEN',
  'Content_Length: LEN',
  'Content-Length\0: LEN',
  'Connection: Content-Length\r\nContent-Length: LEN',
  'X: y\nContent-Length: LEN',
  'X: y\rContent-Length: LEN',
];

/** Bodies in chunks, or what looks like them, around another request. */
const CHUNKED: readonly ((text: string) => string)[] = [
  (text) => `0\r\n\r\n${text}`,
  (text) => `${hex(text)}\r\n${text}\r\n0\r\n\r\n`,
  (text) => `${hex(text)};x=y\r\n${text}\r\n0\r\n\r\n`,
  (text) => `${hex(text)};\n${text}\r\n0\r\n\r\n`,
  (text) => `${hex(text)};x="\r\n0\r\n\r\n${text}"\r\n`,
  (text) => `${hex(text)} \r\n${text}\r\n0\r\n\r\n`,
  (text) => `${hex(text)}\n${text}\n0\n\n`,
  (text) => `${hex(text)}\r${text}\r0\r\r`,
  (text) => `0x${hex(text)}\r\n${text}\r\n0\r\n\r\n`,
  (text) => `+${hex(text)}\r\n${text}\r\n0\r\n\r\n`,
  (text) => `-1\r\n${text}\r\n0\r\n\r\n`,
  (text) => `000000000000000000000${hex(text)}\r\n${text}\r\n0\r\n\r\n`,
  (text) => `1000000000000000${hex(text)}\r\n${text}\r\n0\r\n\r\n`,
  (text) => `ffffffffffffffff\r\n${text}\r\n0\r\n\r\n`,
  (text) => `\r\n0\r\n\r\n${text}`,
  (text) => `0\r\nX: y\r\n\r\n${text}`,
  (text) => `0\r\nX: y\n\n${text}`,
  (text) => `0\r\nContent-Length: 5\r\n\r\n${text}`,
  (text) => `0\r\nTransfer-Encoding: chunked\r\nHost: ${HOST}\r\n\r\n${text}`,
  (text) => `0\r\n${text}`,
  (text) => `0\r\n \r\n\r\n${text}`,
  (text) => `0\n\n${text}`,
  (text) => `00\r\n\r\n${text}`,
  (text) => `0;\r\n\r\n${text}`,
  (text) => `0\r\n\r\r\n${text}`,
  (text) => `1\r\nZ0\r\n\r\n${text}`,
  (text) => `1\r\nZZ\r\n0\r\n\r\n${text}`,
  (text) => `${hex(text)}\r\n${text}XX0\r\n\r\n`,
  (text) => `${(text.length - 2).toString(16)}\r\n${text}0\r\n\r\n`,
  (text) => text,
];

function hex(text: string): string {
  return text.length.toString(16);
}

/** Request lines and first fields that servers read in different ways, with what follows them. */
const HEADS: readonly ((number: number) => string)[] = [
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `\r\n\r\nGET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `\n\nGET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => ` GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/0.9\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.0\r\nConnection: keep-alive\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.2\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/2.0\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} http/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1 \r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET  ${carrier(n)}  HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET\t${carrier(n)}\tHTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\nHost: ${HOST}\n\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\rHost: ${HOST}\r\r`,
  (n) => `GET ${carrier(n)}\x0b HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)}%0d%0aX:y HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)}?x=%20HTTP/1.1%0d%0aHost:%20${HOST}%0d%0a%0d%0a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} x HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET http://${HOST}${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET http://${HOST}${carrier(n)} HTTP/1.1\r\nHost: other.test\r\n\r\n`,
  (n) => `GET http://other.test${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET //${HOST}${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nHost: other.test\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}, other.test\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost : ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\n Host: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n X: y\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nX\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n: y\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nX: a\0b\r\n\r\n`,
  (n) =>
    `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n`,
  (n) =>
    `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Host, Via\r\n\r\n`,
  (n) => `HEAD ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `OPTIONS * HTTP/1.1\r\nHost: ${HOST}\r\nX: ${n}\r\n\r\n`,
  (n) => `CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}\r\nX: ${n}\r\n\r\n`,
  (n) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  (n) => `GET ${carrier(n)} HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\n\r\n`,
];

function post(number: number, fields: string, method = 'POST'): string {
  return `${method} ${carrier(number)} HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n\r\n`;
}

type Writer = (number: number) => string;

function* writers(): Iterable<readonly [string, Writer]> {
  for (const [i, head] of HEADS.entries()) yield [`head ${i}`, (n) => head(n) + inner(n)];
  for (const field of TRANSFER_ENCODINGS) {
    const name = JSON.stringify(field);
    for (const [i, body] of CHUNKED.entries()) {
      // All bodies with the plain spelling; each other spelling with those that tell its readings apart.
      if (field !== TRANSFER_ENCODINGS[0] && ![0, 1, 19, 29].includes(i)) continue;
      yield [`${name}, chunks ${i}`, (n) => post(n, field) + body(inner(n))];
    }
    yield [`GET, ${name}`, (n) => post(n, field, 'GET') + CHUNKED[0]?.(inner(n))];
    for (const length of [0, 4, 5]) {
      yield [
        `length ${length}, then ${name}`,
        (n) => post(n, `Content-Length: ${length}\r\n${field}`) + CHUNKED[0]?.(inner(n)),
      ];
      yield [
        `${name}, then length ${length}`,
        (n) => post(n, `${field}\r\nContent-Length: ${length}`) + CHUNKED[0]?.(inner(n)),
      ];
    }
    yield [
      `${name}, then the length of all`,
      (n) => post(n, `${field}\r\nContent-Length: ${inner(n).length + 5}`) + CHUNKED[0]?.(inner(n)),
    ];
  }
  for (const template of CONTENT_LENGTHS) {
    for (const method of ['POST', 'GET', 'HEAD', 'OPTIONS', 'DELETE']) {
      const name = `${method}, ${JSON.stringify(template)}`;
      yield [name, (n) => post(n, template.replaceAll('LEN', String(inner(n).length)), method) + inner(n)];
    }
  }
  for (const expectation of ['100-continue', '100-Continue', ' 100-continue', 'y 100-continue', '']) {
    const name = `Expect: ${expectation}`;
    yield [name, (n) => post(n, `Expect: ${expectation}\r\nContent-Length: ${inner(n).length}`) + inner(n)];
    yield [`GET, ${name}`, (n) => post(n, `Expect: ${expectation}\r\nContent-Length: 0`, 'GET') + inner(n)];
  }
}

export function* shapes(): Iterable<Shape> {
  let number = 0;
  for (const [name, write] of writers()) yield { name, text: write(number++) };
}

/** Fields that would end a line, frame a body or change a request line in HTTP/1.1 (RFC 9113, 8.2 and 8.3). */
export function* http2Shapes(first: number): Iterable<Http2Shape> {
  let number = first;
  const breaks = ['\r\n', '\n', '\r', '\0', '\r\n\r\n'];
  const pseudo = (method: string, path: string): (readonly [string, string])[] => [
    [':method', method],
    [':scheme', 'https'],
    [':authority', HOST],
    [':path', path],
  ];
  const make = (
    name: string,
    change: (n: number) => { method?: string; path?: string; fields?: (readonly [string, string])[]; body?: string },
  ): Http2Shape => {
    const n = number++;
    const { method = 'POST', path = carrier(n), fields = [], body = inner(n) } = change(n);
    return { name, fields: [...pseudo(method, path), ...fields], body };
  };
  for (const value of ['0', '1', '5', '99999', '+1', '0x5', '', ' 5', '5, 5', '-1', '18446744073709551616']) {
    yield make(`content-length ${value}`, () => ({ fields: [['content-length', value]] }));
    yield make(`GET, content-length ${value}`, () => ({ method: 'GET', fields: [['content-length', value]] }));
  }
  for (const [name, value] of [
    ['transfer-encoding', 'chunked'],
    ['Transfer-Encoding', 'chunked'],
    ['transfer-encoding ', 'chunked'],
    ['transfer_encoding', 'chunked'],
    ['te', 'chunked'],
    ['te', 'trailers, chunked'],
    ['connection', 'transfer-encoding'],
    ['connection', 'via'],
    ['keep-alive', 'timeout=5'],
    ['upgrade', 'h2c'],
    ['host', 'other.test'],
    ['expect', '100-continue'],
  ] as const) {
    yield make(`${name}: ${value}`, (n) => ({ fields: [[name, value]], body: CHUNKED[0]?.(inner(n)) ?? '' }));
  }
  for (const end of breaks) {
    const shown = JSON.stringify(end);
    const tail = (n: number): string => `${end}Transfer-Encoding: chunked${end}${end}0${end}${end}${inner(n)}`;
    yield make(`value with ${shown}`, (n) => ({ fields: [['x', `y${tail(n)}`]] }));
    yield make(`value that ends with ${shown}`, () => ({ fields: [['x', `y${end}`]] }));
    yield make(`value that begins with ${shown}`, () => ({ fields: [['x', `${end}y`]] }));
    yield make(`name with ${shown}`, (n) => ({ fields: [[`x: y${tail(n)}z`, '1']] }));
    yield make(`path with ${shown}`, (n) => ({
      path: `${carrier(n)} HTTP/1.1${end}Host: ${HOST}${end}${end}${inner(n)}`,
    }));
    yield make(`method with ${shown}`, (n) => ({ method: `GET ${hidden(n)} HTTP/1.1${end}X: y${end}${end}POST` }));
    yield make(`cookie with ${shown}`, (n) => ({ fields: [['cookie', `a=b${tail(n)}`]] }));
  }
  for (const method of ['GET /x HTTP/1.1', 'GET ', ' GET', 'G\tET', '', 'CONNECT']) {
    yield make(`method ${JSON.stringify(method)}`, () => ({ method }));
  }
  yield make('path with a space', (n) => ({ path: `${carrier(n)} HTTP/1.1` }));
  yield make('path without a slash', (n) => ({ path: hidden(n).slice(1) }));
  yield make('absolute path', (n) => ({ path: `http://other.test${carrier(n)}` }));
  yield make('empty path', () => ({ path: '' }));
  yield make('name with a colon', () => ({ fields: [['transfer-encoding:', 'chunked']] }));
  yield make('name with a space', () => ({ fields: [['x y', 'z']] }));
  yield make('second :path', (n) => ({ fields: [[':path', hidden(n)]] }));
  yield make('late :authority', () => ({
    fields: [
      ['x', 'y'],
      [':authority', 'other.test'],
    ],
  }));
  yield make('unknown pseudo field', () => ({ fields: [[':x', 'y']] }));
}
