/**
 * Answers of a log, counted beside those that a replay gives.
 * @module
 */
import { askedOrigin, type LeftOut, type LoggedAnswer, readLine, unsharedReason } from './line.ts';
import type { Replayed, ReplayModel } from './model.ts';

export interface Totals {
  /** Requests that were answered without asking the origin, and the bytes of their bodies. */
  hits: number;
  hitBytes: number;
  originRequests: number;
  originBytes: number;
}

/** Answers that are not shared now, and would be. */
export interface Shared {
  /** Reason why they are not shared now; `key`: they have keys of their own. */
  readonly reason: string;
  /** Answers that would be stored for others. */
  stored: number;
  /** Requests that would be answered with another request's answer. */
  answered: number;
  /** URLs, each with the number of the rule that it would go by. */
  readonly examples: Map<string, number | undefined>;
}

const MAX_EXAMPLES = 5;

export class Comparison {
  readonly #model: ReplayModel;
  requests = 0;
  bytes = 0;
  readonly logged: Totals = noTotals();
  readonly replayed: Totals = noTotals();
  readonly leftOut = new Map<LeftOut | 'not-served', number>();
  readonly shared = new Map<string, Shared>();

  constructor(model: ReplayModel) {
    this.#model = model;
  }

  async take(text: string): Promise<void> {
    const line = readLine(text);
    if (typeof line === 'string') {
      this.#leaveOut(line);
      return;
    }
    const reason = unsharedReason(line.cacheStatus);
    const replayed = await this.#model.play(line, reason);
    if (replayed === undefined) {
      this.#leaveOut('not-served');
      return;
    }
    this.#count(line, replayed);
    this.#compare(line, reason, replayed);
  }

  #count(line: LoggedAnswer, { isHit, originRequests, originBytes }: Replayed): void {
    const { bytes, cacheStatus, length } = line;
    this.requests++;
    this.bytes += bytes;
    if (askedOrigin(cacheStatus)) {
      this.logged.originRequests++;
      this.logged.originBytes += cacheStatus.includes(';fwd-status=304') ? 0 : (length ?? bytes);
    } else {
      this.logged.hits++;
      this.logged.hitBytes += bytes;
    }
    this.replayed.originRequests += originRequests;
    this.replayed.originBytes += originBytes;
    if (!isHit) return;
    this.replayed.hits++;
    this.replayed.hitBytes += bytes;
  }

  #compare(line: LoggedAnswer, reason: string | undefined, { isHit, isStored, from }: Replayed): void {
    if (isStored && reason !== undefined) this.#share(reason, line).stored++;
    if (!isHit || from === undefined) return;
    const why =
      reason ?? from.reason ?? (from.key !== '' && line.key !== undefined && from.key !== line.key ? 'key' : undefined);
    if (why !== undefined) this.#share(why, line).answered++;
  }

  #share(reason: string, line: LoggedAnswer): Shared {
    let shared = this.shared.get(reason);
    if (shared === undefined) {
      shared = { reason, stored: 0, answered: 0, examples: new Map() };
      this.shared.set(reason, shared);
    }
    const url = `${line.scheme}://${line.host}${line.target}`;
    if (shared.examples.size < MAX_EXAMPLES && !shared.examples.has(url)) {
      shared.examples.set(url, this.#model.ruleOf(line));
    }
    return shared;
  }

  #leaveOut(why: LeftOut | 'not-served'): void {
    this.leftOut.set(why, (this.leftOut.get(why) ?? 0) + 1);
  }
}

function noTotals(): Totals {
  return { hits: 0, hitBytes: 0, originRequests: 0, originBytes: 0 };
}
