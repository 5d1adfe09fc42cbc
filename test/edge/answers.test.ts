/** The comparison of two conversations, by which the equivalence test judges. */
import { test } from 'tap';
import { difference } from './answers.ts';

const KEPT = 'Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n';
const CLOSED = 'Connection: close\r\n';

/** Returns an answer. */
function answer(status: string, connection: string, body = 'ok'): string {
  return `HTTP/1.1 ${status}\r\n${connection}Content-Length: ${body.length}\r\n\r\n${body}`;
}

for (const { refusal, isAlike } of [
  { refusal: '400 Bad Request', isAlike: true },
  { refusal: '431 Request Header Fields Too Large', isAlike: true },
  { refusal: '501 Not Implemented', isAlike: true },
  { refusal: '505 HTTP Version Not Supported', isAlike: true },
  { refusal: '500 Internal Server Error', isAlike: false },
  { refusal: '502 Bad Gateway', isAlike: false },
  { refusal: '503 Service Unavailable', isAlike: false },
  { refusal: '504 Gateway Timeout', isAlike: false },
]) {
  test(`a ${refusal} that only one of two ends with ${isAlike ? 'is a matter of time' : 'is a difference'}`, async (t) => {
    const refused = answer('200 OK', KEPT) + answer(refusal, CLOSED, 'no');
    const closed = answer('200 OK', CLOSED);
    for (const pair of [
      [refused, closed],
      [closed, refused],
    ] as const) {
      t.equal(difference(...pair) === undefined, isAlike);
    }
    t.equal(difference(refused, refused), undefined);
  });
}

test('a refusal counts where the answer before it says that the connection stays open', async (t) => {
  const open = answer('200 OK', KEPT);
  t.match(difference(open + answer('400 Bad Request', CLOSED), open), /400/);
  t.match(difference(answer('400 Bad Request', CLOSED), answer('404 Not Found', CLOSED)), /400/);
});

test('dates and ids make no difference, everything else does', async (t) => {
  const id = (text: string) => answer('200 OK', `X-Id: ${text}\r\nDate: ${text}\r\n`);
  t.equal(
    difference(id('c0a80001-0000-4000-8000-000000000001'), id('c0a80001-0000-4000-8000-000000000002')),
    undefined,
  );
  t.match(difference(answer('200 OK', ''), answer('200 OK', '', 'no')), /ok/);
});
