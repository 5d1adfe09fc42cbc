/**
 * Causes of failed upstream requests: for logs, metrics and Cache-Status
 * between nodes. Visitors see the code of the error page only.
 * @module
 */
import { HttpError, type HttpErrorCode } from './errors.ts';

interface Cause {
  /** Error that the visitor's page names. */
  readonly code: HttpErrorCode;
  /** Meaning, for docs and logs. */
  readonly meaning: string;
  /** Set where no byte of the request can have reached the server: any request may be sent elsewhere. */
  readonly notSent?: true;
}

/** Every cause for which a request to an origin, or to another node, fails. */
export const UPSTREAM_CAUSES = {
  name_not_found: { code: 'origin_unreachable', meaning: 'the host name has no address', notSent: true },
  name_lookup_failed: { code: 'origin_unreachable', meaning: 'the name server did not answer', notSent: true },
  refused: { code: 'origin_unreachable', meaning: 'no process listens on the port', notSent: true },
  no_route: { code: 'origin_unreachable', meaning: 'the address cannot be reached from this machine', notSent: true },
  out_of_ports: { code: 'origin_unreachable', meaning: 'this machine has no free local port', notSent: true },
  connect_timeout: { code: 'origin_timeout', meaning: 'no connection within connect_timeout', notSent: true },
  certificate_name: {
    code: 'origin_unreachable',
    meaning: 'the certificate is for another name: set origin.tls.server_name',
    notSent: true,
  },
  certificate_expired: { code: 'origin_unreachable', meaning: 'the certificate has expired', notSent: true },
  certificate_not_yet_valid: { code: 'origin_unreachable', meaning: 'the certificate is not valid yet', notSent: true },
  certificate_untrusted: {
    code: 'origin_unreachable',
    meaning: 'no trusted authority signed the certificate: set origin.tls.ca_file',
    notSent: true,
  },
  not_tls: { code: 'origin_unreachable', meaning: 'the port does not speak TLS', notSent: true },
  tls_failed: { code: 'origin_unreachable', meaning: 'the TLS handshake failed', notSent: true },
  head_timeout: { code: 'origin_timeout', meaning: 'no response head within first_byte_timeout' },
  body_timeout: { code: 'origin_timeout', meaning: 'a pause longer than idle_timeout inside the body' },
  reset: { code: 'origin_bad_response', meaning: 'the server reset the connection' },
  closed: { code: 'origin_bad_response', meaning: 'the server closed the connection before the response was whole' },
  not_http: { code: 'origin_bad_response', meaning: 'the bytes are not an HTTP/1.1 response' },
  bad_field: { code: 'origin_bad_response', meaning: 'a header field is malformed' },
  bad_framing: { code: 'origin_bad_response', meaning: 'Content-Length, Transfer-Encoding or a chunk is malformed' },
  head_too_large: { code: 'origin_bad_response', meaning: 'the header section is larger than 128 KiB' },
  bad_upgrade: { code: 'origin_bad_response', meaning: 'a switch of protocols that was not requested' },
  kept_closed: {
    code: 'origin_bad_response',
    meaning: 'the server closed a kept connection under the request',
  },
  idle_closed: {
    code: 'origin_bad_response',
    meaning: 'a kept connection was closed before the request was written',
    notSent: true,
  },
  shutdown: { code: 'origin_bad_response', meaning: 'this node closes its connections' },
  unknown: { code: 'origin_bad_response', meaning: 'another error; the log has its text' },
} as const satisfies Readonly<Record<string, Cause>>;

export type UpstreamCause = keyof typeof UPSTREAM_CAUSES;

/** A failed exchange with a server. */
export class UpstreamError extends Error {
  readonly reason: UpstreamCause;

  constructor(reason: UpstreamCause, detail?: string, options?: ErrorOptions) {
    super(detail ?? UPSTREAM_CAUSES[reason].meaning, options);
    this.reason = reason;
  }
}

/** Codes of the system, of OpenSSL's verification and of Node's TLS; others by `causeOf`. */
const CAUSE_OF_CODE: ReadonlyMap<string, UpstreamCause> = new Map(
  Object.entries({
    ENOTFOUND: 'name_not_found',
    EAI_AGAIN: 'name_lookup_failed',
    EAI_FAIL: 'name_lookup_failed',
    ECONNREFUSED: 'refused',
    EHOSTUNREACH: 'no_route',
    ENETUNREACH: 'no_route',
    EHOSTDOWN: 'no_route',
    ENETDOWN: 'no_route',
    EADDRNOTAVAIL: 'out_of_ports',
    ETIMEDOUT: 'connect_timeout',
    ERR_SOCKET_CONNECTION_TIMEOUT: 'connect_timeout',
    ERR_TLS_CERT_ALTNAME_INVALID: 'certificate_name',
    ERR_TLS_CERT_ALTNAME_FORMAT: 'certificate_name',
    HOSTNAME_MISMATCH: 'certificate_name',
    CERT_HAS_EXPIRED: 'certificate_expired',
    CERT_NOT_YET_VALID: 'certificate_not_yet_valid',
    ERR_SSL_WRONG_VERSION_NUMBER: 'not_tls',
    ERR_SSL_PACKET_LENGTH_TOO_LONG: 'not_tls',
    ERR_SSL_HTTP_REQUEST: 'not_tls',
    ECONNRESET: 'reset',
    EPIPE: 'reset',
  } satisfies Record<string, UpstreamCause>),
);

/** Returns the cause that an error of the system or of TLS stands for. */
export function causeOf(error: Error): UpstreamCause {
  if (error instanceof UpstreamError) return error.reason;
  const code = codeOf(error);
  const known = CAUSE_OF_CODE.get(code);
  if (known !== undefined) return known;
  if (code.includes('CERT') || code.startsWith('UNABLE_TO_') || code.startsWith('INVALID_')) {
    return 'certificate_untrusted';
  }
  return code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || code === 'EPROTO' ? 'tls_failed' : 'unknown';
}

/** Returns the error's code; of several attempts (Happy Eyeballs), that of the first. */
function codeOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0] as Error);
  return code ?? '';
}

/** Returns the error for a visitor, with its cause for operators. */
export function upstreamError(error: Error): HttpError {
  if (error instanceof HttpError) return error;
  const reason = causeOf(error);
  const code = codeOf(error);
  const text = error.message === '' ? UPSTREAM_CAUSES[reason].meaning : error.message;
  const detail = text.includes(code) ? text : `${code} ${text}`;
  return new HttpError(UPSTREAM_CAUSES[reason].code, `${reason}: ${detail}`, { cause: error, reason });
}

/**
 * Returns whether the connection was lost under a request that may never have been read: one without effects may be
 * sent once more.
 */
export function diedBeforeAnswering(error: Error): boolean {
  const reason = causeOf(error);
  return reason === 'reset' || reason === 'kept_closed';
}

/** Returns whether no byte of the request can have reached the server. */
export function isNotSent(error: Error): boolean {
  const reason = error instanceof HttpError ? error.reason : causeOf(error);
  const cause: Cause | undefined = reason === undefined ? undefined : UPSTREAM_CAUSES[reason as UpstreamCause];
  return cause?.notSent === true;
}
