/**
 * Prepared form of a stored response, for repeated requests. Heads are made by the functions that make them for every
 * answer, then cut at the three places where time shows: Age, the `ttl` of Cache-Status, and what is left of
 * `browser_ttl`.
 *
 * A small response is kept as the very bytes of its answer for as long as none
 * of these changes, less than a second.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import { type AnswerForm, conditionsIn } from '../cache/answer.ts';
import { formatCacheStatus } from '../cache/cache-status.ts';
import { currentAge, remainingLifetime } from '../cache/policy/reuse.ts';
import { type AnswerContext, storedAnswer } from '../cache/stored-answer.ts';
import { factsOf, type StoredFacts } from '../cache/stored-facts.ts';
import type { StoredResponse } from '../cache/stored-response.ts';
import { reasonPhrase } from '../http/exchange.ts';
import { fieldLines, isFieldLine, type RawHeaders, withField } from '../http/fields/headers.ts';
import { HTTP1_FORM } from '../http/http1/prepared-form.ts';
import type { BodyReader, ResponseHead } from '../http/message.ts';
import { ID_PLACEHOLDER } from '../http/request-id.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { browserTtl, finishedHead } from './finish.ts';
import type { KeyOwner } from './peers.ts';
import type { IdName } from './visitor.ts';

/** Form of an answer whose head does not depend on the request. */
export type Kind = Exclude<AnswerForm, 'part'>;

export interface PreparedOptions {
  readonly stored: StoredResponse;
  readonly served: ServedSite;
  /** The path that the site's rules go by. */
  readonly path: string;
  /** Name of the node. */
  readonly node: string;
  /** Announced to the visitor for its connection. */
  readonly keepAliveMs: number;
  /** Name of the field with the identifier of the request; absent: none. */
  readonly idName?: IdName | undefined;
}

const KINDS: Readonly<Record<Kind, number>> = { whole: 0, head: 2, 'not-modified': 4 };

/** Number of answers of each form. */
const ANSWERS = 6;

function placeOf(kind: Kind, isHotCopy: boolean): number {
  return KINDS[kind] + (isHotCopy ? 1 : 0);
}

/** Bodies up to this go into one buffer with their head. */
const ONE_BUFFER_BYTES = 16 * 1024;

/** Bytes that are good for a while. */
export interface Block {
  readonly bytes: Buffer;
  /** Offset of the identifier of the request, which is written over; -1: it has none. */
  readonly idAt: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

export class Prepared {
  readonly stored: StoredResponse;
  readonly served: ServedSite;
  readonly facts: StoredFacts;
  readonly #options: PreparedOptions;
  /** True if this response can be answered from its prepared form at all. */
  readonly isPlain: boolean;
  /** At `KINDS` and, beside each, for a hot copy; `null` where it is not to be made here. */
  readonly #templates: (Template | null | undefined)[] = [];
  /** At the same places. */
  #blocks: (Block | undefined)[] = [];
  readonly isOneBuffer: boolean;
  /** Time at which the bytes were last made: milliseconds. */
  #madeAt = Number.NEGATIVE_INFINITY;
  place: KeyOwner | undefined;

  constructor(options: PreparedOptions) {
    const { stored, served, path } = options;
    this.#options = options;
    this.stored = stored;
    this.served = served;
    this.facts = factsOf(stored, { rules: served.rules, path });
    this.isPlain = hasOrdinaryStatus(stored.status) && this.facts.isComplete && stored.trailers.length === 0;
    this.isOneBuffer = stored.length <= ONE_BUFFER_BYTES;
  }

  /** Returns whether it is up to date: made from this very object, with the current config. */
  isFor(stored: StoredResponse, served: ServedSite, keepAliveMs: number, idName: IdName | undefined): boolean {
    if (this.stored !== stored || this.served !== served) return false;
    return this.#options.keepAliveMs === keepAliveMs && this.#options.idName === idName;
  }

  /** @returns The bytes of the answer, head and body, if they are ready. */
  readyBytes(kind: Kind, isHotCopy: boolean, now: EpochMs, form = HTTP1_FORM): Block | undefined {
    const block = this.#blocks[form.index * ANSWERS + placeOf(kind, isHotCopy)];
    return block !== undefined && now >= block.fromMs && now <= block.untilMs ? block : undefined;
  }

  /**
   * @param keeps - Whether to keep them for `readyBytes`, in memory of their own: a piece of the shared pool holds all
   * of it.
   * @returns The bytes of the answer, head and body; `undefined` where they cannot be known here.
   */
  makeBytes(kind: Kind, isHotCopy: boolean, now: EpochMs, keeps: boolean, form = HTTP1_FORM): Block | undefined {
    const length = kind === 'whole' ? this.stored.length : 0;
    const head = this.head(kind, isHotCopy, now);
    const beginning = head === undefined ? undefined : form.beginningOf(head, length);
    if (beginning === undefined) return undefined;
    this.#madeAt = now;
    const bytes = (keeps ? Buffer.allocUnsafeSlow : Buffer.allocUnsafe)(beginning.length + length);
    let at = typeof beginning === 'string' ? bytes.write(beginning, 'latin1') : beginning.copy(bytes);
    if (length > 0) {
      const reader = this.open();
      for (let piece = reader.next(); piece !== null; piece = reader.next()) {
        if (piece instanceof Promise) return undefined;
        at += piece.copy(bytes, at);
      }
    }
    const idAt = this.#options.idName === undefined ? -1 : bytes.indexOf(ID_PLACEHOLDER, 0, 'latin1');
    const block = { bytes, idAt, fromMs: now, untilMs: this.unchangedUntil(now) };
    if (keeps) this.#blocks[form.index * ANSWERS + placeOf(kind, isHotCopy)] = block;
    return block;
  }

  /** Returns whether an answer was made within so many milliseconds before. */
  isUsedWithin(ms: number, now: EpochMs): boolean {
    return now - this.#madeAt < ms;
  }

  discardBytes(): void {
    this.#blocks = [];
  }

  open(): BodyReader {
    return this.stored.body.open({ start: 0, end: this.stored.length });
  }

  /** @returns The text of a head with the empty line that ends it, or `undefined` where it is not to be made here. */
  head(kind: Kind, isHotCopy: boolean, now: EpochMs): string | undefined {
    const at = placeOf(kind, isHotCopy);
    let template = this.#templates[at];
    if (template === undefined) {
      template = makeTemplate(this.#options, kind, isHotCopy, now) ?? null;
      this.#templates[at] = template;
    }
    if (template === null) return undefined;
    return render(template, currentAge(this.stored, now), remainingLifetime(this.stored, now));
  }

  /** The head of an answer that was made for this request alone. */
  finishedText(head: ResponseHead, isHotCopy: boolean, ttlMs: number | undefined): string | undefined {
    const { served, path, node, keepAliveMs, idName } = this.#options;
    const status = formatCacheStatus(node, { hit: true, ttlMs, detail: isHotCopy ? 'hot-copy' : undefined });
    const finished = finishedHead(served, path, { ...head, headers: withField(head.headers, 'Cache-Status', status) });
    return isOrdinary(finished.headers)
      ? startLine(finished) + lines(withPlaceholder(finished.headers, idName)) + ending(keepAliveMs)
      : undefined;
  }

  /** The last moment at which neither the age nor what is left of the lifetime reads differently. */
  unchangedUntil(now: EpochMs): number {
    const age = currentAge(this.stored, now);
    const left = remainingLifetime(this.stored, now);
    return now + Math.min(999 - Math.floor(age % 1_000), Math.floor(left % 1_000));
  }
}

/** Template of a head: texts, and the number after each, except the last. */
interface Template {
  readonly texts: readonly string[];
  readonly numbers: readonly Slot[];
  readonly browserTtlMs: number;
}

type Slot = 'age' | 'ttl' | 'browser-ttl';

function render({ texts, numbers, browserTtlMs }: Template, ageMs: number, leftMs: number): string {
  const age = Math.floor(ageMs / 1_000);
  let text = texts[0] as string;
  for (let i = 0; i < numbers.length; i++) {
    const slot = numbers[i];
    if (slot === 'age') text += age;
    else if (slot === 'ttl') text += Math.floor(leftMs / 1_000);
    else text += Math.floor((browserTtlMs + age * 1_000) / 1_000);
    text += texts[i + 1];
  }
  return text;
}

/** A request for each kind. The tag or the date that makes a 304 does not show in it. */
const REQUESTS: Readonly<Record<Kind, AnswerContext>> = {
  whole: { request: { method: 'GET' }, profile: conditionsIn([]) },
  head: { request: { method: 'HEAD' }, profile: conditionsIn([]) },
  'not-modified': { request: { method: 'GET' }, profile: conditionsIn(['If-None-Match', '*']) },
};

function makeTemplate(options: PreparedOptions, kind: Kind, isHotCopy: boolean, now: EpochMs): Template | undefined {
  const { stored, served, path, node, keepAliveMs, idName } = options;
  const answer = storedAnswer(REQUESTS[kind], stored, now, { hit: true });
  answer.body?.close();
  const ttl = `ttl=${Math.floor(remainingLifetime(stored, now) / 1_000)}`;
  const status = formatCacheStatus(node, { ...answer.status, detail: isHotCopy ? 'hot-copy' : undefined });
  const unfinished = { ...answer.head, headers: withField(answer.head.headers, 'Cache-Status', status) };
  const { headers: finished, ...head } = finishedHead(served, path, unfinished);
  const headers = withPlaceholder(finished, idName);
  if (!isOrdinary(headers) || (kind === 'whole' && !frames(headers, stored.length))) return undefined;

  const { set } = served.site.response_headers;
  const isSet = (name: string): boolean => Object.keys(set).some((other) => other.toLowerCase() === name);
  const { ttlMs: browserTtlMs } = browserTtl(served.rules, path, { ...head, headers });
  const age = Math.floor(currentAge(stored, now) / 1_000);
  const texts: string[] = [];
  const numbers: Slot[] = [];
  let text = startLine({ ...head, headers });
  const cut = (before: string, slot: Slot): void => {
    texts.push(text + before);
    numbers.push(slot);
    text = '';
  };
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i] as string, headers[i + 1] as string];
    const lower = name.toLowerCase();
    text += `${name}: `;
    if (lower === 'age' && !isSet('age')) {
      cut('', 'age');
    } else if (lower === 'cache-status' && !isSet('cache-status')) {
      const at = value.indexOf(ttl);
      cut(value.slice(0, at + 4), 'ttl');
      text = value.slice(at + ttl.length);
    } else if (
      lower === 'cache-control' &&
      browserTtlMs !== undefined &&
      !isSet('cache-control') &&
      value === `max-age=${Math.floor((browserTtlMs + age * 1_000) / 1_000)}`
    ) {
      cut('max-age=', 'browser-ttl');
    } else text += value;
    text += '\r\n';
  }
  return { texts: [...texts, text + ending(keepAliveMs)], numbers, browserTtlMs: browserTtlMs ?? 0 };
}

/** Returns the fields with one for the identifier of the request. */
function withPlaceholder(headers: RawHeaders, idName: IdName | undefined): RawHeaders {
  return idName === undefined ? headers : withField(headers, idName.name, ID_PLACEHOLDER);
}

function startLine(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${reasonPhrase(head)}\r\n`;
}

function lines(headers: RawHeaders): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}

/** Returns the lines that `node:http` adds to every head of a persistent connection. */
function ending(keepAliveMs: number): string {
  return `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1_000)}\r\n\r\n`;
}

/** Final, and with content that Content-Length frames (RFC 9112, section 6.3). */
function hasOrdinaryStatus(status: number): boolean {
  return (
    status >= 200 && status !== 204 && status !== 205 && status !== 206 && status !== 304 && status in STATUS_CODES
  );
}

/** Fields that `node:http` acts on when it writes a head. */
const ACTED_ON: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'expect',
]);

/** Returns whether these lines are written unchanged, with no additions but those of `ending`. */
function isOrdinary(headers: RawHeaders): boolean {
  let hasDate = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (ACTED_ON.has(name) || !isFieldLine(name, headers[i + 1] as string)) return false;
    if (name === 'date') hasDate = true;
  }
  return hasDate;
}

function frames(headers: RawHeaders, length: number): boolean {
  const values = fieldLines(headers, 'content-length');
  return values.length === 1 && values[0] === String(length);
}
