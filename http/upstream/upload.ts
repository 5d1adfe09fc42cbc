/**
 * Body of a request on its way upstream, at the pace of the connection.
 *
 * A failed write is not the end of the exchange: a server that refuses an
 * upload answers and closes with the rest unread, and its answer has arrived
 * by then (RFC 9112, section 9.6). So errors of writing are kept from the
 * socket, which would stop reading; what follows is an answer, or the end.
 * @module
 */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { type MonotonicMs, monotonicNow } from '../../lib/clock.ts';
import { HttpError } from '../errors.ts';
import type { WholeBody } from '../http1/whole-body.ts';

type Done = (error?: Error | null) => void;

interface Writes {
  _write(chunk: unknown, encoding: BufferEncoding, done: Done): void;
  _writev(chunks: unknown, done: Done): void;
}

/**
 * Keeps errors of writing from the socket; they only mean that nothing more can be written.
 *
 * @param onFailed - Called with the first one.
 */
export function keepReadingAfterWriteErrors(socket: Socket, onFailed: () => void): void {
  const writes = socket as unknown as Writes;
  const { _write: write, _writev: writeAll } = writes;
  let hasFailed = false;
  const shield = (done: Done): Done => {
    return (error) => {
      if (error && !hasFailed) {
        hasFailed = true;
        onFailed();
      }
      done();
    };
  };
  writes._write = (chunk, encoding, done) => {
    if (hasFailed) done();
    else write.call(socket, chunk, encoding, shield(done));
  };
  writes._writev = (chunks, done) => {
    if (hasFailed) done();
    else writeAll.call(socket, chunks, shield(done));
  };
}

const LAST_CHUNK = '0\r\n\r\n';

/**
 * Returns a request with its body as they are written in one piece.
 *
 * @param head - With the empty line behind it.
 * @param length - Of the body as the head announces it; `undefined`: it goes in chunks.
 * @returns `undefined` for a body that is gone, or not as long as announced.
 */
export function withWholeBody(head: string, body: WholeBody, length: number | undefined): Buffer | undefined {
  const { bytes } = body;
  const isFit = length === undefined ? true : length === bytes.length && length > 0;
  if (body.destroyed || !isFit) return undefined;
  const isChunk = length === undefined && bytes.length > 0;
  const before = isChunk ? `${head}${bytes.length.toString(16)}\r\n` : head;
  const after = length === undefined ? `${isChunk ? '\r\n' : ''}${LAST_CHUNK}` : '';
  const all = Buffer.allocUnsafe(before.length + bytes.length + after.length);
  const at = all.write(before, 'latin1');
  bytes.copy(all, at);
  all.write(after, at + bytes.length, 'latin1');
  return all;
}

export class Upload {
  readonly #socket: Socket;
  readonly #body: Readable;
  /** Bytes that the body still has to bring; `undefined`: it goes in chunks. */
  #left: number | undefined;
  readonly #onError: (error: Error) => void;
  readonly #onDone: () => void;
  /** Set when all of it was handed to the socket. */
  isDone = false;
  #isStopped = false;
  /** Since when the server takes nothing; `undefined` while the body is waited for. */
  blockedSince: MonotonicMs | undefined;

  /**
   * @param length - Of the body; `undefined`: in chunks.
   * @param onError - Called with the error of the body, or when it is not as long as announced.
   */
  constructor(
    socket: Socket,
    body: Readable,
    length: number | undefined,
    onDone: () => void,
    onError: (error: Error) => void,
  ) {
    this.#socket = socket;
    this.#body = body;
    this.#left = length;
    this.#onDone = onDone;
    this.#onError = onError;
  }

  /** True once nothing more is written. */
  get isOver(): boolean {
    return this.isDone || this.#isStopped;
  }

  start(): void {
    const body = this.#body;
    if (body.errored !== null || body.destroyed) {
      this.#fail(body.errored ?? new HttpError('client_closed', 'the body was given up'));
      return;
    }
    body.on('data', this.#write);
    body.on('end', this.#end);
    body.on('error', this.#fail);
    body.on('close', this.#closed);
    this.#socket.on('drain', this.#drained);
  }

  /** Reads no more of the body. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const body = this.#body;
    body.off('data', this.#write);
    body.off('end', this.#end);
    body.off('close', this.#closed);
    this.#socket.off('drain', this.#drained);
    body.on('error', ignore);
    body.off('error', this.#fail);
    if (!this.isDone) body.destroy();
  }

  readonly #write = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    const socket = this.#socket;
    let isFree: boolean;
    if (this.#left === undefined) {
      socket.cork();
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      socket.write(chunk);
      isFree = socket.write('\r\n', 'latin1');
      socket.uncork();
    } else {
      this.#left -= chunk.length;
      if (this.#left < 0) {
        this.#fail(new HttpError('internal', 'the body is longer than its Content-Length'));
        return;
      }
      isFree = socket.write(chunk);
      if (this.#left === 0) this.#finish();
    }
    if (isFree || this.isDone) return;
    this.blockedSince = monotonicNow();
    this.#body.pause();
  };

  readonly #drained = (): void => {
    this.blockedSince = undefined;
    this.#body.resume();
  };

  readonly #end = (): void => {
    if (this.isDone) return;
    if (this.#left === undefined) this.#socket.write(LAST_CHUNK, 'latin1');
    if (this.#left === undefined || this.#left === 0) this.#finish();
    else this.#fail(new HttpError('internal', 'the body is shorter than its Content-Length'));
  };

  readonly #closed = (): void => {
    if (!this.isDone) this.#fail(new HttpError('client_closed', 'the body was given up'));
  };

  readonly #fail = (error: Error): void => {
    if (this.#isStopped || this.isDone) return;
    this.stop();
    this.#onError(error);
  };

  #finish(): void {
    this.isDone = true;
    this.blockedSince = undefined;
    this.#onDone();
  }
}

function ignore(): void {
  // An error of a body that is not read any more does not matter.
}
