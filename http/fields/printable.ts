/**
 * The bytes of header sections: printable ASCII, tabs, and the ends of lines. All of a section is looked at, four bytes
 * at a time, which takes a fifth of what an expression takes that looks at each.
 * @module
 */

/** Bytes that are looked at in one go. */
const CHUNK_BYTES = 32 * 1024;

const words = new Int32Array(CHUNK_BYTES / 4);
const bytes = Buffer.from(words.buffer);

/** Bytes of which an expression is as fast. */
const FEW_BYTES = 64;

const HAS_OTHER_BYTE = /[^\t\r\n\x20-\x7e]/;
const [TAB, LF, CR, SPACE, TILDE] = [0x09, 0x0a, 0x0d, 0x20, 0x7e] as const;

/** Returns whether the text, one byte a character, has printable ASCII, tabs, CR and LF only. */
export function isPrintable(text: string): boolean {
  if (text.length <= FEW_BYTES) return !HAS_OTHER_BYTE.test(text);
  if (text.length <= CHUNK_BYTES) return isChunkPrintable(text);
  for (let from = 0; from < text.length; from += CHUNK_BYTES) {
    if (!isChunkPrintable(text.slice(from, from + CHUNK_BYTES))) return false;
  }
  return true;
}

/** @returns A copy that does not hold what the text is a slice of; `undefined` if it has other bytes. */
export function printableCopy(text: string): string | undefined {
  if (text.length <= CHUNK_BYTES) return isChunkPrintable(text) ? bytes.toString('latin1', 0, text.length) : undefined;
  return isPrintable(text) ? Buffer.from(text, 'latin1').toString('latin1') : undefined;
}

function isChunkPrintable(text: string): boolean {
  const length = bytes.write(text, 'latin1');
  const count = (length + 3) >> 2;
  bytes.fill(SPACE, length, count * 4);
  for (let i = 0; i < count; i++) {
    const word = words[i] as number;
    // The highest bit of a byte stays clear in all three if it is between a space and a tilde, as nothing is carried
    // then.
    if (((word - 0x20202020) | (word + 0x01010101) | word) & 0x80808080 && !isWordPrintable(i * 4)) return false;
  }
  return true;
}

function isWordPrintable(from: number): boolean {
  for (let at = from; at < from + 4; at++) {
    const byte = bytes[at] as number;
    if ((byte < SPACE && byte !== TAB && byte !== LF && byte !== CR) || byte > TILDE) return false;
  }
  return true;
}
