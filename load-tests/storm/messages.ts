/** Messages between the command and the process of the site. @module */
import type { Broken } from './promises.ts';

export const HOST = 'storm.example';
export const SITE = 'storm';

export interface Asked {
  readonly name: string;
  /** Scheme, host and port: an edge's listener for visitors, a shield's for other nodes. */
  readonly url: string;
  readonly role: 'edge' | 'shield';
}

export type ToSite =
  | {
      readonly kind: 'begin';
      readonly nodes: readonly Asked[];
      /** The purge API of each control node. */
      readonly apis: readonly string[];
      /** True if a call that fails is repeated, with the same key, at the next control node. */
      readonly repeats: boolean;
      readonly token: string;
      readonly secret: string;
      readonly changesPerSecond: number;
      readonly graceMs: number;
      readonly seed: number;
    }
  /** A node was killed, or runs again and follows the journal. */
  | { readonly kind: 'killed' | 'back'; readonly node: string }
  /** No more changes; then everything is asked for once more, everywhere. */
  | { readonly kind: 'finish' };

export type FromSite =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'report'; readonly report: SiteReport };

export interface PurgeTime {
  /** Milliseconds since the epoch. */
  readonly calledAt: number;
  /** From the call to its answer, as the caller saw it. */
  readonly ms: number;
  /** From the call to the last node that had applied it, as its receipt says. */
  readonly appliedMs: number;
  readonly isComplete: boolean;
  /** True if it was called more than once: durations say nothing then. */
  readonly isRepeated: boolean;
}

/** A purge that nothing waits for, to see whether purges are taken. */
export interface Probe {
  /** Milliseconds since the epoch. */
  readonly calledAt: number;
  readonly takenAt: number;
}

export interface Stale {
  readonly broken: Broken | 'at the end';
  readonly node: string;
  readonly item: number;
  readonly version: number;
  readonly purged: number;
  readonly staleMs: number;
  readonly cacheStatus: string;
}

export interface SiteReport {
  readonly changes: number;
  /** Changes that were left out, as too many calls were still waiting. */
  readonly leftOut: number;
  readonly purges: readonly PurgeTime[];
  /** Calls that were repeated, by what the API said, or how it failed. */
  readonly repeatedCalls: Readonly<Record<string, number>>;
  readonly probes: readonly Probe[];
  /** Purges that a receipt confirmed, and the journal does not have. */
  readonly lost: number;
  /** Purges that the journal has more than once. */
  readonly doubled: number;
  /** Calls that the API did not answer with a receipt, by what it said. */
  readonly failedPurges: Readonly<Record<string, number>>;
  readonly answers: number;
  readonly hits: number;
  readonly originRequests: number;
  readonly notModified: number;
  /** Answers of the last round, in which every node is asked for every item. */
  readonly finalAnswers: number;
  /** Requests without an answer: the node was down, or went down. */
  readonly unanswered: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly stale: readonly Stale[];
  readonly staleCount: number;
  /** Answers with what the journal had taken a purge of, where a receipt was not complete and no promise was broken. */
  readonly allowed: number;
  /** Longest time since the journal had taken the purge of what a node answered with, where no promise was broken. */
  readonly longestAllowedMs: number;
}
