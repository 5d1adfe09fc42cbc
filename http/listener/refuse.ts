/**
 * Answer to a request that no exchange was made of: an error page, and the end of its connection.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorPage, type HttpError } from '../errors.ts';
import type { RawHeaders } from '../fields/headers.ts';
import { newRequestId } from '../request-id.ts';
import { linger } from './linger.ts';

/** Answers on a socket that has no response object, and closes it. @param id - Identifier of the request. */
export function refuse(socket: Duplex, error: HttpError, fields: RawHeaders = [], id: string = newRequestId()): void {
  socket.on('error', () => socket.destroy()); // the other side may be gone already
  if (!socket.writable || socket.destroyed) {
    socket.destroy();
    return;
  }
  const page = errorPage(error, id, undefined);
  const headers = [...page.headers, ...fields];
  let head = `HTTP/1.1 ${page.status} ${STATUS_CODES[page.status]}\r\nConnection: close\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), page.body]));
  linger(socket);
}
