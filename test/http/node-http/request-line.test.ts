/** Request lines that are written anew for the parser of node:http, and those that it reads as they are. */
import { METHODS } from 'node:http';
import fc from 'fast-check';
import { test } from 'tap';
import { isMethodUnknown, LineProgress, writtenAnew } from '../../../http/node-http/request-line.ts';

for (const { line, written, method } of [
  { line: 'GET / HTTP/1.1', written: undefined },
  { line: 'GET /%C3%A4 HTTP/1.1', written: undefined },
  { line: 'GET /ä HTTP/1.1', written: 'GET /%C3%A4 HTTP/1.1' },
  { line: 'BREW / HTTP/1.1', written: 'POST / HTTP/1.1', method: 'BREW' },
  { line: 'get / HTTP/1.0', written: 'POST / HTTP/1.0', method: 'get' },
  { line: 'BREW /ä?ö HTTP/1.1', written: 'POST /%C3%A4?%C3%B6 HTTP/1.1', method: 'BREW' },
  { line: 'BREW / HTTP/2.0', written: undefined },
  { line: 'BREW / HTTP/1.10', written: undefined },
  { line: 'BREW  / HTTP/1.1', written: undefined },
  { line: 'BREW /a b HTTP/1.1', written: undefined },
  { line: 'BR{W / HTTP/1.1', written: undefined },
  { line: ' BREW / HTTP/1.1', written: undefined },
  { line: 'BREW /', written: undefined },
]) {
  test(`${line} is ${written === undefined ? 'read as it is' : `written ${written}`}`, async (t) => {
    const rest = '\r\nHost: a\r\n\r\nbödy\r\n';
    const found = writtenAnew(Buffer.from(line + rest));
    t.equal(found?.bytes.toString(), written && written + rest);
    t.equal(found?.method, method);
  });
}

test('empty lines in front are left out with a line that is written anew, and half a line is not written', async (t) => {
  t.equal(writtenAnew(Buffer.from('\r\n\r\nBREW / HTTP/1.1\r\n\r\n'))?.bytes.toString(), 'POST / HTTP/1.1\r\n\r\n');
  t.equal(writtenAnew(Buffer.from('BREW / HTTP/1.1\r')), undefined);
  t.equal(writtenAnew(Buffer.from('')), undefined);
  t.equal(writtenAnew(Buffer.from('\r\n\r\n')), undefined);
});

test('whatever is written anew is ASCII that needs nothing more', async (t) => {
  const token = fc.string({ unit: fc.constantFrom(...'ABCabc019!#$%&*+-.^_`|~'), minLength: 1, maxLength: 8 });
  const target = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 12 })
    .map((text) => `/${text.replace(/[\0-\x20\x7f]/g, '')}`);
  fc.assert(
    fc.property(fc.oneof(token, fc.constantFrom(...METHODS)), target, (method, path) => {
      const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\n\r\n`, 'utf8');
      const found = writtenAnew(bytes);
      const line = (found?.bytes ?? bytes).toString('latin1');
      t.match(line, /^[A-Z-]+ [\x21-\x7e]+ HTTP\/1\.1\r\n\r\n$/);
      t.ok(METHODS.includes(line.split(' ', 1)[0] ?? ''));
      t.equal(found === undefined ? method : (found.method ?? method), method);
      t.equal(writtenAnew(Buffer.from(line, 'latin1')), undefined);
    }),
    { numRuns: 1_000 },
  );
});

for (const { text, progress } of [
  { text: 'BREW / HTTP/1.1\r\n', progress: 'whole' },
  { text: 'BREW / HTTP/1.1\r', progress: 'more' },
  { text: 'BREW', progress: 'more' },
  { text: '', progress: 'more' },
  { text: ' ', progress: 'other' },
  { text: 'BR{', progress: 'other' },
  { text: 'BREW / HTTP/1.1\n', progress: 'other' },
  { text: 'BREW / HTTP/1.1\rx', progress: 'other' },
  { text: '\n', progress: 'other' },
  { text: `BREW /${'x'.repeat(100)}`, progress: 'other' },
]) {
  test(`${JSON.stringify(text.slice(0, 30))} of ${text.length} bytes is ${progress}, however it is split`, async (t) => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (sizes) => {
        const line = new LineProgress(100);
        let last = 'more';
        for (let at = 0, i = 0; at < text.length && last === 'more'; i += 1) {
          const size = sizes[i % sizes.length] as number;
          last = line.add(text.slice(at, at + size));
          at += size;
        }
        t.equal(last, progress);
      }),
      { numRuns: 50 },
    );
  });
}

test('pieces beyond a number are one string, and the line is the same', async (t) => {
  const text = `BREW /${'x'.repeat(5_000)} HTTP/1.1\r\n`;
  const line = new LineProgress(10_000);
  const seen = [...text].map((char) => line.add(char));
  t.equal(seen.at(-1), 'whole');
  t.equal(line.text, text);
});

for (const { text, isUnknown } of [
  { text: 'BREW', isUnknown: true },
  { text: 'BREW ', isUnknown: true },
  { text: 'BREW / HTTP/1.1\r\n', isUnknown: true },
  { text: 'BREW / HTTP/1.2\r\n', isUnknown: false },
  { text: '/ HTTP/1.1', isUnknown: false },
  { text: '', isUnknown: false },
  { text: '{', isUnknown: false },
]) {
  test(`a parser that stops at ${JSON.stringify(text)} ${isUnknown ? 'may not know' : 'does know'} the method`, async (t) => {
    t.equal(isMethodUnknown(text), isUnknown);
  });
}
