/**
 * A client of HTTP/2 that sends exactly these frames (RFC 9113, section 4) and
 * tells which came back.
 *
 *     +-----------------------------------------------+
 *     |  Length (24)  | Type (8) | Flags (8)          |
 *     +-+-------------------------------------------------+
 *     |R|  Stream Identifier (31)  |  Payload …           |
 *     +-+-------------------------------------------------+
 * @module
 */
import type { TLSSocket } from 'node:tls';
import { dialTls } from './secure-edge.ts';

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A field section without compression: literals without indexing, new names (RFC 7541, section 6.2.2). */
export function section(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest: number[] = [];
  let left = bytes.length - 127;
  for (; left >= 128; left = Math.floor(left / 128)) rest.push((left % 128) + 128);
  return Buffer.concat([Buffer.from([127, ...rest, left]), bytes]);
}

export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'site.test'],
  [':path', '/'],
];

export function get(stream: number, path = '/'): Buffer {
  const fields = GET.map(([name, value]) => [name, name === ':path' ? path : value] as const);
  return frame(TYPE.headers, END_HEADERS | END_STREAM, stream, section(fields));
}

export function settings(pairs: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  pairs.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return frame(TYPE.settings, 0, 0, payload);
}

export class RawHttp2 {
  readonly socket: TLSSocket;
  readonly frames: Frame[] = [];
  /** Bytes of DATA, by stream. */
  readonly received = new Map<number, number>();
  #unread = Buffer.alloc(0);
  readonly #closed: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.setNoDelay(true);
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('close', () => this.#wake());
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /** Says nothing yet. */
  static async dial(port: number): Promise<RawHttp2> {
    return new RawHttp2(await dialTls(port, 'site.test', { ALPNProtocols: ['h2'] }));
  }

  /** @param own - What the client says of itself. */
  static async open(port: number, own: Parameters<typeof settings>[0] = []): Promise<RawHttp2> {
    const client = await RawHttp2.dial(port);
    client.send(PREFACE, settings(own));
    return client;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** Sends them one batch after the other, as fast as they are taken, until the connection is closed. */
  async flood(batch: Buffer, times: number): Promise<void> {
    for (let i = 0; i < times && !this.socket.destroyed; i++) {
      if (!this.socket.write(batch)) {
        await Promise.race([this.#closed, new Promise((resolve) => this.socket.once('drain', resolve))]);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves with the first frame that matches, or with `undefined` when the connection is closed. */
  async until(matches: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(matches);
      if (found !== undefined || this.socket.destroyed) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** @returns The error code of GOAWAY, or `undefined` when the connection ended without one. */
  async goawayCode(): Promise<number | undefined> {
    await this.#closed;
    return this.frames.find(({ type }) => type === TYPE.goaway)?.payload.readUInt32BE(4);
  }

  #read(chunk: Buffer): void {
    const bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    let at = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const type = bytes[at + 3] as number;
      const stream = bytes.readUInt32BE(at + 5);
      const payload = bytes.subarray(at + 9, end);
      this.frames.push({ type, flags: bytes[at + 4] as number, stream, payload });
      if (type === TYPE.data) this.received.set(stream, (this.received.get(stream) ?? 0) + payload.length);
      at = end;
    }
    this.#unread = Buffer.from(bytes.subarray(at));
    this.#wake();
  }
}
