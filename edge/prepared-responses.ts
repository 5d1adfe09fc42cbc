/**
 * The prepared form of those stored responses that are asked for. It is kept on
 * the object that the store has looked up (cache/store/decoded-cache.ts), and goes with
 * it: nothing is prepared for what lies in the store unused, and nothing here
 * keeps alive what the store has dropped.
 * @module
 */
import type { StoredResponse } from '../cache/stored-response.ts';
import type { LimitsConfig, RegionConfig } from '../config/schema.ts';
import type { PreparedForm } from '../http/prepared-delivery.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { type Block, type Kind, Prepared } from './prepared.ts';
import { type IdName, idNameOf } from './visitor.ts';

/** Answers that are kept whole, together; they are dropped after a second. */
const WHOLE_BYTES = 16 * 1024 * 1024;

const WHOLE_MS = 1_000;

/** Parts of a config that show in each answer. */
type Shown = Pick<RegionConfig, 'request_id'> & { readonly limits: Pick<LimitsConfig, 'keep_alive_timeout'> };

export class PreparedResponses {
  readonly #node: string;
  #whole: Prepared[] = [];
  #wholeBytes = 0;
  readonly #timer: NodeJS.Timeout;
  /** Announced to visitors; a change makes what is prepared anew. */
  #keepAliveMs: number;
  #idName: IdName | undefined;
  /** Requests that were answered from them. */
  answered = 0;

  /** @param node - Name of the node. */
  constructor(node: string, shown: Shown) {
    this.#node = node;
    this.#keepAliveMs = shown.limits.keep_alive_timeout;
    this.#idName = idNameOf(shown);
    this.#timer = setInterval(() => this.#discardWhole(), WHOLE_MS).unref();
  }

  /** Goes by the new config from now on. */
  update(shown: Shown): void {
    this.#keepAliveMs = shown.limits.keep_alive_timeout;
    if (shown.request_id !== (this.#idName?.name ?? 'off')) this.#idName = idNameOf(shown);
  }

  /** @param request - Whose path is one under whose key the response is stored. */
  of(stored: StoredResponse, served: ServedSite, request: { readonly path: string }): Prepared {
    const known = stored.prepared;
    if (known instanceof Prepared && known.isFor(stored, served, this.#keepAliveMs, this.#idName)) return known;
    const { path } = request;
    const [keepAliveMs, idName] = [this.#keepAliveMs, this.#idName];
    const prepared = new Prepared({ stored, served, path, node: this.#node, keepAliveMs, idName });
    stored.prepared = prepared;
    return prepared;
  }

  /**
   * @returns The whole answer; the next one within the second finds it ready, if the last one was no longer ago, and
   * while there is room.
   */
  makeBytes(prepared: Prepared, kind: Kind, isHotCopy: boolean, now: EpochMs, form?: PreparedForm): Block | undefined {
    // What is asked for less often would only be carried from one collection of garbage to the next.
    const keeps = this.#wholeBytes < WHOLE_BYTES && prepared.isUsedWithin(WHOLE_MS, now);
    const block = prepared.makeBytes(kind, isHotCopy, now, keeps, form);
    if (block === undefined || !keeps) return block;
    this.#whole.push(prepared);
    this.#wholeBytes += block.bytes.length;
    return block;
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
