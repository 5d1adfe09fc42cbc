/**
 * HTTP/1.1 towards one server: an origin, a shield, another edge. A pool of
 * kept connections on undici; headers go and come as they stand on the wire.
 *
 * A request that a kept connection swallowed without a byte in return is sent
 * again, once, if it may be (RFC 9110, section 9.2.2): the server closed the
 * connection while the request was on its way. It gets a connection of its own
 * then, as the other kept ones may have gone the same way.
 * @module
 */
import type { Duplex } from 'node:stream';
import { type Dispatcher, errors, Pool } from 'undici';
import { HttpError } from './errors.ts';
import { removeHopByHop } from './forwarding.ts';
import { fieldValue, type RawHeaders, withoutFields } from './headers.ts';
import type { Flow, ResponseSink, UpstreamRequest } from './message.ts';

export interface UpstreamOptions {
  /** Scheme, host and port. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  /** Requests that may wait for a connection. */
  readonly maxWaiting: number;
  /** Whether a body in a coding other than chunked is taken as it comes, until the connection closes (RFC 9112, section 6.3). */
  readonly anyTransferCoding?: boolean;
  readonly tls?: { readonly verify: boolean; readonly ca: string | undefined; readonly serverName: string | undefined };
}

/** A response's header section; an origin with a thousand tags needs more than Node's 16 KiB. */
const MAX_RESPONSE_HEADER_BYTES = 128 * 1024;

/** How long a kept connection may be idle; servers that close earlier say so in Keep-Alive, which undici heeds. */
const KEEP_ALIVE_MS = 4_000;

export class UpstreamClient {
  readonly #way: Way;
  readonly #maxInFlight: number;
  #inFlight = 0;

  constructor(options: UpstreamOptions) {
    this.#maxInFlight = options.maxConnections + options.maxWaiting;
    const { tls } = options;
    const common: Pool.Options = {
      connections: options.maxConnections,
      headersTimeout: options.firstByteTimeoutMs,
      bodyTimeout: options.idleTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: 60_000,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      allowH2: false,
      connect: {
        timeout: options.connectTimeoutMs,
        ...(tls && { rejectUnauthorized: tls.verify }),
        ...(tls?.ca !== undefined && { ca: tls.ca }),
        ...(tls?.serverName !== undefined && { servername: tls.serverName }),
      },
    };
    this.#way = {
      pool: new Pool(options.url, { ...common, pipelining: 1 }),
      again: new Pool(options.url, { ...common, pipelining: 0 }),
      anyTransferCoding: options.anyTransferCoding ?? false,
    };
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Sends the request; `sink.onError` gets an HttpError that says what failed. */
  send(request: UpstreamRequest, sink: ResponseSink): Flow {
    if (this.#inFlight >= this.#maxInFlight) {
      sink.onError(new HttpError('overloaded', 'too many requests wait for a connection'));
      return IDLE;
    }
    const exchange = new ClientExchange(this.#way, request, sink, () => {
      this.#inFlight--;
    });
    this.#inFlight++;
    exchange.dispatch();
    return exchange;
  }

  /** Ends kept connections at once; requests under way get to their end. */
  async close(): Promise<void> {
    await Promise.all([this.#way.pool.close(), this.#way.again.close()]);
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#way.pool.destroy(), this.#way.again.destroy()]);
  }
}

const LENGTH: ReadonlySet<string> = new Set(['content-length']);

const IDLE: Flow = { pause: () => undefined, resume: () => undefined, abort: () => undefined };

/** Where requests of one client go, and what they may bring back. */
interface Way {
  readonly pool: Pool;
  /** For requests that are sent again: each on a connection of its own. */
  readonly again: Pool;
  readonly anyTransferCoding: boolean;
}

/** One request and its response: undici's handler on one side, our sink on the other. */
class ClientExchange implements Dispatcher.DispatchHandler, Flow {
  readonly #way: Way;
  readonly #request: UpstreamRequest;
  readonly #sink: ResponseSink;
  readonly #onDone: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #state: 'waiting' | 'answered' | 'done' = 'waiting';
  #repeated = false;

  constructor(way: Way, request: UpstreamRequest, sink: ResponseSink, onDone: () => void) {
    this.#way = way;
    this.#request = request;
    this.#sink = sink;
    this.#onDone = onDone;
  }

  dispatch(): void {
    const { method, target, headers, body, upgrade } = this.#request;
    try {
      const { pool, again } = this.#way;
      (this.#repeated ? again : pool).dispatch(
        {
          method: method as Dispatcher.HttpMethod,
          path: target,
          headers: headers as string[],
          body: body ?? null,
          upgrade: upgrade ?? null,
        },
        this,
      );
    } catch (error) {
      // undici refuses at once what it would not write, such as an invalid header value.
      this.onResponseError(this.#controller, error as Error);
    }
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    if (this.#state === 'done') return;
    this.#finish();
    this.#controller?.abort(new HttpError('abandoned'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#state === 'done') controller.abort(new HttpError('abandoned'));
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, status: number, _headers: unknown, socket: Duplex): void {
    if (this.#state === 'done' || this.#sink.onUpgrade === undefined) {
      socket.destroy();
      return;
    }
    this.#finish();
    this.#sink.onUpgrade(
      { status, statusText: 'Switching Protocols', headers: rawHeaders(controller.rawHeaders) },
      socket,
    );
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, statusText = ''): void {
    if (this.#state === 'done') return;
    const received = rawHeaders(controller.rawHeaders);
    const coding = fieldValue(received, 'transfer-encoding');
    if (coding !== undefined && coding.toLowerCase() !== 'chunked' && !this.#way.anyTransferCoding) {
      // undici takes off chunked only; the request never said that it understands others (RFC 9112, section 7).
      this.#state = 'answered';
      controller.abort(new HttpError('origin_bad_response', `Transfer-Encoding: ${coding}`));
      return;
    }
    const headers = removeHopByHop(received);
    if (status < 200) {
      this.#sink.onInterim(status, headers);
      return;
    }
    this.#state = 'answered';
    if (status !== 204 && status !== 304) {
      this.#sink.onHead({ status, statusText, headers });
      return;
    }
    // These end with their head, whatever length it tells (RFC 9112, section 6.3), which undici would miss in the body.
    this.#finish();
    // RFC 9110, section 8.6: never with a 204; in a 304 it is the length that a 200 would have.
    this.#sink.onHead({ status, statusText, headers: status === 204 ? withoutFields(headers, LENGTH) : headers });
    this.#sink.onEnd([]);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === 'answered') this.#sink.onData(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#state === 'done') return;
    this.#finish();
    this.#sink.onEnd(rawHeaders(controller.rawTrailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#state === 'done') return;
    if (this.#mayRepeat(error)) {
      this.#repeated = true;
      this.dispatch();
      return;
    }
    this.#finish();
    this.#sink.onError(upstreamError(error));
  }

  #mayRepeat(error: Error): boolean {
    const { method, body, upgrade } = this.#request;
    const safe =
      (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') && body === undefined && upgrade === undefined;
    return safe && !this.#repeated && this.#state === 'waiting' && diedBeforeAnswering(error);
  }

  #finish(): void {
    this.#state = 'done';
    this.#onDone();
  }
}

/** Whether a connection was closed under this request; where it can be told, one that had served requests before. */
function diedBeforeAnswering(error: Error): boolean {
  if (error instanceof errors.SocketError) return (error.socket?.bytesRead ?? 0) > 0;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET';
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);

function upstreamError(error: Error): HttpError {
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

/** undici hands header sections over as Buffers; one byte is one character here. */
function rawHeaders(raw: Dispatcher.DispatchController['rawHeaders']): RawHeaders {
  if (!Array.isArray(raw)) return [];
  const headers = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const part = raw[i] as Buffer | string;
    headers[i] = typeof part === 'string' ? part : part.toString('latin1');
  }
  return headers;
}
