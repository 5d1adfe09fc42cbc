/**
 * Output of a connection: frames are collected in buffers and written together, once for all answers of one turn.
 * @module
 */
import type { Socket } from 'node:net';
import type { ErrorCode } from './errors.ts';
import {
  addressFrames,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  MAX_FRAME_BYTES,
  writeFrameHead,
  writeUint32,
} from './frames.ts';
import { Slab } from './slab.ts';

export class Output {
  readonly #socket: Socket;
  readonly #onRoom: () => void;
  #slab: Slab | undefined;
  /** Offset of the first byte that has not been sent. */
  #start = 0;
  #isScheduled = false;
  #isFull = false;
  /**
   * True if the other side has reduced its table to nothing, and has to be told that it will be empty (RFC 7541,
   * section 4.2).
   */
  mustEmptyTable = false;

  /** @param onRoom - Told when there is room again after there was none. */
  constructor(socket: Socket, onRoom: () => void) {
    this.#socket = socket;
    this.#onRoom = onRoom;
    socket.on('drain', this.#onDrain);
  }

  /** True if bodies have to wait because the other side reads too slowly. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Sends what is written, all at once. */
  flush(): void {
    const slab = this.#slab;
    if (slab === undefined) return;
    this.#slab = undefined;
    const isSent = this.#socket.writable;
    if (isSent && !this.#socket.write(slab.cut(this.#start), slab.onWritten)) this.#isFull = true;
    slab.release();
  }

  /** Sends what is written when the writer has finished. */
  flushSoon(): void {
    if (this.#isScheduled || this.#slab === undefined) return;
    this.#isScheduled = true;
    queueMicrotask(this.#onTurn);
  }

  /** @param frames - Of `answerFrames`, followed by the body. */
  answer(id: number, frames: Uint8Array, hasBody: boolean): void {
    const slab = this.#room(frames.length);
    slab.bytes.set(frames, slab.end);
    addressFrames(slab.bytes, slab.end, hasBody, id);
    slab.end += frames.length;
  }

  /** A header section, in as many frames as it needs (RFC 9113, section 6.10). */
  headers(id: number, given: Buffer, isLast: boolean): void {
    const block = this.mustEmptyTable ? Buffer.concat([EMPTY_TABLE, given]) : given;
    this.mustEmptyTable = false;
    let type: number = FRAME.headers;
    let flags = isLast ? FLAG.endStream : 0;
    for (let from = 0; type === FRAME.headers || from < block.length; from += MAX_FRAME_BYTES) {
      const part = block.subarray(from, from + MAX_FRAME_BYTES);
      if (from + part.length === block.length) flags |= FLAG.endHeaders;
      this.#frame(type, flags, id, part);
      type = FRAME.continuation;
      flags = 0;
    }
  }

  data(id: number, bytes: Uint8Array, isLast: boolean): void {
    this.#frame(FRAME.data, isLast ? FLAG.endStream : 0, id, bytes);
  }

  reset(id: number, code: ErrorCode): void {
    this.#numbers(FRAME.reset, id, code);
  }

  windowUpdate(id: number, bytes: number): void {
    this.#numbers(FRAME.windowUpdate, id, bytes);
  }

  goaway(lastId: number, code: ErrorCode): void {
    this.#numbers(FRAME.goaway, 0, lastId, code);
  }

  settings(pairs: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.alloc(pairs.length * 6);
    pairs.forEach(([id, value], i) => {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    });
    this.#frame(FRAME.settings, 0, 0, payload);
  }

  acknowledgeSettings(): void {
    this.#frame(FRAME.settings, FLAG.ack, 0, NOTHING);
  }

  ping(payload: Uint8Array, isAnswer: boolean): void {
    this.#frame(FRAME.ping, isAnswer ? FLAG.ack : 0, 0, payload);
  }

  #numbers(type: number, id: number, ...numbers: readonly number[]): void {
    const slab = this.#room(FRAME_HEAD_BYTES + numbers.length * 4);
    slab.end = writeFrameHead(slab.bytes, slab.end, numbers.length * 4, type, 0, id);
    for (const number of numbers) {
      writeUint32(slab.bytes, slab.end, number);
      slab.end += 4;
    }
  }

  #frame(type: number, flags: number, id: number, payload: Uint8Array): void {
    const slab = this.#room(FRAME_HEAD_BYTES + payload.length);
    slab.end = writeFrameHead(slab.bytes, slab.end, payload.length, type, flags, id);
    slab.bytes.set(payload, slab.end);
    slab.end += payload.length;
  }

  /** @returns The slab, with room for so many bytes. */
  #room(bytes: number): Slab {
    if (this.#slab !== undefined && this.#slab.end + bytes > this.#slab.bytes.length) this.flush();
    if (this.#slab === undefined) {
      this.#slab = Slab.take();
      this.#start = this.#slab.end;
    }
    return this.#slab;
  }

  readonly #onTurn = (): void => {
    this.#isScheduled = false;
    this.flush();
  };

  readonly #onDrain = (): void => {
    this.#isFull = false;
    this.#onRoom();
  };
}

/** A table size of 0. */
const EMPTY_TABLE = Buffer.from([0x20]);

const NOTHING = Buffer.alloc(0);
