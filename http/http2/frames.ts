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

/** Of a payload: what both sides may send unless they agree on more, which they do not (section 6.5.2). */
export const MAX_FRAME_BYTES = 16 * 1024;

export const MAX_WINDOW = 2 ** 31 - 1;

/** What a connection begins with (section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** @param end - Of the payload, exclusive. The bytes are valid until the call returns. */
export type OnFrame = (type: number, flags: number, id: number, bytes: Buffer, start: number, end: number) => void;

export class FrameReader {
  readonly #onFrame: OnFrame;
  #hasPreface = false;
  /** The beginning of a frame whose end has not come. */
  #rest: Buffer | undefined;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /**
   * @param given - Read before this returns.
   * @param goesOn - Asked after each frame.
   * @throws {ConnectionError} and what `onFrame` throws.
   */
  read(given: Buffer, length: number, goesOn: () => boolean): void {
    const rest = this.#rest;
    const bytes = rest === undefined ? given : Buffer.concat([rest, given.subarray(0, length)]);
    const end = rest === undefined ? length : bytes.length;
    this.#rest = undefined;
    let at = this.#hasPreface ? 0 : this.#readPreface(bytes, end);
    while (this.#hasPreface && end - at >= FRAME_HEAD_BYTES) {
      const size = readUint24(bytes, at);
      if (size > MAX_FRAME_BYTES) throw new ConnectionError(ERROR.frameSize, `a frame of ${size} bytes`);
      const start = at + FRAME_HEAD_BYTES;
      if (start + size > end) break;
      this.#onFrame(
        bytes[at + 3] as number,
        bytes[at + 4] as number,
        readUint31(bytes, at + 5),
        bytes,
        start,
        start + size,
      );
      if (!goesOn()) return;
      at = start + size;
    }
    if (at < end) this.#rest = Buffer.from(bytes.subarray(at, end));
  }

  #readPreface(bytes: Buffer, end: number): number {
    const length = Math.min(end, PREFACE.length);
    if (bytes.compare(PREFACE, 0, length, 0, length) !== 0) throw new ConnectionError(ERROR.protocol, 'no preface');
    if (length < PREFACE.length) return 0;
    this.#hasPreface = true;
    return length;
  }
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
