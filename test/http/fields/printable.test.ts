import fc from 'fast-check';
import { test } from 'tap';
import { isPrintable, printableCopy } from '../../../http/fields/printable.ts';

const OTHER = /[^\t\r\n\x20-\x7e]/;

test('a forbidden byte is found anywhere in a text', async (t) => {
  for (let byte = 0; byte < 256; byte++) {
    const char = String.fromCharCode(byte);
    for (const length of [65, 66, 67, 68, 69, 70, 71, 72]) {
      for (const at of [0, 1, 2, 3, 30, length - 4, length - 3, length - 2, length - 1]) {
        const text = 'a'.repeat(at) + char + '~'.repeat(length - at - 1);
        if (isPrintable(text) !== !OTHER.test(text)) throw new Error(`${byte} at ${at} of ${length}`);
      }
    }
  }
  t.pass();
});

test('the check agrees with a regular expression and copies what it accepts', async (t) => {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.stringMatching(/^[\t -~]{0,90}$/) },
    { weight: 3, arbitrary: fc.constantFrom('\r\n', '\t', '\n', '\r', '~', ' ') },
    { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 2 }) },
    { weight: 1, arbitrary: fc.constantFrom('\x7f', '\x80', '\xff', '\x1f', '\0') },
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, fc.constantFrom(1, 1, 100, 1_000), (once, times) => {
      const whole = once.repeat(times);
      const isTaken = !OTHER.test(whole);
      if (isPrintable(whole) !== isTaken) throw new Error(JSON.stringify(once));
      if (printableCopy(whole) !== (isTaken ? whole : undefined)) throw new Error(JSON.stringify(once));
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('bytes of a longer text do not affect a shorter one', async (t) => {
  isPrintable('\0'.repeat(200));
  for (let length = 65; length < 80; length++) t.ok(isPrintable('a'.repeat(length)));
});
