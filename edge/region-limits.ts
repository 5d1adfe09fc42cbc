/**
 * Rate limits of a region: each edge tells the owner of a key what it has counted, and hears what all edges have
 * counted together (docs/adr/0030-rate-limits.md). No request waits for that.
 *
 *     POST / ask=limits {"limits":["shop {…}"],"counts":[[0,"192.0.2.1",12]]}
 *     200 {"full_in":[4200]}
 *
 * A count is the place of its limit in `limits`, a key, and requests since the last message; the answer has the
 * milliseconds until the key's bucket is full again at the owner, null for a limit that it does not have.
 * @module
 */
import { HttpError } from '../http/errors.ts';
import type { CountedRequests, RateLimits } from './rate-limits.ts';

/** The edge that adds up what is counted for a key. */
export interface CountsOwner {
  readonly name: string;
  /** Sends a message to it. @returns Its answer; rejects after a while without one. */
  askJson(body: object): Promise<unknown>;
}

/** Keys in one message: those with the most requests. */
const MAX_KEYS = 1_000;

/** Keys that wait for an owner that has not answered the message before. */
const MAX_PENDING = 10_000;

const MAX_KEY_LENGTH = 512;
const MAX_ID_LENGTH = 64 * 1024;
const MAX_COUNT = 1_000_000_000;

/** Counts that one owner has not been told. */
class Outbox {
  readonly pending = new Map<string, CountedRequests & { count: number }>();
  isSending = false;

  add(counted: CountedRequests): void {
    const id = idOf(counted);
    const known = this.pending.get(id);
    if (known !== undefined) known.count += counted.count;
    else if (this.pending.size < MAX_PENDING) this.pending.set(id, { ...counted });
  }

  /** Takes what the next message has. */
  take(): readonly CountedRequests[] {
    const all = [...this.pending.values()];
    if (all.length > MAX_KEYS) all.sort((a, b) => b.count - a.count);
    this.pending.clear();
    return all.slice(0, MAX_KEYS);
  }
}

function idOf({ limit, key }: CountedRequests): string {
  return `${limit}\n${key}`;
}

export class RegionLimits {
  readonly #limits: RateLimits;
  readonly #ownerOf: (key: string) => CountsOwner | undefined;
  readonly #outboxes = new Map<string, Outbox>();

  /** @param ownerOf - Returns the edge that adds up a key, undefined for this one. */
  constructor(limits: RateLimits, ownerOf: (key: string) => CountsOwner | undefined) {
    this.#limits = limits;
    this.#ownerOf = ownerOf;
    limits.onCounted = (counted) => this.#tell(counted);
  }

  /** Returns the answer to a message of another edge. @throws {HttpError} `bad_request`. */
  hear(message: unknown): object {
    return { full_in: this.#limits.hear(countsOf(message)).map((ms) => ms ?? null) };
  }

  #tell(counted: readonly CountedRequests[]): void {
    const owners = new Map<string, CountsOwner>();
    for (const one of counted) {
      const owner = this.#ownerOf(idOf(one));
      if (owner === undefined) continue;
      owners.set(owner.name, owner);
      this.#outboxOf(owner.name).add(one);
    }
    for (const owner of owners.values()) void this.#send(owner);
  }

  #outboxOf(name: string): Outbox {
    const known = this.#outboxes.get(name);
    if (known !== undefined) return known;
    const outbox = new Outbox();
    this.#outboxes.set(name, outbox);
    return outbox;
  }

  /** Sends an owner its counts; those that it does not take are counted at this edge alone. Never rejects. */
  async #send(owner: CountsOwner): Promise<void> {
    const outbox = this.#outboxOf(owner.name);
    if (outbox.isSending) return;
    outbox.isSending = true;
    try {
      while (outbox.pending.size > 0) {
        const batch = outbox.take();
        const limits = [...new Set(batch.map(({ limit }) => limit))];
        const places = new Map(limits.map((limit, place) => [limit, place]));
        const counts = batch.map(({ limit, key, count }) => [places.get(limit), key, count]);
        this.#learn(batch, await owner.askJson({ limits, counts }));
      }
    } catch {
      // its health is for heartbeats to find out
    } finally {
      outbox.isSending = false;
    }
  }

  #learn(batch: readonly CountedRequests[], answer: unknown): void {
    const fullIn = isObject(answer) ? answer['full_in'] : undefined;
    if (!Array.isArray(fullIn)) return;
    batch.forEach(({ limit, key }, i) => {
      const ms: unknown = fullIn[i];
      if (typeof ms === 'number' && ms > 0) this.#limits.raise(limit, key, ms);
    });
  }
}

/** @throws {HttpError} `bad_request` unless it is a message. */
function countsOf(message: unknown): readonly CountedRequests[] {
  const { limits, counts } = isObject(message) ? message : {};
  if (!Array.isArray(limits) || !Array.isArray(counts) || counts.length > MAX_KEYS) throw refused();
  if (!limits.every((limit) => isText(limit, MAX_ID_LENGTH))) throw refused();
  return counts.map((one: unknown) => {
    const [place, key, count] = Array.isArray(one) ? (one as unknown[]) : [];
    const limit: unknown = typeof place === 'number' ? limits[place] : undefined;
    if (!isText(limit, MAX_ID_LENGTH) || !isText(key, MAX_KEY_LENGTH)) throw refused();
    if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 1 || count > MAX_COUNT) throw refused();
    return { limit, key, count };
  });
}

function refused(): HttpError {
  return new HttpError('bad_request', 'no counts of rate limits');
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
