/**
 * A node's memory of purges (promise P3): for each selector the newest number
 * that named it. Applying a purge is one write to a map, whatever is stored;
 * a stored response is compared with the maps once after something changed,
 * and by one number otherwise.
 *
 * What a purge means for a response depends on when the response was asked of
 * the origin: `asOf` is the number that whoever asked had applied before.
 * @module
 */
import type { RawHeaders } from '../http/headers.ts';
import { identityOf, isOnLine, type JournalPosition, type Term } from './terms.ts';
import { matchesVary, type VaryMember } from './vary.ts';

export type { JournalPosition } from './terms.ts';

/** One record of the journal, as far as it matters here. */
export interface PurgeRecord {
  readonly seq: number;
  readonly site: string;
  readonly kind: 'url' | 'variant' | 'tag' | 'prefix' | 'host' | 'site' | 'everything';
  /**
   * url: `//host/path?query`; prefix: `//host/path`; tag; host. variant: JSON,
   * `{"url":"//host/path","headers":["accept-language","de"]}`, the response
   * that a request with these headers selects.
   */
  readonly selector: string;
  readonly soft: boolean;
}

/** What purges can name of a response. */
export interface Purgeable {
  readonly site: string;
  readonly host: string;
  /** Host and port. */
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
}

/** What purges can name it by besides its URL. Without `vary`, which is known with the head only, every variant may be it. */
export interface Named {
  readonly stamp: Stamp;
  readonly tags: readonly string[];
  readonly vary?: readonly VaryMember[];
}

/**
 * How new a response is against the journal. `checkedAt` and `verdict` are the
 * ledger's own: what it found last, and when.
 */
export interface Stamp {
  /** Highest number that was known to be given out before the origin was asked. */
  readonly asOf: number;
  /** Which line of the journal `asOf` counts in, by the ledger's own count of lines; `UNKNOWN_EPOCH` where nobody knows. */
  readonly epoch: number;
  checkedAt: number;
  verdict: Verdict;
}

/**
 * `current`: no purge since. `soft`: stale, may be served while it is
 * revalidated. `hard`: gone. `unverified`: nobody knows, revalidate before use.
 */
export type Verdict = 'current' | 'soft' | 'hard' | 'unverified';

export const UNKNOWN_EPOCH = -1;

/** Newest numbers that named one selector. */
interface Mark {
  hard: number;
  soft: number;
}

/** What visitors know of the journal. */
export const NOTHING_KNOWN: JournalPosition = { identity: undefined, seq: 0 };

export interface LedgerOptions {
  /** How long the node goes on without hearing of the journal before it revalidates what it serves; `Infinity` where there is no journal. */
  readonly leaseMs: number;
}

interface VariantMark extends Mark {
  /** As it came; the same one again moves the same mark. */
  readonly selector: string;
  readonly headers: RawHeaders;
}

/** A URL with more variants purged one by one counts as purged whole. */
const MAX_VARIANT_MARKS = 32;

/** Bytes that a mark costs besides its selector: measured by load-tests/micro. */
const MARK_BYTES = 120;

const NEVER = -1;

export class Ledger {
  /** Of the journal, as it said last; none: it has not been heard of yet. */
  #terms: readonly Term[] = [];
  #applied = 0;
  /**
   * Highest number on the line of these terms that the journal or another node
   * has told of: what is asked of the origin now is as new as that, applied or
   * not, and no stamp of this epoch says more.
   */
  #known = 0;
  /** Grows with every change: what `checkedAt` is compared with. */
  #version = 0;
  /** How many lines there have been. */
  #epoch = 0;
  /** Responses asked for before this number count as purged (rule 10). */
  #floor = 0;
  #leaseMs: number;
  /** Never, at first: what a node that has just started has missed, it does not know (rule 7). */
  #upToDateAt = Number.NEGATIVE_INFINITY;
  readonly #urls = new Map<string, Mark>();
  readonly #tags = new Map<string, Mark>();
  readonly #hosts = new Map<string, Mark>();
  readonly #sites = new Map<string, Mark>();
  readonly #variants = new Map<string, VariantMark[]>();
  readonly #everything: Mark = { hard: 0, soft: 0 };
  /** By length, so that a URL is cut to each length that occurs. */
  readonly #prefixes = new Map<number, Map<string, Mark>>();

  constructor({ leaseMs }: LedgerOptions) {
    this.#leaseMs = leaseMs;
  }

  get position(): JournalPosition {
    return this.#positionAt(this.#applied);
  }

  /** The furthest that anything here goes by: a journal that agrees up to there agrees with all of it. */
  get known(): JournalPosition {
    return this.#positionAt(this.#newest);
  }

  get applied(): number {
    return this.#applied;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Selectors that are remembered. */
  get size(): number {
    let prefixes = 0;
    for (const marks of this.#prefixes.values()) prefixes += marks.size;
    return this.#urls.size + this.#variants.size + this.#tags.size + this.#hosts.size + this.#sites.size + prefixes;
  }

  /** Bytes in use, about. */
  get bytes(): number {
    let bytes = 0;
    for (const marks of [this.#urls, this.#tags, this.#hosts, this.#sites, ...this.#prefixes.values()]) {
      for (const selector of marks.keys()) bytes += selector.length + MARK_BYTES;
    }
    for (const [url, marks] of this.#variants) {
      bytes += url.length + MARK_BYTES;
      for (const { headers } of marks) bytes += MARK_BYTES + headers.reduce((sum, text) => sum + text.length, 0);
    }
    return bytes;
  }

  set leaseMs(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** The journal has been opened again, and goes on from what is known here. */
  extend({ terms }: { readonly terms: readonly Term[] }): void {
    this.#terms = terms;
  }

  /**
   * Another journal, or an older copy of this one: nothing that is stored can
   * be compared with it (rule 9). All its records are to be applied, since what
   * other nodes have stored may be older than any of them.
   */
  restart({ terms, newest, floor }: { terms: readonly Term[]; newest: number; floor: number }): void {
    this.#terms = terms;
    this.#applied = floor;
    this.#known = newest;
    this.#upToDateAt = Number.NEGATIVE_INFINITY;
    this.#epoch++;
    this.#version++;
    this.#forget();
    this.#floor = floor;
  }

  /** What was missed is gone from the journal: everything older counts as purged (rule 10). */
  skipTo(floor: number): void {
    this.#applied = Math.max(this.#applied, floor);
    this.raiseFloor(floor);
  }

  /** Forgets the marks below a floor: no response that they concern lives any more. */
  raiseFloor(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#version++;
    for (const marks of [this.#urls, this.#tags, this.#hosts, this.#sites, ...this.#prefixes.values()]) {
      for (const [selector, mark] of marks) if (Math.max(mark.hard, mark.soft) <= floor) marks.delete(selector);
    }
    for (const [url, marks] of this.#variants) {
      if (marks.every((mark) => Math.max(mark.hard, mark.soft) <= floor)) this.#variants.delete(url);
    }
    for (const [length, marks] of this.#prefixes) if (marks.size === 0) this.#prefixes.delete(length);
  }

  /** @param records - In order, the first one right after `position.seq`. */
  apply(records: readonly PurgeRecord[]): void {
    for (const record of records) {
      const mark = this.#markOf(record);
      if (record.soft) mark.soft = record.seq;
      else mark.hard = record.seq;
      this.#applied = record.seq;
      this.#version++;
    }
  }

  /** The journal was heard of, and had nothing newer than `newest`. */
  heard(newest: number, now: number): void {
    this.#known = Math.max(this.#known, newest);
    if (newest <= this.#applied) this.#upToDateAt = now;
  }

  /** Whether the node has heard of the journal lately enough to go by what it knows (rule 7). */
  holdsLease(now: number): boolean {
    return now - this.#upToDateAt <= this.#leaseMs;
  }

  /**
   * @param needs - What whoever asks has applied: what is asked of the origin
   *   because of that is at least as new (rule 5).
   * @returns The stamp of a response that is asked for now.
   */
  stampNow(needs: JournalPosition): Stamp {
    return { asOf: this.#raised(needs), epoch: this.#epoch, checkedAt: NEVER, verdict: 'current' };
  }

  /** @returns The stamp of a response that another node says is as new as this. */
  stampOf(position: JournalPosition): Stamp {
    // A node that has not heard of a journal yet knows nothing that could be compared; `restart` ends that.
    const isKnown = !this.#hasJournal || this.#isComparable(position);
    if (isKnown) this.#learn(position.seq);
    return { asOf: position.seq, epoch: isKnown ? this.#epoch : UNKNOWN_EPOCH, checkedAt: NEVER, verdict: 'current' };
  }

  /** @returns What `stampOf` takes, for another node. */
  positionOf({ asOf, epoch }: Stamp): JournalPosition {
    return epoch === this.#epoch ? this.#positionAt(asOf) : { identity: undefined, seq: asOf };
  }

  /**
   * @returns What this node says it knows when it asks another one on behalf of
   *   one that needs this: of another journal it can only pass it on (rule 9).
   */
  positionFor(needs: JournalPosition): JournalPosition {
    if (needs.identity !== undefined && !this.#isComparable(needs)) return needs;
    return this.#positionAt(this.#raised(needs));
  }

  /** Whether an answer with this stamp, if the ledger finds it current, is so for one that has applied `needs` (rule 5). */
  isNewEnough({ asOf }: Stamp, needs: JournalPosition): boolean {
    if (needs.identity === undefined) return true;
    return this.#isComparable(needs) && (this.#applied >= needs.seq || asOf >= needs.seq);
  }

  #raised(needs: JournalPosition): number {
    if (!this.#isComparable(needs)) return this.#newest;
    this.#learn(needs.seq);
    return Math.max(this.#newest, needs.seq);
  }

  /** A stamp is to carry this number, which another node has told of. */
  #learn(seq: number): void {
    // Nodes without a journal count for themselves: the numbers of one are not to come for the other.
    if (this.#hasJournal) this.#known = Math.max(this.#known, seq);
  }

  get #hasJournal(): boolean {
    return this.#terms.length > 0;
  }

  get #newest(): number {
    return Math.max(this.#applied, this.#known);
  }

  #positionAt(seq: number): JournalPosition {
    return { identity: identityOf(this.#terms, seq), seq };
  }

  /** Whether its number means the same purge here; the journal may have got further than this node knows (rule 9). */
  #isComparable(position: JournalPosition): boolean {
    if (!this.#hasJournal) return position.identity === undefined;
    return isOnLine(this.#terms, Number.POSITIVE_INFINITY, position);
  }

  /** Whether it has been found current, and nothing has changed since: the one comparison on the way of a hit. */
  isStillCurrent({ checkedAt, verdict }: Stamp): boolean {
    return checkedAt === this.#version && verdict === 'current';
  }

  /** One comparison, unless something has changed since the last. */
  check(named: Named, response: Purgeable): Verdict {
    const { stamp } = named;
    if (stamp.checkedAt !== this.#version) {
      stamp.verdict = this.#verdict(named, response);
      stamp.checkedAt = this.#version;
    }
    return stamp.verdict;
  }

  #verdict({ stamp: { asOf, epoch }, tags, vary }: Named, { site, host, authority, target }: Purgeable): Verdict {
    if (epoch !== this.#epoch) return 'unverified';
    if (asOf < this.#floor) return 'hard';
    let soft = false;
    const url = `//${authority}${target}`; // without scheme: a purge means both
    const marks = [this.#everything, lookUp(this.#urls, url), this.#hosts.get(host), this.#sites.get(site)];
    for (const [length, prefixes] of this.#prefixes) {
      if (length <= url.length) marks.push(prefixes.get(url.slice(0, length)));
    }
    for (const tag of tags) marks.push(this.#tags.get(tagKey(site, tag)));
    for (const mark of lookUp(this.#variants, url) ?? []) {
      if (vary === undefined || matchesVary(vary, mark.headers)) marks.push(mark);
    }
    for (const mark of marks) {
      if (mark === undefined) continue;
      if (mark.hard > asOf) return 'hard';
      if (mark.soft > asOf) soft = true;
    }
    return soft ? 'soft' : 'current';
  }

  #markOf({ kind, selector, site }: PurgeRecord): Mark {
    switch (kind) {
      case 'url':
        return markIn(this.#urls, selector);
      case 'variant':
        return this.#variantMark(selector);
      case 'tag':
        return markIn(this.#tags, tagKey(site, selector));
      case 'host':
        return markIn(this.#hosts, selector);
      case 'site':
        return markIn(this.#sites, site);
      case 'everything':
        return this.#everything;
      case 'prefix': {
        const prefixes = this.#prefixes.get(selector.length) ?? new Map<string, Mark>();
        this.#prefixes.set(selector.length, prefixes);
        return markIn(prefixes, selector);
      }
    }
  }

  #variantMark(selector: string): Mark {
    const parsed = readVariant(selector);
    if (parsed === undefined) return this.#everything; // nobody knows what was meant: better too much than too little
    const { url, headers } = parsed;
    const marks = this.#variants.get(url) ?? [];
    const known = marks.find((mark) => mark.selector === selector);
    if (known !== undefined) return known;
    if (marks.length >= MAX_VARIANT_MARKS) return markIn(this.#urls, url);
    const mark = { hard: 0, soft: 0, selector, headers };
    this.#variants.set(url, [...marks, mark]);
    return mark;
  }

  #forget(): void {
    for (const marks of [this.#variants, this.#urls, this.#tags, this.#hosts, this.#sites, this.#prefixes])
      marks.clear();
    this.#everything.hard = 0;
    this.#everything.soft = 0;
  }
}

/** @returns The stamp of a response that was stored with one like this. */
export function uncheckedStamp(asOf: number, epoch: number): Stamp {
  return { asOf, epoch, checkedAt: NEVER, verdict: 'current' };
}

/** @returns A copy for a response of which more is known than when the stamp was checked last, such as its tags. */
export function unchecked(stamp: Stamp): Stamp {
  return { ...stamp, checkedAt: NEVER };
}

/**
 * What is made of two answers is as old as the older one.
 *
 * @returns `undefined` when they cannot be compared.
 */
export function olderStamp(a: Stamp, b: Stamp): Stamp | undefined {
  if (a.epoch !== b.epoch) return undefined;
  return unchecked({ ...a, asOf: Math.min(a.asOf, b.asOf) });
}

function readVariant(selector: string): { readonly url: string; readonly headers: RawHeaders } | undefined {
  try {
    const { url, headers } = JSON.parse(selector) as { url?: unknown; headers?: unknown };
    const valid =
      typeof url === 'string' && Array.isArray(headers) && headers.every((text) => typeof text === 'string');
    return valid ? { url, headers } : undefined;
  } catch {
    return undefined; // not JSON
  }
}

/** Nothing is looked up where there is nothing: V8 would keep the URL of each request (store/key-bytes.ts). */
function lookUp<T>(marks: ReadonlyMap<string, T>, selector: string): T | undefined {
  return marks.size === 0 ? undefined : marks.get(selector);
}

function markIn(marks: Map<string, Mark>, selector: string): Mark {
  const known = marks.get(selector);
  if (known !== undefined) return known;
  const mark = { hard: 0, soft: 0 };
  marks.set(selector, mark);
  return mark;
}

/** One site's tags are not another's. */
function tagKey(site: string, tag: string): string {
  return `${site}\n${tag}`;
}
