/**
 * HTTP/1.1 without TLS towards one server, for requests without a body: what
 * nearly every miss is. One request at a time on a connection, connections are
 * kept, and all of them are read into one buffer.
 *
 * Whoever uses it bounds how many requests are under way at a time.
 * @module
 */
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { errors } from 'undici';
import { PIECE_BYTES } from './pieces.ts';
import { type ResponseEvents, ResponseParser } from './response-parser.ts';
import type { Receiver, UnderWay } from './transport.ts';

export interface PlainClientOptions {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** How long a kept connection may be idle, unless the server says something else. */
  readonly keepAliveMs: number;
  /** It takes no request after this age. */
  readonly maxAgeMs: number;
  readonly maxHeadBytes: number;
}

/** Connections whose time is up are looked for this often, or more often where the times are shorter. */
const SWEEP_MS = 500;

/** A server that says how long it keeps a connection may close it a little earlier; one that says more is not believed. */
const KEEP_ALIVE_MARGIN_MS = 2_000;
const MAX_KEEP_ALIVE_MS = 60_000;

/** What is read, until it is looked at. */
const SHARED = Buffer.allocUnsafeSlow(PIECE_BYTES);

export class PlainClient {
  readonly options: PlainClientOptions;
  readonly #connections = new Set<Connection>();
  /** The one that was used last is the first to be used again. */
  readonly #idle: Connection[] = [];
  readonly #sweepMs: number;
  #sweep: NodeJS.Timeout | undefined;
  #state: 'open' | 'closed' | 'destroyed' = 'open';

  constructor(options: PlainClientOptions) {
    this.options = options;
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = options;
    this.#sweepMs = Math.min(SWEEP_MS, Math.ceil(Math.min(connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs) / 4));
  }

  /** Connections that are open, or being opened. */
  get open(): number {
    return this.#connections.size;
  }

  /**
   * @param head - The whole request, valid.
   * @param isFresh - Whether it gets a connection of its own, none that was used before.
   */
  send(head: string, isHead: boolean, receiver: Receiver, isFresh: boolean): UnderWay {
    if (this.#state === 'destroyed') throw new errors.ClientDestroyedError();
    if (isFresh) this.#idle[0]?.destroy(); // so that there are no more of them than before
    let connection = isFresh ? undefined : this.#idle.pop();
    if (connection === undefined) {
      connection = new Connection(this);
      this.#connections.add(connection);
      this.#sweep ??= setInterval(() => this.#lookThrough(performance.now()), this.#sweepMs).unref();
    }
    connection.send(head, isHead, receiver);
    return connection;
  }

  /** The connection may be used again. */
  keep(connection: Connection): void {
    if (this.#state !== 'open') connection.destroy();
    else this.#idle.push(connection);
  }

  /** The connection is closed, or will be. */
  forget(connection: Connection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Ends kept connections at once, and keeps none from now on; requests get to their end. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closed';
    for (const connection of [...this.#idle]) connection.destroy();
  }

  /** Cuts off what is under way. */
  destroy(): void {
    this.close();
    this.#state = 'destroyed';
    for (const connection of [...this.#connections]) connection.fail(new errors.ClientDestroyedError());
  }

  #lookThrough(now: number): void {
    for (const connection of [...this.#connections]) connection.checkTime(now);
  }
}

class Connection implements UnderWay, ResponseEvents {
  readonly #client: PlainClient;
  readonly #socket: Socket;
  readonly #parser: ResponseParser;
  #waitsFor: 'connection' | 'head' | 'body' | 'reader' | 'request' | 'end' = 'connection';
  /** Of `performance.now()`. */
  #since = performance.now();
  readonly #openedAt = this.#since;
  /** How long it may wait for the next request. */
  #idleMs: number;
  #receiver: Receiver | undefined;

  constructor(client: PlainClient) {
    this.#client = client;
    const { host, port, maxHeadBytes, keepAliveMs } = client.options;
    this.#idleMs = keepAliveMs;
    this.#parser = new ResponseParser(this, maxHeadBytes);
    const onread = {
      buffer: SHARED,
      callback: (length: number, bytes: Uint8Array) => this.#read(bytes as Buffer, length),
    };
    const socket = connect({ host, port, onread, noDelay: true });
    this.#socket = socket;
    socket.once('connect', () => {
      if (this.#waitsFor === 'connection') this.#waitFor('head');
    });
    socket.on('error', (error) => this.fail(error));
    socket.on('end', () => this.#closed());
    socket.on('close', () => this.#closed());
    socket.resume();
  }

  send(head: string, isHead: boolean, receiver: Receiver): void {
    this.#receiver = receiver;
    this.#parser.begin(isHead);
    if (!this.#socket.connecting) this.#waitFor('head');
    this.#socket.write(head, 'latin1');
  }

  pause(): void {
    if (this.#waitsFor !== 'body') return;
    this.#waitsFor = 'reader';
    this.#socket.pause();
  }

  resume(): void {
    if (this.#waitsFor !== 'reader') return;
    this.#waitFor('body');
    this.#socket.resume();
  }

  abort(): void {
    this.#receiver = undefined;
    this.destroy();
  }

  destroy(): void {
    this.#client.forget(this);
    this.#socket.destroy();
  }

  fail(error: Error): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.destroy();
    receiver?.onFailure(error);
  }

  checkTime(now: number): void {
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = this.#client.options;
    const waited = now - this.#since;
    switch (this.#waitsFor) {
      case 'connection':
        if (waited > connectTimeoutMs) this.fail(new errors.ConnectTimeoutError());
        break;
      case 'head':
        if (waited > firstByteTimeoutMs) this.fail(new errors.HeadersTimeoutError());
        break;
      case 'body':
        if (waited > idleTimeoutMs) this.fail(new errors.BodyTimeoutError());
        break;
      case 'request':
        if (waited > this.#idleMs) this.destroy();
        break;
      case 'end':
      case 'reader':
        break; // its time is for others to keep
    }
  }

  onInterim(status: number, headers: readonly string[]): void {
    this.#waitFor('head');
    this.#receiver?.onInterim(status, headers);
  }

  onHead(status: number, statusText: string, headers: readonly string[]): void {
    this.#waitFor('body');
    this.#receiver?.onHead(status, statusText, headers);
  }

  onBody(piece: Buffer): void {
    this.#receiver?.onBody(piece);
  }

  onEnd(trailers: readonly string[]): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    receiver?.onEnd(trailers);
  }

  /** @returns Whether to go on reading. */
  #read(bytes: Buffer, length: number): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return false;
    if (this.#receiver === undefined) {
      this.destroy(); // nobody asked for that
      return false;
    }
    if (this.#waitsFor === 'body') this.#since = performance.now();
    try {
      const read = this.#parser.read(bytes, length);
      if (socket.destroyed) return false;
      if (!this.#parser.isDone) return this.#waitsFor !== 'reader';
      if (read === length && this.#parser.keepsAlive) return this.#release();
      this.destroy();
    } catch (error) {
      // What came before it is read by whoever waits for it.
      this.#waitsFor = 'end';
      setImmediate(() => this.fail(error as Error));
    }
    return false;
  }

  /** The response is whole. @returns Whether the connection stays. */
  #release(): boolean {
    const { keepAliveSeconds } = this.#parser;
    const { keepAliveMs, maxAgeMs } = this.#client.options;
    const told = keepAliveSeconds === undefined ? keepAliveMs : keepAliveSeconds * 1_000 - KEEP_ALIVE_MARGIN_MS;
    this.#idleMs = Math.min(told, MAX_KEEP_ALIVE_MS);
    if (this.#idleMs <= 0 || performance.now() - this.#openedAt > maxAgeMs) {
      this.destroy();
      return false;
    }
    if (this.#waitsFor === 'reader') this.#socket.resume();
    this.#waitFor('request');
    this.#client.keep(this);
    return !this.#socket.destroyed;
  }

  #closed(): void {
    if (this.#receiver === undefined) {
      this.destroy();
      return;
    }
    try {
      this.#parser.close();
      this.destroy();
    } catch {
      const { bytesRead, bytesWritten } = this.#socket;
      this.fail(new errors.SocketError('other side closed', { bytesRead, bytesWritten } as never));
    }
  }

  #waitFor(what: 'head' | 'body' | 'request'): void {
    this.#waitsFor = what;
    this.#since = performance.now();
  }
}
