/**
 * One HTTP/1.1 connection to a server, and the exchange on it. All connections
 * are read into one buffer.
 * @module
 */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectSecurely, type TLSSocket } from 'node:tls';
import { LONG_AGO, type MonotonicMs, monotonicNow, msBetween } from '../../lib/clock.ts';
import { BUFFER_BYTES } from '../body/buffer-pool.ts';
import { WholeBody } from '../http1/whole-body.ts';
import type { Flow, ResponseHead, ResponseSink, UpstreamRequest } from '../message.ts';
import { writeDirectly } from '../node-internals/direct-writes.ts';
import { skipTimer } from '../node-internals/read-timers.ts';
import { bodyError, causeOf, failedBy, type UpstreamError, upstreamError } from './errors.ts';
import { announcedIdleMs } from './keep-alive.ts';
import type { PeerHandshake, UpstreamPool } from './pool.ts';
import type { RequestHead } from './request.ts';
import { ResponseParser } from './response-parser.ts';
import { keepReadingAfterWriteErrors, Upload, withWholeBody } from './upload.ts';

/** Probes of a connection that changed its protocol and is silent. */
const PROBE_AFTER_MS = 60_000;

/** Bytes of the last read, valid until its callback returns. */
const SHARED = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/** A body has stopped if nothing came for so long while the server answered nothing else either. */
const STALLED_MS = 300;

type Phase = 'connecting' | 'looking' | 'head' | 'body' | 'paused' | 'idle' | 'failing';

export class UpstreamConnection implements Flow {
  readonly serverName: string | undefined;
  /** Not used again before this moment. */
  restsUntil = LONG_AGO;
  readonly #pool: UpstreamPool;
  readonly #socket: Socket;
  /** Handshake with another node. */
  #handshake: PeerHandshake | undefined;
  readonly #parser: ResponseParser;
  #phase: Phase = 'connecting';
  /** Beginning of the wait that the phase stands for. */
  #since = monotonicNow();
  readonly #openedAt = this.#since;
  /** Maximum idle time before the next request. */
  #idleMs: number;
  /** The same, if the server has announced it. */
  #announcedMs: number | undefined;
  /** Time for which it was idle before the request that it carries; undefined for its first one. */
  #idleBeforeMs: number | undefined;
  #served = 0;
  #request: UpstreamRequest | undefined;
  #head: RequestHead | undefined;
  #sink: ResponseSink | undefined;
  #upload: Upload | undefined;
  /** True if this side is closed, as the response is not wanted any more. */
  #hasEndedRequest = false;

  constructor(pool: UpstreamPool, serverName: string | undefined, isForUpgrade: boolean) {
    this.#pool = pool;
    this.serverName = serverName;
    const { keepAliveMs } = pool.options;
    this.#idleMs = keepAliveMs;
    this.#parser = new ResponseParser({ ...pool.options, repeated: pool.repeatedHead });
    const socket = this.#open(isForUpgrade);
    this.#socket = socket;
    keepReadingAfterWriteErrors(socket, this.#stopUpload);
    socket.once(serverName === undefined ? 'connect' : 'secureConnect', () => this.#opened());
    socket.on('error', this.#onSocketError);
    socket.on('end', this.#onSocketEnd);
    socket.on('close', this.#onSocketEnd);
    if (isForUpgrade) socket.on('data', this.#onData);
    else {
      skipTimer(socket); // `checkTime` is its timeout
      socket.resume();
    }
  }

  /** The server takes no more: its answer may be there already, and the end comes soon. */
  readonly #stopUpload = (): void => {
    this.#upload?.stop();
    if (this.#phase === 'head') this.#since = monotonicNow();
  };

  #open(isForUpgrade: boolean): Socket {
    const { host, port, tls, peer } = this.#pool.options;
    // A socket that is handed over must have what it reads in its stream.
    const onread = {
      buffer: SHARED,
      callback: (length: number, bytes: Uint8Array) => this.#read(bytes as Buffer, length),
    };
    const options = { host, port, noDelay: true, ...(!isForUpgrade && { onread }) };
    const { serverName } = this;
    if (serverName === undefined) return connect(options);
    const handshake = peer?.begin();
    this.#handshake = handshake;
    const session = handshake === undefined ? this.#pool.sessionFor(serverName) : handshake.session;
    const secureContext = handshake === undefined ? this.#pool.secureContext : handshake.secureContext;
    const secureOptions: ConnectionOptions = {
      ...options,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: tls?.verify === true, // of a node, its certificate is checked when it is there
      ...(secureContext !== undefined && { secureContext }),
      ...(serverName !== '' && { servername: serverName }),
      ...(session !== undefined && { session }),
    };
    const socket = connectSecurely(secureOptions);
    socket.on('session', (next: Buffer) => {
      if (handshake === undefined) this.#pool.rememberSession(serverName, next);
      else handshake.remember(next);
    });
    return socket;
  }

  /** Sends a request, and its body behind it. */
  send(request: UpstreamRequest, head: RequestHead, sink: ResponseSink): void {
    this.#request = request;
    this.#head = head;
    this.#sink = sink;
    if (this.#phase !== 'idle') return; // once it is open
    this.#idleBeforeMs = msBetween(this.#since, monotonicNow());
    this.#phase = 'looking'; // not for long
    this.#pool.look(this);
  }

  /** Returns the time for which it has been idle, for those that are. */
  idleAt(now: MonotonicMs): number {
    return msBetween(this.#since, now);
  }

  /** Returns whether it has been idle for too long to be used again. */
  isExpired(now: MonotonicMs): boolean {
    return this.idleAt(now) > this.#idleMs;
  }

  /** Returns whether a request that must not be repeated may go on it, of those that are idle. */
  isSafe(now: MonotonicMs): boolean {
    return this.#pool.keepAlive.isSafe(this.idleAt(now), this.#announcedMs, now);
  }

  /** Writes the request, unless something was read meanwhile. */
  writeAfterLook(): void {
    if (this.#phase === 'looking') this.#write();
  }

  #opened(): void {
    if (this.#phase !== 'connecting') return;
    const refusal = this.#handshake?.check(this.#socket as TLSSocket);
    if (refusal === undefined) this.#write();
    else this.fail(failedBy('peer_refused', refusal));
  }

  #write(): void {
    const { method, body, upgrade } = this.#request as UpstreamRequest;
    const { text, length } = this.#head as RequestHead;
    this.#enter('head');
    const kind = method === 'HEAD' ? 'head' : upgrade === undefined ? 'other' : 'upgrade';
    this.#parser.begin(kind, this.#sink as ResponseSink);
    const whole = body instanceof WholeBody ? withWholeBody(text, body, length) : undefined;
    const bytes = whole ?? Buffer.from(text, 'latin1');
    const directly = writeDirectly(this.#socket, bytes, ignore, this.#stopUpload);
    if (directly === 'refused') this.#socket.write(bytes);
    if (whole !== undefined) body?.destroy();
    if (body === undefined || whole !== undefined) return;
    this.#upload = new Upload(
      this.#socket,
      body,
      length,
      () => {
        if (this.#phase === 'head') this.#since = monotonicNow();
      },
      (error) => this.fail(bodyError(error)),
    );
    this.#upload.start();
  }

  pause(): void {
    if (this.#phase === 'head') this.#noteRead(monotonicNow());
    if (this.#phase !== 'body') return;
    this.#phase = 'paused';
    this.#socket.pause();
  }

  resume(): void {
    if (this.#phase !== 'paused') return;
    this.#enter('body');
    this.#socket.resume();
  }

  abort(): void {
    this.#sink = undefined;
    this.destroy();
  }

  /**
   * Closes this side, so that the server can notice that the response is not wanted; the head is read if it comes.
   *
   * @returns False if nothing of the request has been sent, or its head has come.
   */
  endRequest(): boolean {
    if (this.#phase !== 'head') return false;
    this.#hasEndedRequest = true;
    this.#socket.end();
    return true;
  }

  destroy(): void {
    this.#phase = 'failing';
    this.#upload?.stop();
    this.#pool.forget(this);
    this.#socket.destroy();
  }

  fail(error: Error): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (this.#phase === 'connecting' && this.serverName !== undefined) {
      if (this.#handshake === undefined) this.#pool.rememberSession(this.serverName);
      else this.#handshake.forget();
    }
    this.destroy();
    sink?.onError(upstreamError(error));
  }

  breakIfStalled(now: MonotonicMs): void {
    if (this.#phase !== 'body' || this.#sink?.isMovable !== true) return;
    if (msBetween(this.#since, now) > STALLED_MS) this.fail(failedBy('silent', 'the body has stopped'));
  }

  checkTime(now: MonotonicMs): void {
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = this.#pool.options;
    const waited = msBetween(this.#since, now);
    switch (this.#phase) {
      case 'connecting':
        if (waited > connectTimeoutMs) this.fail(failedBy('connect_timeout'));
        break;
      case 'head':
        if (this.#waitedForHead(now) > firstByteTimeoutMs) this.fail(failedBy('head_timeout'));
        break;
      case 'body':
        if (waited > idleTimeoutMs) this.fail(failedBy('body_timeout'));
        break;
      case 'idle':
        if (waited > this.#idleMs) this.destroy();
        else this.#pool.keepAlive.stayedOpen(waited, now);
        break;
      case 'looking':
      case 'failing':
      case 'paused':
        break; // its time is for others to keep
    }
  }

  /** The server has no time to lose while the visitor still sends. */
  #waitedForHead(now: MonotonicMs): number {
    const upload = this.#upload;
    if (upload === undefined || upload.isOver) return msBetween(this.#since, now);
    return upload.blockedSince === undefined ? 0 : msBetween(upload.blockedSince, now);
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#read(bytes, bytes.length);
  };

  readonly #onSocketError = (error: Error): void => {
    this.#noteClosed();
    this.fail(this.#phase === 'looking' ? idleClosed() : upstreamError(error, this.#causeOf(error)));
  };

  /** Remembers for how long the server keeps an idle connection, if this was one: it may carry a request already. */
  #noteClosed(): void {
    if (this.#hasEndedRequest) return;
    const now = monotonicNow();
    const isUnread = this.#phase === 'looking' || this.#phase === 'head';
    const idleMs = this.#phase === 'idle' ? msBetween(this.#since, now) : isUnread ? this.#idleBeforeMs : undefined;
    if (idleMs !== undefined) this.#pool.keepAlive.closed(idleMs, now);
  }

  #causeOf(error: Error): ReturnType<typeof causeOf> {
    const cause = causeOf(error);
    // Before the handshake is over, no byte of the request was written.
    return cause === 'reset' && this.#phase === 'connecting' ? 'tls_failed' : cause;
  }

  readonly #onSocketEnd = (): void => {
    if (this.#phase === 'failing') return; // the parser's error is on its way
    this.#noteClosed();
    if (this.#sink === undefined) {
      this.destroy();
      return;
    }
    if (this.#phase === 'looking') {
      this.fail(idleClosed());
      return;
    }
    if (this.#phase === 'connecting') {
      this.fail(failedBy('tls_failed', 'closed during the handshake'));
      return;
    }
    try {
      this.#parser.close();
      this.#sink = undefined;
      this.destroy();
    } catch (error) {
      this.fail(this.#served > 0 && this.#phase === 'head' ? failedBy('kept_closed') : (error as Error));
    }
  };

  /** @returns Whether to go on reading. */
  #read(bytes: Buffer, length: number): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return false;
    if (this.#phase === 'looking') {
      this.#pool.noteSurplus();
      this.fail(idleClosed());
      return false;
    }
    if (this.#sink === undefined) {
      this.#pool.noteSurplus();
      this.destroy();
      return false;
    }
    if (this.#phase === 'connecting') {
      this.fail(failedBy('not_http', 'bytes before the request was written'));
      return false;
    }
    if (this.#phase === 'failing') return false;
    const now = monotonicNow();
    if (this.#phase === 'body') this.#since = now;
    try {
      const parser = this.#parser;
      const { interims } = parser;
      const read = parser.read(bytes, length);
      if (this.#phase === 'head') {
        if (parser.interims > interims) this.#since = now;
        this.#noteRead(now);
      }
      if (parser.switched !== undefined) {
        this.#switch(parser.switched, bytes.subarray(read, length));
        return false;
      }
      if (parser.isDone) this.#sink = undefined;
      if (socket.destroyed) return false;
      if (!this.#parser.isDone) return this.#phase !== 'paused';
      if (read < length) this.#pool.noteSurplus();
      else if (this.#parser.keepsAlive && this.#upload?.isDone !== false) return this.#release(now);
      this.destroy();
    } catch (error) {
      // What came before it is read by its waiter.
      this.#phase = 'failing';
      setImmediate(() => this.fail(error as Error));
    }
    return false;
  }

  /** Begins to wait for the body once the head has come. */
  #noteRead(now: MonotonicMs): void {
    if (this.#parser.hasHead) this.#enter('body', now);
  }

  /** Hands the socket over, with what has come of the other protocol. */
  #switch(head: ResponseHead, unread: Buffer): void {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('error', this.#onSocketError);
    socket.off('end', this.#onSocketEnd);
    socket.off('close', this.#onSocketEnd);
    socket.pause();
    socket.setKeepAlive(true, PROBE_AFTER_MS);
    this.#pool.forget(this);
    const sink = this.#sink;
    this.#sink = undefined;
    if (unread.length > 0) socket.unshift(unread);
    if (sink?.onUpgrade === undefined) socket.destroy();
    else sink.onUpgrade(head, socket);
  }

  /** The response is whole. @returns Whether the connection stays. */
  #release(now: MonotonicMs): boolean {
    const { keepAliveSeconds, endedWithHead } = this.#parser;
    const { keepAliveMs, maxAgeMs } = this.#pool.options;
    this.#announcedMs = keepAliveSeconds === undefined ? undefined : announcedIdleMs(keepAliveSeconds);
    this.#idleMs = this.#announcedMs ?? keepAliveMs;
    this.#upload?.stop();
    this.#upload = undefined;
    this.#request = undefined;
    this.#head = undefined;
    this.#served++;
    if (this.#idleMs <= 0 || msBetween(this.#openedAt, now) > maxAgeMs) {
      this.destroy();
      return false;
    }
    if (this.#phase === 'paused') this.#socket.resume();
    this.#enter('idle', now);
    this.#pool.keep(this, endedWithHead, now);
    return !this.#socket.destroyed;
  }

  #enter(phase: Phase, now: MonotonicMs = monotonicNow()): void {
    this.#phase = phase;
    this.#since = now;
  }
}

function ignore(): void {
  // its answer follows
}

function idleClosed(): UpstreamError {
  return failedBy('idle_closed');
}
