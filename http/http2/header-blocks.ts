/**
 * Header blocks as they come, in one frame or in several that nothing stands
 * between (RFC 9113, section 6.10).
 * @module
 */
import { ConnectionError, ERROR, FloodError } from './errors.ts';
import { FLAG, FRAME } from './frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { Section, type SectionLimits } from './section.ts';

/** CONTINUATION frames of one block: a section within the bounds needs few, and each is work (CVE-2024-27316). */
const MAX_CONTINUATIONS = 8;

const PRIORITY_BYTES = 5;

export interface HeaderBlock {
  readonly id: number;
  /** True if the message ends with it. */
  readonly isLast: boolean;
  readonly section: Section;
  /** Length of the block on the wire. */
  readonly wireBytes: number;
}

interface PartialBlock {
  readonly id: number;
  readonly isLast: boolean;
  readonly parts: Buffer[];
}

export class HeaderBlocks {
  readonly #decoder = new HpackDecoder();
  readonly #limits: () => SectionLimits;
  #partial: PartialBlock | undefined;

  constructor(limits: () => SectionLimits) {
    this.#limits = limits;
  }

  /** @throws {ConnectionError} when the frame does not go on with a block that has begun. */
  expect(type: number, id: number): void {
    const before = this.#partial;
    const isContinuation = type === FRAME.continuation;
    if ((before !== undefined) !== isContinuation || (before !== undefined && before.id !== id)) {
      throw new ConnectionError(ERROR.protocol, `frame ${type} in or outside a header block`);
    }
  }

  /**
   * A frame HEADERS.
   *
   * @returns `undefined` while more of the block is to come.
   * @throws {ConnectionError}
   */
  begin(flags: number, id: number, bytes: Buffer, from: number, to: number): HeaderBlock | undefined {
    let [start, end] = [from, to];
    if (flags & FLAG.padded) {
      end -= start < end ? (bytes[start] as number) : 1;
      start++;
    }
    if (flags & FLAG.priority) start += PRIORITY_BYTES; // what depends on what is not told any more (section 5.3.2)
    if (start > end) throw new ConnectionError(ERROR.protocol, 'padding beyond the frame');
    const isLast = (flags & FLAG.endStream) !== 0;
    if (flags & FLAG.endHeaders) {
      return { id, isLast, section: this.#read(bytes, start, end), wireBytes: end - start };
    }
    this.#partial = { id, isLast, parts: [Buffer.from(bytes.subarray(start, end))] };
    return undefined;
  }

  /** A frame CONTINUATION, which `expect` has let pass. */
  goOn(flags: number, bytes: Buffer, start: number, end: number): HeaderBlock | undefined {
    const { id, isLast, parts } = this.#partial as PartialBlock;
    if (parts.length > MAX_CONTINUATIONS) throw new FloodError('http2_refused');
    parts.push(Buffer.from(bytes.subarray(start, end)));
    if (!(flags & FLAG.endHeaders)) return undefined;
    this.#partial = undefined;
    const block = Buffer.concat(parts);
    return { id, isLast, section: this.#read(block, 0, block.length), wireBytes: block.length };
  }

  #read(block: Buffer, start: number, end: number): Section {
    const section = new Section(this.#limits());
    this.#decoder.decode(block, start, end, section);
    return section;
  }
}
