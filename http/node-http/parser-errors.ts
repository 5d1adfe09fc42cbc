/**
 * Errors of Node's parser as errors of requests.
 * @module
 */
import { HttpError } from '../errors.ts';
import { isMethodUnknown, writtenAnew } from './request-line.ts';

/** Not of the connection, such as a reset. */
export function isOfTheParser({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' || code?.startsWith('HPE_') === true;
}

/** Error of Node's parser for bytes that it rejects. */
export type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer; readonly bytesParsed?: number };

/**
 * The bytes of a request that begins in the packet that was refused, and whose line another reader can write so that it
 * is taken.
 */
export function refusedLine(packet: Buffer | undefined): Buffer | undefined {
  return packet && writtenAnew(packet) ? Buffer.from(packet) : undefined;
}

export function parserError(error: ParserError): HttpError {
  if (error.code === 'HPE_INVALID_METHOD' && isMethodUnknown(restOf(error)))
    return new HttpError('method_not_implemented');
  if (error.code === 'HPE_PAUSED_H2_UPGRADE') return new HttpError('http2_without_tls');
  if (error.code === 'HPE_HEADER_OVERFLOW') return new HttpError('header_too_large');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new HttpError('request_timeout');
  return new HttpError('bad_request', error.code);
}

/** From where the parser stopped. */
function restOf({ rawPacket, bytesParsed = 0 }: ParserError): string {
  return rawPacket?.toString('latin1', bytesParsed) ?? '';
}
