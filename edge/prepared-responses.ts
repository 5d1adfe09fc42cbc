/**
 * The prepared form of those stored responses that are asked for, forgotten
 * when they are not. Nothing is prepared for what lies in the store unused, and
 * nothing here keeps alive what the store has dropped.
 * @module
 */
import type { StoredResponse } from '../cache/stored-response.ts';
import { normalisePath } from '../http/request-target.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { type Kind, Prepared } from './prepared.ts';

/** What is not asked for in two of these goes. */
const GENERATION_MS = 10_000;

/** Of each of two generations: heads, and what a prepared response costs besides. */
const GENERATION_BYTES = 16 * 1024 * 1024;

/** What a prepared response costs besides its heads. Measured by load-tests/micro. */
const PREPARED_BYTES = 2_000;

/** Answers that are kept whole, together; they are dropped after a second. */
const WHOLE_BYTES = 16 * 1024 * 1024;

const WHOLE_MS = 1_000;

export class PreparedResponses {
  readonly #node: string;
  #young = new WeakMap<StoredResponse, Prepared>();
  #old = new WeakMap<StoredResponse, Prepared>();
  #youngBytes = 0;
  #whole: Prepared[] = [];
  #wholeBytes = 0;
  readonly #timers: readonly NodeJS.Timeout[];
  /** Announced to visitors; a change makes what is prepared anew. */
  #keepAliveMs = 0;

  /** @param node - Name of the node. */
  constructor(node: string) {
    this.#node = node;
    this.#timers = [
      setInterval(() => this.#turn(), GENERATION_MS).unref(),
      setInterval(() => this.#dropWhole(), WHOLE_MS).unref(),
    ];
  }

  set keepAliveMs(keepAliveMs: number) {
    if (keepAliveMs === this.#keepAliveMs) return;
    this.#keepAliveMs = keepAliveMs;
    this.clear();
  }

  /** @param target - A valid one under whose key the response is stored. */
  of(stored: StoredResponse, served: ServedSite, target: string): Prepared {
    let prepared = this.#young.get(stored);
    if (prepared?.served === served) {
      prepared.isAskedForAgain = true;
      return prepared;
    }
    prepared = this.#old.get(stored);
    if (prepared?.served !== served) prepared = this.#prepare(stored, served, target);
    this.#keep(prepared);
    return prepared;
  }

  /** @returns The whole answer; the next one within the second finds it ready, if it has been asked for before and while there is room. */
  makeBytes(prepared: Prepared, kind: Kind, isHotCopy: boolean, now: number): Buffer | undefined {
    const hasRoom = this.#wholeBytes < WHOLE_BYTES;
    const bytes = prepared.makeBytes(kind, isHotCopy, now, hasRoom);
    if (bytes === undefined || !hasRoom) return bytes;
    this.#whole.push(prepared);
    this.#wholeBytes += bytes.length;
    return bytes;
  }

  clear(): void {
    this.#turn();
    this.#turn();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.clear();
  }

  #prepare(stored: StoredResponse, served: ServedSite, target: string): Prepared {
    const mark = target.indexOf('?');
    const path = normalisePath(mark < 0 ? target : target.slice(0, mark));
    return new Prepared({ stored, served, path, node: this.#node, keepAliveMs: this.#keepAliveMs });
  }

  #keep(prepared: Prepared): void {
    if (this.#youngBytes > GENERATION_BYTES) this.#turn();
    this.#young.set(prepared.stored, prepared);
    this.#youngBytes += PREPARED_BYTES;
    for (const text of prepared.stored.headers) this.#youngBytes += text.length;
  }

  #turn(): void {
    this.#dropWhole();
    this.#old = this.#young;
    this.#young = new WeakMap();
    this.#youngBytes = 0;
  }

  #dropWhole(): void {
    for (const prepared of this.#whole) prepared.dropBytes();
    this.#whole = [];
    this.#wholeBytes = 0;
  }
}
