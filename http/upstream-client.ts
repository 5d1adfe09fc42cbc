/**
 * HTTP/1.1 towards one server: an origin, a shield, another edge. Headers go
 * and come as they stand on the wire.
 *
 * A request that a kept connection swallowed without a byte in return is sent
 * again, once, if it may be (RFC 9110, section 9.2.2): the server closed the
 * connection while the request was on its way. It gets a connection of its own
 * then, as the other kept ones may have gone the same way.
 * @module
 */
import type { Duplex } from 'node:stream';
import { HttpError, type HttpErrorCode } from './errors.ts';
import { removeHopByHop } from './forwarding.ts';
import { type RawHeaders, withoutFields } from './headers.ts';
import type { Flow, ResponseSink, UpstreamRequest } from './message.ts';
import type { Receiver, UnderWay } from './transport.ts';
import { causeOf, diedBeforeAnswering, upstreamError } from './upstream-errors.ts';
import { UpstreamPool, type UpstreamTls } from './upstream-pool.ts';

export interface UpstreamOptions {
  /** Scheme, host and port. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Requests under way at a time. */
  readonly maxConnections: number;
  /** Requests that may wait for a connection. */
  readonly maxWaiting: number;
  /** How long one may wait; absent: for as long as it takes. */
  readonly maxWaitMs?: number;
  /** What those get that may not wait, or not longer. */
  readonly busyCode: HttpErrorCode;
  /** Bytes of a response's header section; by default what an origin may send. */
  readonly maxHeadBytes?: number;
  /** How old a connection may get that is never idle; by default a minute. */
  readonly maxAgeMs?: number;
  /** Whether a body in a coding other than chunked is taken as it comes, until the connection closes (RFC 9112, section 6.3). */
  readonly anyTransferCoding?: boolean;
  /** Pause before a connection is used again where the server may send more than its response; by default 100 ms. */
  readonly restMs?: number;
  /** Whether lines of a header section may end with LF alone. */
  readonly bareLf?: boolean;
  readonly tls?: UpstreamTls;
}

/** An origin's header section; one with a thousand tags needs more than Node's 16 KiB. */
export const MAX_RESPONSE_HEADER_BYTES = 128 * 1024;

/** How long a kept connection may be idle; servers that close earlier say so in Keep-Alive, which is heeded. */
const KEEP_ALIVE_MS = 4_000;

/**
 * A server that sends a body in a segment of its own waits until its head is acknowledged (RFC 9293, section 3.7.4),
 * which takes Linux 40 ms unless something else is sent: the next request.
 */
const REST_MS = 100;

/** A name is looked up for each connection: one in constant use would go on to an address that is not its any more. */
const MAX_AGE_MS = 60_000;

export class UpstreamClient implements Way {
  readonly #options: UpstreamOptions;
  #active = 0;
  /** With what ends their time, in the order in which they came. */
  readonly #waiting = new Map<ClientExchange, NodeJS.Timeout | undefined>();
  readonly pool: UpstreamPool;

  constructor(options: UpstreamOptions) {
    const { url, tls, anyTransferCoding, bareLf, maxHeadBytes = MAX_RESPONSE_HEADER_BYTES } = options;
    this.#options = options;
    const { protocol, hostname, port } = new URL(url);
    const isSecure = protocol === 'https:';
    this.pool = new UpstreamPool({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? (isSecure ? 443 : 80) : Number(port),
      tls: isSecure ? (tls ?? { verify: true, ca: undefined, serverName: undefined }) : undefined,
      maxConnections: options.maxConnections,
      connectTimeoutMs: options.connectTimeoutMs,
      firstByteTimeoutMs: options.firstByteTimeoutMs,
      idleTimeoutMs: options.idleTimeoutMs,
      keepAliveMs: KEEP_ALIVE_MS,
      maxAgeMs: options.maxAgeMs ?? MAX_AGE_MS,
      maxHeadBytes,
      restMs: options.restMs ?? REST_MS,
      bareLf,
      anyCoding: anyTransferCoding,
    });
  }

  /** Requests under way, those that wait included. */
  get inFlight(): number {
    return this.#active + this.#waiting.size;
  }

  /** Sends the request; `sink.onError` gets an HttpError that says what failed. */
  send(request: UpstreamRequest, sink: ResponseSink): Flow {
    const exchange = new ClientExchange(this, request, sink);
    const { maxConnections, maxWaiting, busyCode } = this.#options;
    if (this.#active < maxConnections) this.#start(exchange);
    else if (this.#waiting.size < maxWaiting) this.#wait(exchange);
    else sink.onError(new HttpError(busyCode, 'too many requests wait for a connection'));
    return exchange;
  }

  #wait(exchange: ClientExchange): void {
    const { maxWaitMs, busyCode } = this.#options;
    const giveUp = (): void =>
      exchange.giveUp(new HttpError(busyCode, `no connection was free within ${maxWaitMs} ms`));
    this.#waiting.set(exchange, maxWaitMs === undefined ? undefined : setTimeout(giveUp, maxWaitMs));
  }

  /** @returns Whether it waited. */
  #endWait(exchange: ClientExchange): boolean {
    clearTimeout(this.#waiting.get(exchange));
    return this.#waiting.delete(exchange);
  }

  #start(exchange: ClientExchange): void {
    this.#active++;
    exchange.dispatch();
  }

  done(exchange: ClientExchange): void {
    if (this.#endWait(exchange)) return;
    this.#active--;
    // Not before the connection can be used again.
    if (this.#waiting.size > 0) queueMicrotask(() => this.#startWaiting());
  }

  #startWaiting(): void {
    for (const exchange of this.#waiting.keys()) {
      if (this.#active >= this.#options.maxConnections) return;
      this.#endWait(exchange);
      this.#start(exchange);
    }
  }

  /**
   * Ends kept connections at once, and keeps none from now on. Requests get to their end: those under way, those that
   * wait, and those that come late, as another server has failed them.
   */
  async close(): Promise<void> {
    this.pool.close();
  }

  async destroy(): Promise<void> {
    this.pool.destroy();
  }
}

const LENGTH: ReadonlySet<string> = new Set(['content-length']);

/** Where requests of one client go, and what they may bring back. */
interface Way {
  readonly pool: UpstreamPool;
  /** The exchange has ended. */
  done(exchange: ClientExchange): void;
}

/** One request and its response: a client on one side, our sink on the other. */
class ClientExchange implements Receiver, Flow {
  readonly #way: Way;
  readonly #request: UpstreamRequest;
  readonly #sink: ResponseSink;
  #underWay: UnderWay | undefined;
  #state: 'waiting' | 'answered' | 'done' = 'waiting';
  #repeated = false;

  constructor(way: Way, request: UpstreamRequest, sink: ResponseSink) {
    this.#way = way;
    this.#request = request;
    this.#sink = sink;
  }

  dispatch(): void {
    try {
      const underWay = this.#way.pool.send(this.#request, this, this.#repeated);
      if (this.#state !== 'done') this.#underWay = underWay;
    } catch (error) {
      this.onFailure(error as Error);
    }
  }

  pause(): void {
    this.#underWay?.pause();
  }

  resume(): void {
    this.#underWay?.resume();
  }

  abort(): void {
    if (this.#state === 'done') return;
    const underWay = this.#underWay;
    this.#finish();
    underWay?.abort();
  }

  /** It has waited for long enough. */
  giveUp(error: HttpError): void {
    this.#finish();
    this.#sink.onError(error);
  }

  onSwitch(status: number, headers: RawHeaders, socket: Duplex): void {
    if (this.#state === 'done' || this.#sink.onUpgrade === undefined) {
      socket.destroy();
      return;
    }
    this.#finish();
    this.#sink.onUpgrade({ status, statusText: 'Switching Protocols', headers }, socket);
  }

  onInterim(status: number, headers: RawHeaders): void {
    // No request says `Expect`: what it would ask for, the listener has answered (RFC 9110, section 15.2.1).
    if (this.#state === 'waiting' && status !== 100) this.#sink.onInterim(status, removeHopByHop(headers));
  }

  onHead(status: number, statusText: string, received: RawHeaders): void {
    if (this.#state !== 'waiting') return;
    const headers = removeHopByHop(received);
    this.#state = 'answered';
    // RFC 9110, section 8.6: never with a 204; in a 304 it is the length that a 200 would have.
    this.#sink.onHead({ status, statusText, headers: status === 204 ? withoutFields(headers, LENGTH) : headers });
  }

  onBody(piece: Buffer): void {
    if (this.#state === 'answered') this.#sink.onData(piece);
  }

  onEnd(trailers: RawHeaders): void {
    if (this.#state === 'done') return;
    this.#finish();
    // RFC 9110, section 6.5.1: a sender must not put there what is about the framing, and one that does is not followed.
    this.#sink.onEnd(trailers.length === 0 ? trailers : withoutFields(removeHopByHop(trailers), LENGTH));
  }

  onFailure(error: Error): void {
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
    if (this.#repeated || this.#state !== 'waiting') return false;
    if (causeOf(error) === 'idle_closed') return true; // nothing of it was written
    const { method, body, upgrade } = this.#request;
    const isSafe =
      (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') && body === undefined && upgrade === undefined;
    return isSafe && diedBeforeAnswering(error);
  }

  #finish(): void {
    this.#state = 'done';
    this.#underWay = undefined;
    this.#way.done(this);
  }
}
