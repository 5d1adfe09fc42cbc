/**
 * Records in slabs, as all threads see them: those of keys (cache/store/record.ts), and pieces of what is too large for
 * one. A record is written once and never changed; that it moves changes none of its bytes. A piece:
 *
 * ```
 * integer  row of the index        integer  bytes of the record
 * integer  bytes of the piece      integer  its number in the value
 * integer  `PIECE`                 integer  unused
 * double   number of the value     bytes of the piece, and what is missing to a multiple of 8 bytes
 * ```
 * @module
 */
import { KEY_LENGTH, type RecordMemory, SERIAL } from '../store/record.ts';
import type { SharedMemory } from './layout.ts';
import { UNIT } from './layout.ts';

/** Stands for the length of the key. */
const PIECE = -1;
const [LENGTH, NUMBER, VALUE] = [8, 12, 24] as const;

export const PIECE_HEAD = 32;

export class SharedData implements RecordMemory {
  readonly buffer: Buffer;
  readonly view: DataView;

  constructor({ data }: SharedMemory) {
    this.buffer = Buffer.from(data);
    this.view = new DataView(data);
  }

  isPiece(place: number): boolean {
    return this.view.getInt32(place * UNIT + KEY_LENGTH, true) === PIECE;
  }

  serialOf(place: number): number {
    return this.view.getInt32(place * UNIT + SERIAL, true);
  }

  /** Returns whether it is this piece of this value. */
  isPieceOf(place: number, value: number, number: number): boolean {
    const at = place * UNIT;
    return (
      this.isPiece(place) &&
      this.view.getFloat64(at + VALUE, true) === value &&
      this.view.getInt32(at + NUMBER, true) === number
    );
  }

  writePieceHead(place: number, value: number, number: number, bytes: number): void {
    const at = place * UNIT;
    this.view.setInt32(at + LENGTH, bytes, true);
    this.view.setInt32(at + NUMBER, number, true);
    this.view.setInt32(at + KEY_LENGTH, PIECE, true);
    this.view.setFloat64(at + VALUE, value, true);
  }

  /** Sets how many bytes a piece has, which are fewer than before. */
  shorten(place: number, bytes: number): void {
    this.view.setInt32(place * UNIT + LENGTH, bytes, true);
  }

  /** Returns the bytes of a piece where they lie. */
  pieceAt(place: number): Buffer {
    const at = place * UNIT;
    return this.buffer.subarray(at + PIECE_HEAD, at + PIECE_HEAD + this.view.getInt32(at + LENGTH, true));
  }
}
