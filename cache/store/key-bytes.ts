/**
 * The key that is being looked up, as bytes in memory that is used again: no
 * lookup leaves anything to the garbage collector.
 *
 * Keys are not looked up in a Map. V8 keeps every string that a Map is asked for
 * in a table of its own, in the old generation: of a million URLs that visitors ask for, each would
 * be written there and stay until the next full collection, which takes the longer for it.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { isLatin1 } from '../../http/fields/headers.ts';
import { KEY_BYTES, SipHash } from '../../lib/siphash.ts';

/** Name of the secret among the environment data that threads get from the one that starts them. */
const SECRET = 'seawall.key-hash';

/**
 * Visitors choose keys, and must not be able to choose many of the same hash: the key of the hash is a secret of the
 * process. All its threads have the same, as they look keys up in the same memory (cache/shared/). No other process
 * sees these hashes; the ring decides which node or worker owns a key (tier/ring.ts).
 */
const HASH = new SipHash(secretOfProcess(), { compression: 1, finalization: 3 });

function secretOfProcess(): Uint8Array {
  const known = getEnvironmentData(SECRET);
  if (known instanceof Uint8Array) return known;
  const secret = Uint8Array.from(randomBytes(KEY_BYTES));
  setEnvironmentData(SECRET, secret);
  return secret;
}

/** Room for a key of the usual length. */
const FIRST_BYTES = 4 * 1024;

/** Bytes of which a loop takes less time than a call. */
const FEW_BYTES = 64;

/** Bytes of an integer, and that as a power of two. */
const WORD = 4;
const WORD_BITS = 2;

export class KeyBytes {
  /** One byte a character; as integers, with zeros after the last one. */
  #bytes!: Buffer;
  #words!: Int32Array;
  /** Characters of the key. */
  length = 0;
  /** The low 32 bits of SipHash-1-3. */
  hash = 0;
  /** The other 32 bits. */
  hashHigh = 0;
  #wide: string | undefined;
  /** The key that was set last: a request asks for the same one a dozen times in a row. */
  #last: string | undefined;
  /** Prefix that the bytes begin with, if they were joined: requests with the same header section have the same one. */
  #prefix: Buffer | undefined;
  /** Text that follows it, if that was joined as text. */
  #text: string | undefined;
  #suffix: Buffer | undefined;

  constructor() {
    this.#allocate(FIRST_BYTES);
  }

  /** Makes it this key. */
  set(key: string): this {
    if (key === this.#last) return this;
    this.#last = key;
    this.#prefix = undefined;
    this.#makeRoom(key.length);
    this.#bytes.write(key, 'latin1');
    this.#end(key.length, isLatin1(key) ? undefined : key);
    return this;
  }

  /** Makes it `prefix`, the bytes of `source` from `from` to `to`, and `suffix`, one after the other. */
  join(prefix: Buffer, source: Buffer, from: number, to: number, suffix: Buffer): this {
    this.#begin(prefix, to - from + suffix.length);
    const bytes = this.#bytes;
    let at = prefix.length;
    if (to - from > FEW_BYTES) source.copy(bytes, at, from, to);
    else for (let i = from; i < to; i++) bytes[at++] = source[i] as number;
    this.#text = undefined;
    return this.#endWith(suffix, prefix.length + to - from);
  }

  /** The same where the middle is text, one byte a character. */
  joinText(prefix: Buffer, text: string, suffix: Buffer): this {
    if (text === this.#text && prefix === this.#prefix && suffix === this.#suffix) return this;
    this.#begin(prefix, text.length + suffix.length);
    const bytes = this.#bytes;
    let at = prefix.length;
    if (text.length > FEW_BYTES) bytes.write(text, at, 'latin1');
    else for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.#text = text;
    this.#suffix = suffix;
    return this.#endWith(suffix, prefix.length + text.length);
  }

  #begin(prefix: Buffer, further: number): void {
    this.#last = undefined;
    this.#makeRoom(prefix.length + further);
    if (prefix !== this.#prefix) this.#bytes.set(prefix);
    this.#prefix = prefix;
  }

  #endWith(suffix: Buffer, at: number): this {
    if (suffix.length > 0) this.#bytes.set(suffix, at);
    this.#end(at + suffix.length, undefined);
    return this;
  }

  /** The key, if it has characters of more than one byte. */
  get wide(): string | undefined {
    return this.#wide;
  }

  toString(): string {
    return this.#wide ?? this.#bytes.toString('latin1', 0, this.length);
  }

  /** Writes the bytes; for a key that is not wide. */
  copyTo(target: Buffer, offset: number): void {
    this.#bytes.copy(target, offset, 0, this.length);
  }

  /** Returns whether these bytes are in `view` from `start` on; for a key that is not wide. */
  isAt(view: DataView, start: number): boolean {
    const { length } = this;
    const bytes = this.#bytes;
    const words = this.#words;
    const whole = length >> WORD_BITS;
    for (let i = 0; i < whole; i++) if (view.getInt32(start + (i << WORD_BITS), true) !== words[i]) return false;
    for (let i = whole << WORD_BITS; i < length; i++) if (view.getUint8(start + i) !== bytes[i]) return false;
    return true;
  }

  #end(length: number, wide: string | undefined): void {
    const bytes = this.#bytes;
    let end = length;
    while ((end & (WORD - 1)) !== 0) bytes[end++] = 0;
    this.length = length;
    this.#wide = wide;
    this.hash = HASH.hash(this.#words, length);
    this.hashHigh = HASH.high;
  }

  #makeRoom(length: number): void {
    if (length > this.#bytes.length) this.#allocate(2 * length);
  }

  #allocate(length: number): void {
    this.#prefix = undefined;
    const bytes = new ArrayBuffer(Math.ceil(length / WORD) * WORD);
    this.#bytes = Buffer.from(bytes);
    this.#words = new Int32Array(bytes);
  }
}
