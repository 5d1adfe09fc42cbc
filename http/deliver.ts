/**
 * Writes a response to a `node:http` connection: headers as they are, body at
 * the reader's pace, and a body that broke off as a broken message, never as a
 * complete one.
 * @module
 */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { fieldValue, type RawHeaders } from './headers.ts';
import { isUnread } from './listener.ts';
import type { BodyReader, ResponseHead } from './message.ts';

export interface Delivery {
  readonly head: ResponseHead;
  readonly body: BodyReader | undefined;
  readonly trailers: () => RawHeaders;
  /** Maximum time without progress in writing the response. */
  readonly writeTimeoutMs: number;
  /** Called with the reason when the response is cut off, and its connection closed. */
  readonly onBroken: (error: unknown) => void;
}

/** @returns Bytes of the body that were written, to its end or not. Never rejects. */
export async function deliver(
  response: ServerResponse,
  { head, body, trailers, writeTimeoutMs, onBroken }: Delivery,
): Promise<number> {
  if (response.destroyed || response.socket?.writableEnded) {
    body?.close(); // the other side has gone, or was turned away over the rest of its request
    return 0;
  }
  // What the request still has to send is read no more (RFC 9112, section 9.6).
  if (isUnread(response.req)) response.shouldKeepAlive = false;
  const close = (): void => body?.close();
  let isWatched = false;
  /** Installs the listeners only when the delivery first has to wait; most never do. */
  const watch = (): void => {
    if (!isWatched) response.once('close', close);
    isWatched = true;
  };
  let bytes = 0;
  try {
    // Node frames by what it is told: without a length the body goes in chunks, so that its end is told from a break.
    response.writeHead(head.status, reasonPhrase(head), head.headers as string[]);
    if (body === undefined) {
      response.end();
      return 0;
    }
    if (fieldValue(head.headers, 'content-length') === undefined) response.flushHeaders();
    for (;;) {
      let chunk = body.next();
      if (chunk instanceof Promise) {
        watch();
        chunk = await chunk;
      }
      if (response.destroyed) return bytes;
      if (chunk === null) break;
      bytes += chunk.length;
      if (!response.write(chunk)) {
        watch();
        await drained(response, writeTimeoutMs);
      }
      if (response.writableLength === 0) body.release?.();
    }
    const fields = trailers();
    if (fields.length > 0 && response.chunkedEncoding) response.addTrailers(pairs(fields));
    response.end();
    return bytes;
  } catch (error) {
    breakOff(response, head);
    onBroken(error);
    return bytes;
  } finally {
    if (isWatched) response.off('close', close);
    body?.close();
  }
}

/**
 * Cuts a response off. A body that ends with its connection, having neither length nor chunks, can only be cut off by a
 * reset.
 */
function breakOff(response: ServerResponse, { headers }: ResponseHead): void {
  const { socket, req } = response;
  const isUnframed = req.httpVersion === '1.0' && fieldValue(headers, 'content-length') === undefined;
  // Over TLS a connection that ends without close_notify is broken (RFC 9112, section 9.8).
  if (isUnframed && socket !== null && (socket as Partial<TLSSocket>).encrypted !== true) socket.resetAndDestroy();
  else response.destroy();
}

/** Passes a 1xx on, where it can be understood (RFC 9110, section 15.2: not by HTTP/1.0) and is not too late. */
export function deliverInterim(response: ServerResponse, status: number, headers: RawHeaders): void {
  if (response.req.httpVersion === '1.0' || response.headersSent || response.destroyed) return;
  if (response.socket?.writable) response.writeInformation(status, headers as string[]);
}

/** The origin's own reason phrase, unless it has none or one that could end the status line. */
export function reasonPhrase({ status, statusText }: ResponseHead): string {
  return /^[\t\x20-\x7e\x80-\xff]+$/.test(statusText) ? statusText : (STATUS_CODES[status] ?? '');
}

/** Resolves when the connection takes more, or is gone; one that takes nothing for too long is closed. */
function drained(response: ServerResponse, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), timeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function pairs(headers: RawHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) list.push([headers[i] as string, headers[i + 1] as string]);
  return list;
}
