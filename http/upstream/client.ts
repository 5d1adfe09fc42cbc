/**
 * HTTP/1.1 towards one server: an origin, a shield, another edge. Headers go
 * and come as they stand on the wire.
 *
 * A request that a kept connection swallowed without a byte in return is sent
 * again, once, if it may be (RFC 9110, section 9.2.2): the server closed the
 * connection while the request was on its way. It gets a connection of its own
 * then, as the other kept ones may have gone the same way.
 *
 * A request whose client has gone is given up. Where the number of requests that a server takes is measured, this side
 * of its connection is closed, which tells the server, and the other is read on: a server that does not notice
 * continues, and its response says until when. Without one the request counts for as long as requests take. While
 * others wait for the server it is not told: its responses show how much it can take, and one that is too slow for its
 * visitors must not get ever more of them.
 * @module
 */
import type { Duplex } from 'node:stream';
import { LONG_AGO, type MonotonicMs } from '../../lib/clock.ts';
import { removeHopByHop } from '../fields/forwarding.ts';
import { HOP_BY_HOP } from '../fields/forwarding-fields.ts';
import { FieldNames, type RawHeaders, withoutFields } from '../fields/headers.ts';
import { type Priority, visitorPriority } from '../fields/priority.ts';
import type { BodySink, Flow, ResponseHead, ResponseSink, UpstreamRequest } from '../message.ts';
import type { UpstreamConnection } from './connection.ts';
import {
  ABANDONED_MS,
  ConnectionShares,
  type HeldBack,
  type Sharer,
  type SharesOptions,
  type Standing,
} from './connection-shares.ts';
import { type UpstreamError, upstreamError } from './errors.ts';
import { isRepeatable } from './keep-alive.ts';
import { type PeerTls, UpstreamPool, type UpstreamTls } from './pool.ts';

export interface UpstreamOptions extends SharesOptions {
  /** Scheme, host and port. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Bytes of a response's header section; by default what an origin may send. */
  readonly maxHeadBytes?: number;
  /** Maximum age of a connection that is never idle; by default a minute. */
  readonly maxAgeMs?: number;
  /**
   * True to accept bodies in a transfer coding other than chunked as they are, until the connection closes (RFC 9112,
   * section 6.3).
   */
  readonly anyTransferCoding?: boolean;
  /** Pause before a connection is used again where the server may send more than its response; by default 100 ms. */
  readonly restMs?: number;
  /** True if lines of a header section may end with LF alone. */
  readonly bareLf?: boolean;
  readonly tls?: UpstreamTls;
  /** Present if the server is a node that shows a certificate. */
  readonly peer?: PeerTls | undefined;
  /** Fields of responses that are not passed on, in lower case; those of the connection never are. */
  readonly withheld?: ReadonlySet<string>;
}

/** An origin's header section; one with a thousand tags needs more than Node's 16 KiB. */
export const MAX_RESPONSE_HEADER_BYTES = 128 * 1024;

/** Maximum idle time of a kept-alive connection; a server's shorter Keep-Alive is respected. */
const KEEP_ALIVE_MS = 4_000;

/**
 * A server that sends a body in a segment of its own waits until its head is acknowledged (RFC 9293, section 3.7.4),
 * which takes Linux 40 ms unless something else is sent: the next request.
 */
const REST_MS = 100;

/** A name is looked up for each connection: one in constant use would go on to an address that is not its any more. */
const MAX_AGE_MS = 60_000;

export class UpstreamClient implements UpstreamRoute {
  readonly shares: ConnectionShares;
  readonly pool: UpstreamPool;
  readonly withheld: ReadonlySet<string>;
  readonly withheldFromSwitch: ReadonlySet<string>;

  constructor(options: UpstreamOptions) {
    const { url, tls, anyTransferCoding, bareLf, maxHeadBytes = MAX_RESPONSE_HEADER_BYTES } = options;
    this.shares = new ConnectionShares(options);
    this.withheldFromSwitch = options.withheld ?? new Set();
    this.withheld = new FieldNames(HOP_BY_HOP.union(this.withheldFromSwitch));
    const { protocol, hostname, port } = new URL(url);
    const isSecure = protocol === 'https:';
    this.pool = new UpstreamPool({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? (isSecure ? 443 : 80) : Number(port),
      tls: isSecure ? (tls ?? { verify: true, ca: undefined, serverName: undefined }) : undefined,
      peer: options.peer,
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
    return this.shares.inFlight;
  }

  /** Sends the request; `sink.onError` gets an HttpError that says what failed. */
  send(request: UpstreamRequest, sink: ResponseSink): Flow {
    const exchange = new ClientExchange(this, request, sink);
    this.shares.begin(exchange);
    return exchange;
  }

  /**
   * Sends a request of this node's own that must not wait for others: on a kept connection, or on one more than
   * `maxConnections`.
   */
  probe(request: UpstreamRequest, sink: ResponseSink): Flow {
    const exchange = new ClientExchange(this, request, sink, UNSHARED);
    exchange.dispatch();
    return exchange;
  }

  /** Breaks bodies off that have stopped, as their server hangs, where the rest can come from elsewhere. */
  breakStalled(): void {
    this.pool.breakStalled();
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

type Shares = Pick<ConnectionShares, 'countsAbandoned' | 'done' | 'leave' | 'noteHeldBack' | 'responded' | 'waiting'>;

/** Shares of what counts for no visitor. */
const UNSHARED: Shares = {
  countsAbandoned: false,
  done: () => undefined,
  leave: () => undefined,
  noteHeldBack: () => undefined,
  responded: () => undefined,
  waiting: 0,
};

/** Statuses by which a server says that it cannot answer now. */
const FAILED: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

const LENGTH: ReadonlySet<string> = new Set(['content-length']);

/** Destination and limits of a client's requests. */
interface UpstreamRoute {
  readonly pool: UpstreamPool;
  readonly shares: ConnectionShares;
  /** Fields of responses that are not passed on. */
  readonly withheld: ReadonlySet<string>;
  /** Fields that are withheld from a 101; its Connection and Upgrade name the new protocol. */
  readonly withheldFromSwitch: ReadonlySet<string>;
}

/** Bytes of responses that are read in one turn of the event loop, but for one piece from each connection. */
const TURN_BYTES = 2 * 1024 * 1024;

/** Bytes that were read in this turn, from all servers. */
class Turn {
  #bytes = 0;

  /** @returns Whether there may be more in this turn. */
  takes(bytes: number): boolean {
    if (this.#bytes === 0) setImmediate(() => this.#end());
    this.#bytes += bytes;
    return this.#bytes < TURN_BYTES;
  }

  #end(): void {
    this.#bytes = 0;
  }
}

const turn = new Turn();

/** One request and its response: a client on one side, our sink on the other. */
class ClientExchange implements ResponseSink, Flow, Sharer, HeldBack {
  readonly #way: UpstreamRoute;
  readonly #shares: Shares;
  readonly #request: UpstreamRequest;
  readonly #sink: ResponseSink;
  #body: BodySink;
  /** Flow control of the connection. */
  #flow: UpstreamConnection | undefined;
  #state: 'waiting' | 'answered' | 'abandoned' | 'done' = 'waiting';
  #abandonment: NodeJS.Timeout | undefined;
  /** True if the server can have noticed that the response is not wanted. */
  #isNotified = false;
  #repeated = false;
  #isHeldBack = false;
  #priority: Priority | undefined;
  #rests = false;
  readonly visitor: string | undefined;
  standing: Standing | undefined;
  connectedAt: MonotonicMs = LONG_AGO;
  /** Bytes of the body that were passed on. */
  bytes = 0;

  constructor(way: UpstreamRoute, request: UpstreamRequest, sink: ResponseSink, shares: Shares = way.shares) {
    this.#way = way;
    this.#shares = shares;
    this.#request = request;
    this.#sink = sink;
    this.#body = sink;
    this.visitor = request.visitor;
  }

  get isMovable(): boolean {
    return this.#state === 'answered' && this.#sink.isMovable === true;
  }

  get priority(): Priority {
    this.#priority ??= this.#request.priority ?? visitorPriority(this.#request.headers);
    return this.#priority;
  }

  get headBytes(): number {
    const { target, headers } = this.#request;
    let bytes = target.length;
    for (const text of headers) bytes += text.length;
    return bytes;
  }

  get heldBack(): HeldBack | undefined {
    return this.#isHeldBack ? this : undefined;
  }

  dispatch(): void {
    try {
      const flow = this.#way.pool.send(this.#request, this, this.#repeated);
      if (this.#state !== 'done') this.#flow = flow;
    } catch (error) {
      this.onError(upstreamError(error as Error));
    }
  }

  pause(): void {
    this.#flow?.pause();
    if (this.#state !== 'answered') return;
    this.#isHeldBack = true;
    this.#shares.noteHeldBack(this);
  }

  resume(): void {
    this.#isHeldBack = false;
    if (!this.#rests) this.#flow?.resume();
  }

  /** Reads on in the next turn of the event loop: the system may have megabytes for each of many connections. */
  #rest(): void {
    if (this.#rests || this.#state !== 'answered') return;
    this.#rests = true;
    this.#flow?.pause();
    setImmediate(() => {
      this.#rests = false;
      if (!this.#isHeldBack) this.#flow?.resume();
    });
  }

  abort(): void {
    if (this.#state === 'done' || this.#state === 'abandoned') return;
    if (this.#state === 'waiting' && this.#countsOn() && (this.#shares.waiting > 0 || this.#tell())) {
      this.#state = 'abandoned';
      this.#flow?.resume();
      this.#abandonment = setTimeout(() => this.#endAbandoned(false), ABANDONED_MS).unref();
      return;
    }
    const flow = this.#flow;
    this.#finish();
    flow?.abort();
  }

  /** Tells the server that the response is not wanted. @returns False if nothing but a closed connection can. */
  #tell(): boolean {
    this.#isNotified = this.#flow?.endRequest() === true;
    return this.#isNotified;
  }

  /** Returns whether the server works on it, for all that is known. */
  #countsOn(): boolean {
    const { body, upgrade } = this.#request;
    return this.#shares.countsAbandoned && this.standing === 'connected' && body === undefined && upgrade === undefined;
  }

  /** Its response has begun, or the server has had the time that it may count for. */
  #endAbandoned(isGood: boolean): void {
    clearTimeout(this.#abandonment);
    this.#shares.responded(this, isGood);
    const flow = this.#flow;
    this.#finish();
    flow?.abort();
  }

  giveUp(error: UpstreamError): void {
    if (this.#state === 'done' || this.#state === 'abandoned') return;
    const flow = this.#flow;
    this.#finish();
    flow?.abort();
    this.#sink.onError(error);
  }

  onUpgrade(head: ResponseHead, socket: Duplex): void {
    if (this.#state === 'done' || this.#sink.onUpgrade === undefined) {
      socket.destroy();
      return;
    }
    this.#finish();
    this.#sink.onUpgrade({ ...head, headers: withoutFields(head.headers, this.#way.withheldFromSwitch) }, socket);
  }

  onInterim(status: number, headers: RawHeaders): void {
    // No request says `Expect`: what it would ask for, the listener has answered (RFC 9110, section 15.2.1).
    if (this.#state === 'waiting' && status !== 100) this.#sink.onInterim(status, this.#cleaned(headers));
  }

  onHead(head: ResponseHead): void {
    const { status, statusText } = head;
    if (this.#state === 'abandoned') this.#endAbandoned(!FAILED.has(status));
    if (this.#state !== 'waiting') return;
    this.#shares.responded(this, !FAILED.has(status));
    this.#sink.onFields?.(head.headers);
    const cleaned = this.#cleaned(head.headers);
    // RFC 9110, section 8.6: never with a 204; in a 304 it is the length that a 200 would have.
    const headers = status === 204 ? withoutFields(cleaned, LENGTH) : cleaned;
    this.#state = 'answered';
    this.#sink.onHead(headers === head.headers ? head : { status, statusText, headers });
    this.#body = this.#sink.body ?? this.#sink;
  }

  onData(piece: Buffer): void {
    if (this.#state !== 'answered') return;
    this.bytes += piece.length;
    this.#body.onData(piece);
    if (!turn.takes(piece.length)) this.#rest();
  }

  onEnd(trailers: RawHeaders): void {
    if (this.#state === 'done') return;
    this.#finish();
    // RFC 9110, section 6.5.1: a sender must not put there what is about the framing, and one that does is not
    // followed.
    this.#body.onEnd(trailers.length === 0 ? trailers : withoutFields(this.#cleaned(trailers), LENGTH));
  }

  #cleaned(headers: RawHeaders): RawHeaders {
    return removeHopByHop(headers, this.#way.withheld);
  }

  onError(error: UpstreamError): void {
    if (this.#state === 'abandoned' && !this.#isNotified) this.#endAbandoned(false);
    else if (this.#state === 'abandoned') {
      clearTimeout(this.#abandonment);
      this.#state = 'done';
      this.#flow = undefined;
      this.#shares.leave(this);
    }
    if (this.#state === 'done') return;
    if (this.#mayRepeat(error)) {
      this.#repeated = true;
      this.dispatch();
      return;
    }
    if (this.#state === 'waiting' && error.fault.source === 'target') this.#shares.responded(this, false);
    this.#finish();
    this.#sink.onError(error);
  }

  #mayRepeat({ fault: { repeats } }: UpstreamError): boolean {
    if (this.#repeated || this.#state !== 'waiting' || repeats === undefined) return false;
    return repeats === 'all' || isRepeatable(this.#request);
  }

  #finish(): void {
    this.#state = 'done';
    this.#flow = undefined;
    this.#shares.done(this);
  }
}
