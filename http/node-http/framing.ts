/**
 * Bytes of a connection as the parser of `node:http` is given them. It tells of each chunk of a body by itself, which
 * costs a microsecond; so the coding is read here (http/http1/chunked.ts), and what one read brings is one chunk for
 * it.
 *
 * It alone says where a head ends and what the head means. It is given a piece that ends where a head may end, and only
 * where it tells of a request at that very place are the next bytes taken for that request's body.
 * @module
 */

import { fieldValue, type RawHeaders } from '../fields/headers.ts';
import { ChunkedReader } from '../http1/chunked.ts';

/** Chunks that are malformed: the error of `node:http`'s parser for such. */
export interface ChunkFault extends Error {
  readonly code: 'HPE_INVALID_CHUNK_SIZE' | 'HPE_HEADER_OVERFLOW';
}

export interface Piece {
  /** For the parser; absent: none of what was read is for it. */
  readonly piece: Buffer | undefined;
  /** Offset in the packet at which the next one begins. */
  readonly end: number;
  /** Set where the body cannot be read further. */
  readonly fault: ChunkFault | undefined;
}

/** Next part to read. `rest`: all remaining bytes, as they come. */
type Reads = 'head' | 'body' | 'chunks' | 'rest';

const HEAD_END = Buffer.from('\r\n\r\n');

/** Requests that come in so many bytes are read together: an error behind some of them concerns their answers. */
export const GROUP_BYTES = 1024;

/** Any spelling of a field that says a body follows. */
const FRAMES_BODY = /content-length|transfer-encoding/i;

export class NodeFraming {
  readonly #maxTrailerBytes: () => number;
  #reads: Reads = 'head';
  /** Bytes of {@link HEAD_END} that the last piece ended with. */
  #matched = 0;
  /** True if the last chunk ended within a head. */
  #isInHead = false;
  /** True if the parser's current chunk ends where a head may end. */
  #isAtHeadEnd = false;
  /** Part that follows the head that the parser has reported. */
  #next: Reads | undefined;
  /** Bytes of the body that are still to come. */
  #left = 0;
  #chunks: ChunkedReader | undefined;

  constructor({ maxTrailerBytes }: { readonly maxTrailerBytes: () => number }) {
    this.#maxTrailerBytes = maxTrailerBytes;
  }

  /**
   * @param packet - What has come; written over where it is read.
   * @param from - Where it is not read yet.
   * @returns The bytes up to the end of a head, or what the packet has of a body.
   */
  next(packet: Buffer, from: number): Piece {
    switch (this.#reads) {
      case 'head': {
        const end = this.#headEnd(packet, from);
        return { piece: packet.subarray(from, end), end, fault: undefined };
      }
      case 'body': {
        const end = Math.min(from + this.#left, packet.length);
        this.#left -= end - from;
        if (this.#left === 0) this.#reads = 'head';
        return { piece: packet.subarray(from, end), end, fault: undefined };
      }
      case 'chunks':
        return this.#nextChunk(this.#chunks as ChunkedReader, packet, from);
      case 'rest':
        return { piece: packet.subarray(from), end: packet.length, fault: undefined };
    }
  }

  /** The parser has told of a request, from within a piece. */
  hasHead(headers: RawHeaders): void {
    const coding = fieldValue(headers, 'transfer-encoding');
    const length = Number(fieldValue(headers, 'content-length') ?? 0);
    if (this.#next !== undefined) this.#next = 'rest';
    else if (coding === undefined && length === 0) return;
    else if (!this.#isAtHeadEnd || (coding !== undefined && coding.toLowerCase() !== 'chunked')) this.#next = 'rest';
    else if (coding !== undefined) {
      this.#next = 'chunks';
      this.#chunks = new ChunkedReader({
        maxTrailerBytes: this.#maxTrailerBytes(),
        spaceAfterSize: false,
        fault: chunkFault,
      });
    } else {
      this.#left = length;
      this.#next = 'body';
    }
  }

  /** Drops the rest. */
  giveUp(): void {
    this.#reads = 'rest';
  }

  /** The parser has read the piece that it was given. */
  hasParsed(): void {
    if (this.#next !== undefined) this.#reads = this.#next;
    this.#next = undefined;
    this.#isAtHeadEnd = false;
  }

  #nextChunk(chunks: ChunkedReader, packet: Buffer, from: number): Piece {
    let end = packet.length;
    let fault: ChunkFault | undefined;
    try {
      end = chunks.read(packet, from, packet.length);
    } catch (error) {
      fault = error as ChunkFault;
    }
    const { dataFrom, dataTo, isDone, trailers } = chunks;
    if (isDone) {
      this.#reads = 'head';
      this.#chunks = undefined;
    }
    const size = dataTo - dataFrom;
    if (size === 0 && !isDone) return { piece: undefined, end, fault };
    const head = size > 0 ? `${size.toString(16)}\r\n` : '';
    const tail = `${size > 0 ? '\r\n' : ''}${isDone ? `0\r\n${trailers}\r\n` : ''}`;
    const piece = Buffer.allocUnsafe(head.length + size + tail.length);
    const at = piece.write(head, 'latin1');
    packet.copy(piece, at, dataFrom, dataTo);
    piece.write(tail, at + size, 'latin1');
    return { piece, end, fault };
  }

  /**
   * @returns Where a head may end, or the packet does. Small heads behind each other, of which none but the last can
   * have
   *   a body, are one piece.
   */
  #headEnd(packet: Buffer, from: number): number {
    let at = from;
    let isPartial = this.#isInHead;
    this.#isInHead = false;
    while (at < packet.length && this.#matched > 0) if (this.#step(packet[at++] as number)) return at;
    for (let start = from; ; start = at) {
      const found = packet.indexOf(HEAD_END, at);
      if (found < 0) break;
      at = found + HEAD_END.length;
      const isLast = at === packet.length || at - from >= GROUP_BYTES;
      if (isLast || isPartial || FRAMES_BODY.test(packet.toString('latin1', start, at))) {
        this.#isAtHeadEnd = true;
        return at;
      }
      isPartial = false;
    }
    this.#isInHead = true;
    at = Math.max(at, packet.length - HEAD_END.length + 1);
    while (at < packet.length) this.#step(packet[at++] as number);
    return packet.length;
  }

  /** Takes a byte of {@link HEAD_END}. @returns Whether it is the last one. */
  #step(code: number): boolean {
    if (code === HEAD_END[this.#matched]) this.#matched++;
    else this.#matched = code === HEAD_END[0] ? 1 : 0;
    if (this.#matched < HEAD_END.length) return false;
    this.#matched = 0;
    this.#isAtHeadEnd = true;
    return true;
  }
}

function chunkFault(detail: string, isTooLarge: boolean): ChunkFault {
  return Object.assign(new Error(detail), {
    code: isTooLarge ? ('HPE_HEADER_OVERFLOW' as const) : ('HPE_INVALID_CHUNK_SIZE' as const),
  });
}
