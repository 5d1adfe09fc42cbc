/**
 * Errors of the control API, with their problem documents (RFC 9457).
 *
 * The codes are stable: the same string stands in the document, the audit log
 * and the metrics. `type` is `urn:seawall:problem:CODE`.
 * @module
 */

/** Code → status and one sentence that is the same for every occurrence. */
export const API_ERRORS = {
  malformed_json: { status: 400, title: 'The body is not JSON.' },
  malformed_request: { status: 400, title: 'The request is malformed.' },
  invalid_request: { status: 400, title: 'The request does not match the schema in /openapi.json.' },
  too_many_selectors: { status: 400, title: 'The call has more selectors than one call may have.' },
  too_many_urls: { status: 400, title: 'The job has more URLs than one job may have.' },
  bad_idempotency_key: { status: 400, title: 'Idempotency-Key is not 1 to 255 visible ASCII characters.' },
  unauthorised: { status: 401, title: 'There is no valid token in the request.' },
  forbidden: { status: 403, title: 'The token does not allow this.' },
  not_found: { status: 404, title: 'There is nothing at this address.' },
  node_present: { status: 409, title: 'The node is there.' },
  unknown_host: { status: 421, title: 'The listener does not accept the host in the request.' },
  too_large: { status: 413, title: 'The body is larger than this path accepts.' },
  unsupported_media_type: { status: 415, title: 'The body has to be application/json.' },
  unpurgeable: { status: 422, title: 'The call has a selector that no stored response can match.' },
  unfetchable: { status: 422, title: 'The job names something that no site of this network serves.' },
  idempotency_conflict: { status: 422, title: 'The Idempotency-Key was used for another request.' },
  nothing_to_retry: { status: 409, title: 'Nothing of the job can be tried once more.' },
  too_many_jobs: { status: 429, title: 'As many jobs as the control node takes have not ended yet.' },
  rate_limited: { status: 429, title: 'The token has reached its rate limit.' },
  internal: { status: 500, title: 'Something went wrong in this server; the log says more.' },
  journal_too_large: {
    status: 413,
    title: 'The purge is larger than one transaction of the journal; nothing was purged. Send it in several calls.',
  },
  journal_unavailable: { status: 503, title: 'The journal cannot be written to at the moment; nothing was purged.' },
  journal_unconfirmed: {
    status: 503,
    title: 'It is not known whether the purge is in the journal. Repeat it: with an Idempotency-Key it is made once.',
  },
  store_unavailable: {
    status: 503,
    title: 'The store cannot be reached at the moment. Repeat it: with an Idempotency-Key a job is started once.',
  },
  audit_unsigned: {
    status: 503,
    title: 'The audit log does not fit its newest checkpoint, and is not signed: `seawall audit verify` tells more.',
  },
  journal_unreachable: { status: 503, title: 'The journal cannot be read at the moment; nothing was purged.' },
} as const satisfies Readonly<Record<string, { status: number; title: string }>>;

export type ApiErrorCode = keyof typeof API_ERRORS;

/** One thing to mend in a request. */
export interface FieldProblem {
  /** JSON Pointer (RFC 6901) into the body; for what is not in the body, `header` or `parameter` says where. */
  readonly pointer?: string;
  readonly header?: string;
  readonly parameter?: string;
  readonly detail: string;
  /** Correct form of the request. */
  readonly fix: string;
}

/** `application/problem+json`. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ApiErrorCode;
  readonly detail?: string;
  readonly errors?: readonly FieldProblem[];
}

export interface ApiErrorOptions {
  readonly detail?: string;
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A request that is refused. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly status: number;
  readonly detail: string | undefined;
  readonly errors: readonly FieldProblem[];
  /** For the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ApiErrorCode, { detail, errors = [], headers = {}, cause }: ApiErrorOptions = {}) {
    const { status, title } = API_ERRORS[code];
    super(detail === undefined ? title : `${title} ${detail}`, cause === undefined ? undefined : { cause });
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.headers = headers;
  }
}

/** Maximum number reported; more do not help. */
const MAX_ERRORS_REPORTED = 100;

export function problemDocument({ code, status, detail, errors }: ApiError): ProblemDocument {
  return {
    type: `urn:seawall:problem:${code}`,
    title: API_ERRORS[code].title,
    status,
    code,
    ...(detail !== undefined && { detail }),
    ...(errors.length > 0 && { errors: errors.slice(0, MAX_ERRORS_REPORTED) }),
  };
}

/** @returns The pointer to what is at `path` (RFC 6901, section 3). */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
