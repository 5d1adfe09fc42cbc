/**
 * Encodings of stored responses, made off the way of requests: a bounded queue of what is wanted, one thread that
 * encodes (encoder-thread.ts), and the store, where an encoding becomes part of the response that it was made of.
 *
 * An encoding is of a body, known by its number. If the store has another body by then, or none, because the response
 * was purged by an invalidation, replaced or evicted, the encoding is dropped.
 * @module
 */
import type { AcceptedCodings, Coding } from '../../http/fields/content-coding.ts';
import type { KeyedRequest } from '../key.ts';
import type { RequestProfile } from '../request-profile.ts';
import { EvictedError, type Store, type StoredBody } from '../store/store.ts';
import { factsOf, type RuledPath } from '../stored-facts.ts';
import { type Encoding, isComplete, type StoredResponse } from '../stored-response.ts';
import type { Encode, withEncoderThread } from './encoder-thread.ts';
import { formsOf, type WantedEncoding } from './forms.ts';

/** Encodings that wait. Each waits as a key: its body is read when its turn comes. */
const MAX_WAITING = 256;

/** Hits after which an encoding is asked for again that has not come: the queue may have been full. */
const ASK_AGAIN_AFTER = 1_024;

/** Request whose path is one under whose key the response is stored. */
export interface KeyedPath extends RuledPath {
  readonly keyed: KeyedRequest | undefined;
}

/** Events, for metrics. */
export interface EncodingEvents {
  /** @param outcome - `made`; `useless`: no smaller than the body; `gone`: the response was; `failed`. */
  encoded(coding: Coding, isFast: boolean, outcome: EncodingOutcome): void;
  /** An encoding was not taken into the queue, which is full. */
  encodingRefused(): void;
}

export type EncodingOutcome = 'made' | 'useless' | 'gone' | 'failed';

export interface EncodingsOptions {
  readonly store: Store;
  readonly events: EncodingEvents;
  readonly withThread: typeof withEncoderThread;
}

interface Order extends WantedEncoding {
  readonly key: string;
  readonly body: number;
}

export class Encodings {
  readonly #options: EncodingsOptions;
  /** By name, in the order in which they came; fast ones go first. */
  readonly #waiting = new Map<string, Order>();
  #isRunning = false;
  #isClosed = false;

  constructor(options: EncodingsOptions) {
    this.#options = options;
  }

  /** Encodings that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Chooses the form that a request gets. Counts a hit, and has the encoding made that is worth it by now. */
  formFor(
    stored: StoredResponse,
    request: KeyedPath,
    profile: RequestProfile,
    accepted: AcceptedCodings,
  ): StoredResponse {
    if (profile.ranges !== undefined) return stored;
    const forms = formsOf(stored, request);
    const choice = forms.choose(accepted);
    if (choice.wanted !== undefined && --choice.hitsLeft <= 0) {
      choice.hitsLeft = ASK_AGAIN_AFTER;
      const { keyed } = request;
      if (keyed !== undefined) this.want(keyed.key, stored, choice.wanted);
    }
    const { response } = choice;
    const { ifNoneMatch } = profile;
    if (ifNoneMatch === undefined || factsOf(response, request).isNamedBy(profile)) return response;
    return forms.named(ifNoneMatch) ?? response;
  }

  /** Has an encoding made of a stored response, unless that is on its way, or too many are. */
  want(key: string, { body }: StoredResponse, { coding, isFast }: WantedEncoding): void {
    const name = `${coding} ${isFast} ${body.id} ${key}`;
    if (this.#isClosed || this.#waiting.has(name)) return;
    if (this.#waiting.size >= MAX_WAITING) {
      this.#options.events.encodingRefused();
      return;
    }
    this.#waiting.set(name, { key, body: body.id, coding, isFast });
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run();
  }

  /** Forgets the encodings that wait. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) {
      const before = this.#waiting.size;
      try {
        await this.#options.withThread((encode) => this.#next(encode));
      } catch {
        // The thread has ended: one that is out of memory has taken its order with it, and the others get a new one. If
        // none can be started, they do without.
        if (this.#waiting.size >= before) this.#waiting.clear();
      }
    }
    this.#isRunning = false;
  }

  /** @returns False if nothing waits. */
  async #next(encode: Encode): Promise<boolean> {
    const [name, order] = this.#first() ?? [];
    if (name === undefined || order === undefined) return false;
    let outcome: EncodingOutcome = 'failed';
    try {
      outcome = await this.#make(order, encode);
    } finally {
      this.#waiting.delete(name);
      this.#options.events.encoded(order.coding, order.isFast, outcome);
    }
    return true;
  }

  #first(): readonly [string, Order] | undefined {
    return this.#waiting.entries().find(([, { isFast }]) => isFast) ?? this.#waiting.entries().next().value;
  }

  async #make(order: Order, encode: Encode): Promise<EncodingOutcome> {
    const { coding, isFast } = order;
    const stored = this.#options.store.get(order.key).find(({ body }) => body.id === order.body);
    if (stored === undefined || !isComplete(stored) || isMade(stored, order)) return 'gone';
    const bytes = bytesOf(stored.body, stored.length);
    if (bytes === undefined) return 'gone';
    const { bytes: encoded } = await encode({ bytes, coding, isFast });
    if (this.#isClosed) return 'gone';
    if (encoded === undefined) return this.#put(order, undefined) ? 'useless' : 'gone';
    const writer = this.#options.store.begin(encoded.length);
    if (writer === undefined) return 'gone'; // no room
    try {
      if (writer.append(Buffer.from(encoded.buffer), true) === undefined) return 'gone';
      return this.#put(order, writer.commit(0)) ? 'made' : 'gone';
    } finally {
      writer.abort();
    }
  }

  /** Makes it part of the stored response. @returns Whether the response is still there. */
  #put({ key, body: id, coding, isFast }: Order, body: StoredBody | undefined): boolean {
    const { store } = this.#options;
    return store.exclusively(() => {
      const variants = store.get(key);
      const stored = variants.find((one) => one.body.id === id);
      if (stored === undefined) return false;
      const { encodings = [] } = stored;
      const before = encodings.find((one) => one.coding === coding);
      const encoding: Encoding = { coding, isFast, body: smaller(before?.body, body) };
      const encoded = { ...stored, encodings: [...encodings.filter((one) => one !== before), encoding] };
      store.set(
        key,
        variants.map((one) => (one === stored ? encoded : one)),
      );
      return true;
    });
  }
}

/** A high level does not always win. */
function smaller(before: StoredBody | undefined, body: StoredBody | undefined): StoredBody | undefined {
  if (before === undefined || body === undefined) return before ?? body;
  return before.size <= body.size ? before : body;
}

/** Returns whether the response has the encoding by now, or a smaller one: another thread may have made it. */
function isMade({ encodings = [] }: StoredResponse, { coding, isFast }: Order): boolean {
  return encodings.some((one) => one.coding === coding && (!one.isFast || isFast));
}

/** @returns A copy; `undefined` if the body has been evicted. */
function bytesOf(body: StoredBody, length: number): Uint8Array<ArrayBuffer> | undefined {
  const bytes = Buffer.allocUnsafeSlow(length);
  try {
    const reader = body.open({ start: 0, end: length });
    let at = 0;
    for (let piece = reader.next(); piece !== null; piece = reader.next()) {
      if (piece instanceof Promise) {
        piece.catch(() => undefined);
        reader.close();
        return undefined;
      }
      at += piece.copy(bytes, at);
      reader.release?.();
    }
    return bytes;
  } catch (error) {
    if (error instanceof EvictedError) return undefined;
    throw error;
  }
}
