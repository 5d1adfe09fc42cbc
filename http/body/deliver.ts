/**
 * Writes a response to the requester: headers as they are, body at the reader's
 * pace, and a body that broke off as a broken message, never as a complete one.
 * @module
 */
import type { ServerExchange } from '../exchange.ts';
import type { RawHeaders } from '../fields/headers.ts';
import type { BodyReader, ResponseHead } from '../message.ts';
import { beginWait, endWait } from './buffer-pool.ts';

export interface Delivery {
  readonly head: ResponseHead;
  readonly body: BodyReader | undefined;
  readonly trailers: () => RawHeaders;
  /** Maximum time without progress in writing the response. */
  readonly writeTimeoutMs: number;
  /** Called with the reason when the response is cut off, and its connection closed. */
  readonly onBroken: (error: unknown) => void;
}

/** Body that follows a head. */
export interface BodyDelivery extends Omit<Delivery, 'head' | 'body' | 'writeTimeoutMs'> {
  readonly body: BodyReader;
  /** Absent: the server of the exchange watches it. */
  readonly writeTimeoutMs?: number;
}

/**
 * Sends a response: at once as far as its body is there and the connection takes it, the rest later.
 *
 * @returns Bytes of the body that were written, to its end or not. Never throws, and never rejects.
 */
export function deliver(exchange: ServerExchange, delivery: Delivery): number | Promise<number> {
  const { head, body, onBroken } = delivery;
  if (exchange.isClosed) {
    body?.close(); // the other side has gone, or was turned away over the rest of its request
    return 0;
  }
  try {
    exchange.head(head);
    if (hasBody(delivery)) return sendBody(exchange, delivery);
    exchange.end();
  } catch (error) {
    exchange.abort();
    onBroken(error);
    body?.close();
  }
  return 0;
}

function hasBody(delivery: Delivery): delivery is Delivery & BodyDelivery {
  return delivery.body !== undefined;
}

/** Sends the body behind a head, and ends the answer. @returns As `deliver`. */
export function sendBody(exchange: ServerExchange, delivery: BodyDelivery): number | Promise<number> {
  const { body, trailers, onBroken } = delivery;
  let bytes = 0;
  try {
    for (let piece = body.next(); piece !== null; piece = body.next()) {
      if (piece instanceof Promise) return sendRest(exchange, delivery, bytes, piece);
      if (exchange.isClosed) break;
      bytes += piece.length;
      if (!exchange.write(piece)) return sendRest(exchange, delivery, bytes, undefined);
      if (exchange.isFlushed) body.release?.();
    }
    if (!exchange.isClosed) exchange.end(trailers());
  } catch (error) {
    exchange.abort();
    onBroken(error);
  }
  body.close();
  return bytes;
}

/**
 * Sends what is left of a body.
 *
 * @param bytes - Bytes that were written before.
 * @param pending - The next piece; `undefined`: the connection takes no more at the moment.
 */
async function sendRest(
  exchange: ServerExchange,
  { body, trailers, writeTimeoutMs, onBroken }: BodyDelivery,
  bytes: number,
  pending: Promise<Buffer | null> | undefined,
): Promise<number> {
  const close = (): void => body.close();
  exchange.onClose(close);
  let flushing: NodeJS.Immediate | undefined;
  let written = bytes;
  try {
    let hasRoom = pending !== undefined;
    let next: Buffer | null | Promise<Buffer | null> | undefined = pending;
    for (;;) {
      if (!hasRoom) await drained(exchange, writeTimeoutMs);
      if (exchange.isFlushed) body.release?.();
      let piece: Buffer | null | Promise<Buffer | null> = next ?? body.next();
      next = undefined;
      if (piece instanceof Promise) {
        // Mostly the body comes with the head, or in the same turn, and one write has both.
        if (written === 0) flushing = setImmediate(() => exchange.flush());
        piece = await piece;
        clearImmediate(flushing);
      }
      if (exchange.isClosed) return written;
      if (piece === null) break;
      written += piece.length;
      hasRoom = exchange.write(piece);
    }
    exchange.end(trailers());
  } catch (error) {
    exchange.abort();
    onBroken(error);
  } finally {
    clearImmediate(flushing);
    exchange.offClose(close);
    body.close();
  }
  return written;
}

/**
 * Resolves when the connection takes more, or is gone; one that takes nothing for too long is closed. Answers before it
 * have their own time.
 */
function drained(exchange: ServerExchange, timeoutMs: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const expire = (): void => {
      if (exchange.awaitsTurn) timer?.refresh();
      else exchange.abort();
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
    beginWait();
    exchange.onDrain(() => {
      endWait();
      clearTimeout(timer);
      resolve();
    });
  });
}
