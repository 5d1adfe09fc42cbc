import fc from 'fast-check';
import { test } from 'tap';
import { visible } from '../../config/visible.ts';

for (const { what, text, shown } of [
  { what: 'plain text', text: 'a /b?c=d ä 漢 😀\tx\n', shown: 'a /b?c=d ä 漢 😀\tx\n' },
  { what: 'an escape sequence', text: '\x1b[2J', shown: '\\u001b[2J' },
  { what: 'a one-byte CSI', text: '\x9b2J', shown: '\\u009b2J' },
  { what: 'a one-byte OSC and its end', text: '\x9d0;title\x9c', shown: '\\u009d0;title\\u009c' },
  { what: 'DEL and NUL', text: '\x7f\0', shown: '\\u007f\\u0000' },
  { what: 'a carriage return', text: 'a\rb', shown: 'a\\u000db' },
  { what: 'right to left', text: 'a\u202egpj.exe', shown: 'a\\u202egpj.exe' },
  { what: 'isolates and marks', text: '\u2066\u2069\u200f\u061c', shown: '\\u2066\\u2069\\u200f\\u061c' },
  { what: 'line separators', text: '\u2028\u2029', shown: '\\u2028\\u2029' },
]) {
  test(`${what} is shown`, async (t) => t.equal(visible(text), shown));
}

test('in JSON it is the same value, without control characters of terminals', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = visible(JSON.stringify({ text }));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      return JSON.parse(line).text === text && !/[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(line);
    }),
  );
  t.pass();
});
