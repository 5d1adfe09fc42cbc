/**
 * Failures of requests upstream. Each says of itself whose fault it is and
 * whether anything was sent, so that the parties on its way need not know codes:
 * the health of a target counts what it has failed at, and tier/failover.ts
 * decides by it what may be sent to another target.
 *
 * Causes are for logs, metrics and Cache-Status between nodes. Visitors see the
 * code of the error page only.
 * @module
 */
import { type Fault, HttpError, type HttpErrorCode } from '../errors.ts';

/** A request that has failed upstream. */
export class UpstreamError extends HttpError {
  constructor(
    code: HttpErrorCode,
    fault: Fault,
    detail?: string,
    options?: ErrorOptions & { readonly reason?: UpstreamCause | undefined },
  ) {
    super(code, detail, { ...options, fault });
  }
}

interface Cause extends Fault {
  /** Error that the visitor's page names. */
  readonly code: HttpErrorCode;
  /** Meaning, for docs and logs. */
  readonly meaning: string;
}

const UNREACHABLE = { code: 'origin_unreachable', source: 'target', sent: 'no' } as const;
const TIMED_OUT = { code: 'origin_timeout', source: 'target', sent: 'maybe' } as const;
const BAD_RESPONSE = { code: 'origin_bad_response', source: 'target', sent: 'maybe' } as const;

/** Every cause for which a request to an origin, or to another node, fails. */
export const UPSTREAM_CAUSES = {
  name_not_found: { ...UNREACHABLE, meaning: 'the host name has no address' },
  name_lookup_failed: { ...UNREACHABLE, meaning: 'the name server did not answer' },
  refused: { ...UNREACHABLE, meaning: 'no process listens on the port' },
  no_route: { ...UNREACHABLE, meaning: 'the address cannot be reached from this machine' },
  out_of_ports: { ...UNREACHABLE, meaning: 'this machine has no free local port', source: 'here' },
  connect_timeout: { ...TIMED_OUT, meaning: 'no connection within connect_timeout', sent: 'no' },
  certificate_name: {
    ...UNREACHABLE,
    meaning: 'the certificate is for another name: set origin.tls.server_name',
  },
  certificate_expired: { ...UNREACHABLE, meaning: 'the certificate has expired' },
  certificate_not_yet_valid: { ...UNREACHABLE, meaning: 'the certificate is not valid yet' },
  certificate_untrusted: {
    ...UNREACHABLE,
    meaning: 'no trusted authority signed the certificate: set origin.tls.ca_file',
  },
  peer_refused: {
    ...UNREACHABLE,
    meaning: 'the node at the address is not the one that was asked: the log says why',
  },
  not_tls: { ...UNREACHABLE, meaning: 'the port does not speak TLS' },
  tls_failed: { ...UNREACHABLE, meaning: 'the TLS handshake failed' },
  head_timeout: { ...TIMED_OUT, meaning: 'no response head within first_byte_timeout' },
  silent: { ...TIMED_OUT, meaning: 'the node or server stopped answering, and was left out' },
  body_timeout: { ...TIMED_OUT, meaning: 'a pause longer than idle_timeout inside the body' },
  reset: { ...BAD_RESPONSE, meaning: 'the server reset the connection', repeats: 'safe' },
  closed: { ...BAD_RESPONSE, meaning: 'the server closed the connection before the response was whole' },
  not_http: { ...BAD_RESPONSE, meaning: 'the bytes are not an HTTP/1.1 response' },
  bad_field: { ...BAD_RESPONSE, meaning: 'a header field is malformed' },
  bad_framing: { ...BAD_RESPONSE, meaning: 'Content-Length, Transfer-Encoding or a chunk is malformed' },
  head_too_large: { ...BAD_RESPONSE, meaning: 'the header section is larger than 128 KiB' },
  bad_upgrade: { ...BAD_RESPONSE, meaning: 'a switch of protocols that was not requested' },
  kept_closed: {
    ...BAD_RESPONSE,
    meaning: 'the server closed a kept connection under the request',
    repeats: 'safe',
  },
  idle_closed: {
    ...BAD_RESPONSE,
    meaning: 'a kept connection was closed before the request was written',
    sent: 'no',
    repeats: 'all',
  },
  shutdown: { ...BAD_RESPONSE, meaning: 'this node closes its connections', source: 'here' },
  unknown: { ...BAD_RESPONSE, meaning: 'another error; the log has its text' },
} as const satisfies Readonly<Record<string, Cause>>;

export type UpstreamCause = keyof typeof UPSTREAM_CAUSES;

/** Returns the error of a request that failed by this cause. */
export function failedBy(cause: UpstreamCause, detail?: string, options?: ErrorOptions): UpstreamError {
  const { code, meaning } = UPSTREAM_CAUSES[cause];
  return new UpstreamError(code, UPSTREAM_CAUSES[cause], `${cause}: ${detail ?? meaning}`, {
    ...options,
    reason: cause,
  });
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

/**
 * Returns the failure that an error of the system or of TLS stands for.
 *
 * @param cause - By default what its code says.
 */
export function upstreamError(error: Error, cause: UpstreamCause = causeOf(error)): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const code = codeOf(error);
  const text = error.message === '' ? UPSTREAM_CAUSES[cause].meaning : error.message;
  return failedBy(cause, text.includes(code) ? text : `${code} ${text}`, { cause: error });
}

/** Returns the failure of a request whose body has failed. */
export function bodyError(error: Error): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { code, reason } = error instanceof HttpError ? error : { code: 'client_closed' as const, reason: undefined };
  return new UpstreamError(code, { source: 'requester', sent: 'maybe' }, error.message, { cause: error, reason });
}
