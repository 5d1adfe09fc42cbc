import { test } from 'tap';
import { fieldName, isFieldFraming, isFieldRecognised, line, readLine } from '../../../http/http1/field-line.ts';

for (const { text, value } of [
  { text: 'Host: a.test\r\n', value: 'a.test' },
  { text: 'Host:a.test\r\n', value: 'a.test' },
  { text: 'Host: \r\n', value: '' },
  { text: 'Host:\r\n', value: '' },
  { text: 'Host: a b\r\n', value: 'a b' },
  { text: 'Host:  a\r\n', value: 'a' },
  { text: 'Host: a \r\n', value: 'a' },
  { text: 'Host:\t a b \t\r\n', value: 'a b' },
  { text: 'Host: \t \r\n', value: '' },
  { text: 'Host : a\r\n', value: undefined },
  { text: ': a\r\n', value: undefined },
  { text: 'Host: a\n', value: undefined },
  { text: 'Host: a\rb\r\n', value: undefined },
  { text: 'Host: a', value: undefined },
  { text: '', value: undefined },
]) {
  test(`${JSON.stringify(text)} is ${value === undefined ? 'for another reader' : 'a line'}`, async (t) => {
    t.equal(readLine(`before\r\n${text}`, 8), value !== undefined);
    if (value === undefined) return;
    t.equal(line.name.text, 'Host');
    t.equal(`before\r\n${text}`.slice(line.from, line.to), value);
    t.equal(line.next, 8 + text.length);
  });
}

test('names that are equal are one text', async (t) => {
  t.ok(readLine('X-Once: a\r\n', 0));
  const { text } = line.name;
  t.ok(readLine('x-other: a\r\nX-Once: b\r\n', 12));
  t.equal(line.name.text, text);
});

for (const { name, value, isRecognised, isFraming } of [
  { name: 'Accept', value: 'x', isRecognised: true, isFraming: true },
  { name: 'Connection', value: 'Keep-Alive', isRecognised: true, isFraming: true },
  { name: 'Connection', value: 'close', isRecognised: true, isFraming: true },
  { name: 'Connection', value: 'close, X-A', isRecognised: false, isFraming: false },
  { name: 'Content-Length', value: '1', isRecognised: false, isFraming: true },
  { name: 'Transfer-Encoding', value: 'chunked', isRecognised: false, isFraming: true },
  { name: 'Expect', value: '100-continue', isRecognised: false, isFraming: false },
  { name: 'Upgrade', value: 'websocket', isRecognised: false, isFraming: false },
]) {
  test(`${name}: ${value} is ${isRecognised ? 'recognised' : isFraming ? 'recognised with a body' : 'for another reader'}`, async (t) => {
    t.equal(isFieldRecognised(fieldName(name), value), isRecognised);
    t.equal(isFieldFraming(fieldName(name), value), isFraming);
  });
}
