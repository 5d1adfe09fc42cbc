import { test } from 'tap';
import { RepeatedHead } from '../../../http/upstream/repeated-head.ts';

const HEAD = ['Date', 'Sat, 28 Nov 2026 10:00:00 GMT', 'ETag', '"a"', 'Content-Length', '3', 'Vary', 'Accept'];

/** Reads a head, behind two bytes of something else, against the one above. */
function read(text: string, repeated = known()): { readonly end: number; readonly headers: readonly string[] } {
  const bytes = Buffer.from(`XX${text}`, 'latin1');
  const end = repeated.read(bytes, 2, bytes.length);
  return { end: end < 0 ? end : end - 2, headers: repeated.headers };
}

function known(): RepeatedHead {
  const repeated = new RepeatedHead();
  repeated.remember({ status: 200, statusText: 'OK', headers: HEAD });
  return repeated;
}

function textOf(headers: readonly string[], statusLine = 'HTTP/1.1 200 OK'): string {
  let text = `${statusLine}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

const SAME = textOf(HEAD);

test('a head that repeats the last one is read, whichever of its values differ', async (t) => {
  const repeated = known();
  const values = ['"b"', '"b"', `"${'c'.repeat(200)}"`, `"${'c'.repeat(200)}"`, '"\xe4 d"', '"a"'];
  for (const [i, value] of values.entries()) {
    const headers = HEAD.with(3, value).with(5, String(i));
    const text = textOf(headers);
    t.strictSame(read(text, repeated), { end: text.length, headers });
    t.strictSame(read(`${text}body`, repeated), { end: text.length, headers }, 'with its body');
  }
});

test('what was read before is not changed by the next head', async (t) => {
  const repeated = known();
  const { headers } = read(textOf(HEAD.with(3, '"b"')), repeated);
  read(textOf(HEAD.with(3, '"c"')), repeated);
  t.equal(headers[3], '"b"');
});

for (const [difference, text] of Object.entries({
  'another status': textOf(HEAD, 'HTTP/1.1 404 OK'),
  'another reason': textOf(HEAD, 'HTTP/1.1 200 Fine'),
  'another version': textOf(HEAD, 'HTTP/1.0 200 OK'),
  'a field less': textOf(HEAD.slice(0, 6)),
  'a field more': textOf([...HEAD, 'X', 'y']),
  'a field twice': textOf([...HEAD.slice(0, 6), ...HEAD.slice(4)]),
  'another order': textOf([...HEAD.slice(2), ...HEAD.slice(0, 2)]),
  'another name': textOf(HEAD.with(2, 'Etag')),
  'no value': textOf(HEAD.with(3, '')),
  'a space before a value': textOf(HEAD.with(3, ' "a"')),
  'a space behind a value': textOf(HEAD.with(3, '"a" ')),
  'a tab in a value': textOf(HEAD.with(3, '"\t"')),
  'NUL in a value': textOf(HEAD.with(3, '"\0"')),
  'DEL in a value': textOf(HEAD.with(3, '"\x7f"')),
  'CR in a value': textOf(HEAD.with(3, '"\ra"')),
  'LF in a value': textOf(HEAD.with(3, '"\na"')),
  'LF at the end of a line': SAME.replace('"a"\r\n', '"a"\n'),
  'a space before a colon': SAME.replace('ETag:', 'ETag :'),
  'no space behind a colon': SAME.replace('ETag: ', 'ETag:'),
  'another ending': `${SAME.slice(0, -2)}\n`,
})) {
  test(`a head with ${difference} is left to the parser`, async (t) => {
    t.equal(read(text).end, -1);
  });
}

test('a head that has not come as a whole is left to the parser', async (t) => {
  for (let length = 0; length < SAME.length; length++) {
    t.equal(read(SAME.slice(0, length)).end, -1, `${length} bytes`);
  }
});

test('of heads that are not repeated, one in eight is remembered', async (t) => {
  const repeated = known();
  const headers = ['X', 'y'];
  for (let i = 1; i < 8; i++) repeated.remember({ status: 200, statusText: 'OK', headers });
  t.equal(read(SAME, repeated).end, SAME.length);
  repeated.remember({ status: 200, statusText: 'OK', headers });
  t.equal(read(SAME, repeated).end, -1);
  t.strictSame(read(textOf(headers), repeated).headers, headers);
});

test('a head of more than 64 fields is not remembered', async (t) => {
  const repeated = new RepeatedHead();
  const headers = Array.from({ length: 130 }, () => 'x');
  repeated.remember({ status: 200, statusText: 'OK', headers });
  t.equal(read(textOf(headers), repeated).end, -1);
});
