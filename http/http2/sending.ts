/**
 * Sends the bodies of a connection's answers: a frame of each in turn, as fast
 * as the other side takes them (RFC 9113, section 5.2).
 * @module
 */
import { LONG_AGO, monotonicNow } from '../../lib/clock.ts';
import { MAX_FRAME_BYTES } from './frames.ts';
import type { Output } from './output.ts';
import type { Stream } from './stream.ts';

/** RFC 9113, section 6.9.2. */
const FIRST_WINDOW_BYTES = 65_535;

export class Sending {
  readonly #output: Output;
  readonly #onFinish: (stream: Stream) => void;
  /** Bytes that the other side takes on all streams together. */
  window = FIRST_WINDOW_BYTES;
  /** The same for a stream that begins. */
  initialWindow = FIRST_WINDOW_BYTES;
  /** Time at which a part was last sent. */
  sentAt = LONG_AGO;
  /** Streams that have something to send, in the order of their turns. */
  readonly #ready = new Set<Stream>();
  /** Streams that could not use their turn, as the window of the connection is exhausted. */
  readonly #blocked = new Set<Stream>();
  #isPumping = false;
  #isScheduled = false;

  /** @param onFinish - Told when an answer is on its way to its end. */
  constructor(output: Output, onFinish: (stream: Stream) => void) {
    this.#output = output;
    this.#onFinish = onFinish;
  }

  /** The stream has more to send than before, or may send more. */
  add(stream: Stream): void {
    this.#ready.add(stream);
    // What is little may be followed by the end, and goes with it.
    if (stream.queued >= MAX_FRAME_BYTES) this.pump();
    else this.#pumpSoon();
  }

  /** The window of the connection has grown. */
  unblock(): void {
    for (const stream of this.#blocked) this.#ready.add(stream);
    this.#blocked.clear();
    this.pump();
  }

  /** The stream sends no more. */
  forget(stream: Stream): void {
    this.#ready.delete(stream);
    this.#blocked.delete(stream);
  }

  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (const stream of this.#ready) {
      if (this.#output.isFull) break;
      this.#ready.delete(stream);
      if (stream.canSend) this.#sendPart(stream); // puts it behind the others, if it has more
    }
    this.#isPumping = false;
    this.#output.flushSoon();
  }

  #sendPart(stream: Stream): void {
    const { id } = stream;
    let part: Buffer | undefined;
    if (stream.queued > 0) {
      const most = Math.min(MAX_FRAME_BYTES, stream.sendWindow, this.window);
      if (most === 0) {
        this.#blocked.add(stream);
        return;
      }
      part = stream.takeQueued(most);
      stream.sendWindow -= part.length;
      this.window -= part.length;
      this.sentAt = monotonicNow();
      stream.movedAt = this.sentAt;
    }
    const ending = stream.takeEnding();
    const isLast = ending !== undefined && ending.trailers === undefined;
    if (part !== undefined || isLast) this.#output.data(id, part ?? NOTHING, isLast);
    if (ending?.trailers !== undefined) this.#output.headers(id, ending.trailers, true);
    if (ending !== undefined) {
      this.#onFinish(stream);
      return;
    }
    stream.hasSent();
    if (stream.canSend) this.#ready.add(stream);
  }

  #pumpSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.pump();
    });
  }
}

const NOTHING = Buffer.alloc(0);
