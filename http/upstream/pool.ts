/**
 * Kept connections to one server, HTTP/1.1 with or without TLS, one request at
 * a time on each.
 *
 * A server may send more than its response, at once or a little later, and the
 * bytes would be read as the response to the next request, another visitor's.
 * So a kept connection is looked at before it is used again: the request is
 * written after one more poll of all sockets, and the connection is closed
 * when there was anything to read. It rests for `restMs` before that after a
 * response that ends with its head (HEAD, 204, 304, no bytes), behind which
 * some servers send a body all the same, and after every response of a server
 * that has recently sent surplus bytes. When as many are open as may be, the
 * rest of the one that has rested longest is cut short, unless the server was
 * seen to send too much: then the connection is closed.
 *
 * The connection that was used last is the first to be used again; one that may be closed by the server at this very
 * moment carries no request that must not be repeated (http/upstream/keep-alive.ts).
 *
 * The caller bounds how many requests are in flight.
 * @module
 */
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { LONG_AGO, later, type MonotonicMs, monotonicNow } from '../../lib/clock.ts';
import type { ResponseSink, UpstreamRequest } from '../message.ts';
import { UpstreamConnection } from './connection.ts';
import { failedBy } from './errors.ts';
import { isRepeatable, KeepAlive } from './keep-alive.ts';
import { RepeatedHead } from './repeated-head.ts';
import { requestHead } from './request.ts';

export interface UpstreamPoolOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: UpstreamTls | undefined;
  readonly peer?: PeerTls | undefined;
  /** Connections that are open at a time. */
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Maximum idle time of a kept-alive connection, unless the server announces another. */
  readonly keepAliveMs: number;
  /** It takes no request after this age. */
  readonly maxAgeMs: number;
  readonly maxHeadBytes: number;
  /** Pause before a connection is used again, where more than the response may come. */
  readonly restMs: number;
  readonly bareLf?: boolean | undefined;
  readonly anyCoding?: boolean | undefined;
}

export interface UpstreamTls {
  readonly verify: boolean;
  readonly ca: string | undefined;
  /** Name for SNI and verification; by default the Host of each request. */
  readonly serverName: string | undefined;
}

/** TLS towards another node, which is known by its certificate and not by a host name. */
export interface PeerTls {
  /** Called for each connection that is opened. */
  begin(): PeerHandshake;
}

export interface PeerHandshake {
  readonly secureContext: SecureContext;
  /** Session to resume. */
  readonly session: Buffer | undefined;
  /** Called when the handshake is over. @returns Reason for which the connection must not be used. */
  check(socket: TLSSocket): string | undefined;
  /** Keeps a session of this connection for the next one. */
  remember(session: Buffer): void;
  /** The session that was resumed is not used again. */
  forget(): void;
}

function writeAll(looked: readonly UpstreamConnection[]): void {
  for (const connection of looked) connection.writeAfterLook();
}

/** Interval at which timeouts are checked; shorter where the timeouts are. */
const SWEEP_MS = 500;

/** Time for which a server stays suspect after sending bytes beyond its response. */
const SUSPECT_MS = 600_000;

/** TLS sessions that are kept for resumption, one for each server name. */
const MAX_SESSIONS = 100;

export class UpstreamPool {
  readonly options: UpstreamPoolOptions;
  readonly secureContext: SecureContext | undefined;
  readonly keepAlive: KeepAlive = new KeepAlive();
  /** Last head of the server. */
  readonly repeatedHead: RepeatedHead = new RepeatedHead();
  readonly #connections = new Set<UpstreamConnection>();
  /** The one that was used last is the first to be used again. */
  readonly #idle: UpstreamConnection[] = [];
  readonly #sessions = new Map<string, Buffer>();
  /** Taken from `#idle`, and looked at before they are written to. */
  #looking: UpstreamConnection[] = [];
  /** End of the suspicion. */
  #suspectUntil = LONG_AGO;
  readonly #sweepMs: number;
  #sweep: NodeJS.Timeout | undefined;
  #state: 'open' | 'closed' | 'destroyed' = 'open';

  constructor(options: UpstreamPoolOptions) {
    this.options = options;
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, tls } = options;
    this.#sweepMs = Math.min(SWEEP_MS, Math.ceil(Math.min(connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs) / 4));
    this.secureContext = tls && createSecureContext(tls.ca === undefined ? {} : { ca: tls.ca });
  }

  /** Connections that are open, or being opened. */
  get open(): number {
    return this.#connections.size;
  }

  /**
   * @param isFresh - Whether it gets a connection of its own, none that was used before.
   * @throws {HttpError} for a request that is not written.
   */
  send(request: UpstreamRequest, sink: ResponseSink, isFresh: boolean): UpstreamConnection {
    if (this.#state === 'destroyed') throw failedBy('shutdown');
    const head = requestHead(request);
    const serverName = this.#serverNameFor(head.host);
    const isUpgrade = request.upgrade !== undefined;
    let connection = isFresh || isUpgrade ? undefined : this.#takeIdle(serverName, isRepeatable(request));
    if (connection === undefined) {
      if (this.#connections.size >= this.options.maxConnections) this.#idle[0]?.destroy();
      connection = new UpstreamConnection(this, serverName, isUpgrade);
      this.#connections.add(connection);
      this.#sweep ??= setInterval(() => this.#checkTimes(monotonicNow()), this.#sweepMs).unref();
    }
    connection.send(request, head, sink);
    return connection;
  }

  /** Calls `write` of the connection when all sockets were polled once more. */
  look(connection: UpstreamConnection): void {
    if (this.#looking.push(connection) === 1) setImmediate(this.#afterPoll);
  }

  /**
   * The poll that they were taken in may have begun before the bytes came; the one behind this has not. Those that are
   * taken in that one wait for another.
   */
  readonly #afterPoll = (): void => {
    const looking = this.#looking;
    this.#looking = [];
    setImmediate(writeAll, looking);
  };

  /** @param mayBeLost - Whether the request is sent again if the server closes the connection under it. */
  #takeIdle(serverName: string | undefined, mayBeLost: boolean): UpstreamConnection | undefined {
    const idle = this.#idle;
    if (idle.length === 0) return undefined;
    const now = monotonicNow();
    // The one that has been idle for longest is open, and shows that the others are.
    if (!mayBeLost && idle.length > 1) this.keepAlive.stayedOpen((idle[0] as UpstreamConnection).idleAt(now), now);
    for (let i = idle.length - 1; i >= 0; i--) {
      const connection = idle[i] as UpstreamConnection;
      if (connection.isExpired(now))
        connection.destroy(); // it leaves the list
      else if (connection.serverName === serverName && connection.restsUntil <= now) {
        if (!mayBeLost && !connection.isSafe(now)) continue;
        idle.splice(i, 1);
        return connection;
      }
    }
    // A new connection in the place of one that rests would be dear: the one that has rested longest serves.
    if (this.#connections.size < this.options.maxConnections || now < this.#suspectUntil) return undefined;
    const longest = idle.findIndex(
      (connection) => connection.serverName === serverName && (mayBeLost || connection.isSafe(now)),
    );
    return longest < 0 ? undefined : idle.splice(longest, 1)[0];
  }

  #serverNameFor(host: string): string | undefined {
    const { tls, peer, host: address } = this.options;
    if (peer !== undefined) return '';
    if (tls === undefined) return undefined;
    if (tls.serverName !== undefined) return tls.serverName;
    const name = host.replace(/:\d*$/, '').toLowerCase();
    if (name !== '' && !name.startsWith('[') && isIP(name) === 0) return name;
    return isIP(address) === 0 ? address : ''; // an address is verified as such, and not asked for by SNI
  }

  /** The connection may be used again. */
  keep(connection: UpstreamConnection, endedWithHead: boolean, now: MonotonicMs): void {
    if (this.#state !== 'open') {
      connection.destroy();
      return;
    }
    connection.restsUntil = endedWithHead || now < this.#suspectUntil ? later(now, this.options.restMs) : LONG_AGO;
    this.#idle.push(connection);
  }

  /** Notes that the server sent more than its response. */
  noteSurplus(): void {
    this.#suspectUntil = later(monotonicNow(), SUSPECT_MS);
  }

  /** The connection is closed, or will be. */
  forget(connection: UpstreamConnection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  sessionFor(serverName: string): Buffer | undefined {
    return this.#sessions.get(serverName);
  }

  /** @param session - Absent: the last one is not used again. */
  rememberSession(serverName: string, session?: Buffer): void {
    this.#sessions.delete(serverName);
    if (session === undefined) return;
    this.#sessions.set(serverName, session);
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value as string);
  }

  /** Ends kept connections at once, and keeps none from now on; requests in flight get to their end. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closed';
    for (const connection of [...this.#idle]) connection.destroy();
  }

  /** Breaks bodies off that have stopped, where the rest can come from elsewhere. */
  breakStalled(): void {
    const now = monotonicNow();
    for (const connection of [...this.#connections]) connection.breakIfStalled(now);
  }

  /** Cuts off requests in flight. */
  destroy(): void {
    this.close();
    this.#state = 'destroyed';
    for (const connection of [...this.#connections]) connection.fail(failedBy('shutdown'));
  }

  #checkTimes(now: MonotonicMs): void {
    for (const connection of [...this.#connections]) connection.checkTime(now);
  }
}
