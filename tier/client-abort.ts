/**
 * Signal that aborts when the requester has disconnected.
 * @module
 */
import type { ClientAbortSignal } from '../cache/exchange.ts';
import type { ServerExchange } from '../http/exchange.ts';
import { FewSet } from '../lib/few-set.ts';

/** @returns A signal that is aborted when the connection closes before the answer is written. */
export function clientAbortSignal(exchange: Pick<ServerExchange, 'isClosed' | 'onClose'>): ClientAbortSignal {
  const clientAbort = new ClientAbort();
  if (exchange.isClosed) clientAbort.abort();
  else exchange.onClose(() => clientAbort.abort());
  return clientAbort;
}

/** An AbortSignal costs several times as much, for every request. */
class ClientAbort implements ClientAbortSignal {
  /** A request waits for one thing at a time. */
  readonly #listeners = new FewSet<() => void>();
  aborted = false;

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    for (const listener of this.#listeners.values()) listener();
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }
}
