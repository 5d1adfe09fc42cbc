/**
 * Visitors of `npm run bench:memory`, in a process of their own. Says when a load is over, or its slow readers have
 * read for as long as they should; slow readers stay until the next message.
 * @module
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { seededRandom } from '../../test/support/random.ts';
import { MAX_PIECE_BYTES, piece } from '../large/object.ts';
import { type Load, mixedBytes } from './loads.ts';

export interface Outcome {
  readonly bytes: number;
  /** Whole answers. */
  readonly answers: number;
  /** Connections that ended before their answer, or answers that are none. */
  readonly broken: number;
}

const [port, load] = [Number(process.argv[2]), JSON.parse(process.argv[3] as string) as Load];
const random = seededRandom(11);
const outcome = { bytes: 0, answers: 0, broken: 0 };

/** A slow reader reads what has come once in this time: some 64 KiB. */
const SLOW_MS = 1_000;

const CONNECT_AT_A_TIME = 250;

class Visitor {
  readonly socket: Socket = connect(port, '127.0.0.1');
  #head = '';
  #left = 0;
  #onEnd: (() => void) | undefined;
  isSlow = false;

  constructor() {
    this.socket.on('data', (bytes: Buffer) => this.#take(bytes));
    this.socket.on('error', () => undefined); // `close` follows
    this.socket.on('close', () => {
      if (this.#onEnd === undefined) return;
      outcome.broken++;
      this.#end();
    });
  }

  /** Resolves at the end of the answer, or of the connection. */
  get(path: string): Promise<void> {
    return this.#ask(`GET ${path} HTTP/1.1\r\nHost: memory.test\r\n\r\n`);
  }

  async post(path: string, bytes: number): Promise<void> {
    let isAnswered = false;
    const answered = this.#ask(`POST ${path} HTTP/1.1\r\nHost: memory.test\r\nContent-Length: ${bytes}\r\n\r\n`);
    void answered.then(() => {
      isAnswered = true; // before the end of the body: refused
    });
    for (let at = 0; at < bytes && !isAnswered; at += MAX_PIECE_BYTES) {
      if (this.socket.write(piece(at, Math.min(at + MAX_PIECE_BYTES, bytes)))) continue;
      await Promise.race([new Promise((resolve) => this.socket.once('drain', resolve)), answered]);
    }
    await answered;
  }

  #ask(head: string): Promise<void> {
    if (this.socket.destroyed) return Promise.resolve();
    this.#head = '';
    return new Promise((resolve) => {
      this.#onEnd = resolve;
      this.socket.write(head);
    });
  }

  #take(bytes: Buffer): void {
    outcome.bytes += bytes.length;
    if (this.isSlow) this.socket.pause();
    let body = bytes.length;
    if (this.#left === 0) {
      this.#head += bytes.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      body = this.#head.length - end - 4;
      this.#left = Number(/\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1] ?? 0);
      if (!this.#head.startsWith('HTTP/1.1 200')) outcome.broken++;
    }
    this.#left -= body;
    if (this.#left > 0) return;
    this.#left = 0;
    outcome.answers++;
    this.#end();
  }

  #end(): void {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.();
  }
}

const visitors: Visitor[] = [];
while (visitors.length < load.connections) {
  const batch = Array.from({ length: Math.min(CONNECT_AT_A_TIME, load.connections - visitors.length) }, () => {
    const visitor = new Visitor();
    visitor.isSlow = load.kind === 'slow';
    return visitor;
  });
  visitors.push(...batch);
  await Promise.all(batch.map(({ socket }) => once(socket, 'connect')));
}

const until = performance.now() + load.seconds * 1_000;

/** One visitor's requests. */
async function visit(visitor: Visitor, index: number): Promise<void> {
  const { kind, bytes, objects } = load;
  const path = (number: number, size: number): string => `/${size}/${number}`;
  if (kind === 'uploads') return visitor.post(path(index, bytes), bytes);
  if (kind !== 'mixed') return visitor.get(path(index % objects, bytes));
  while (performance.now() < until && !visitor.socket.destroyed) {
    const number = Math.floor(random() * objects);
    await visitor.get(path(number, mixedBytes(number, load)));
  }
}

const visits = Promise.all(visitors.map(visit));
if (load.kind === 'slow') {
  // Spread over the time, so that they do not read all at once.
  const timers = visitors.map((visitor, index) => {
    const resume = (): void => void visitor.socket.resume();
    return setTimeout(() => setInterval(resume, SLOW_MS), (index / visitors.length) * SLOW_MS);
  });
  await Promise.race([wait(load.seconds * 1_000), visits]);
  for (const timer of timers) clearTimeout(timer);
} else await visits;
process.send?.(outcome satisfies Outcome);
process.once('message', () => process.exit());
