/**
 * Sends the state of the network to every node that steers: geo/wire.ts has the form.
 * @module
 */
import type { ServerResponse } from 'node:http';
import { type Network, networkMessage } from '../geo/network.ts';
import { NETWORK_CONTENT_TYPE, NETWORK_HEARTBEAT_MS } from '../geo/wire.ts';
import type { MonotonicMs } from '../lib/clock.ts';

/**
 * Maximum backlog of a subscriber; beyond it the stream is closed, and the subscriber reconnects to get the newest
 * state.
 */
const MAX_UNREAD_BYTES = 8 * 2 ** 20;
const MAX_LISTENERS = 4_096;

export class RegionStreams {
  readonly #listeners = new Set<ServerResponse>();
  readonly #timer: NodeJS.Timeout;
  readonly #now: () => MonotonicMs;

  constructor(now: () => MonotonicMs) {
    this.#now = now;
    this.#timer = setInterval(() => this.#send('{"type":"heartbeat"}\n'), NETWORK_HEARTBEAT_MS);
    this.#timer.unref();
  }

  /** @returns Whether there was room for another one. */
  add(response: ServerResponse, network: Network): boolean {
    if (this.#listeners.size >= MAX_LISTENERS) return false;
    response.writeHead(200, { 'Content-Type': NETWORK_CONTENT_TYPE, 'Cache-Control': 'no-store' });
    response.on('error', () => response.destroy()); // and 'close' follows
    response.once('close', () => this.#listeners.delete(response));
    this.#listeners.add(response);
    response.write(this.#line(network));
    return true;
  }

  tell(network: Network): void {
    this.#send(this.#line(network));
  }

  close(): void {
    clearInterval(this.#timer);
    for (const response of this.#listeners) response.end();
  }

  #line(network: Network): string {
    return `${JSON.stringify({ type: 'network', network: networkMessage(network, this.#now()) })}\n`;
  }

  #send(line: string): void {
    for (const response of this.#listeners) {
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
      else response.write(line);
    }
  }
}
