/**
 * Age limits of answers, by the state known before the request began:
 *
 * 1. A receipt says that every node has applied a purge: from then on no node
 *    may answer with what was purged, whatever happens to it later. As nodes
 *    apply purges in order, the same goes for every purge before that one.
 * 2. A receipt is not complete, as a node is down or cut off, but says that
 *    this node has applied it: this one may not answer with anything older. Its
 *    memory ends with its process: where it is killed, this begins anew with
 *    purges that are made once it is back.
 * 3. The journal has taken a purge, and more time has gone by than a node that
 *    is cut off may go on: no node may answer with anything older.
 * @module
 */

/** One change of one item, and its purge as far as the API has answered. */
export interface Purged {
  readonly item: number;
  readonly version: number;
  /** Number in the journal. */
  readonly last: number;
  /** Time of the call, in milliseconds since the epoch. */
  readonly calledAt: number;
  /** Time at which the journal took it, likewise. */
  readonly takenAt: number;
  readonly isComplete: boolean;
  /** Names of the nodes that have applied it. */
  readonly appliedBy: readonly string[];
}

export type Broken = 'receipt' | 'node' | 'lease';

interface Since {
  /** The item's version that the node may not fall behind. */
  readonly versions: Int32Array;
  /** Since when the process that has applied them runs; infinite while there is none. */
  upSince: number;
  /** Number up to which it has said that it has applied everything. */
  applied: number;
}

export class Promises {
  readonly #graceMs: number;
  readonly #everywhere: Int32Array;
  readonly #nodes = new Map<string, Since>();
  /** Purges that some node may not have applied, by number. */
  #open: Purged[] = [];
  #completeUpTo = 0;
  /** For each item: when the journal took the purge that made way for a version. */
  readonly #takenAt: Map<number, number>[];

  /** @param graceMs - How long a node that is cut off may go on. */
  constructor(items: number, nodes: readonly string[], graceMs: number) {
    this.#graceMs = graceMs;
    this.#everywhere = new Int32Array(items);
    this.#takenAt = Array.from({ length: items }, () => new Map());
    for (const name of nodes) {
      this.#nodes.set(name, { versions: new Int32Array(items), upSince: Number.NEGATIVE_INFINITY, applied: 0 });
    }
  }

  killed(node: string): void {
    const since = this.#of(node);
    since.upSince = Number.POSITIVE_INFINITY;
    since.applied = 0;
    since.versions.fill(0);
  }

  /** @param now - Milliseconds since the epoch. */
  back(node: string, now: number): void {
    this.#of(node).upSince = now;
  }

  purged(purge: Purged): void {
    const { item, version, last, calledAt, takenAt, isComplete, appliedBy } = purge;
    this.#takenAt[item]?.set(version, takenAt);
    if (last > this.#completeUpTo) this.#open.push(purge);
    else this.#raise(this.#everywhere, purge);
    for (const name of appliedBy) {
      const since = this.#of(name);
      if (calledAt < since.upSince) continue; // that may have been the process before
      since.applied = Math.max(since.applied, last);
    }
    for (const since of this.#nodes.values()) {
      if (since.applied === 0) continue;
      for (const open of this.#open) if (open.last <= since.applied) this.#raise(since.versions, open);
    }
    if (!isComplete || last <= this.#completeUpTo) return;
    this.#completeUpTo = last;
    for (const open of this.#open) if (open.last <= last) this.#raise(this.#everywhere, open);
    this.#open = this.#open.filter((open) => open.last > last);
  }

  /** @returns What may be said of an answer to a request that begins now. */
  expectations(node: string, item: number, now: number): Expectation {
    return {
      everywhere: this.#everywhere[item] ?? 0,
      here: this.#of(node).versions[item] ?? 0,
      now,
    };
  }

  /** @returns Which of the first two promises the answer breaks, if any. */
  judge({ everywhere, here }: Expectation, version: number): Broken | undefined {
    if (version < everywhere) return 'receipt';
    return version < here ? 'node' : undefined;
  }

  /**
   * The third promise: when the journal took a purge is known with its receipt
   * only, long after the answer; so this is asked at the end.
   *
   * @returns For how long the answer had been purged when its request began, and whether that is too long.
   */
  judgeAge({ now }: Expectation, item: number, version: number): { broken: Broken | undefined; staleMs: number } {
    const takenAt = this.#takenAt[item]?.get(version + 1);
    const staleMs = takenAt === undefined ? 0 : Math.max(0, now - takenAt);
    return { broken: staleMs > this.#graceMs ? 'lease' : undefined, staleMs };
  }

  #raise(versions: Int32Array, { item, version }: Purged): void {
    if ((versions[item] ?? 0) < version) versions[item] = version;
  }

  #of(node: string): Since {
    const since = this.#nodes.get(node);
    if (since === undefined) throw new Error(`there is no node ${node}`);
    return since;
  }
}

export interface Expectation {
  readonly everywhere: number;
  readonly here: number;
  readonly now: number;
}
