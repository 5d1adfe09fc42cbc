/**
 * The head that was written last, and the first piece of its body with it: requests that waited for one response are
 * answered one after the other, with the same head and the same piece.
 * @module
 */
import type { ResponseHead } from '../message.ts';

const last = {
  head: undefined as ResponseHead | undefined,
  keepAliveSeconds: 0,
  text: '',
  piece: undefined as Buffer | undefined,
  bytes: undefined as Buffer | undefined,
};

/** Returns the text of a head, if it is the one that was written last. */
export function lastTextOf(head: ResponseHead, keepAliveSeconds: number): string | undefined {
  return head === last.head && keepAliveSeconds === last.keepAliveSeconds ? last.text : undefined;
}

/** @param text - As it is written for each request that is answered with `head`. */
export function rememberHead(head: ResponseHead, keepAliveSeconds: number, text: string): void {
  last.head = head;
  last.keepAliveSeconds = keepAliveSeconds;
  last.text = text;
  last.piece = undefined;
}

/**
 * Returns a head and a piece as one: those that were joined last, if they are the same.
 *
 * @param head - Absent: its text is for this request alone.
 */
export function joined(head: ResponseHead | undefined, text: string, piece: Buffer): Buffer {
  if (head === undefined || head !== last.head) return join(text, piece);
  if (last.piece !== piece || last.bytes === undefined) {
    last.piece = piece;
    last.bytes = join(text, piece);
  }
  return last.bytes;
}

function join(text: string, piece: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(text.length + piece.length);
  piece.copy(bytes, bytes.write(text, 'latin1'));
  return bytes;
}
