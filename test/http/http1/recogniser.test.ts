import fc from 'fast-check';
import { test } from 'tap';
import { beginsWithSoundHead, isVisible, parseSection, Recogniser } from '../../../http/http1/recogniser.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const HOST = 'Host: a.test\r\n';
const make = () => new Recogniser({ maxBytes: 1_000, maxLines: 5 });

test('requests are read one after the other, each to its end', async (t) => {
  const recogniser = make();
  const text = `GET /a?b HTTP/1.1\r\n${HOST}\r\nHEAD / HTTP/1.1\r\n${HOST}Accept: */*\r\n\r\n`;
  t.ok(recogniser.recognise(text, 0, undefined));
  t.match(recogniser, { target: '/a?b', isHead: false });
  t.strictSame(recogniser.section?.headers, ['Host', 'a.test']);
  const first = recogniser.section;
  t.ok(recogniser.recognise(text, recogniser.end, first));
  t.match(recogniser, { target: '/', isHead: true, end: text.length });
  t.strictSame(recogniser.section?.headers, ['Host', 'a.test', 'Accept', '*/*']);
});

test('a repeated header section is interpreted once', async (t) => {
  const recogniser = make();
  const sections = new Set(
    ['/1', '/2', '/3'].map((path) => {
      t.ok(recogniser.recognise(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`, 0, undefined));
      return recogniser.section;
    }),
  );
  t.equal(sections.size, 1);
});

test('the memory of header sections is bounded', async (t) => {
  const recogniser = new Recogniser({ maxBytes: 9_000, maxLines: 5 });
  const ask = (id: number) => {
    const lines = `${HOST}X: ${String(id).padStart(4_000, '0')}\r\n`;
    return recogniser.recognise(`GET / HTTP/1.1\r\n${lines}\r\n`, 0, undefined) ? recogniser.section : undefined;
  };
  const first = ask(0);
  for (let id = 1; id < 999; id++) t.ok(ask(id));
  const last = ask(999);
  t.not(ask(0), first, 'the first is forgotten');
  t.equal(ask(999), last, 'the last is not');
});

for (const [what, text] of [
  ['another method', `POST / HTTP/1.1\r\n${HOST}\r\n`],
  ['a method in lower case', `get / HTTP/1.1\r\n${HOST}\r\n`],
  ['another version', `GET / HTTP/1.0\r\n${HOST}\r\n`],
  ['an absolute target', `GET http://a.test/ HTTP/1.1\r\n${HOST}\r\n`],
  ['bare LF', 'GET / HTTP/1.1\nHost: a.test\n\n'],
  ['bare LF after a field', `GET / HTTP/1.1\r\nX: y\n${HOST}\r\n`],
  ['a folded line', `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`],
  ['a space before the colon', `GET / HTTP/1.1\r\nHost : a.test\r\n\r\n`],
  ['NUL', `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`],
  ['bytes above ASCII', `GET / HTTP/1.1\r\n${HOST}X: \xe4\r\n\r\n`],
  ['CR in a value', `GET / HTTP/1.1\r\n${HOST}X: y\rz\r\n\r\n`],
  ['CR at the end of a value', `GET / HTTP/1.1\r\n${HOST}X: y\r\r\n\r\n`],
  ['CR and white space', `GET / HTTP/1.1\r\n${HOST}X: \r \r\n\r\n`],
  ['DEL', `GET / HTTP/1.1\r\n${HOST}X: a\x7fb\r\n\r\n`],
  ['an empty Connection', `GET / HTTP/1.1\r\n${HOST}Connection:\r\n\r\n`],
  ['a body', `GET / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`],
  ['chunks', `GET / HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n`],
  ['an upgrade', `GET / HTTP/1.1\r\n${HOST}Upgrade: h2c\r\n\r\n`],
  ['two connection options', `GET / HTTP/1.1\r\n${HOST}Connection: close, x\r\n\r\n`],
  ['more lines than allowed', `GET / HTTP/1.1\r\n${HOST}${'X: y\r\n'.repeat(5)}\r\n`],
  ['more bytes than allowed', `GET / HTTP/1.1\r\n${HOST}X: ${'y'.repeat(1_000)}\r\n\r\n`],
  ['half a head', `GET / HTTP/1.1\r\n${HOST}`],
] as const) {
  test(`not recognised: ${what}`, async (t) => {
    t.notOk(make().recognise(text, 0, undefined));
  });
}

test('white space around a value is no part of it, wherever the head was cut (RFC 9112, section 5.1)', async (t) => {
  for (const before of ['', ' ', '\t', ' \t ', '    ']) {
    for (const after of ['', ' ', '\t', ' \t ', '    ']) {
      for (const [name, value] of [
        ['X', 'y'],
        ['X', 'a \tb'],
        ['X', ''],
        ['Cookie', 'a=b; c=d;'],
        ['Connection', 'close'],
        ['Connection', 'keep-alive'],
      ] as const) {
        const text = `GET / HTTP/1.1\r\n${HOST}${name}:${before}${value}${after}\r\n\r\n`;
        const recogniser = make();
        t.ok(recogniser.recognise(text, 0, undefined), JSON.stringify(text));
        t.strictSame(recogniser.section?.headers, ['Host', 'a.test', name, value]);
        t.equal(recogniser.section?.isLast, value === 'close');
        for (let cut = 5; cut < text.length; cut++) {
          const head = recogniser.headInPieces();
          head.add(text.slice(0, cut));
          t.equal(head.add(text.slice(cut)), 'whole', JSON.stringify(text.slice(0, cut)));
        }
      }
    }
  }
});

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);

test('a recognised head could have been told from its beginning, wherever it was cut', async (t) => {
  const head = fc.tuple(fc.stringMatching(/^[!-~]{0,20}$/), fc.array(fc.tuple(name, value), { maxLength: 4 }));
  fuzz(
    'a recognised head could have been told from its beginning, wherever it was cut',
    fc.property(head, ([path, fields]) => {
      const lines = fields.map((field) => `${field[0]}: ${field[1]}\r\n`).join('');
      const text = `GET /${path} HTTP/1.1\r\n${lines}\r\n`;
      const isRecognised = make().recognise(text, 0, undefined);
      outcome(isRecognised ? 'recognised' : 'handed off');
      if (!isRecognised) return;
      for (let cut = 5; cut < text.length; cut++) {
        if (make().headInPieces().add(text.slice(0, cut)) !== 'more')
          throw new Error(JSON.stringify(text.slice(0, cut)));
      }
      if (!beginsWithSoundHead(text, 5)) throw new Error('not sound');
    }),
    { numRuns: 500 },
  );
  t.pass();
});

/** White space around values, together with the colon or the end of the line. */
const OWS = /[\t ]*(\r\n)|(?<=^[^:\r\n]*)(?:(:)[\t ]*)/gm;

test('no bytes make it throw, and an accepted request can be handed off', async (t) => {
  fuzz(
    'no bytes make it throw, and an accepted request can be handed off',
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 200 }), (lines) => {
      const headers = parseSection(lines, 50);
      outcome(headers === undefined ? 'refused' : `${Math.min(headers.length / 2, 3)} fields`);
      if (headers === undefined) return;
      let text = '';
      for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
      if (text.replaceAll(OWS, '$1') !== lines.replaceAll(OWS, '$1')) throw new Error(JSON.stringify(lines));
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

test('a repeated section is found in bytes as in text, and no other is', async (t) => {
  const section = `${HOST}Accept: */*\r\n`;
  const visible = fc.stringMatching(/^[!-~]{0,20}$/);
  const target = fc.oneof({ weight: 4, arbitrary: visible }, fc.string({ unit: 'binary-ascii', maxLength: 8 }));
  const sections = fc.constantFrom(
    section,
    section.toLowerCase(),
    HOST,
    `${section}X: y\r\n`,
    `X: y\r\n${section}`,
    '',
  );
  const request = fc
    .tuple(fc.constantFrom('GET', 'HEAD', 'POST', 'get', ''), target, fc.constantFrom('1.1', '1.0', '1.1 '), sections)
    .map(([method, path, version, lines]) => `${method} /${path} HTTP/${version}\r\n${lines}\r\n`);
  const odd = fc.constantFrom(
    `GET / HTTP/1.1\n${section}\r\n`,
    `GET / HTTP/1.1\r\n\r\n${section}\r\n`,
    `GET /\n HTTP/1.1\r\n${section}\r\n`,
    `GET / HTTP/1.1\r\n${HOST}\r\nGET / HTTP/1.1\r\n${section}\r\n`,
    `GET /${'x'.repeat(1_000)} HTTP/1.1\r\n${section}\r\n`,
    `GET / HTTP/1.1\r\n${section}`,
    `\r\nGET / HTTP/1.1\r\n${section}\r\n`,
    `${section}\r\n`,
    `GET /\x80 HTTP/1.1\r\n${section}\r\n`,
  );
  let found = 0;
  fuzz(
    'a repeated section is found in bytes as in text, and no other is',
    fc.property(fc.oneof({ weight: 5, arbitrary: request }, odd), fc.nat(40), (text, garbage) => {
      const recogniser = make();
      recogniser.recognise(`GET / HTTP/1.1\r\n${section}\r\n`, 0, undefined);
      const last = recogniser.section;
      if (last === undefined) throw new Error('no section');
      // What lies behind the bytes that came is of other connections.
      const bytes = Buffer.from(text + section.slice(0, garbage), 'latin1');
      const isRepeat = recogniser.recogniseRepeat(bytes, text.length, last);
      const { isHead, target, section: seen, end } = recogniser;
      const isWhole =
        recogniser.recognise(text, 0, last) && recogniser.end === text.length && isVisible(recogniser.target);
      if (isRepeat !== (isWhole && recogniser.section === last)) throw new Error(JSON.stringify(text));
      if (!isRepeat) return;
      found++;
      const same = { isHead: recogniser.isHead, target: recogniser.target, section: recogniser.section };
      if (isHead !== same.isHead || target !== same.target || seen !== same.section || end !== text.length)
        throw new Error(`${JSON.stringify(text)}: ${JSON.stringify({ isHead, target, end })}`);
    }),
    { numRuns: 20_000 },
  );
  t.ok(found > 250, `${found} were found`);
});

test('a section that differs in one byte is not a repeat', async (t) => {
  for (const extra of ['', 'A:', 'A: 1', 'A: 12', 'A: 123', 'A: 1234', 'A: 12345', 'A: 123456', 'A: 1234567']) {
    const recogniser = make();
    const head = `GET /a HTTP/1.1\r\n${HOST}${extra === '' ? '' : `${extra}\r\n`}\r\n`;
    t.ok(recogniser.recognise(head, 0, undefined));
    const { section } = recogniser;
    if (section === undefined) throw new Error('no section');
    const bytes = Buffer.from(`${head}what another connection has sent`, 'latin1');
    t.ok(recogniser.recogniseRepeat(bytes, head.length, section), `${section.text.length} bytes`);
    for (let at = head.length - section.text.length - 2; at < head.length; at++) {
      for (const bit of [0x01, 0x20, 0x80]) {
        const other = Buffer.from(bytes);
        other[at] = (other[at] as number) ^ bit;
        if (recogniser.recogniseRepeat(other, head.length, section)) t.fail(`byte ${at} of ${JSON.stringify(head)}`);
      }
    }
  }
});

test('short header sections are not remembered without a bound', async (t) => {
  const recogniser = new Recogniser({ maxBytes: 1_000, maxLines: 10 });
  const met = new Set<unknown>();
  const count = 20_000;
  const recognise = (i: number): void => {
    recogniser.recognise(`GET / HTTP/1.1\r\nA: ${i}\r\n\r\n`, 0, undefined);
    met.add(recogniser.section);
  };
  for (let i = 0; i < count; i++) recognise(i);
  t.equal(met.size, count);
  recognise(count - 1);
  t.equal(met.size, count, 'the last one is');
  for (let i = 0; i < count - 4_096; i++) recognise(i);
  t.equal(met.size, 2 * count - 4_096);
});
