/**
 * The prepared form of those stored responses that are asked for. It is kept on
 * the object that the store has looked up (cache/store/decoded-cache.ts), and goes with
 * it: nothing is prepared for what lies in the store unused, and nothing here
 * keeps alive what the store has dropped.
 * @module
 */
import type { StoredResponse } from '../cache/stored-response.ts';
import type { LimitsConfig } from '../config/schema.ts';
import type { PreparedForm } from '../http/prepared-delivery.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { type Kind, Prepared } from './prepared.ts';

/** Answers that are kept whole, together; they are dropped after a second. */
const WHOLE_BYTES = 16 * 1024 * 1024;

const WHOLE_MS = 1_000;

type KeepAlive = Pick<LimitsConfig, 'keep_alive_timeout'>;

export class PreparedResponses {
  readonly #node: string;
  #whole: Prepared[] = [];
  #wholeBytes = 0;
  readonly #timer: NodeJS.Timeout;
  /** Announced to visitors; a change makes what is prepared anew. */
  #keepAliveMs: number;
  /** Requests that were answered from them. */
  answered = 0;

  /** @param node - Name of the node. */
  constructor(node: string, { keep_alive_timeout: keepAliveMs }: KeepAlive) {
    this.#node = node;
    this.#keepAliveMs = keepAliveMs;
    this.#timer = setInterval(() => this.#discardWhole(), WHOLE_MS).unref();
  }

  /** Goes by the new config from now on. */
  update({ keep_alive_timeout: keepAliveMs }: KeepAlive): void {
    this.#keepAliveMs = keepAliveMs;
  }

  /** @param request - Whose path is one under whose key the response is stored. */
  of(stored: StoredResponse, served: ServedSite, request: { readonly path: string }): Prepared {
    const known = stored.prepared;
    if (known instanceof Prepared && known.isFor(stored, served, this.#keepAliveMs)) return known;
    const { path } = request;
    const prepared = new Prepared({ stored, served, path, node: this.#node, keepAliveMs: this.#keepAliveMs });
    stored.prepared = prepared;
    return prepared;
  }

  /**
   * @returns The whole answer; the next one within the second finds it ready, if the last one was no longer ago, and
   * while there is room.
   */
  makeBytes(prepared: Prepared, kind: Kind, isHotCopy: boolean, now: EpochMs, form?: PreparedForm): Buffer | undefined {
    // What is asked for less often would only be carried from one collection of garbage to the next.
    const keeps = this.#wholeBytes < WHOLE_BYTES && prepared.isUsedWithin(WHOLE_MS, now);
    const bytes = prepared.makeBytes(kind, isHotCopy, now, keeps, form);
    if (bytes === undefined || !keeps) return bytes;
    this.#whole.push(prepared);
    this.#wholeBytes += bytes.length;
    return bytes;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#discardWhole();
  }

  #discardWhole(): void {
    for (const prepared of this.#whole) prepared.discardBytes();
    this.#whole = [];
    this.#wholeBytes = 0;
  }
}
