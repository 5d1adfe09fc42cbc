/** Grammar of a response's head: the end of a section, field lines, and what they say of the framing. */
import fc from 'fast-check';
import { test } from 'tap';
import { Framing, type Grammar, LENIENT, readFields, STRICT } from '../../../http/upstream/response-fields.ts';

const grammars: Readonly<Record<string, Grammar>> = { strict: STRICT, lenient: LENIENT };

/** Returns the end of the head that a reader finds in pieces, as it does in the whole. */
function endOf(grammar: Grammar, text: string, sizes: readonly number[]): number {
  let seen = 0;
  for (let i = 0; seen < text.length; i += 1) {
    const upTo = Math.min(text.length, seen + (sizes[i % sizes.length] as number));
    const end = grammar.headEnd(text.slice(0, upTo), seen);
    if (end >= 0) return end;
    seen = upTo;
  }
  return -1;
}

for (const [name, grammar] of Object.entries(grammars)) {
  test(`the end of a ${name} head is the first one, however the text is cut`, async (t) => {
    const text = fc.string({ unit: fc.constantFrom('\r', '\n', 'a', ':'), maxLength: 14 });
    fc.assert(
      fc.property(text, fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1 }), (head, sizes) => {
        const ends = name === 'strict' ? /\r\n\r\n/ : /\n\r?\n/;
        const match = ends.exec(head);
        t.equal(endOf(grammar, head, sizes), match === null ? -1 : match.index + match[0].length, JSON.stringify(head));
      }),
      { numRuns: 3_000 },
    );
  });
}

for (const { text, lenient } of [
  { text: 'HTTP/1.1 200 OK\nA: b\r\n\r\n', lenient: true },
  { text: 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n', lenient: false },
  { text: '\n', lenient: true },
  { text: '\r\n', lenient: false },
]) {
  test(`${JSON.stringify(text)} ${lenient ? 'can only be read leniently' : 'may become a head'}`, async (t) => {
    t.equal(STRICT.isBroken(text), lenient);
    t.notOk(LENIENT.isBroken(text));
  });
}

for (const { line, strict, lenient = strict } of [
  { line: 'HTTP/1.1 200 OK\r\n', strict: ['1', '200', 'OK'] },
  { line: 'HTTP/1.0 404\r\n', strict: ['0', '404', undefined] },
  { line: 'HTTP/1.1 200 \r\n', strict: ['1', '200', ''] },
  { line: 'HTTP/1.1 200 \xe4\t!\r\n', strict: ['1', '200', '\xe4\t!'] },
  { line: 'HTTP/1.1 200 OK\n', strict: undefined, lenient: ['1', '200', 'OK'] },
  { line: 'HTTP/1.1 099 OK\r\n', strict: undefined },
  { line: 'HTTP/1.1 20 OK\r\n', strict: undefined },
  { line: 'HTTP/1.1 2000 OK\r\n', strict: undefined },
  { line: 'HTTP/1.2 200 OK\r\n', strict: undefined },
  { line: 'HTTP/2 200 OK\r\n', strict: undefined },
  { line: 'http/1.1 200 OK\r\n', strict: undefined },
  { line: ' HTTP/1.1 200 OK\r\n', strict: undefined },
  { line: 'HTTP/1.1  200 OK\r\n', strict: undefined },
  { line: 'HTTP/1.1 200 O\0K\r\n', strict: undefined },
] as { line: string; strict: (string | undefined)[] | undefined; lenient?: (string | undefined)[] }[]) {
  test(`the line ${JSON.stringify(line)} ${lenient === undefined ? 'is no status line' : strict === undefined ? 'is a status line leniently read' : 'is a status line'}`, async (t) => {
    for (const [name, expected] of [
      ['strict', strict],
      ['lenient', lenient],
    ] as const) {
      const { statusLine } = grammars[name] as Grammar;
      statusLine.lastIndex = 0;
      const match = statusLine.exec(line);
      t.same(match && [...match].slice(1), expected ?? null, name);
    }
  });
}

test('every beginning of a status line may become one, and nothing else may', async (t) => {
  const line = 'HTTP/1.1 200 All right\r\nA: b';
  for (let length = 1; length <= line.length; length += 1)
    t.ok(STRICT.statusLineSoFar.test(line.slice(0, length)), line.slice(0, length));
  for (const text of ['h', 'HTTP/2', 'HTTP/1.1 0', 'HTTP/1.1 20x', 'HTTP/1.1 200x', '<html>', 'HTTP/1.1 200\rx']) {
    t.notOk(STRICT.statusLineSoFar.test(text), text);
  }
});

function read(section: string, grammar = STRICT): string[] {
  const headers: string[] = [];
  readFields(grammar.fieldLine, section, 0, section.length, headers, undefined);
  return headers;
}

for (const { section, fields } of [
  { section: 'A: b\r\n', fields: ['A', 'b'] },
  { section: 'A:b\r\n', fields: ['A', 'b'] },
  { section: 'A: \t b \t\r\n', fields: ['A', 'b'] },
  { section: 'A:\r\n', fields: ['A', ''] },
  { section: 'A: \r\n', fields: ['A', ''] },
  { section: 'A : b\r\n', fields: ['A', 'b'] },
  { section: 'A: b:c: d\r\n', fields: ['A', 'b:c: d'] },
  { section: 'A: b\r\nC: d\r\nA: e\r\n', fields: ['A', 'b', 'C', 'd', 'A', 'e'] },
  { section: 'A: \xfc\r\n', fields: ['A', '\xfc'] },
  { section: ': b\r\n', fields: undefined },
  { section: 'A b\r\n', fields: undefined },
  { section: ' A: b\r\n', fields: undefined },
  { section: 'A: b\r\n c\r\n', fields: undefined },
  { section: 'A: b\0c\r\n', fields: undefined },
  { section: 'A: b\rc\r\n', fields: undefined },
  { section: 'A: b\x7f\r\n', fields: undefined },
  { section: 'Ä: b\r\n', fields: undefined },
  { section: 'A: b\n', fields: undefined },
  { section: 'A: b', fields: undefined },
  { section: 'A@: b\r\n', fields: undefined },
]) {
  test(`${JSON.stringify(section)} ${fields === undefined ? 'is no header section' : 'is read'}`, async (t) => {
    if (fields === undefined) t.throws(() => read(section), { reason: 'bad_field' } as never);
    else t.same(read(section), fields);
  });
}

test('lines as nearly all are, and lines as few are, have one grammar', async (t) => {
  const char = fc.constantFrom(' ', '\t', ':', 'a', 'B', '-', '\xe4', '\0', '\r', ',');
  fc.assert(
    fc.property(fc.string({ unit: char, maxLength: 4 }), fc.string({ unit: char, maxLength: 6 }), (name, value) => {
      const section = `${name}: ${value}\r\n`;
      const { fieldLine } = STRICT;
      fieldLine.lastIndex = 0;
      const match = fieldLine.exec(section);
      const expected =
        match !== null && fieldLine.lastIndex === section.length ? [match[1], match[2] ?? ''] : undefined;
      if (expected === undefined) t.throws(() => read(section), JSON.stringify(section));
      else t.same(read(section), expected, JSON.stringify(section));
    }),
    { numRuns: 5_000 },
  );
});

for (const { values, length } of [
  { values: ['5'], length: 5 },
  { values: ['5', '5'], length: 5 },
  { values: ['5, 5'], length: 5 },
  { values: ['5,5', '5'], length: 5 },
  { values: ['0'], length: 0 },
  { values: ['005'], length: 5 },
  { values: ['5', '6'], length: undefined },
  { values: ['5, 6'], length: undefined },
  { values: ['5, 05'], length: undefined },
  { values: ['-1'], length: undefined },
  { values: ['+1'], length: undefined },
  { values: ['5 5'], length: undefined },
  { values: [''], length: undefined },
  { values: ['0x5'], length: undefined },
  { values: ['5,'], length: undefined },
  { values: ['1'.repeat(16)], length: undefined },
  { values: ['9'.repeat(15)], length: 999_999_999_999_999 },
]) {
  test(`Content-Length ${values.join(' and ')} ${length === undefined ? 'is refused' : `is ${length}`}`, async (t) => {
    const framing = new Framing();
    const note = () => values.map((value) => framing.note('Content-LENGTH', value));
    if (length === undefined) {
      t.throws(note, { reason: 'bad_framing' } as never);
      return;
    }
    t.equal(note().filter((passed) => passed !== undefined).length, 1, 'one line is passed on');
    t.equal(framing.length, length);
  });
}

test('codings and connection options of several lines are one list; fields of other names say nothing', async (t) => {
  const framing = new Framing();
  for (const [name, value] of [
    ['transfer-encoding', 'gzip'],
    ['Transfer-Encoding', 'chunked'],
    ['Connection', 'close'],
    ['CONNECTION', 'x'],
    ['Keep-Alive', 'max=5, TIMEOUT=7'],
    ['x-encoding-transf', 'chunked'],
    ['connectioN2', 'y'],
    ['Content-Lengthx', '9'],
  ] as const) {
    t.equal(framing.note(name, value), value);
  }
  t.match(framing, { coding: 'gzip, chunked', connection: 'close, x', keepAlive: 7, length: undefined });
  framing.note('Keep-Alive', 'xtimeout=5');
  t.equal(framing.keepAlive, undefined, 'no part of another word');
});
