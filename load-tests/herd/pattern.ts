/**
 * Bodies of any length of which every byte can be checked wherever it stands,
 * without keeping them: random bytes that repeat after a prime number, so that
 * no block of a power of two can stand in another one's place unnoticed.
 * @module
 */
import { seededRandom } from '../../test/support/random.ts';

const PERIOD_BYTES = 1_048_573;

/** A slice from anywhere in a period, up to this long, lies in one piece. */
const LONGEST_SLICE_BYTES = 1024 * 1024;

const PATTERN = makePattern();

/** @param length - At most 1 MiB. @returns The bytes `[offset, offset + length)` of every body. */
export function patternAt(offset: number, length: number): Buffer {
  const start = offset % PERIOD_BYTES;
  return PATTERN.subarray(start, start + length);
}

/** Returns whether these bytes match the pattern at `offset`. */
export function isPattern(bytes: Buffer, offset: number): boolean {
  return bytes.equals(patternAt(offset, bytes.length));
}

function makePattern(): Buffer {
  const random = seededRandom(20_111);
  const bytes = Buffer.alloc(PERIOD_BYTES + LONGEST_SLICE_BYTES);
  for (let i = 0; i < PERIOD_BYTES; i++) bytes[i] = random() * 256;
  bytes.copyWithin(PERIOD_BYTES, 0, LONGEST_SLICE_BYTES);
  return bytes;
}
