/**
 * DNS cookies (RFC 7873) with server cookies that servers of all makes can
 * check who share a secret (RFC 9018, section 4):
 *
 *     version 1 | reserved 3 | seconds since 1970 4 | SipHash-2-4 of
 *       (client cookie 8 | version | reserved | seconds | client's address 4 or 16) 8
 *
 * Who sends one back that is ours has read what we sent to its address: it is not forged.
 * @module
 */

import type { ParsedAddress } from '../../lib/address.ts';
import { sipHash24 } from '../../lib/siphash.ts';

/** `none`: no cookie; `new`: the client's alone, or with one that is not ours, or too old; `valid`: ours. */
export type CookieState = 'none' | 'new' | 'valid';

export const CLIENT_COOKIE_BYTES = 8;
export const COOKIE_BYTES = 24;

const VERSION = 1;
/** RFC 9018, section 4.3: ours for an hour, five minutes ahead of our clock allowed; a new one after half an hour. */
const MAX_AGE_SECONDS = 3_600;
const MAX_AHEAD_SECONDS = 300;
const RENEW_AFTER_SECONDS = 1_800;

const OFFSET_OF_ADDRESS = 16;

export class Cookies {
  readonly #hashes: readonly ReturnType<typeof sipHash24>[];
  readonly #input = new Uint8Array(OFFSET_OF_ADDRESS + 16);
  readonly #hash = new Uint8Array(8);

  /** @param secrets - 16 bytes each; the first makes cookies, all of them are believed (RFC 9018, section 5). */
  constructor(secrets: readonly Uint8Array[]) {
    if (secrets.length === 0) throw new RangeError('no secret');
    this.#hashes = secrets.map(sipHash24);
  }

  /** @param cookie - As read: 8, or 16 to 40 bytes. */
  check(cookie: Buffer | undefined, client: ParsedAddress, nowSeconds: number): CookieState {
    if (cookie === undefined) return 'none';
    if (cookie.length !== COOKIE_BYTES || cookie[CLIENT_COOKIE_BYTES] !== VERSION) return 'new';
    const age = ageOf(cookie, nowSeconds);
    if (age > MAX_AGE_SECONDS || age < -MAX_AHEAD_SECONDS) return 'new';
    this.#input.set(cookie.subarray(0, OFFSET_OF_ADDRESS));
    const length = putAddress(this.#input, client);
    return this.#hashes.some((hash) => {
      hash(this.#input, length, this.#hash, 0);
      return isSame(this.#hash, cookie, OFFSET_OF_ADDRESS);
    })
      ? 'valid'
      : 'new';
  }

  /** Writes the cookie of an answer, `COOKIE_BYTES` long: what came while it is good, else a new one. */
  write(cookie: Buffer, state: CookieState, client: ParsedAddress, nowSeconds: number, out: Buffer, at: number): void {
    if (state === 'valid' && ageOf(cookie, nowSeconds) < RENEW_AFTER_SECONDS && this.#isOfFirst(cookie, client)) {
      cookie.copy(out, at, 0, COOKIE_BYTES);
      return;
    }
    cookie.copy(out, at, 0, CLIENT_COOKIE_BYTES);
    out.writeUInt32BE(VERSION * 2 ** 24, at + CLIENT_COOKIE_BYTES);
    out.writeUInt32BE(nowSeconds >>> 0, at + 12);
    this.#input.set(out.subarray(at, at + OFFSET_OF_ADDRESS));
    this.#hashes[0]?.(this.#input, putAddress(this.#input, client), out, at + OFFSET_OF_ADDRESS);
  }

  #isOfFirst(cookie: Buffer, client: ParsedAddress): boolean {
    if (this.#hashes.length === 1) return true;
    this.#input.set(cookie.subarray(0, OFFSET_OF_ADDRESS));
    this.#hashes[0]?.(this.#input, putAddress(this.#input, client), this.#hash, 0);
    return isSame(this.#hash, cookie, OFFSET_OF_ADDRESS);
  }
}

/** In seconds; negative when it is ahead. Of numbers that start again at 2^32 (RFC 1982). */
function ageOf(cookie: Buffer, nowSeconds: number): number {
  return (nowSeconds - cookie.readUInt32BE(12)) | 0;
}

/** @returns The length of the input. */
function putAddress(input: Uint8Array, { family, ipv4, groups }: ParsedAddress): number {
  let at = OFFSET_OF_ADDRESS;
  if (family === 4) {
    for (let shift = 24; shift >= 0; shift -= 8) input[at++] = ipv4 >>> shift;
  } else {
    for (const group of groups) {
      input[at++] = group >> 8;
      input[at++] = group;
    }
  }
  return at;
}

/** Takes as long wherever they differ. */
function isSame(hash: Uint8Array, cookie: Buffer, at: number): boolean {
  let difference = 0;
  for (let i = 0; i < 8; i += 1) difference |= (hash[i] as number) ^ (cookie[at + i] as number);
  return difference === 0;
}
