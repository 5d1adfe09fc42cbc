/**
 * Responses as origins send them, and as none should.
 * @module
 */

const OK = 'HTTP/1.1 200 OK\r\n';
const ABC = 'Content-Length: 3\r\n\r\nabc';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

export interface Shape {
  readonly bytes: string;
  /** True if the other side closes afterwards; false by default. */
  readonly ends?: boolean;
  readonly isHead?: boolean;
}

/** Well-formed. */
export const SOUND: Readonly<Record<string, Shape>> = {
  'with a length': { bytes: `${OK}Date: now\r\n${ABC}` },
  'of nothing': { bytes: `${OK}Content-Length: 0\r\n\r\n` },
  'in chunks': { bytes: `${CHUNKED}3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n` },
  'in chunks with extensions': { bytes: `${CHUNKED}3;a=b\r\nabc\r\n0;c\r\n\r\n` },
  'in chunks with trailers': { bytes: `${CHUNKED}3\r\nabc\r\n0\r\nX-Sum: 6\r\nY: \r\n\r\n` },
  'in chunks with leading zeros': { bytes: `${CHUNKED}0003\r\nabc\r\n000\r\n\r\n` },
  'in chunks, in capitals': { bytes: `${OK}TRANSFER-ENCODING: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` },
  'until it closes': { bytes: `${OK}X: y\r\n\r\nabc`, ends: true },
  'until it closes, of nothing': { bytes: `${OK}\r\n`, ends: true },
  'of HTTP/1.0': { bytes: `HTTP/1.0 200 OK\r\n${ABC}`, ends: true },
  'of HTTP/1.0 until it closes': { bytes: 'HTTP/1.0 200 OK\r\n\r\nabc', ends: true },
  'without a reason': { bytes: `HTTP/1.1 200 \r\n${ABC}` },
  'without a reason and its space': { bytes: `HTTP/1.1 200\r\n${ABC}` },
  'with a reason of Latin letters': { bytes: `HTTP/1.1 200 gr\xfc\xdfe\r\n${ABC}` },
  'with empty values and whitespace': { bytes: `${OK}A:\r\nB: \t \r\nC:x\r\nD: \t x\ty  z \t\r\n${ABC}` },
  'with letters beyond ASCII': { bytes: `${OK}X: \xe4\xf6\xff\r\n${ABC}` },
  'with repeated fields': { bytes: `${OK}Set-Cookie: a\r\nset-cookie: b\r\n${ABC}` },
  'with odd names': { bytes: `${OK}!#$%&'*+.^_\`|~-09azAZ: x\r\n${ABC}` },
  'with Early Hints before': { bytes: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}${ABC}` },
  'with two of them': { bytes: `HTTP/1.1 103 E\r\n\r\nHTTP/1.1 102 P\r\n\r\n${OK}${ABC}` },
  'with more behind it': { bytes: `${OK}${ABC}def` },
  'with another behind it': { bytes: `${OK}${ABC}${OK}${ABC}` },
  'that closes': { bytes: `${OK}Connection: close\r\n${ABC}`, ends: true },
  'with Keep-Alive': { bytes: `${OK}Keep-Alive: timeout=5, max=100\r\n${ABC}` },
  'to HEAD': { bytes: `${OK}Content-Length: 300\r\n\r\n`, isHead: true },
  'to HEAD, in chunks': { bytes: CHUNKED, isHead: true },
  '204': { bytes: 'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n' },
  '304 with a length': { bytes: 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n' },
  'with whitespace before colons': { bytes: `${OK}X : a\r\nY\t :b\r\nContent-Length : 3\r\n\r\nabc` },
  'with whitespace behind chunk sizes': { bytes: `${CHUNKED}3 \r\nabc\r\nA\t \r\n0123456789\r\n0  \r\n\r\n` },
  'with whitespace before a chunk extension': { bytes: `${CHUNKED}3 ; a\r\nabc\r\n0\r\n\r\n` },
  'with one Content-Length twice': { bytes: `${OK}Content-Length: 3\r\nX: y\r\n${ABC}` },
  'with one Content-Length three times': { bytes: `${OK}content-length: 3\r\nContent-Length: 3\r\n${ABC}` },
  'with a list of one Content-Length': { bytes: `${OK}Content-Length: 3, 3 ,3\r\n\r\nabc` },
  'with 100 Continue before': { bytes: `HTTP/1.1 100 Continue\r\n\r\n${OK}${ABC}` },
  'with 100 Continue and Early Hints before': {
    bytes: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: </a>\r\n\r\n${OK}${ABC}`,
  },
  'with Alt-Svc': { bytes: `${OK}Alt-Svc: h3=":443"\r\n${ABC}` },
  'with a body that begins with LF': { bytes: `${OK}Content-Length: 3\r\n\r\n\nab` },
  'with a body that begins with LF, CRLF and LF': { bytes: `${OK}Content-Length: 5\r\n\r\n\n\r\n\na` },
  '599': { bytes: `HTTP/1.1 599 Mine\r\n${ABC}` },
};

/** Refused, wherever they go wrong. */
export const UNSOUND: Readonly<Record<string, Shape>> = {
  'no HTTP': { bytes: 'lorem ipsum\r\n\r\n' },
  'another protocol': { bytes: `ICY 200 OK\r\n${ABC}` },
  'HTTP/1.2': { bytes: `HTTP/1.2 200 OK\r\n${ABC}` },
  'a request': { bytes: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' },
  'an empty line first, then nothing': { bytes: '\r\n', ends: true },
  'a status of four digits': { bytes: `HTTP/1.1 2000 OK\r\n${ABC}` },
  'a status of two digits': { bytes: `HTTP/1.1 20 OK\r\n${ABC}` },
  'status 000': { bytes: `HTTP/1.1 000 OK\r\n${ABC}` },
  'two spaces before the status': { bytes: `HTTP/1.1  200 OK\r\n${ABC}` },
  'HTTP/2.0': { bytes: `HTTP/2.0 200 OK\r\n${ABC}` },
  'HTTP/2': { bytes: `HTTP/2 200 OK\r\n${ABC}` },
  'HTTP/0.9': { bytes: `HTTP/0.9 200 OK\r\n${ABC}` },
  'HTTP/1.10': { bytes: `HTTP/1.10 200 OK\r\n${ABC}` },
  'http in small letters': { bytes: `http/1.1 200 OK\r\n${ABC}` },
  'an empty line first': { bytes: `\r\n${OK}${ABC}` },
  'an empty line of LF first': { bytes: `\n${OK}${ABC}` },
  'a space first': { bytes: ` ${OK}${ABC}` },
  'three Content-Lengths, one of them another': {
    bytes: `${OK}Content-Length: 3\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
  },
  'a list of differing Content-Lengths': { bytes: `${OK}Content-Length: 3, 4\r\n\r\nabc` },
  'a list of Content-Lengths with an empty one': { bytes: `${OK}Content-Length: 3,\r\n\r\nabc` },
  'Content-Length and chunked with a space before the colon': {
    bytes: `${OK}Transfer-Encoding : chunked\r\n${ABC}`,
  },
  'a Content-Length and no number': { bytes: `${OK}Content-Length: 3\r\nContent-Length: x\r\n\r\nabc` },
  'two Content-Lengths': { bytes: `${OK}Content-Length: 4\r\n${ABC}` },
  'a negative Content-Length': { bytes: `${OK}Content-Length: -3\r\n\r\nabc` },
  'a Content-Length with a sign': { bytes: `${OK}Content-Length: +3\r\n\r\nabc` },
  'a Content-Length in hexadecimal': { bytes: `${OK}Content-Length: 0x3\r\n\r\nabc` },
  'an endless Content-Length': { bytes: `${OK}Content-Length: 99999999999999999999\r\n\r\nabc` },
  'Content-Length and chunked': { bytes: `${OK}Transfer-Encoding: chunked\r\n${ABC}` },
  'chunked and Content-Length': {
    bytes: `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  },
  'a folded field': { bytes: `${OK}X: a\r\n b\r\n${ABC}` },
  'a folded first line': { bytes: `${OK} X: a\r\n${ABC}` },
  'a field without a colon': { bytes: `${OK}nonsense\r\n${ABC}` },
  'a field without a name': { bytes: `${OK}: x\r\n${ABC}` },
  'a name with a space': { bytes: `${OK}X Y: a\r\n${ABC}` },
  'a name beyond ASCII': { bytes: `${OK}X\xe4: a\r\n${ABC}` },
  'bare CR in a field': { bytes: `${OK}X: a\rb\r\n${ABC}` },
  'NUL in a field': { bytes: `${OK}X: a\0b\r\n${ABC}` },
  'a control character in a field': { bytes: `${OK}X: a\x01b\r\n${ABC}` },
  'DEL in a field': { bytes: `${OK}X: a\x7fb\r\n${ABC}` },
  'half a head, and closes': { bytes: `${OK}Foo: b`, ends: true },
  'nothing, and closes': { bytes: '', ends: true },
  'less than it said, and closes': { bytes: `${OK}Content-Length: 10\r\n\r\nabc`, ends: true },
  'chunks without the last one': { bytes: `${CHUNKED}3\r\nabc\r\n`, ends: true },
  'half a chunk': { bytes: `${CHUNKED}9\r\nabc`, ends: true },
  'trailers without an end': { bytes: `${CHUNKED}3\r\nabc\r\n0\r\nX: y\r\n`, ends: true },
  'a chunk that is longer than it says': { bytes: `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n` },
  'a chunk size that is none': { bytes: `${CHUNKED}xyz\r\nabc\r\n0\r\n\r\n` },
  'an empty chunk size': { bytes: `${CHUNKED}\r\nabc\r\n0\r\n\r\n` },
  'a space before a chunk size': { bytes: `${CHUNKED} 3\r\nabc\r\n0\r\n\r\n` },
  'a space inside a chunk size': { bytes: `${CHUNKED}0 3\r\nabc\r\n0\r\n\r\n` },
  'bare LF behind the last chunk': { bytes: `${CHUNKED}3\r\nabc\r\n0\n\n` },
  'CR CR LF after a field': { bytes: `${OK}X: a\r\r\n${ABC}` },
  'a negative chunk size': { bytes: `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n` },
  'a chunk size with 0x': { bytes: `${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n` },
  'an endless chunk size': { bytes: `${CHUNKED}fffffffffffffffff\r\nabc\r\n0\r\n\r\n` },
  'bare LF after a chunk size': { bytes: `${CHUNKED}3\nabc\r\n0\r\n\r\n` },
  'bare LF after a chunk': { bytes: `${CHUNKED}3\r\nabc\n0\r\n\r\n` },
  'a trailer that is none': { bytes: `${CHUNKED}3\r\nabc\r\n0\r\nX y\r\n\r\n` },
  'a coding that nobody asked for': { bytes: `${OK}Transfer-Encoding: gzip\r\n\r\nabc`, ends: true },
  'gzip, chunked': { bytes: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` },
  'chunked twice': { bytes: `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` },
  'chunked in two fields': {
    bytes: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  },
  'a switch of protocols': { bytes: 'HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n' },
  'a head of 200 KB': { bytes: `${OK}${`X: ${'y'.repeat(1_000)}\r\n`.repeat(200)}${ABC}` },
  'a head of 200 KB without an end': { bytes: `${OK}X: ${'y'.repeat(200_000)}` },
  'hints without an end': { bytes: `HTTP/1.1 103 E\r\nX: ${'y'.repeat(1_000)}\r\n\r\n`.repeat(200) },
};

/** Header sections in which LF stands where CRLF belongs: taken where `bareLf` is set, and refused elsewhere. */
export const BARE_LF: Readonly<Record<string, Shape>> = {
  'bare LF': { bytes: `${OK}X: y\r\n${ABC}`.replaceAll('\r\n', '\n') },
  'bare LF after the status line': { bytes: `${OK.replace('\r\n', '\n')}${ABC}` },
  'bare LF after a field': { bytes: `${OK}X: a\n${ABC}` },
  'bare LF as the empty line': { bytes: `${OK}Content-Length: 3\r\n\nabc` },
  'bare LF before a CRLF as the empty line': { bytes: `${OK}Content-Length: 3\n\r\nabc` },
  'bare LF, and a body with empty lines': { bytes: `HTTP/1.1 200 OK\nContent-Length: 9\n\na\r\n\r\nb\n\nc` },
  'bare LF in a 1xx': { bytes: `HTTP/1.1 103 E\nLink: </a>\n\n${OK}${ABC}` },
  'bare LF, in chunks': { bytes: `HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n` },
};
