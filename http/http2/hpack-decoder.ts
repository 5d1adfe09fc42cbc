/**
 * Reads header blocks (RFC 7541). The two sides of a connection keep the same
 * table of fields, so every block is read to its end, wanted or not.
 * @module
 */
import { CompressionError } from './errors.ts';
import { type Field, makeField } from './fields.ts';
import { decodeHuffman } from './huffman.ts';
import { STATIC_FIELDS } from './static-table.ts';

/**
 * Bytes of a table, as counted by RFC 7541, section 4.1: what the other side may use by default, which is not changed.
 */
const TABLE_BYTES = 4_096;

/** No field takes less than 32 bytes of the table. A power of two. */
const MAX_ENTRIES = TABLE_BYTES / 32;
const ENTRY_MASK = MAX_ENTRIES - 1;

const STATIC: readonly Field[] = STATIC_FIELDS.map(([name, value]) => makeField(name, value));

/** Longer numbers mean nothing here. */
const MAX_SHIFT = 21;

/** Takes the fields of a block, one after the other. */
export interface FieldSink {
  add(field: Field): void;
}

export class HpackDecoder {
  /** A ring; the newest stands before `#next`. */
  readonly #entries = new Array<Field | undefined>(MAX_ENTRIES).fill(undefined);
  #next = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes = TABLE_BYTES;
  /** Block that is being read. */
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /**
   * @param block - Read before this returns.
   * @param end - Exclusive.
   * @throws {CompressionError} when the connection cannot go on.
   */
  decode(block: Buffer, start: number, end: number, sink: FieldSink): void {
    this.#block = block;
    this.#at = start;
    this.#end = end;
    let isFirst = true;
    while (this.#at < end) {
      const byte = block[this.#at] as number;
      if (byte > 0x80 && byte < 0xff) {
        // A field of the table, by one byte: most of them are.
        this.#at++;
        sink.add(this.#indexed(byte & 0x7f));
      } else if (byte >= 0x80) {
        sink.add(this.#indexed(this.#integer(0x7f)));
      } else if (byte >= 0x40) {
        const field = this.#literal(0x3f);
        this.#insert(field);
        sink.add(field);
      } else if (byte >= 0x20) {
        // RFC 7541, section 4.2: "at the beginning of the first header block".
        if (!isFirst) throw new CompressionError('a table size within a block');
        this.#resize(this.#integer(0x1f));
        continue;
      } else {
        sink.add(this.#literal(0x0f));
      }
      isFirst = false;
    }
  }

  #indexed(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#dynamic(index - STATIC.length);
    if (field === undefined) throw new CompressionError(`index ${index}`);
    return field;
  }

  /** @param age - 1 is the newest. */
  #dynamic(age: number): Field | undefined {
    return age > this.#count ? undefined : this.#entries[(this.#next - age) & ENTRY_MASK];
  }

  #literal(mask: number): Field {
    const index = this.#integer(mask);
    const name = index === 0 ? this.#string() : this.#indexed(index).name;
    return makeField(name, this.#string());
  }

  #integer(mask: number): number {
    let value = (this.#block[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= MAX_SHIFT; shift += 7) {
      if (this.#at >= this.#end) break;
      const byte = this.#block[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CompressionError('a number that does not end');
  }

  #string(): string {
    if (this.#at >= this.#end) throw new CompressionError('the block breaks off');
    const isHuffman = ((this.#block[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw new CompressionError('the block breaks off');
    this.#at = end;
    return isHuffman ? decodeHuffman(this.#block, start, end) : this.#block.toString('latin1', start, end);
  }

  #insert(field: Field): void {
    this.#makeRoom(field.size);
    if (field.size > this.#maxBytes) return; // RFC 7541, section 4.4: that empties the table, and is no error
    this.#entries[this.#next] = field;
    this.#next = (this.#next + 1) & ENTRY_MASK;
    this.#count++;
    this.#bytes += field.size;
  }

  #resize(maxBytes: number): void {
    if (maxBytes > TABLE_BYTES) throw new CompressionError(`a table of ${maxBytes} bytes`);
    this.#maxBytes = maxBytes;
    this.#makeRoom(0);
  }

  #makeRoom(bytes: number): void {
    while (this.#count > 0 && this.#bytes + bytes > this.#maxBytes) {
      const oldest = (this.#next - this.#count) & ENTRY_MASK;
      this.#bytes -= (this.#entries[oldest] as Field).size;
      this.#entries[oldest] = undefined;
      this.#count--;
    }
  }
}
