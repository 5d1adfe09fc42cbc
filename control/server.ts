/**
 * HTTP server of the control node: authentication, body limits, error documents.
 * @module
 */
import { createServer as createSecureServer } from 'node:https';
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerFactory,
} from 'fastify';
import type { LimitsConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { refuse } from '../http/listener/refuse.ts';
import type { SecureListening } from '../http/listener/tls.ts';
import { JournalError } from '../journal/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { ApiError, type ApiErrorCode, problemDocument } from './errors.ts';
import type { Caller } from './purge-api.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Authenticated caller; set before the body is read on routes that need a token. */
    caller: Caller;
  }
}

/** Maximum body length on routes other than purges. */
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
/** Maximum length of a path parameter: a surrogate key, or a URL. */
const MAX_PARAM_LENGTH = 16_384;

/** @param secure - With TLS and certificates on both sides; absent: without. */
export function createServer(log: Logger, secure?: SecureServing): FastifyInstance {
  const server = fastify({
    ...(secure && { serverFactory: serverFactory(secure) }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // What the router refuses by itself, such as a malformed escape.
    frameworkErrors: (error, _request, reply) => sendProblem(reply as FastifyReply, asApiError(error)),
  });
  server.decorateRequest('caller');
  // One way to write a body: what looks like text is not guessed at.
  server.removeContentTypeParser('text/plain');
  server.setNotFoundHandler(async () => {
    throw new ApiError('not_found', { detail: 'GET /openapi.json lists the addresses.' });
  });
  server.setErrorHandler((error, request, reply) => sendProblem(reply, reported(error, request, log)));
  return server;
}

/** TLS of a server, and the bounds of its handshakes. */
export interface SecureServing {
  readonly listening: SecureListening;
  readonly limits: () => LimitsConfig;
}

/** @returns What Fastify makes its server with. */
function serverFactory({ listening, limits }: SecureServing): FastifyServerFactory {
  return (handler) => {
    const server = createSecureServer(listening.serverOptions(limits()), handler);
    const connections = listening.attach(server, {
      limits,
      onPlainHttp: (socket) => refuse(socket, new HttpError('plain_http')),
      reject: (socket, error) => refuse(socket, error),
    });
    server.prependListener('secureConnection', (socket) => void connections.take(socket));
    return server;
  };
}

/** @returns Error for the caller; details of internal errors go to the log only. */
export function reported(error: unknown, request: FastifyRequest, log: Logger): ApiError {
  const answered = asApiError(error);
  if (answered.status >= 500) {
    log.error(
      { err: answered.cause ?? error, method: request.method, url: request.url },
      'request to the control API failed',
    );
  }
  return answered;
}

export function sendProblem(reply: FastifyReply, error: ApiError): FastifyReply {
  return reply
    .code(error.status)
    .headers(error.headers)
    .header('content-type', 'application/problem+json')
    .send(Buffer.from(JSON.stringify(problemDocument(error)))); // to text Fastify would add a charset, which JSON has not
}

/** Codes of Fastify → what they are called here. */
const FASTIFY_ERRORS: Readonly<Record<string, ApiErrorCode>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
};

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof HttpError && error.code === 'unauthorised_tier') {
    return new ApiError('forbidden', { detail: error.message });
  }
  if (error instanceof HttpError && error.code === 'body_too_large') return new ApiError('too_large');
  if (error instanceof JournalError) {
    return error.code === 'journal_bad_message'
      ? new ApiError('malformed_request', { detail: error.message })
      : new ApiError('journal_unreachable', { headers: { 'retry-after': '1' }, cause: error });
  }
  const { code = '', statusCode = 500, message } = error as FastifyError;
  const known = FASTIFY_ERRORS[code];
  if (known !== undefined) return new ApiError(known, { detail: message });
  if (error instanceof SyntaxError && statusCode === 400) return new ApiError('malformed_json', { detail: message });
  return statusCode < 500
    ? new ApiError('malformed_request', { detail: message })
    : new ApiError('internal', { cause: error });
}

/** @returns The token in `Authorization: Bearer TOKEN` (RFC 6750, section 2.1). */
export function bearer(field: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(field ?? '')?.[1];
}
