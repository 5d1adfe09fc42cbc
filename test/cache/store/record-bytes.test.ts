/** Numbers and texts of a record: they come back in the order in which they were written. */
import fc from 'fast-check';
import { test } from 'tap';
import { RecordBytes, RecordReader } from '../../../cache/store/record-bytes.ts';
import { TextTable } from '../../../cache/store/texts.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', 'Content-Type', 'text/html', 'x'.repeat(0x7ffe), 'y'.repeat(0x7fff), 'z'.repeat(0x8001)),
);
const field = fc.tuple(fc.constantFrom('Content-Type', 'ETag', 'x'.repeat(200)), text);
const item = fc.oneof(
  fc.record({ kind: fc.constant('integer' as const), value: fc.integer() }),
  fc.record({ kind: fc.constant('double' as const), value: fc.double() }),
  fc.record({ kind: fc.constant('text' as const), value: fc.option(text, { nil: undefined }) }),
  fc.record({ kind: fc.constant('list' as const), value: fc.array(text, { maxLength: 4 }) }),
  fc.record({
    kind: fc.constant('fields' as const),
    value: fc.array(field, { maxLength: 4 }).map((all) => all.flat()),
  }),
);

test('what was written is read, whatever was written before it with the same buffer', async (t) => {
  const bytes = new RecordBytes();
  const shared = new TextTable();
  fc.assert(
    fc.property(fc.array(item, { maxLength: 12 }), fc.nat({ max: 9 }), (items, offset) => {
      bytes.begin(shared);
      for (const { kind, value } of items) (bytes[kind] as (value: unknown) => void).call(bytes, value);
      const target = Buffer.alloc(offset + bytes.length, 0xff);
      bytes.copyTo(target, offset);
      const view = new DataView(target.buffer, target.byteOffset, target.length);
      const reader = new RecordReader(view, offset, bytes.texts, shared);
      for (const { kind, value } of items) {
        const read = kind === 'fields' || kind === 'list' ? reader.list() : reader[kind]();
        t.strictSame(read, value);
      }
    }),
    { numRuns: 300 },
  );
});

test('a text that many records share takes two bytes, and no characters of its own', async (t) => {
  const bytes = new RecordBytes();
  bytes.begin(new TextTable());
  bytes.fields(['Content-Type', 'text/html', 'Content-Type', 'text/html']);
  t.equal(bytes.length, 4 + 4 * 2);
  t.equal(bytes.texts, '');
});
