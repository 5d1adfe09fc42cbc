/**
 * Messages in a byte stream: two bytes of length before each (RFC 1035,
 * section 4.2.2), split anywhere.
 * @module
 */
import { MAX_MESSAGE_BYTES } from '../../lib/dns/numbers.ts';

export interface FrameReader {
  /** @returns False if the bytes are not DNS. */
  push(bytes: Buffer): boolean;
}

/**
 * @param maxBytes - Of a message; a longer one is refused before it is read.
 * @param onMessage - Gets each message in turn; returns whether to go on.
 */
export function frameReader(maxBytes: number, onMessage: (message: Buffer) => boolean): FrameReader {
  /** Bytes of an incomplete message, at most `maxBytes` plus the length prefix. */
  let rest: Buffer = Buffer.alloc(0);
  return {
    push(bytes) {
      let input = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      while (input.length >= 2) {
        const length = input.readUInt16BE(0);
        if (length > maxBytes) return false;
        if (input.length < 2 + length) break;
        const message = input.subarray(2, 2 + length);
        input = input.subarray(2 + length);
        if (!onMessage(message)) return false;
      }
      // A copy: a few bytes must not hold on to the whole chunk they came in.
      rest = input.length === 0 ? input : Buffer.from(input);
      return true;
    },
  };
}

/** @returns The message with its length in front, so that they leave together (RFC 7766, section 8). */
export function framed(message: Buffer): Buffer {
  if (message.length > MAX_MESSAGE_BYTES) throw new RangeError('a message of more than 65,535 bytes');
  const frame = Buffer.allocUnsafe(2 + message.length);
  frame.writeUInt16BE(message.length, 0);
  frame.set(message, 2);
  return frame;
}
