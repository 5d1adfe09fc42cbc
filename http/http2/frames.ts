/**
 * Frames of HTTP/2 (RFC 9113, sections 4 and 6), cut out of what comes and laid
 * out for what goes.
 *
 *     +-----------------------------------------------+
 *     |  Length (24)  | Type (8) | Flags (8)          |
 *     +-----------------------------------------------+
 *     |R|  Stream Identifier (31)  |  Payload …       |
 *     +-----------------------------------------------+
 * @module
 */
import { ConnectionError, ERROR } from './errors.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const FRAME_HEAD_BYTES = 9;

/** Maximum payload: the default, which neither side changes (section 6.5.2). */
export const MAX_FRAME_BYTES = 16 * 1024;

export const MAX_WINDOW = 2 ** 31 - 1;

/** Client preface (section 3.4). */
/** RFC 9113, section 3.4. */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** @param end - Of the payload, exclusive. The bytes are valid until the call returns. */
export type OnFrame = (type: number, flags: number, id: number, bytes: Buffer, start: number, end: number) => void;

/** Handling of the next frames: read them now, or later, or never. */
export type Pace = 'now' | 'later' | 'never';

export class FrameReader {
  readonly #onFrame: OnFrame;
  /** Bytes of the preface that have come. */
  #prefaceBytes = 0;
  /** The beginning of a frame whose end has not come; room for all of it as soon as its length is known. */
  #partial: Buffer = NOTHING;
  #partialBytes = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /**
   * @param given - Read before this returns, from `from` to `end`.
   * @param pace - Asked after each frame.
   * @returns How far it is read; less than all of it only where `pace` says so.
   * @throws {ConnectionError} and what `onFrame` throws.
   */
  read(given: Buffer, from: number, end: number, pace: () => Pace): number {
    let at = this.#prefaceBytes === PREFACE.length ? from : this.#readPreface(given, from, end);
    while (at < end) {
      const size = this.#partialBytes > 0 ? -1 : sizeAt(given, at, end);
      if (size < 0 || at + FRAME_HEAD_BYTES + size > end) {
        const taken = this.#addTo(given, at, end);
        at = taken.at;
        if (!taken.isWhole) return at;
        const { length } = this.#partial;
        const partial = this.#partial;
        this.#partial = NOTHING;
        this.#partialBytes = 0;
        this.#pass(partial, 0, length - FRAME_HEAD_BYTES);
      } else {
        this.#pass(given, at, size);
        at += FRAME_HEAD_BYTES + size;
      }
      if (pace() !== 'now') return at;
    }
    return at;
  }

  #pass(bytes: Buffer, at: number, size: number): void {
    const start = at + FRAME_HEAD_BYTES;
    this.#onFrame(
      bytes[at + 3] as number,
      bytes[at + 4] as number,
      readUint31(bytes, at + 5),
      bytes,
      start,
      start + size,
    );
  }

  /** Keeps the beginning of a frame. No byte is copied twice, however few come at a time, but for those of its head. */
  #addTo(given: Buffer, from: number, end: number): { readonly at: number; readonly isWhole: boolean } {
    let at = from;
    if (this.#partialBytes === 0) this.#partial = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
    for (;;) {
      const wanted = Math.min(this.#partial.length - this.#partialBytes, end - at);
      given.copy(this.#partial, this.#partialBytes, at, at + wanted);
      this.#partialBytes += wanted;
      at += wanted;
      if (this.#partialBytes < this.#partial.length) return { at, isWhole: false };
      if (this.#partial.length > FRAME_HEAD_BYTES) return { at, isWhole: true };
      const size = sizeAt(this.#partial, 0, FRAME_HEAD_BYTES);
      if (size === 0) return { at, isWhole: true };
      const head = this.#partial;
      this.#partial = Buffer.allocUnsafe(FRAME_HEAD_BYTES + size);
      head.copy(this.#partial);
    }
  }

  /** @returns Where the first frame begins. */
  #readPreface(bytes: Buffer, from: number, end: number): number {
    const length = Math.min(end - from, PREFACE.length - this.#prefaceBytes);
    const expected = this.#prefaceBytes;
    if (bytes.compare(PREFACE, expected, expected + length, from, from + length) !== 0) {
      throw new ConnectionError(ERROR.protocol, 'no preface');
    }
    this.#prefaceBytes += length;
    return from + length;
  }
}

const NOTHING = Buffer.alloc(0);

/**
 * @returns Bytes of the payload of the frame there; less than 0 where its head is not all there. @throws
 * {ConnectionError}
 */
function sizeAt(bytes: Buffer, at: number, end: number): number {
  if (end - at < FRAME_HEAD_BYTES) return -1;
  const size = readUint24(bytes, at);
  if (size > MAX_FRAME_BYTES) throw new ConnectionError(ERROR.frameSize, `a frame of ${size} bytes`);
  return size;
}

export function readUint24(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

export function readUint31(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) | readUint24(bytes, at + 1)) & 0x7fffffff;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) | readUint24(bytes, at + 1)) >>> 0;
}

export function writeUint32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

/** @returns Where the payload begins. */
export function writeFrameHead(
  into: Uint8Array,
  at: number,
  size: number,
  type: number,
  flags: number,
  id: number,
): number {
  into[at] = size >>> 16;
  into[at + 1] = size >>> 8;
  into[at + 2] = size;
  into[at + 3] = type;
  into[at + 4] = flags;
  writeUint32(into, at + 5, id);
  return at + FRAME_HEAD_BYTES;
}

/**
 * The frames of an answer without the number of its stream, up to where its
 * body begins: that follows, and ends it.
 *
 * @param bodyBytes - Up to `MAX_FRAME_BYTES`; 0: the head is all.
 * @returns `undefined` for a block that does not go into one frame.
 */
export function answerFrames(block: Buffer, bodyBytes: number): Buffer | undefined {
  if (block.length > MAX_FRAME_BYTES || bodyBytes > MAX_FRAME_BYTES) return undefined;
  const hasBody = bodyBytes > 0;
  const frames = Buffer.allocUnsafe(FRAME_HEAD_BYTES + block.length + (hasBody ? FRAME_HEAD_BYTES : 0));
  const flags = hasBody ? FLAG.endHeaders : FLAG.endHeaders | FLAG.endStream;
  const start = writeFrameHead(frames, 0, block.length, FRAME.headers, flags, 0);
  frames.set(block, start);
  if (hasBody) writeFrameHead(frames, start + block.length, bodyBytes, FRAME.data, FLAG.endStream, 0);
  return frames;
}

/** Writes the number of the stream into such an answer. @param at - Where it begins. */
export function addressFrames(bytes: Uint8Array, at: number, hasBody: boolean, id: number): void {
  writeUint32(bytes, at + 5, id);
  if (hasBody) writeUint32(bytes, at + FRAME_HEAD_BYTES + readUint24(bytes, at) + 5, id);
}
