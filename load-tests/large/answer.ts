/**
 * Answers of an origin whose objects are made as they are sent: whole or by range, with If-Match.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAX_PIECE_BYTES, piece } from './object.ts';

const TAG = '"the-one"';

export interface ObjectOptions {
  /** Bytes of the object. */
  readonly length: number;
  /** Called with the bytes that are handed to the system. */
  readonly onSent?: (bytes: number) => void;
}

export function answerObject(
  request: IncomingMessage,
  response: ServerResponse,
  { length, onSent }: ObjectOptions,
): void {
  const { range, 'if-match': ifMatch = TAG } = request.headers;
  if (ifMatch !== TAG) {
    response.writeHead(412).end();
    return;
  }
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = last ? Math.min(Number(last) + 1, length) : length;
  response.writeHead(first === undefined ? 200 : 206, {
    ETag: TAG,
    'Cache-Control': 'max-age=3600',
    'Accept-Ranges': 'bytes',
    'Content-Length': end - start,
    ...(first !== undefined && { 'Content-Range': `bytes ${start}-${end - 1}/${length}` }),
  });
  const send = (from: number): void => {
    let at = from;
    while (at < end && !response.destroyed) {
      const next = Math.min(at + MAX_PIECE_BYTES, end);
      onSent?.(next - at);
      const hasRoom = response.write(piece(at, next));
      at = next;
      if (!hasRoom) {
        response.once('drain', () => send(at));
        return;
      }
    }
    if (!response.destroyed) response.end();
  };
  send(start);
}
