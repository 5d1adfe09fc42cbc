/**
 * Response rate limiting: how many answers of a kind one network may be sent
 * over UDP a second, so that forged addresses cannot make this server
 * flood a victim (the idea of Vixie and Schryver, as in BIND and NSD).
 *
 * Token buckets in a table of fixed size. Which bucket a network has follows
 * from a hash with a secret seed; of the few places that a hash allows, the
 * one that has spent least is given up. So the table cannot grow, and a client that
 * has spent everything cannot be made to be forgotten by sending more.
 * @module
 */

import type { ParsedAddress } from '../../lib/address.ts';
import { type MonotonicMs, millisecondsOf } from '../../lib/clock.ts';
import { refilled } from '../../lib/token-bucket.ts';

/** Bits of an address that one network has. */
const NETWORK_BITS_4 = 24;
const GROUPS_OF_NETWORK_6 = 3.5; // 56 bits

/** Places that a hash allows. */
const WAYS = 4;

export interface RateLimiterOptions {
  /** Buckets; a power of two. 16 bytes each. */
  readonly size: number;
  /** Seed of the hash, random so that clients cannot aim for collisions. */
  readonly seed: number;
}

export class RateLimiter {
  readonly #tags: Uint32Array;
  readonly #tokens: Float32Array;
  readonly #times: Float64Array;
  readonly #seed: number;
  readonly #mask: number;

  constructor({ size, seed }: RateLimiterOptions) {
    this.#tags = new Uint32Array(size);
    this.#tokens = new Float32Array(size);
    this.#times = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    this.#seed = seed | 0;
    this.#mask = size / WAYS - 1;
  }

  /**
   * @param kind - Of answer; whatever number tells it from others.
   * @param perSecond - How many a second; as many may come at once.
   * @returns Whether one more may be sent.
   */
  take(client: ParsedAddress, kind: number, perSecond: number, now: MonotonicMs): boolean {
    const first = mix(networkOf(client, this.#seed), kind ^ this.#seed);
    const tag = mix(first ^ 0x5bd1e995, kind) >>> 0;
    const base = (first & this.#mask) * WAYS;
    let place = base;
    let most = -1;
    for (let i = base; i < base + WAYS; i += 1) {
      const tokens = this.#tokensAt(i, perSecond, now);
      if (this.#tags[i] === tag && (this.#times[i] as number) >= 0) {
        place = i;
        most = tokens;
        break;
      }
      if (tokens > most) {
        most = tokens;
        place = i;
      }
    }
    // A place of another network begins anew, unless all are taken by those who have spent everything.
    const isOwn = this.#tags[place] === tag && (this.#times[place] as number) >= 0;
    const tokens = isOwn ? most : most < 1 ? most : perSecond;
    this.#tags[place] = tag;
    this.#times[place] = millisecondsOf(now);
    this.#tokens[place] = tokens >= 1 ? tokens - 1 : tokens;
    return tokens >= 1;
  }

  #tokensAt(place: number, perSecond: number, now: MonotonicMs): number {
    const passedMs = Math.max(0, millisecondsOf(now) - (this.#times[place] as number));
    return refilled(this.#tokens[place] as number, passedMs, perSecond, perSecond);
  }
}

function networkOf({ family, ipv4, groups }: ParsedAddress, seed: number): number {
  if (family === 4) return mix(seed, ipv4 >>> (32 - NETWORK_BITS_4));
  let hash = seed;
  for (let i = 0; i < GROUPS_OF_NETWORK_6; i += 1) {
    const group = groups[i] as number;
    hash = mix(hash, i + 1 > GROUPS_OF_NETWORK_6 ? group & 0xff00 : group);
  }
  return hash;
}

/** One step and the end of MurmurHash3 (Appleby). */
function mix(hash: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  let h = hash ^ k;
  h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
