/**
 * Fills of the other threads of a process, as an engine sees them: which thread fetches what, so that one fetch holds
 * for all of them (promise P2), and what was invalidated by any of them (RFC 9111, section 4.4).
 * @module
 */
import type { RawHeaders } from '../http/fields/headers.ts';
import type { JournalPosition } from './ledger.ts';
import type { StoreRefusal } from './policy/refusals.ts';
import type { StoredHead } from './stored-response.ts';

export interface ThreadFills {
  /** Threads that share the store. */
  readonly count: number;
  /**
   * @param place - Name under which requests join the fill.
   * @returns The claim of this thread, or a fill of another thread to follow; `undefined` if there is no room for it.
   */
  claim(place: string): ThreadClaim | ThreadFill | undefined;
  /** Answers other threads that follow fills of this one. Once, before the first claim. */
  serve(fills: FollowedFills): void;
  /** @returns A number that is another one after the key was invalidated, and seldom after another key was. */
  invalidations(key: string): number;
  invalidated(key: string): void;
  close(): void;
}

export interface ThreadClaim {
  readonly kind: 'own';
  /** Idempotent. */
  release(): void;
}

/** A fill of another thread. */
export interface ThreadFill {
  readonly kind: 'other';
  /** Resolves when its claim has ended, or so much time has passed. */
  ended(timeoutMs: number): Promise<void>;
  /** @param position - That the response has to have at least. */
  follow(position: JournalPosition, follower: FillFollower): FollowedFlow;
}

/** Head of a response as threads pass it on. */
export interface SentHead extends Omit<StoredHead, 'stamp'> {
  readonly position: JournalPosition;
}

/** Outcome of a fill as threads pass it on. */
export type SentOutcome =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly statusText: string;
      readonly headers: RawHeaders;
      readonly stored: SentHead;
      readonly refusal: StoreRefusal | undefined;
      readonly wasFresh: boolean;
      /** False: no body follows. */
      readonly shareable: boolean;
      readonly length: number | undefined;
    }
  | {
      readonly kind: 'validated';
      readonly stored: SentHead;
      /** Number of the stored body. */
      readonly body: number;
      readonly refusal: StoreRefusal | undefined;
      readonly wasFresh: boolean;
      /** Fields of the 304 itself. */
      readonly headers: RawHeaders;
    }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly reason: string | undefined }
  /** It has none that the follower could use: the thread has ended, or has no such fill any more. */
  | { readonly kind: 'gone' };

/** Receiver of another thread's fill: `onOutcome`, then `onData`* and `onEnd` where a body follows. */
export interface FillFollower {
  onOutcome(outcome: SentOutcome): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: RawHeaders): void;
  /** The body breaks off: the other thread's fill has, with an error, or the thread has ended. */
  onLost(): void;
}

export interface FollowedFlow {
  pause(): void;
  resume(): void;
  /** No call to the follower comes after this. Idempotent. */
  leave(): void;
}

/** Fills of this thread, for followers in others. */
export interface FollowedFills {
  /** @returns `undefined` if there is none in the place that the follower may join. */
  follow(place: string, position: JournalPosition, follower: FillFollower): FollowedFlow | undefined;
}
