/**
 * Lines of JSON out of a stream of bytes, each of bounded length.
 * @module
 */
import { JournalError } from './errors.ts';

const NEWLINE = 0x0a;

/**
 * @throws {JournalError} `journal_bad_message` at a line that is longer, or not
 *   JSON in UTF-8. What comes after the last newline was cut off, and is dropped.
 */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator<unknown> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      pieces.push(chunk.subarray(start, end));
      checkLength(bytes + end - start, maxLineBytes);
      yield parse(decoder, Buffer.concat(pieces));
      [pieces, bytes, start] = [[], 0, end + 1];
    }
    if (start === chunk.length) continue;
    pieces.push(chunk.subarray(start));
    bytes += chunk.length - start;
    checkLength(bytes, maxLineBytes);
  }
}

function checkLength(bytes: number, maxLineBytes: number): void {
  if (bytes > maxLineBytes) throw new JournalError('journal_bad_message', `a line of more than ${maxLineBytes} bytes`);
}

function parse(decoder: TextDecoder, line: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(line));
  } catch (cause) {
    throw new JournalError('journal_bad_message', 'not JSON', { cause });
  }
}
