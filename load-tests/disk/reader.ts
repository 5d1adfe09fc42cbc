/**
 * Visitors of the disk benchmark: connections that each ask for one object after another, and look at every byte.
 * @module
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Objects } from './objects.ts';

/** Answers, by where they came from as the server says. */
export interface AnswerCounts {
  disk: number;
  memory: number;
  origin: number;
  /** Answers that are not what the origin has sent. */
  wrong: number;
}

export type Source = Exclude<keyof AnswerCounts, 'wrong'>;

/** @returns Where an answer came from, by its head. */
export type SourceOf = (head: string) => Source;

class Reader {
  readonly #socket: Socket;
  readonly #objects: Objects;
  readonly #received: Buffer;
  #length = 0;
  #isClosed = false;
  /** Called when something was received, or the connection was closed. */
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, objects: Objects) {
    this.#socket = socket;
    this.#objects = objects;
    this.#received = Buffer.alloc(objects.bytes + 8_192);
    socket.on('data', (chunk: Buffer) => {
      chunk.copy(this.#received, this.#length);
      this.#length += chunk.length;
      this.#wake();
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static async open(port: number, objects: Objects): Promise<Reader> {
    const socket = connect(port, '127.0.0.1').setNoDelay();
    await once(socket, 'connect');
    return new Reader(socket, objects);
  }

  /** @returns Head of the answer, and whether all of it is right. */
  async ask(index: number, method: 'GET' | 'HEAD'): Promise<{ readonly head: string; readonly isRight: boolean }> {
    this.#length = 0;
    const bytes = method === 'HEAD' ? 0 : this.#objects.bytes;
    this.#socket.write(`${method} /${index} HTTP/1.1\r\nHost: bench.test\r\n\r\n`);
    for (;;) {
      const end = this.#received.subarray(0, this.#length).indexOf('\r\n\r\n');
      if (end >= 0 && this.#length >= end + 4 + bytes) {
        const head = this.#received.toString('latin1', 0, end);
        const isRight =
          head.startsWith('HTTP/1.1 200') &&
          this.#length === end + 4 + bytes &&
          this.#received.subarray(end + 4, this.#length).equals(this.#objects.body(index).subarray(0, bytes));
        return { head, isRight };
      }
      if (end >= 0 && !this.#received.toString('latin1', 0, end).startsWith('HTTP/1.1 200'))
        throw new Error(`an answer: ${this.#received.toString('latin1', 0, end)}`);
      if (this.#isClosed) throw new Error('the connection was closed');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

export interface Reading {
  readonly port: number;
  readonly objects: Objects;
  readonly sourceOf: SourceOf;
  readonly connections: number;
  /** @returns The next object to ask for; `undefined` when there is none. */
  readonly next: () => number | undefined;
  /** Requests for each of them, one after the other: a GET and then HEAD; by default one. */
  readonly times?: number;
  /** Called with each answer. */
  readonly onAnswer?: (index: number, source: Source) => void;
}

/** Reads objects until there is no next one. */
export async function readAll({
  port,
  objects,
  sourceOf,
  connections,
  next,
  times = 1,
  onAnswer,
}: Reading): Promise<AnswerCounts> {
  const counts: AnswerCounts = { disk: 0, memory: 0, origin: 0, wrong: 0 };
  const readOn = async (): Promise<void> => {
    const reader = await Reader.open(port, objects);
    try {
      for (let index = next(); index !== undefined; index = next()) {
        for (let i = 0; i < times; i++) {
          const { head, isRight } = await reader.ask(index, i === 0 ? 'GET' : 'HEAD');
          const source = sourceOf(head);
          counts[source]++;
          if (!isRight) counts.wrong++;
          onAnswer?.(index, source);
        }
      }
    } finally {
      reader.close();
    }
  };
  await Promise.all(Array.from({ length: connections }, readOn));
  return counts;
}
