/**
 * WebSockets in delivery: they have no end of their own, so when the node drains, their visitors are told that the
 * server is going away (1001), and connect again, to another node.
 *
 * The close frame has to stand between two frames of the server (RFC 6455, section 5.2):
 *
 *     FIN, opcode │ mask, length │ 0, 2 or 8 bytes more of length │ 0 or 4 bytes of mask │ payload
 * @module
 */
import type { Duplex } from 'node:stream';

/** Close frame with 1001, "going away" (sections 5.5.1 and 7.4.1). */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

const CLOSE = 0x8;

/** Position in a stream of frames. */
export class FramePosition {
  /** Bytes of a header that is not complete. */
  #header: number[] = [];
  /** Bytes of the payload that are left. */
  #left = 0;
  /** True once a close frame has begun. */
  hasClose = false;

  get isBetweenFrames(): boolean {
    return this.#left === 0 && this.#header.length === 0;
  }

  /**
   * Goes on by these bytes, or to the end of the first frame that ends in them.
   *
   * @returns Number of bytes by which it went on.
   */
  advance(bytes: Buffer, isToFrameEnd: boolean): number {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        at += taken;
      } else this.#takeHeaderByte(bytes[at++] as number);
      if (isToFrameEnd && this.isBetweenFrames) return at;
    }
    return at;
  }

  #takeHeaderByte(byte: number): void {
    const header = this.#header;
    header.push(byte);
    if (header.length < 2) return;
    const [first = 0, second = 0] = header;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const maskBytes = second & 0x80 ? 4 : 0;
    if (header.length < 2 + lengthBytes + maskBytes) return;
    const long = header.slice(2, 2 + lengthBytes);
    this.#left = lengthBytes === 0 ? short : long.reduce((sum, next) => sum * 256 + next, 0);
    if ((first & 0x0f) === CLOSE) this.hasClose = true;
    this.#header = [];
  }
}

interface Open {
  goAway(): void;
}

export class WebSockets {
  readonly #open = new Set<Open>();
  #isEnded = false;

  /**
   * Watches what a server sends to a visitor, until either connection closes. To be called before it is passed on.
   */
  add(server: Duplex, visitor: Duplex): void {
    const position = new FramePosition();
    let state: 'passing' | 'in a frame' | 'going' = 'passing';
    const sayGoodbye = (): void => {
      state = 'going';
      if (!position.hasClose) visitor.write(GOING_AWAY);
    };
    server.on('data', (bytes: Buffer) => {
      if (state === 'passing') position.advance(bytes, false);
      else if (state === 'in a frame') {
        visitor.write(bytes.subarray(0, position.advance(bytes, true)));
        if (position.isBetweenFrames) sayGoodbye();
      }
    });
    const open = {
      goAway: (): void => {
        if (position.hasClose) return; // it ends by itself
        server.unpipe(visitor);
        server.once('end', () => visitor.end());
        if (position.isBetweenFrames) sayGoodbye();
        else state = 'in a frame';
        server.resume();
      },
    };
    const forget = (): void => void this.#open.delete(open);
    server.once('close', forget);
    visitor.once('close', forget);
    this.#open.add(open);
    if (this.#isEnded) setImmediate(open.goAway);
  }

  /** Tells the visitors of those that are open, and of those that begin later. */
  end(): void {
    this.#isEnded = true;
    for (const open of [...this.#open]) open.goAway();
  }
}
