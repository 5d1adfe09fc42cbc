/**
 * HTTP/2 on a connection without TLS, by prior knowledge (RFC 9113, section
 * 3.3): not spoken, and said so in the protocol that the client speaks. Who only
 * sends the preface gets the words in HTTP/1.1.
 * @module
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../../config/schema.ts';
import { errorPage, type HttpError } from '../errors.ts';
import { fieldsWithId, newRequestId, requestIdField } from '../request-id.ts';
import { Connection } from './connection.ts';
import { FRAME, PREFACE } from './frames.ts';
import { http2Headers } from './head-translation.ts';
import { headerBlock } from './header-block.ts';
import type { Stream } from './stream.ts';

/** Maximum time from a client's preface to its first request. */
const REQUEST_MS = 500;

/** More than what stands before a first request. */
const MAX_BYTES = 64 * 1024;

const FRAME_HEAD_BYTES = 9;

export interface Http2Refusal {
  readonly error: HttpError;
  readonly limits: () => LimitsConfig;
  /** The error is being answered here. */
  readonly onRefused: () => void;
  /** Answers a client that says nothing that is HTTP/2 but its preface. */
  readonly reject: (socket: Socket) => void;
}

export function isPreface(bytes: Buffer): boolean {
  return bytes.length >= PREFACE.length && bytes.compare(PREFACE, 0, PREFACE.length, 0, PREFACE.length) === 0;
}

/** @param begun - From the preface on, as far as it has come. */
export function refuseHttp2(socket: Socket, opened: Buffer, refusal: Http2Refusal): void {
  let bytes = opened;
  const stop = (): void => {
    clearTimeout(timer);
    socket.off('data', take);
    socket.off('end', giveUp);
    socket.off('close', stop);
  };
  const giveUp = (): void => {
    stop();
    refusal.reject(socket);
  };
  const look = (): void => {
    if (hasRequest(bytes)) {
      stop();
      socket.pause();
      socket.unshift(bytes);
      answer(socket, refusal);
    } else if (bytes.length > MAX_BYTES) giveUp();
  };
  const take = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    look();
  };
  const timer = setTimeout(giveUp, REQUEST_MS);
  socket.on('error', ignore);
  socket.once('close', stop);
  socket.once('end', giveUp);
  socket.on('data', take);
  look();
}

/** Returns whether the bytes contain the start of a request. */
function hasRequest(bytes: Buffer): boolean {
  for (let at = PREFACE.length; at + FRAME_HEAD_BYTES <= bytes.length; ) {
    if (bytes[at + 3] === FRAME.headers) return true;
    at += FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
  }
  return false;
}

function answer(socket: Socket, { error, limits, onRefused }: Http2Refusal): void {
  const connection = new Connection({
    socket: socket as TLSSocket, // of which it needs nothing that is TLS
    limits,
    onRequest: (own, opened) => {
      onRefused();
      sendPage(own.open(opened), error);
      own.shutdown();
    },
    onFlood: ignore,
    onProblem: () => socket.destroy(),
    onClose: () => clearTimeout(timer),
  });
  const timer = setTimeout(() => connection.destroy(), limits().header_timeout);
  socket.resume();
}

/** Answers a stream with an error page. @param idName - Name of the field with its identifier, or `off`. */
export function sendPage(stream: Stream, error: HttpError, idName = 'off'): void {
  const id = newRequestId();
  const page = errorPage(error, id, undefined);
  const headers = fieldsWithId(page.headers, requestIdField(idName, id));
  stream.sendHeaders(headerBlock(http2Headers(page.status, headers)));
  stream.write(page.body);
  stream.end();
}

function ignore(): void {
  // the connection closes, and that is what counts
}
