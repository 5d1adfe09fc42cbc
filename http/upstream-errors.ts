/**
 * What went wrong with a request upstream, in the words of this program.
 * @module
 */
import { errors } from 'undici';
import { HttpError } from './errors.ts';

/** Whether a connection was closed under this request; where it can be told, one that had served requests before. */
export function diedBeforeAnswering(error: Error): boolean {
  if (error instanceof errors.SocketError) return (error.socket?.bytesRead ?? 0) > 0;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET';
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);

export function upstreamError(error: Error): HttpError {
  if (error instanceof HttpError) return error;
  if (error.cause instanceof HttpError) return error.cause;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const detail = `${code} ${error.message}`.trim();
  const cause = { cause: error };
  if (error instanceof errors.ConnectTimeoutError) return new HttpError('origin_timeout', detail, cause);
  if (error instanceof errors.HeadersTimeoutError) return new HttpError('origin_timeout', detail, cause);
  if (error instanceof errors.BodyTimeoutError) return new HttpError('origin_timeout', detail, cause);
  if (UNREACHABLE.has(code) || isTlsError(code)) return new HttpError('origin_unreachable', detail, cause);
  return new HttpError('origin_bad_response', detail, cause);
}

function isTlsError(code: string): boolean {
  return (
    code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || code.includes('CERT') || code.startsWith('UNABLE_TO_')
  );
}
