/** Pieces in slabs: each knows whose it is. */
import fc from 'fast-check';
import { test } from 'tap';
import { UNIT } from '../../../cache/shared/layout.ts';
import { PIECE_HEAD, SharedData } from '../../../cache/shared/shared-data.ts';
import { KEY_LENGTH } from '../../../cache/store/record.ts';
import { sharedParts } from './parts.ts';

test('a piece is one of this value, with this number, and of no other', async (t) => {
  const { memory } = sharedParts();
  const data = new SharedData(memory);
  fc.assert(
    fc.property(
      fc.record({ place: fc.nat(1000), value: fc.maxSafeNat(), number: fc.nat(2 ** 31 - 1), bytes: fc.nat(200) }),
      ({ place, value, number, bytes }) => {
        data.writePieceHead(place, value, number, bytes);
        const seen = new SharedData(memory);
        if (!seen.isPieceOf(place, value, number)) throw new Error('it is not itself');
        if (seen.isPieceOf(place, value + 1, number) && value + 1 !== value) throw new Error('another value');
        if (seen.isPieceOf(place, value, number + 1)) throw new Error('another number');
        if (seen.pieceAt(place).length !== bytes) throw new Error('length');
      },
    ),
    { numRuns: 200 },
  );
  t.pass();
});

test('the record of a key is no piece, whatever its bytes are', async (t) => {
  const { memory } = sharedParts();
  const data = new SharedData(memory);
  data.writePieceHead(4, 99, 1, 8);
  data.view.setInt32(4 * UNIT + KEY_LENGTH, 20, true);
  t.notOk(data.isPiece(4));
  t.notOk(data.isPieceOf(4, 99, 1));
});

test('the bytes of a piece lie behind its head, and end where it was shortened to', async (t) => {
  const { memory } = sharedParts();
  const data = new SharedData(memory);
  data.writePieceHead(2, 1, 0, 10);
  data.pieceAt(2).write('0123456789');
  data.shorten(2, 4);
  t.equal(String(data.pieceAt(2)), '0123');
  t.equal(data.buffer.toString('latin1', 2 * UNIT + PIECE_HEAD, 2 * UNIT + PIECE_HEAD + 4), '0123');
  t.ok(data.isPieceOf(2, 1, 0));
});
