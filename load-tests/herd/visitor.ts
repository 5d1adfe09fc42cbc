/**
 * A visitor of the herd: one connection, one request, and every byte of the
 * answer checked as it comes. Thousands of them share one read buffer.
 * @module
 */
import { connect, type Socket } from 'node:net';

/** Behaviour of a visitor: the share of the body that it reads, and its next step. */
export type Habit =
  /** Reads to the end. */
  | { readonly kind: 'whole' }
  /** So many bytes of the body; then nothing more, connection open, until it is told to leave. */
  | { readonly kind: 'part'; readonly bytes: number }
  /** So many bytes at a time, with pauses, to the end or until it is told to leave. */
  | { readonly kind: 'slow'; readonly bytes: number; readonly everyMs: number };

export interface VisitorOptions {
  readonly port: number;
  readonly path: string;
  readonly habit: Habit;
  /** @returns Whether these bytes are what stands at `offset` of the body. */
  readonly check: (bytes: Buffer, offset: number) => boolean;
}

/** Visitors so far. */
let visitors = 0;

/** @returns An address of the loopback network that no visitor before has had: visitors are not one visitor. */
function ownAddress(): string {
  visitors++;
  return `127.${1 + (visitors >> 16)}.${(visitors >> 8) & 0xff}.${visitors & 0xff}`;
}

const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

const HEAD_END = Buffer.from('\r\n\r\n');

export class Visitor {
  readonly habit: Habit;
  readonly #options: VisitorOptions;
  readonly #socket: Socket;
  #head: Buffer | undefined = Buffer.alloc(0);
  #length = 0;
  #finish!: () => void;
  #onMessage!: () => void;
  status = 0;
  cacheStatus = '';
  /** Bytes of the body that were read. */
  received = 0;
  /** Fault in the answer. */
  problem: string | undefined;
  state: 'reading' | 'whole' | 'resting' | 'left' | 'broken' = 'reading';
  /** Resolves when the head is there, or when nothing will come. */
  readonly answered: Promise<void>;
  /** Resolves when it has read what it wanted, or when nothing more comes. */
  readonly done: Promise<void>;
  /** Rejects when it cannot connect. */
  readonly connected: Promise<void>;

  constructor(options: VisitorOptions) {
    this.#options = options;
    this.habit = options.habit;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.answered = new Promise((resolve) => {
      this.#onMessage = resolve;
    });
    this.#socket = connect({
      localAddress: ownAddress(),
      host: '127.0.0.1',
      port: options.port,
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: (length) => this.#onRead(READ_BUFFER.subarray(0, length)) },
    });
    this.connected = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve);
      this.#socket.once('error', reject);
    });
    this.#socket.on('error', (error) => this.#end('broken', error.message));
    this.#socket.on('end', () => this.#end('broken', 'the connection ended'));
    this.#socket.on('close', () => this.#end('broken', 'the connection closed'));
  }

  /** Sends the request. */
  ask(): void {
    this.#socket.write(`GET ${this.#options.path} HTTP/1.1\r\nHost: herd.example\r\nUser-Agent: herd\r\n\r\n`);
  }

  /** Closes the connection, whatever is still to come. */
  leave(): void {
    if (this.state === 'reading' && this.habit.kind === 'whole') this.problem ??= 'left before the end';
    if (this.state === 'reading' || this.state === 'resting') this.state = 'left';
    this.#socket.destroy();
    this.#finish();
  }

  /** @returns Whether to go on reading. */
  #onRead(bytes: Buffer): boolean {
    if (this.#head === undefined) return this.#onBody(bytes);
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return true;
    const body = this.#head.subarray(end + HEAD_END.length);
    const head = this.#head.toString('latin1', 0, end);
    this.#head = undefined;
    this.status = Number(head.slice(9, 12));
    this.#length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? Number.NaN);
    this.cacheStatus = /^cache-status: *(.*)$/im.exec(head)?.[1] ?? '';
    this.#onMessage();
    if (this.status !== 200) {
      this.#end('broken', `status ${this.status}`);
      return false;
    }
    if (Number.isNaN(this.#length)) {
      this.#end('broken', 'no Content-Length');
      return false;
    }
    return this.#onBody(body);
  }

  #onBody(bytes: Buffer): boolean {
    if (!this.#options.check(bytes, this.received)) {
      this.#end('broken', `wrong bytes after ${this.received}`);
      return false;
    }
    const { habit } = this;
    const before = this.received;
    this.received += bytes.length;
    if (this.received > this.#length) {
      this.#end('broken', 'more bytes than announced');
      return false;
    }
    if (this.received === this.#length) {
      this.#end('whole', undefined);
      return false;
    }
    if (habit.kind === 'part' && this.received >= habit.bytes) {
      this.state = 'resting';
      this.#finish();
      return false;
    }
    if (habit.kind === 'slow' && Math.floor(before / habit.bytes) < Math.floor(this.received / habit.bytes)) {
      setTimeout(() => this.#socket.resume(), habit.everyMs);
      return false;
    }
    return true;
  }

  #end(state: 'whole' | 'broken', problem: string | undefined): void {
    if (this.state !== 'reading' && this.state !== 'resting') return;
    this.state = state;
    this.problem = problem;
    this.#socket.destroy();
    this.#onMessage();
    this.#finish();
  }
}
