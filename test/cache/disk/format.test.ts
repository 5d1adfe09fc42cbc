/** Layout of segments: what was changed on its way is not there. */
import fc from 'fast-check';
import { test } from 'tap';
import {
  areRowsOf,
  type Content,
  footerBytes,
  makeFooter,
  ROW_BYTES,
  readBody,
  readFooter,
  readRecord,
  readRow,
  readSegmentHead,
  recordBytes,
  writeRecord,
  writeRow,
  writeSegmentHead,
} from '../../../cache/disk/format.ts';

const IDENTITY = { low: 0x12345678, high: -5 };
const PLACE = { identity: IDENTITY, serial: 7, salt: 0xfedcba98, hash: { low: -1, high: 99 } };

const contents: fc.Arbitrary<Content> = fc.record({
  key: fc.string({ unit: 'grapheme', maxLength: 60 }),
  term: fc.constantFrom('', 'a1b2', '0b0c6d40-6b9b-4f1e-a4f0-6b7ad8a3b0a5'),
  asOf: fc.nat(),
  meta: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  body: fc.array(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 3 },
  ),
});

function written(content: Content): Buffer {
  const bytes = Buffer.alloc(recordBytes(content), 0xee);
  writeRecord(bytes, 0, content, PLACE);
  return bytes;
}

/** All that a record says, or undefined if it does not check out. */
function read(bytes: Buffer): object | undefined {
  const record = readRecord(bytes, 0, IDENTITY);
  const body = record && readBody(bytes, 0, record);
  if (record === undefined || body === undefined || !record.isLive) return undefined;
  const { key, term, asOf, meta, serial, hash } = record;
  return { key, term, asOf, meta: meta.toString('hex'), body: body.toString('hex'), serial, hash, bytes: record.bytes };
}

function expected(content: Content): object {
  const { key, term, asOf, meta, body } = content;
  const text = Buffer.concat(body).toString('hex');
  const { serial, hash } = PLACE;
  return { key, term, asOf, meta: meta.toString('hex'), body: text, serial, hash, bytes: recordBytes(content) };
}

test('a record is read as it was written', async (t) => {
  fc.assert(
    fc.property(contents, (content) => {
      t.same(read(written(content)), expected(content));
    }),
  );
});

test('a record with any one byte changed is not read, or says the same', async () => {
  fc.assert(
    fc.property(contents, fc.integer({ min: 1, max: 255 }), (content, change) => {
      const whole = JSON.stringify(expected(content));
      const bytes = written(content);
      for (let at = 0; at < bytes.length; at++) {
        bytes[at] = (bytes[at] as number) ^ change;
        const found = read(bytes);
        if (found !== undefined && JSON.stringify(found) !== whole) throw new Error(`byte ${at}`);
        if (found !== undefined && at < 64) throw new Error(`byte ${at} of the header does not count`);
        bytes[at] = (bytes[at] as number) ^ change;
      }
    }),
    { numRuns: 60 },
  );
});

test('a record that ends anywhere before its end is not read', async () => {
  fc.assert(
    fc.property(contents, (content) => {
      const bytes = written(content);
      const used = recordBytes(content) - 63;
      for (let end = 0; end < used; end++) {
        if (read(bytes.subarray(0, end)) !== undefined) throw new Error(`cut at ${end}`);
        const lost = Buffer.from(bytes).fill(0, end);
        const found = read(lost); // zeros may be what was there
        if (found !== undefined && !lost.equals(bytes)) throw new Error(`zeros from ${end}`);
      }
    }),
    { numRuns: 60 },
  );
});

test('random bytes are no record, head, or footer', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 400 }), fc.boolean(), (random, hasMagic) => {
      const bytes = Buffer.from(random);
      if (hasMagic && bytes.length >= 8) bytes.write('SWRCLIVE', 'latin1');
      if (read(bytes) !== undefined) throw new Error('record');
      if (readSegmentHead(bytes, 0, IDENTITY) !== undefined) throw new Error('head');
      if (readFooter(bytes, IDENTITY, 65_536) !== undefined) throw new Error('footer');
    }),
    { numRuns: 2_000 },
  );
});

test('a record of another folder is not read', async (t) => {
  const bytes = written({ key: 'k', term: '', asOf: 1, meta: Buffer.from('m'), body: [] });
  t.ok(readRecord(bytes, 0, IDENTITY));
  t.equal(readRecord(bytes, 0, { low: 4, high: IDENTITY.high }), undefined);
});

test('heads, rows and footers with any one byte changed are not taken for what was written', async (t) => {
  const head = Buffer.alloc(64);
  const numbers = { serial: 9, salt: 5, saltBefore: 6 };
  writeSegmentHead(head, 0, IDENTITY, numbers);
  t.same(readSegmentHead(head, 0, IDENTITY), numbers);
  const rows = Buffer.alloc(3 * ROW_BYTES);
  const list = [0, 1, 2].map((i) => ({ hash: { low: i, high: -i }, start: 64 * (i + 1), bytes: 64 }));
  for (const [i, row] of list.entries()) writeRow(rows, i, row);
  const footer = makeFooter(rows, 3, { identity: IDENTITY, first: { serial: 3, salt: 7 }, lastSerial: 4, end: 256 });
  t.equal(footer.length, footerBytes(3));
  const check = (bytes: Buffer) => {
    const end = readFooter(bytes.subarray(-64), IDENTITY, 65_536);
    const rowBytes = bytes.subarray(0, -64);
    return end && areRowsOf(end, rowBytes) ? list.map((_, i) => readRow(rowBytes, i)) : undefined;
  };
  t.same(check(footer), list);
  for (let change = 1; change < 256; change += 13) {
    for (const bytes of [head, footer]) {
      for (let at = 0; at < bytes.length; at++) {
        bytes[at] = (bytes[at] as number) ^ change;
        const found = bytes === head ? readSegmentHead(head, 0, IDENTITY) : check(footer);
        if (found !== undefined) t.fail(`byte ${at}`);
        bytes[at] = (bytes[at] as number) ^ change;
      }
    }
  }
  t.equal(readFooter(footer.subarray(-64), IDENTITY, 300), undefined, 'no room for its rows');
});
