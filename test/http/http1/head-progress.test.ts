import fc from 'fast-check';
import { test } from 'tap';
import { isVisible, Recogniser } from '../../../http/http1/recogniser.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const recogniser = () => new Recogniser({ maxBytes: 2_000, maxLines: 20 });

/** Parts of heads, and of near misses. */
const part = fc.constantFrom(
  ...[
    'GET /',
    'HEAD /',
    'POST /',
    ' HTTP/1.1\r\n',
    ' HTTP/1.0\r\n',
    '\r\n',
    '\r',
    '\n',
    ':',
    ': ',
    ' ',
    '\t',
    'a',
    'Host: a\r\n',
  ],
  ...[
    'Connection: keep-alive\r\n',
    'Connection: close\r\n',
    'connection:Keep-Alive\r\n',
    'Content-Length: 1\r\n',
    '\0',
    '\xe4',
  ],
  ...['X: y\r\n', 'X:  y\r\n', 'X: y \r\n', 'X:\r\n', 'TE: trailers\r\n', `${'n'.repeat(40)}: ${'v'.repeat(40)}\r\n`],
);
const text = fc.oneof(
  fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
  fc.array(part, { maxLength: 8 }).map((parts) => `GET / HTTP/1.1\r\n${parts.join('')}\r\n`),
);

test('a head in pieces is recognised as it would be in one', async (t) => {
  fuzz(
    'a head in pieces is recognised as it would be in one',
    fc.property(text, fc.array(fc.nat(60), { maxLength: 10 }), (whole, cuts) => {
      const atOnce = recogniser().headInPieces().add(whole);
      const head = recogniser().headInPieces();
      // A beginning that is shorter is not a request that is waited for.
      const first = whole.slice(0, 6);
      let progress = head.add(first);
      let at = first.length;
      for (const cut of [...cuts, whole.length]) {
        if (progress !== 'more' || at >= whole.length) break;
        const piece = whole.slice(at, at + cut + 1);
        at += piece.length;
        progress = head.add(piece);
      }
      while (progress === 'more' && at < whole.length) progress = head.add(whole[at++] as string);
      if (progress !== atOnce) throw new Error(`${JSON.stringify(whole)}: ${progress} and ${atOnce}`);
    }),
    { numRuns: 3_000 },
  );
  t.pass();
});

function isTaken(whole: string): boolean {
  const taken = recogniser();
  return taken.recognise(whole, 0, undefined) && isVisible(taken.target);
}

test('a recognised head is complete, and a rejected one never becomes recognised', async (t) => {
  fuzz(
    'a recognised head is complete, and a rejected one never becomes recognised',
    fc.property(text, (whole) => {
      const progress = recogniser().headInPieces().add(whole);
      outcome(progress);
      const isRecognised = isTaken(whole);
      if (isRecognised !== (progress === 'whole')) throw new Error(`${JSON.stringify(whole)}: ${progress}`);
      if (progress !== 'other') return;
      for (const more of ['\r\n\r\n', 'a\r\n\r\n', ': a\r\n\r\n', '\n\r\n'])
        if (isTaken(whole + more)) throw new Error(JSON.stringify(whole + more));
    }),
    { numRuns: 3_000 },
  );
  t.pass();
});

test('a head of many pieces is held as one text, whatever their number', async (t) => {
  const head = recogniser().headInPieces();
  const whole = `GET /${'a'.repeat(900)} HTTP/1.1\r\nHost: a\r\n\r\n`;
  head.add(whole.slice(0, 6));
  for (const char of whole.slice(6)) head.add(char);
  t.equal(head.text, whole);
  t.ok(recogniser().recognise(head.text, 0, undefined));
});
