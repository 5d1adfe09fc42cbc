/**
 * Writes a response to the requester: headers as they are, body at the reader's
 * pace, and a body that broke off as a broken message, never as a complete one.
 * @module
 */
import type { ServerExchange } from '../exchange.ts';
import type { RawHeaders } from '../fields/headers.ts';
import type { BodyReader, ResponseHead } from '../message.ts';

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
  exchange: ServerExchange,
  { head, body, trailers, writeTimeoutMs, onBroken }: Delivery,
): Promise<number> {
  if (exchange.isClosed) {
    body?.close(); // the other side has gone, or was turned away over the rest of its request
    return 0;
  }
  const close = (): void => body?.close();
  let isWatched = false;
  /** Installs the listeners only when the delivery first has to wait; most never do. */
  const watch = (): void => {
    if (!isWatched) exchange.onClose(close);
    isWatched = true;
  };
  let flushing: NodeJS.Immediate | undefined;
  let bytes = 0;
  try {
    exchange.head(head);
    if (body === undefined) {
      exchange.end();
      return 0;
    }
    for (;;) {
      let piece = body.next();
      if (piece instanceof Promise) {
        watch();
        // Mostly the body comes with the head, or in the same turn, and one write has both.
        if (bytes === 0) flushing = setImmediate(() => exchange.flush());
        piece = await piece;
        clearImmediate(flushing);
      }
      if (exchange.isClosed) return bytes;
      if (piece === null) break;
      bytes += piece.length;
      if (!exchange.write(piece)) {
        watch();
        await drained(exchange, writeTimeoutMs);
      }
      if (exchange.isFlushed) body.release?.();
    }
    exchange.end(trailers());
    return bytes;
  } catch (error) {
    exchange.abort();
    onBroken(error);
    return bytes;
  } finally {
    clearImmediate(flushing);
    if (isWatched) exchange.offClose(close);
    body?.close();
  }
}

/** Resolves when the connection takes more, or is gone; one that takes nothing for too long is closed. */
function drained(exchange: ServerExchange, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => exchange.abort(), timeoutMs);
    exchange.onDrain(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
