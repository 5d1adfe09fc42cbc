/**
 * Writes an answer whose body comes in pieces: as many at a time as the system
 * takes at once, and then at the reader's pace.
 * @module
 */
import type { Socket } from 'node:net';
import type { BodyReader } from '../message.ts';
import { beginWait, bytesForReader, endWait } from './buffer-pool.ts';

/** Pieces that are given to the system at a time: a slow reader shows that it reads once for each. */
const WINDOW_PIECES = 8;

export interface PacedWriting {
  readonly head: Buffer;
  readonly body: BodyReader;
  /** Calls back when the reader has taken what was written. */
  readonly waitForReader: (then: () => void) => void;
  /** Called once with the bytes of the body that were written, when all are or the connection has failed. */
  readonly onDone: (bytes: number) => void;
  /** Called when all is written on an intact connection; after `onDone`. */
  readonly onWritten: () => void;
}

export function writeAtPace(socket: Socket, { head, body, waitForReader, onDone, onWritten }: PacedWriting): void {
  let bytes = -head.length;
  let first: Buffer | null = head;
  let isWaiting = false;
  const waits = (value: boolean): void => {
    if (value === isWaiting) return;
    isWaiting = value;
    if (value) beginWait();
    else endWait();
  };
  const finish = (): void => {
    socket.off('close', finish);
    waits(false);
    try {
      body.close();
    } finally {
      onDone(Math.max(0, bytes));
    }
  };
  if (socket.closed) {
    finish();
    return;
  }
  socket.once('close', finish);
  const end = (): void => {
    if (socket.destroyed) return; // `finish` has been called, or will be
    finish();
    onWritten();
  };
  const fail = (): void => {
    socket.destroy(); // a body that broke off must not look like a whole one
  };

  /** @returns Whether all is written; a promise when the next piece is still on its way. */
  const write = (): boolean | Promise<Buffer | null> => {
    for (let window = WINDOW_PIECES * bytesForReader(); window > 0; ) {
      const piece = first ?? body.next();
      first = null;
      if (piece === null) return true;
      if (piece instanceof Promise) return piece;
      bytes += piece.length;
      window -= piece.length;
      socket.write(piece);
    }
    return false;
  };
  /** Head and pieces in one call of the system. @returns `undefined` where the body broke off. */
  const writeWindow = (): boolean | Promise<Buffer | null> | undefined => {
    socket.cork();
    try {
      return write();
    } catch {
      fail();
      return undefined;
    } finally {
      socket.uncork();
    }
  };
  const goOnWith = (piece: Buffer | null): void => {
    if (piece === null) end();
    else if (!socket.destroyed) {
      first = piece;
      pump();
    }
  };
  const pump = (): void => {
    waits(false);
    for (;;) {
      const result = writeWindow();
      if (result === undefined) return;
      if (result === true) break;
      if (result instanceof Promise) {
        result.then(goOnWith, fail);
        return;
      }
      if (socket.writableNeedDrain) {
        waits(true);
        waitForReader(pump);
        return;
      }
    }
    end();
  };
  pump();
}
