/**
 * One hostile connection: it keeps as many requests under way as its shape
 * says, counts what it gets, and comes again when it is closed.
 * @module
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { frame, HOST, type Shape } from './shape.ts';

export interface Counted {
  /** Requests that were answered, or refused. */
  answers: number;
  bytesSent: number;
  bytesReceived: number;
  /** Connections that the server closed. */
  closed: number;
  connections: number;
}

export interface Ports {
  readonly port: number;
  readonly tlsPort: number;
}

/** Delay before a closed connection is opened again. */
const AGAIN_MS = 5;

/** Between two bytes that are sent one by one: each comes by itself. */
const DRIP_MS = 1;

/** Streams of one connection, after which it begins anew: their numbers are bounded. */
const MAX_STREAMS = 1_000_000;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const SETTINGS = 4;
const WINDOW_UPDATE = 8;
const MAX_WINDOW = 2 ** 31 - 1;

export class Attack {
  readonly #shape: Shape;
  readonly #ports: Ports;
  readonly counted: Counted = { answers: 0, bytesSent: 0, bytesReceived: 0, closed: 0, connections: 0 };
  #socket: Socket | undefined;
  #isOver = false;
  /** Requests sent on this connection. */
  #sent = 0;
  #answered = 0;
  #reader: (chunk: Buffer) => number = () => 0;

  constructor(shape: Shape, ports: Ports) {
    this.#shape = shape;
    this.#ports = ports;
  }

  start(): void {
    if (this.#isOver) return;
    const { protocol } = this.#shape;
    const { port, tlsPort } = this.#ports;
    this.#sent = 0;
    this.#answered = 0;
    this.counted.connections++;
    const isHttp1 = protocol === 'HTTP/1.1';
    this.#reader = isHttp1 ? http1Answers() : http2Answers();
    const begin = (): void => {
      if (!isHttp1) this.#write(Buffer.concat([PREFACE, largestWindows()]));
      if (this.#shape.isDripped) this.#drip();
      else this.#fill();
    };
    const socket = isHttp1
      ? connect({ port, host: '127.0.0.1' }, begin)
      : connectTls(
          { port: tlsPort, host: '127.0.0.1', servername: HOST, ALPNProtocols: ['h2'], rejectUnauthorized: false },
          begin,
        );
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => undefined); // 'close' follows
    socket.on('data', (chunk: Buffer) => {
      this.counted.bytesReceived += chunk.length;
      const answers = this.#reader(chunk);
      this.#answered += answers;
      if (!this.#shape.isDripped) this.counted.answers += answers;
      if (answers > 0 && !this.#shape.isDripped) this.#fill();
    });
    socket.once('close', () => {
      if (this.#isOver) return;
      this.counted.closed++;
      setTimeout(() => this.start(), AGAIN_MS);
    });
  }

  stop(): void {
    this.#isOver = true;
    this.#socket?.destroy();
  }

  /** Sends again when half of what it may have under way is answered, all in one write. */
  #fill(): void {
    const { atOnce, bytes } = this.#shape;
    if (this.#isOver || this.#sent - this.#answered > atOnce / 2) return;
    if (this.#sent > MAX_STREAMS) {
      this.#socket?.destroy();
      return;
    }
    const parts: Buffer[] = [];
    while (this.#sent - this.#answered < atOnce) {
      parts.push(bytes(this.#sent, 2 * this.#sent + 1));
      this.#sent++;
    }
    this.#write(Buffer.concat(parts));
  }

  /** A byte at a time, and so that each comes by itself. */
  #drip(): void {
    let at = 0;
    let text = this.#shape.bytes(0, 1);
    let requests = 1;
    const next = (): void => {
      if (this.#isOver || this.#socket?.destroyed !== false) return;
      this.#write(text.subarray(at, at + 1));
      this.counted.answers++;
      at++;
      if (at === text.length) {
        text = this.#shape.bytes(requests, 2 * requests + 1);
        requests++;
        at = 0;
      }
      setTimeout(next, DRIP_MS);
    };
    next();
  }

  #write(bytes: Buffer): void {
    this.counted.bytesSent += bytes.length;
    this.#socket?.write(bytes);
  }
}

function largestWindows(): Buffer {
  const pairs = Buffer.alloc(6);
  pairs.writeUInt16BE(4, 0);
  pairs.writeUInt32BE(MAX_WINDOW, 2);
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(MAX_WINDOW - 65_535, 0);
  return Buffer.concat([frame(SETTINGS, 0, 0, pairs), frame(WINDOW_UPDATE, 0, 0, increment)]);
}

/** @returns A function that tells how many answers end in what came. */
function http1Answers(): (chunk: Buffer) => number {
  let rest = '';
  /** Bytes of a body that are still to come. */
  let body = 0;
  let isChunked = false;
  return (chunk) => {
    let answers = 0;
    let text = rest + chunk.toString('latin1');
    for (;;) {
      if (body > 0) {
        const taken = Math.min(body, text.length);
        text = text.slice(taken);
        body -= taken;
        if (body > 0) break;
        answers++;
      } else if (isChunked) {
        const end = text.indexOf('0\r\n\r\n');
        if (end < 0) {
          text = text.slice(-4);
          break;
        }
        text = text.slice(end + 5);
        isChunked = false;
        answers++;
      } else {
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) break;
        const answer = text.slice(0, end);
        text = text.slice(end + 4);
        const status = Number(answer.slice(9, 12));
        if (status < 200) continue;
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1] ?? 0);
        if (status === 304 || status === 204) answers++;
        else if (/\r\ntransfer-encoding: chunked/i.test(answer)) isChunked = true;
        else if (length === 0) answers++;
        else body = length;
      }
    }
    rest = text;
    return answers;
  };
}

/** Likewise. */
function http2Answers(): (chunk: Buffer) => number {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let answers = 0;
    let at = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const type = bytes[at + 3] as number;
      const flags = bytes[at + 4] as number;
      if (type === 3 || (type <= 1 && (flags & 1) !== 0)) answers++;
      at = end;
    }
    rest = Buffer.from(bytes.subarray(at));
    return answers;
  };
}
