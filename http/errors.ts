/**
 * Every error that Seawall itself answers with, and the page that says so.
 *
 * The codes are stable: the same string stands in the page, the log and the
 * metrics. A visitor reads the sentence of the table; the detail is for the log.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import { listMembers, trimOws } from './fields/headers.ts';
import type { UpstreamCause } from './upstream/errors.ts';

/**
 * Party at fault. `target`: the server that was asked, or the way to it; another one may do better. `beyond`: a server
 * that the target has asked, which another one would ask as well. `requester`: the request, or its sender. `here`: this
 * node, such as a shortage of connections; it says nothing about the target, and another one may do better.
 */
export type FaultSource = 'target' | 'beyond' | 'requester' | 'here';

/** Facts about a failure, recorded where it is detected. */
export interface Fault {
  readonly source: FaultSource;
  /** `no`: no byte of the request can have reached a server, so that any request may be sent again. */
  readonly sent: 'no' | 'maybe';
  /** True if the target itself has answered: it is up, whatever it says. */
  readonly isAnswer?: boolean;
  /** Source as the node sees it that gets the failure for an answer; absent: by `faultForNodes` (tier/protocol.ts). */
  readonly forNodes?: FaultSource;
  /**
   * Requests that are sent to the same server once more, on a connection of their own: those without effects (RFC 9110,
   * section 9.2.1) where the connection was lost under them, all of them where nothing was written; absent: none.
   */
  readonly repeats?: 'safe' | 'all';
}

interface ErrorFacts {
  readonly status: number;
  /** Party at fault, as the node sees it that answers with the error; failures upstream know better. */
  readonly source: FaultSource;
  /** By default it is not known. */
  readonly sent?: 'no';
  /** For the visitor. */
  readonly message: string;
  /** Value of Retry-After (RFC 9110, section 10.2.3; RFC 6585, section 4); absent: there is none. */
  readonly retryAfterSeconds?: number;
}

/** Code → status, party at fault, and one plain sentence for the visitor. */
export const HTTP_ERRORS = {
  bad_request: { status: 400, source: 'requester', message: 'The request is not valid HTTP.' },
  http2_without_tls: {
    status: 400,
    source: 'requester',
    message: 'This address speaks HTTP/1.1; HTTP/2 is spoken over TLS only.',
  },
  plain_http: {
    status: 400,
    source: 'requester',
    message: 'This address speaks HTTPS, and the request came as plain HTTP.',
  },
  bad_host: { status: 400, source: 'requester', message: 'The request does not name exactly one valid host.' },
  bad_target: { status: 400, source: 'requester', message: 'The address in the request is not valid.' },
  bad_purge: {
    status: 400,
    source: 'requester',
    message:
      'Nothing was purged. PURGE takes the path of a URL; a path that ends with .* and X-Purge-Method: regex for everything below it; or X-Purge-Method: exact for a URL that has an asterisk itself.',
  },
  method_override_refused: {
    status: 400,
    source: 'requester',
    message: 'The request asks for another method in a header, and this website does not allow that.',
  },
  unauthorised_tier: {
    status: 403,
    source: 'here',
    sent: 'no',
    message: 'This address is for other nodes of the network only.',
  },
  geo_blocked: {
    status: 403,
    source: 'requester',
    message: 'This website does not answer visitors from where you are.',
  },
  legal_block: {
    status: 451,
    source: 'requester',
    message: 'This website may not answer visitors from where you are, for legal reasons.',
  },
  purge_forbidden: { status: 403, source: 'requester', message: 'This address, or this token, may not purge.' },
  method_not_allowed: { status: 405, source: 'requester', message: 'The method of the request is not allowed here.' },
  request_timeout: { status: 408, source: 'requester', message: 'The request took too long to arrive.' },
  body_too_large: { status: 413, source: 'requester', message: 'The body of the request is too large.' },
  target_too_long: { status: 414, source: 'requester', message: 'The address in the request is too long.' },
  too_many_parameters: {
    status: 414,
    source: 'requester',
    message: 'The address in the request has too many parameters.',
  },
  unknown_host: {
    status: 421,
    source: 'here',
    sent: 'no',
    message: 'This server does not serve the host that the request names.',
  },
  too_many_requests: {
    status: 429,
    source: 'requester',
    message: 'Too many requests from your address are being answered. Try again.',
    retryAfterSeconds: 1,
  },
  rate_limited: {
    status: 429,
    source: 'requester',
    message: 'You have sent more requests than this website allows in this time. Try again later.',
  },
  header_too_large: { status: 431, source: 'requester', message: 'The header section of the request is too large.' },
  internal: { status: 500, source: 'here', message: 'Something went wrong in this server.' },
  method_not_implemented: {
    status: 501,
    source: 'requester',
    message: 'This server does not implement the method of the request.',
  },
  origin_unreachable: { status: 502, source: 'beyond', message: 'The server of this website could not be reached.' },
  origin_bad_response: {
    status: 502,
    source: 'beyond',
    message: 'The server of this website gave an answer that is not valid HTTP.',
  },
  spool_full: {
    status: 503,
    source: 'here',
    message: 'This server has no room for the body of the request at the moment.',
    retryAfterSeconds: 5,
  },
  slow_reader: {
    status: 503,
    source: 'requester',
    message: 'The response was read too slowly, while others waited for its connection.',
  },
  origin_overloaded: {
    status: 503,
    source: 'beyond',
    message: 'The server of this website has too much to do at the moment.',
    retryAfterSeconds: 5,
  },
  overloaded: {
    status: 503,
    source: 'here',
    message: 'This server has too much to do at the moment.',
    retryAfterSeconds: 5,
  },
  journal_unreachable: { status: 503, source: 'beyond', message: 'The purge could not be noted. Try again.' },
  origin_timeout: { status: 504, source: 'beyond', message: 'The server of this website did not answer in time.' },
  only_if_cached: {
    status: 504,
    source: 'requester',
    message: 'The request asks for a stored response only, and there is none.',
  },
  client_closed: {
    status: 503,
    source: 'requester',
    message: 'The client closed the connection before its answer was complete.',
  },
  bad_version: { status: 505, source: 'requester', message: 'This server speaks HTTP/1.1 and HTTP/1.0 here.' },
  loop_detected: { status: 508, source: 'beyond', message: 'The request has passed through this network before.' },
} as const satisfies Readonly<Record<string, ErrorFacts>>;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

interface HttpErrorOptions extends ErrorOptions {
  readonly reason?: UpstreamCause | undefined;
  /** By default what the code says. */
  readonly fault?: Fault;
}

/** A request that ends in an answer of Seawall's own. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: HttpErrorCode;
  /** Cause for operators, in logs and metrics (http/upstream/errors.ts); no visitor sees it. */
  readonly reason: UpstreamCause | undefined;
  readonly fault: Fault;
  /** Cause in words, for the log; where there are none, the sentence for a visitor. */
  readonly detail: string;

  /** @param detail - What exactly was wrong, for the log; a visitor never sees it. */
  constructor(code: HttpErrorCode, detail?: string, options?: HttpErrorOptions) {
    const facts: ErrorFacts = HTTP_ERRORS[code];
    const { status, message } = facts;
    super(detail === undefined ? message : `${message} (${detail})`, options);
    this.name = 'HttpError';
    this.detail = detail ?? message;
    this.status = status;
    this.code = code;
    this.reason = options?.reason;
    this.fault = options?.fault ?? { source: facts.source, sent: facts.sent ?? 'maybe' };
  }
}

/**
 * The answer to a request that failed: HTML, or plain text for a client that
 * takes no HTML, or `application/problem+json` (RFC 9457) for one that names JSON.
 * Fields that only the place of failure knows, such as `Retry-After`, are its to add.
 *
 * @param accept - The request's `Accept`, if any.
 * @returns `headers` in the form of `RawHeaders`. To HEAD, send them without the body.
 */
export function errorPage(
  error: HttpError,
  requestId: string,
  accept: string | undefined,
): { status: number; headers: string[]; body: Buffer } {
  const { retryAfterSeconds }: ErrorFacts = HTTP_ERRORS[error.code];
  const facts: Facts = {
    status: error.status,
    title: STATUS_CODES[error.status] ?? 'Error',
    sentence: HTTP_ERRORS[error.code].message,
    code: error.code,
    requestId,
  };
  const { contentType, render } = FORMATS[preferredFormat(accept)];
  const body = Buffer.from(render(facts), 'utf8');
  const headers = [
    ...['Content-Type', contentType],
    ...['Content-Length', String(body.length)],
    ...['Cache-Control', 'no-store'],
    ...['Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'"],
    ...['X-Content-Type-Options', 'nosniff'],
    // RFC 9110, section 15.5.6: a 405 "MUST generate an Allow header field".
    ...(error.code === 'method_not_allowed' ? ['Allow', PASSED_METHODS] : []),
    ...(retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]),
  ];
  return { status: error.status, headers, body };
}

/** Methods that are forwarded; the origin decides which of them a resource has. */
export const PASSED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

interface Facts {
  readonly status: number;
  readonly title: string;
  readonly sentence: string;
  readonly code: string;
  readonly requestId: string;
}

type Format = 'html' | 'text' | 'problem';

const FORMATS: Readonly<Record<Format, { contentType: string; render: (facts: Facts) => string }>> = {
  html: { contentType: 'text/html; charset=utf-8', render: htmlPage },
  text: { contentType: 'text/plain; charset=utf-8', render: textPage },
  problem: { contentType: 'application/problem+json', render: problemDocument },
};

function htmlPage({ status, title, sentence, code, requestId }: Facts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${status} ${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; padding: 2rem; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; font-weight: 600; }
p { margin: 0 0 1.5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; font-size: .875rem; opacity: .7; }
dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>${status} ${escapeHtml(title)}</h1>
<p>${escapeHtml(sentence)}</p>
<dl>
<dt>Code</dt><dd>${escapeHtml(code)}</dd>
<dt>Request</dt><dd>${escapeHtml(requestId)}</dd>
</dl>
</main>
</body>
</html>
`;
}

function textPage({ status, title, sentence, code, requestId }: Facts): string {
  return `${status} ${title}\n${sentence}\n\nCode: ${code}\nRequest: ${requestId}\n`;
}

/** RFC 9457, section 4.2.1: with no type of its own, the title is that of the status. */
function problemDocument({ status, title, sentence, code, requestId }: Facts): string {
  return `${JSON.stringify({ type: 'about:blank', title, status, detail: sentence, code, requestId })}\n`;
}

const HTML_ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => HTML_ESCAPES[char] as string);
}

/** JSON goes to those who name it and like it no less than HTML; wildcards mean HTML. */
function preferredFormat(accept: string | undefined): Format {
  if (accept === undefined) return 'html'; // RFC 9110, section 12.5.1: without the field, anything is acceptable
  if (accept.length > MAX_ACCEPT_CHARS) return 'html';
  const qualities = acceptedQualities(accept);
  const html = qualities.get('text/html') ?? qualities.get('text/*') ?? qualities.get('*/*') ?? 0;
  const json = Math.max(qualities.get('application/problem+json') ?? 0, qualities.get('application/json') ?? 0);
  const htmlIsNamed = qualities.has('text/html');
  if (json > html || (json > 0 && json === html && !htmlIsNamed)) return 'problem';
  return html > 0 ? 'html' : 'text';
}

/** A longer one is not read: a page is not worth it. */
const MAX_ACCEPT_CHARS = 2_048;

/** Media range, in lower case → its weight (RFC 9110, sections 12.4.2 and 12.5.1). */
function acceptedQualities(accept: string): Map<string, number> {
  const qualities = new Map<string, number>();
  for (const member of listMembers(accept)) {
    const [range, ...parameters] = member.split(';').map(trimOws);
    const weight = parameters.find((parameter) => /^q=/i.test(parameter));
    const quality = weight === undefined ? 1 : Number(weight.slice(2));
    qualities.set((range as string).toLowerCase(), quality >= 0 && quality <= 1 ? quality : 0);
  }
  return qualities;
}
