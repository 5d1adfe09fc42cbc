/** Parts of X.509 structures: what is written is read, and nothing else. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { test } from 'tap';
import {
  bits,
  bitsOf,
  boolean,
  bytesOf,
  dateOf,
  elementsOf,
  fromDer,
  fromPem,
  integer,
  octets,
  pemBlocks,
  sequence,
  serialOf,
  time,
  toDer,
  toPem,
} from '../../../trust/x509/der.ts';

test('a serial number comes back in the form of Node, and is never negative', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
      const hex =
        Buffer.from(bytes)
          .toString('hex')
          .toUpperCase()
          .replace(/^(?:00)+/, '') || '00';
      const der = toDer(integer(bytes));
      t.equal(serialOf(fromDer(der)), hex);
      t.equal((der[2] as number) & 0x80, 0, 'the first bit is the sign');
    }),
  );
});

for (const text of [
  '1950-01-01T00:00:00Z',
  '1999-12-31T23:59:59Z',
  '2049-12-31T23:59:59Z',
  '2050-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
]) {
  test(`the time ${text} comes back, in the form that RFC 5280 asks for`, async (t) => {
    const der = toDer(time(new Date(text)));
    t.equal(dateOf(fromDer(der)).toISOString(), text.replace('Z', '.000Z'));
    t.equal(der[0], new Date(text).getUTCFullYear() < 2050 ? 0x17 : 0x18);
    t.match(
      execFileSync('openssl', ['asn1parse', '-inform', 'DER'], { input: der }).toString(),
      /(?:UTCTIME|GENERALIZEDTIME) *:\d+Z/,
    );
  });
}

test('a time has no fraction of a second', async (t) => {
  t.equal(dateOf(fromDer(toDer(time(new Date('2026-01-01T00:00:00.999Z'))))).toISOString(), '2026-01-01T00:00:00.000Z');
});

test('an element of another kind is refused, not read', async (t) => {
  const list = sequence(integer(1), boolean(true));
  for (const wrong of [undefined, integer(1), octets(Buffer.from('a'))]) {
    t.throws(() => elementsOf(wrong), SyntaxError);
    t.throws(() => dateOf(wrong), SyntaxError);
    t.throws(() => bitsOf(wrong), SyntaxError);
  }
  t.throws(() => serialOf(boolean(true)), SyntaxError);
  t.throws(() => bytesOf(undefined), SyntaxError);
  t.equal(elementsOf(fromDer(toDer(list))).length, 2);
  t.throws(() => bitsOf(fromDer(toDer(bits(Buffer.of(0x80), 7)))), SyntaxError, 'a part of a byte');
});

test('bytes that are cut off, or have more behind them, are refused', async (t) => {
  const der = toDer(sequence(integer(1), octets(Buffer.alloc(300, 7))));
  t.same(Buffer.from(bytesOf(fromDer(der))), der);
  t.throws(() => fromDer(Buffer.concat([der, Buffer.of(0)])), SyntaxError);
  for (const length of [0, 1, 2, 3, der.length - 1])
    t.throws(() => fromDer(der.subarray(0, length)), SyntaxError, `${length} bytes`);
});

test('whatever the bytes are, they are one structure or refused', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        t.ok(bytesOf(fromDer(bytes)).length <= bytes.length);
      } catch (error) {
        t.ok(error instanceof Error);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('blocks of PEM come back by their label, in order, between other text', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ label: fc.constantFrom('X', 'X509 CRL'), bytes: fc.uint8Array({ maxLength: 100 }) })),
      (blocks) => {
        const text = blocks.map(({ label, bytes }) => `# comment\n${toPem(label, bytes)}`).join('\n');
        for (const label of ['X', 'X509 CRL']) {
          const own = blocks.filter((block) => block.label === label).map(({ bytes }) => Buffer.from(bytes));
          t.same(fromPem(label, text), own);
          t.same(
            pemBlocks(label, text.replaceAll('\n', '\r\n')),
            own.map((bytes) => toPem(label, bytes)),
          );
        }
        for (const line of text.split('\n')) t.ok(line.length <= 64);
      },
    ),
    { numRuns: 100 },
  );
});
