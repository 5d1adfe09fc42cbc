/**
 * Judges every answer to a visitor, by when each purge was appended, when each node applied it, and when each request
 * to the origin was sent.
 *
 * An answer is *older* than a purge that names it when the request to the
 * origin behind it, or the one that validated it, was sent before the purge
 * was appended. A visitor must get no older answer who came
 *
 * - to a node that had applied the purge;
 * - to any node, once every node had applied it (the receipt is complete);
 * - to any node, when the purge is older than the lease: a node that has not
 *   heard of it by then must ask before it answers;
 * - to a node that was started after the purge, and answers from its store: it
 *   must have fetched what it missed.
 *
 * After a soft purge an older answer is allowed if it says that it is stale,
 * or a node on its way did: to this visitor, or to those whom it has joined.
 * @module
 */
import type { Answer } from '../../cache/answer.ts';
import { fieldLines, fieldValue } from '../../http/fields/headers.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { isInHistory, type Term } from '../../journal/terms.ts';
import type { Clock } from './clock.ts';
import { HEARTBEAT_MS, type JournalCopy } from './control.ts';
import { type Aim, URLS } from './history.ts';
import { MAX_DELAY_MS } from './network.ts';
import { FETCH_FIELD } from './origin.ts';

export const LEASE_MS = 8_000;

/**
 * Maximum delay of journal messages: the follower accepts messages up to three intervals late, plus their time on the
 * network.
 */
const LATENESS_MS = 3 * HEARTBEAT_MS + 2 * MAX_DELAY_MS;

/** One life of a node's memory: it survives a restart only with the store. */
export interface Memory {
  readonly name: string;
}

interface Purge {
  readonly record: JournalRecord;
  readonly aim: Aim;
  /** Identity of the term that assigned its number. */
  readonly identity: string;
  readonly appendedStep: number;
  readonly appendedAt: number;
  /** Versions of each URL at that moment. */
  readonly versions: readonly number[];
  readonly appliedStep: Map<Memory, number>;
  /** Step at which every node had applied it. */
  receiptStep: number | undefined;
  /** Lost with the journal's newest records. */
  isVoid: boolean;
}

interface Fetch {
  readonly step: number;
  readonly by: string;
  /** Step of a node's last answer to another node that was marked stale. */
  staleStep: number;
}

export interface Visit {
  readonly memory: Memory;
  readonly node: string;
  readonly url: number;
  readonly language: string;
  readonly method: string;
  /** Step at which the process started. */
  readonly startStep: number;
  /** Step at which the visitor's request began. */
  readonly step: number;
  readonly at: number;
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

export class Oracle {
  readonly #clock: Clock;
  readonly #fetches: Fetch[] = [];
  /** Bodies that the origin has sent, with the URL. */
  readonly #bodies = new Set<string>();
  #purges: Purge[] = [];
  /** The number of a record may have been given out to others, too. */
  readonly #byRecord = new Map<JournalRecord, Purge>();
  /** Terms of each opening of a journal: those before it and its own. */
  readonly #lines = new Map<string, readonly Term[]>();
  answers = 0;
  /** Answers from disk. */
  fromDisk = 0;
  /** Answers that were older than a purge and may be so. */
  excused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get purges(): number {
    return this.#purges.length;
  }

  get fetches(): number {
    return this.#fetches.length;
  }

  /** The origin sends a body. */
  sent(url: number, body: string): void {
    this.#bodies.add(`${url}: ${body}`);
  }

  /** @returns The number of a request to the origin that is sent now. */
  fetch(by: string): number {
    return this.#fetches.push({ step: this.#clock.steps, by, staleStep: -1 }) - 1;
  }

  /** A node answers another one, and says that what it sends is stale. */
  passedOn({ head, status }: Answer): void {
    const fetch = this.#fetches[Number(fieldValue(head.headers, FETCH_FIELD))];
    if (fetch !== undefined && isStale(status.detail)) fetch.staleStep = this.#clock.steps;
  }

  /** @param line - The journal's terms, all of them; the last one begins now. */
  opened(line: readonly Term[]): void {
    this.#lines.set((line.at(-1) as Term).identity, line);
  }

  appended(record: JournalRecord, aim: Aim, identity: string, versions: readonly number[]): void {
    const purge: Purge = {
      record,
      aim,
      identity,
      appendedStep: this.#clock.steps,
      appendedAt: this.#clock.now,
      versions,
      appliedStep: new Map(),
      receiptStep: undefined,
      isVoid: false,
    };
    this.#purges.push(purge);
    this.#byRecord.set(record, purge);
  }

  applied(memory: Memory, records: readonly JournalRecord[]): void {
    for (const record of records) {
      const purge = this.#byRecord.get(record);
      if (purge !== undefined && !purge.appliedStep.has(memory)) purge.appliedStep.set(memory, this.#clock.steps);
    }
  }

  /** The memory begins with everything up to this number of the journal that says it has these terms. */
  appliedUpTo(memory: Memory, terms: readonly Term[], seq: number): void {
    const line = this.#lines.get((terms.at(-1) as Term).identity) as readonly Term[];
    const isOn = ({ record, identity }: Purge): boolean =>
      record.seq <= seq && isInHistory(line, Number.POSITIVE_INFINITY, { identity, seq: record.seq });
    this.applied(
      memory,
      this.#purges.filter(isOn).map(({ record }) => record),
    );
  }

  /** @param memories - Of all nodes that have one. */
  completeReceipts(memories: readonly Memory[]): void {
    for (const purge of this.#purges) {
      if (purge.receiptStep === undefined && memories.every((memory) => purge.appliedStep.has(memory)))
        purge.receiptStep = this.#clock.steps;
    }
  }

  /** The journal of this line goes on from the copy: nobody can be held to what is not in it. */
  lost(line: readonly Term[], copy: JournalCopy): void {
    const newest = copy.floor + copy.records.length;
    for (const purge of this.#purges) {
      const position = { identity: purge.identity, seq: purge.record.seq };
      const was = isInHistory(line, Number.POSITIVE_INFINITY, position);
      if (was && !isInHistory(copy.line, newest, position)) purge.isVoid = true;
    }
  }

  /** @param body - Undefined: it broke off, or there is none. @throws {Violation} */
  judge(visit: Visit, answer: Answer, body: string | undefined): void {
    const number = fieldValue(answer.head.headers, FETCH_FIELD);
    const fetch = number === undefined ? undefined : this.#fetches[Number(number)];
    if (fetch === undefined) throw new Violation(`an answer of no request to the origin: ${describe(answer, body)}`);
    this.answers++;
    if (answer.status.detail === 'disk') this.fromDisk++;
    const isRight = body === undefined || visit.method === 'HEAD' || this.#bodies.has(`${visit.url}: ${body}`);
    if (!isRight) throw new Violation(`no body that the origin has sent: ${describe(answer, body)}`);
    const version = versionIn(body);
    const tags = fieldLines(answer.head.headers, 'cache-tag').flatMap((line) => line.split(','));
    for (const purge of this.#purges) {
      if (purge.isVoid || !names(purge.aim, visit, tags)) continue;
      const isOld = fetch.step < purge.appendedStep;
      const isOldContent = version !== undefined && version < (purge.versions[visit.url] as number);
      if (!isOld && !isOldContent) continue;
      const reason = this.#obligation(purge, visit, answer);
      // One who joins others gets what was sent for them: as stale, since the purge.
      const since = answer.status.collapsed === true ? purge.appendedStep : visit.step;
      const isMarkedStale = isStale(answer.status.detail) || fetch.staleStep >= since;
      if (reason === undefined || (purge.record.soft && isMarkedStale)) {
        this.excused++;
        continue;
      }
      const { record, identity } = purge;
      throw new Violation(
        `purge ${record.seq} of term ${identity} (${record.soft ? 'soft' : 'hard'}, ${record.kind} ${record.selector}): ` +
          `${reason}, but a visitor of ${visit.node} got ${describe(answer, body)}, ` +
          `${isOld ? `asked for by ${fetch.by} before the purge` : 'content from before the purge'}`,
      );
    }
  }

  /** Returns the reason why the visitor must not get an answer older than the purge, if there is one. */
  #obligation(purge: Purge, visit: Visit, { status }: Answer): string | undefined {
    const { appliedStep, receiptStep, appendedStep, appendedAt } = purge;
    const { memory, node, startStep, step, at } = visit;
    if ((appliedStep.get(memory) ?? Number.POSITIVE_INFINITY) < step) return `applied by ${node}`;
    if (receiptStep !== undefined && receiptStep < step) return 'applied by every node';
    if (at - appendedAt > LEASE_MS + LATENESS_MS) return `appended ${at - appendedAt} ms ago, longer than the lease`;
    if (status.hit && appendedStep < startStep) return `missed by ${node} while it was down`;
    return undefined;
  }
}

function names(aim: Aim, { url, language }: Visit, tags: readonly string[]): boolean {
  switch (aim.kind) {
    case 'url':
      return aim.url === url;
    case 'variant':
      return aim.url === url && aim.language === language;
    case 'prefix':
    case 'pattern':
      return target(url).startsWith(prefixOf(aim.url));
    case 'host':
      return URLS[url]?.host === URLS[aim.url]?.host;
    case 'tag':
      return tags.includes(aim.tag);
    case 'site':
    case 'everything':
      return true;
  }
}

function target(url: number): string {
  const { host, target: path } = URLS[url] as (typeof URLS)[number];
  return `//${host}${path}`;
}

/** @returns The URL's folder. */
export function prefixOf(url: number): string {
  const whole = target(url);
  return whole.slice(0, whole.lastIndexOf('/') + 1);
}

/** Returns whether the node marks its answer as stale. */
function isStale(detail: string | undefined): boolean {
  return detail?.startsWith('stale') === true;
}

function versionIn(body: string | undefined): number | undefined {
  const version = body?.split(' ')[1];
  return version === undefined ? undefined : Number(version);
}

function describe({ head, status }: Answer, body: string | undefined): string {
  const { hit, detail, fwd, collapsed } = status;
  const summary = [hit ? 'hit' : `fwd=${fwd}`, detail, collapsed && 'collapsed'].filter(Boolean).join(' ');
  return `${head.status} "${body ?? ''}" (${summary})`;
}
