/**
 * HTTP/1.1 towards one server by undici: TLS, requests with a body, switches
 * of protocol, and what else is not plain.
 * @module
 */
import type { Duplex } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import { HttpError } from './errors.ts';
import type { RawHeaders } from './headers.ts';
import type { UpstreamRequest } from './message.ts';
import { ResponseError } from './response-parser.ts';
import type { Receiver, UnderWay } from './transport.ts';

export class UndiciClient {
  readonly #pool: Pool;
  /** For requests that get a connection of their own. */
  readonly #fresh: Pool;
  readonly #maxHeadBytes: number;
  readonly #serverName: string | undefined;
  #isClosed = false;

  /** @param serverName - To ask for by SNI and to verify; by default the Host of each request. */
  constructor(url: string, options: Pool.Options & { readonly maxHeaderSize: number }, serverName?: string) {
    this.#serverName = serverName;
    this.#maxHeadBytes = options.maxHeaderSize;
    this.#pool = new Pool(url, { ...options, allowH2: false, pipelining: 1 });
    this.#fresh = new Pool(url, { ...options, allowH2: false, pipelining: 0 });
  }

  send(request: UpstreamRequest, receiver: Receiver, isFresh: boolean): UnderWay {
    const exchange = new Handler(receiver, this.#maxHeadBytes);
    const { method, target, headers, body, upgrade } = request;
    try {
      (isFresh || this.#isClosed ? this.#fresh : this.#pool).dispatch(
        {
          method: method as Dispatcher.HttpMethod,
          path: target,
          headers: headers as string[],
          body: body ?? null,
          upgrade: upgrade ?? null,
          // Of the pool's own undici takes it only where the request has no Host.
          ...(this.#serverName !== undefined && { servername: this.#serverName }),
        } as Dispatcher.DispatchOptions,
        exchange,
      );
    } catch (error) {
      // undici refuses at once what it would not write, such as an invalid header value.
      exchange.onResponseError(undefined, error as Error);
    }
    return exchange;
  }

  /** Ends kept connections at once, and keeps none from now on; requests get to their end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#pool.close();
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#fresh.destroy()]);
  }
}

class Handler implements Dispatcher.DispatchHandler, UnderWay {
  readonly #receiver: Receiver;
  /** What 1xx may still bring: undici bounds each header section by itself. */
  #interimBytesLeft: number;
  #controller: Dispatcher.DispatchController | undefined;
  #isAborted = false;

  constructor(receiver: Receiver, maxHeadBytes: number) {
    this.#receiver = receiver;
    this.#interimBytesLeft = maxHeadBytes;
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort(new HttpError('abandoned'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isAborted) controller.abort(new HttpError('abandoned'));
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, status: number, _headers: unknown, socket: Duplex): void {
    if (this.#isAborted) socket.destroy();
    else this.#receiver.onSwitch(status, rawHeaders(controller.rawHeaders), socket);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, statusText = ''): void {
    if (this.#isAborted) return;
    const headers = rawHeaders(controller.rawHeaders);
    if (status >= 200) this.#receiver.onHead(status, statusText, headers);
    else this.#onInterim(controller, status, headers);
  }

  #onInterim(controller: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
    this.#interimBytesLeft -= headers.reduce((sum, { length }) => sum + length, STATUS_LINE_BYTES);
    if (this.#interimBytesLeft >= 0) this.#receiver.onInterim(status, headers);
    else controller.abort(new ResponseError('too many 1xx'));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isAborted) this.#receiver.onBody(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (!this.#isAborted) this.#receiver.onEnd(rawHeaders(controller.rawTrailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (!this.#isAborted) this.#receiver.onFailure(error);
  }
}

/** Of a 1xx, at least. */
const STATUS_LINE_BYTES = 'HTTP/1.1 100\r\n\r\n'.length;

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
