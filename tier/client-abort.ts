/**
 * Signal that aborts when the requester has disconnected.
 * @module
 */
import type { ClientAbortSignal } from '../cache/exchange.ts';
import type { ServerExchange } from '../http/exchange.ts';

/** @returns A signal that is aborted when the connection closes before the answer is written. */
export function clientAbortSignal(exchange: ServerExchange): ClientAbortSignal {
  const clientAbort = new ClientAbort();
  if (exchange.isClosed) clientAbort.abort();
  else exchange.onClose(() => clientAbort.abort());
  return clientAbort;
}

/** An AbortSignal costs several times as much, for every request. */
class ClientAbort implements ClientAbortSignal {
  /** Few: a request waits for one thing at a time. */
  readonly #listeners: (() => void)[] = [];
  aborted = false;

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    for (let next = this.#listeners.shift(); next !== undefined; next = this.#listeners.shift()) next();
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }
}
