/**
 * Claims of fills: which thread fetches the response of a place (the name under which requests join a fill), so that no
 * other does (P2). The others ask that thread (thread-fills.ts).
 *
 * A claim is known by the 64 bits of the place's hash, whose secret visitors do not know. It lies within a few slots of
 * the one that the hash says: all of them are looked at, so none has to be moved when another one goes. EVENTS is
 * counted up when a slot is claimed, and when it is free again: no two claims of a slot have the same.
 * @module
 */
import type { KeyBytes } from '../store/key-bytes.ts';
import { CLAIM_WORDS } from './layout.ts';
import type { StoreLock } from './store-lock.ts';

/** Fields of a claim. */
const [OWNER, LOW, HIGH, EVENTS] = [0, 1, 2, 3] as const;

/** Slots in which a claim can lie. */
const SLOTS = 16;

/** A claim of this thread. */
export interface OwnClaim {
  readonly kind: 'own';
  /** Idempotent. */
  release(): void;
}

/** A claim that there was before: another thread's, or another one of this thread. */
export interface OtherClaim {
  readonly kind: 'other';
  /** Token of its thread. */
  readonly thread: number;
  /** Resolves when it has ended, or so much time has passed. */
  ended(timeoutMs: number): Promise<void>;
  /** Ends it: its thread has no such fill any more, or none that can be joined. */
  revoke(): void;
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

  /** @param at - Of the claims. @param count - A power of two. */
  constructor(words: Int32Array, at: number, count: number, lock: StoreLock, thread: number) {
    this.#words = words;
    this.#at = at;
    this.#count = count;
    this.#lock = lock;
    this.#thread = thread;
  }

  claim({ hash, hashHigh }: Pick<KeyBytes, 'hash' | 'hashHigh'>): Claim {
    const words = this.#words;
    return (
      this.#locked(() => {
        let free = -1;
        for (let i = 0; i < SLOTS; i++) {
          const at = this.#at + ((hash + i) & (this.#count - 1)) * CLAIM_WORDS;
          if (words[at + OWNER] === 0) free = free < 0 ? at : free;
          else if (words[at + LOW] === hash && words[at + HIGH] === hashHigh) return this.#other(at);
        }
        if (free < 0) return FULL;
        words[free + LOW] = hash;
        words[free + HIGH] = hashHigh;
        Atomics.store(words, free + OWNER, this.#thread);
        return this.#own(free, Atomics.add(words, free + EVENTS, 1) + 1);
      }) ?? FULL
    );
  }

  /** Ends the claims of a thread that has ended. */
  end(thread: number): void {
    for (let at = this.#at; at < this.#at + this.#count * CLAIM_WORDS; at += CLAIM_WORDS) {
      if (Atomics.compareExchange(this.#words, at + OWNER, thread, 0) === thread) this.#wake(at);
    }
  }

  #own(at: number, event: number): OwnClaim {
    return { kind: 'own', release: () => this.#end(at, event) };
  }

  #other(at: number): OtherClaim {
    const words = this.#words;
    const event = words[at + EVENTS] as number;
    return {
      kind: 'other',
      thread: words[at + OWNER] as number,
      ended: async (timeoutMs) => {
        await Atomics.waitAsync(words, at + EVENTS, event, timeoutMs).value;
      },
      revoke: () => this.#end(at, event),
    };
  }

  #end(at: number, event: number): void {
    this.#locked(() => {
      if (this.#words[at + EVENTS] !== event) return;
      Atomics.store(this.#words, at + OWNER, 0);
      this.#wake(at);
    });
  }

  #locked<T>(action: () => T): T | undefined {
    if (!this.#lock.acquire(this.#thread)) return undefined;
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  #wake(at: number): void {
    Atomics.add(this.#words, at + EVENTS, 1);
    Atomics.notify(this.#words, at + EVENTS);
  }
}
