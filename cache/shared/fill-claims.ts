/**
 * Claims of fills: which thread asks the origin for a key, so that no other does (P2). A claim is made with the lock
 * of the key's shard. Others follow it: they wait for its events, then look for the key again, or for a new claim.
 *
 * A claim is known by the 64 bits of the key's hash, whose secret visitors do not know. Should two keys ever share one,
 * the follower finds nothing stored when the fill has ended, and asks for itself.
 * @module
 */
import type { KeyBytes } from '../store/key-bytes.ts';
import { CLAIM_WORDS } from './layout.ts';
import type { StoreLock } from './store-lock.ts';

/** Fields of a claim. */
const [OWNER, LOW, HIGH, EVENTS] = [0, 1, 2, 3] as const;

/** A claim of this thread: `progress` at each piece, then `release`, once. */
export interface OwnClaim {
  readonly kind: 'own';
  /** Wakes those who follow. */
  progress(): void;
  release(): void;
}

/** A claim of another thread, or another one of this thread. */
export interface OtherClaim {
  readonly kind: 'other';
  readonly thread: number;
  /**
   * @returns When something has happened since this was made, or since the last call; false if nothing did for so long.
   */
  event(timeoutMs: number): Promise<boolean>;
  /** Returns whether the fill goes on. */
  isOpen(): boolean;
}

/** `full`: too many fills at once, this one goes on unknown to others. */
export type Claim = OwnClaim | OtherClaim | { readonly kind: 'full' };

const FULL = { kind: 'full' } as const;

export class FillClaims {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #count: number;
  readonly #lock: StoreLock;
  readonly #thread: number;

  /** @param at - Of the claims. */
  constructor(words: Int32Array, at: number, count: number, lock: StoreLock, thread: number) {
    this.#words = words;
    this.#at = at;
    this.#count = count;
    this.#lock = lock;
    this.#thread = thread;
  }

  claim({ hash, hashHigh }: KeyBytes): Claim {
    if (!this.#lock.acquire(this.#thread)) return FULL;
    try {
      let free = -1;
      for (let at = this.#at; at < this.#at + this.#count * CLAIM_WORDS; at += CLAIM_WORDS) {
        if (this.#words[at + OWNER] === 0) {
          if (free < 0) free = at;
        } else if (this.#words[at + LOW] === hash && this.#words[at + HIGH] === hashHigh) return this.#other(at);
      }
      if (free < 0) return FULL;
      Atomics.store(this.#words, free + LOW, hash);
      Atomics.store(this.#words, free + HIGH, hashHigh);
      Atomics.store(this.#words, free + OWNER, this.#thread);
      return this.#own(free);
    } finally {
      this.#lock.release();
    }
  }

  /** Ends the claims of a thread that has ended: one of those who follow makes a new one. */
  end(thread: number): void {
    for (let at = this.#at; at < this.#at + this.#count * CLAIM_WORDS; at += CLAIM_WORDS) {
      if (Atomics.compareExchange(this.#words, at + OWNER, thread, 0) === thread) this.#wake(at);
    }
  }

  #own(at: number): OwnClaim {
    let isOpen = true;
    return {
      kind: 'own',
      progress: () => this.#wake(at),
      release: () => {
        if (!isOpen) return;
        isOpen = false;
        Atomics.store(this.#words, at + OWNER, 0);
        this.#wake(at);
      },
    };
  }

  #other(at: number): OtherClaim {
    const words = this.#words;
    const [owner, low, high] = [words[at + OWNER] as number, words[at + LOW], words[at + HIGH]];
    let seen = Atomics.load(words, at + EVENTS);
    return {
      kind: 'other',
      thread: owner,
      isOpen: () => Atomics.load(words, at + OWNER) === owner && words[at + LOW] === low && words[at + HIGH] === high,
      event: async (timeoutMs) => {
        const outcome = await Atomics.waitAsync(words, at + EVENTS, seen, timeoutMs).value;
        seen = Atomics.load(words, at + EVENTS);
        return outcome !== 'timed-out';
      },
    };
  }

  #wake(at: number): void {
    Atomics.add(this.#words, at + EVENTS, 1);
    Atomics.notify(this.#words, at + EVENTS);
  }
}
