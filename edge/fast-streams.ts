/**
 * Answers streams of HTTP/2 from the store at once, by the same decisions as
 * the fast path of HTTP/1.1 (fast-path.ts). What is left to do for each is to
 * find out what its header section means, which is remembered, and to hand
 * Node a list of fields that is good for a second.
 * @module
 */
import { performance } from 'node:perf_hooks';
import { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { StreamCall } from '../http/http2.ts';
import { http2Headers, translateHead } from '../http/http2-exchange.ts';
import type { Tally } from '../telemetry/tally.ts';
import { type Asked, askedBy } from './asked.ts';
import { type FastPath, isNotModified } from './fast-path.ts';
import type { Kind, Prepared } from './prepared.ts';
import { isTrusted, type Visit } from './visitor.ts';

/** Longer sections are not remembered. */
const MAX_SECTION_CHARS = 4_096;

/** Of each of two generations: characters of sections; what they mean takes a few times as much. */
const GENERATION_CHARS = 256 * 1024;

/** Fields about the message or the connection that only the long way reads. */
const NOT_TAKEN: ReadonlySet<string> = new Set(['content-length', 'expect', 'trailer', 'host', ':protocol']);

const TARGET = /^\/[\x21-\x7e]*$/;

/** Fields of an answer, and for how long they are what they are. */
interface Fields {
  readonly list: readonly string[];
  readonly fromMs: number;
  readonly untilMs: number;
}

export class FastStreams {
  readonly #fast: FastPath;
  #visit: Visit;
  #young = new Map<string, Asked | null>();
  #old = new Map<string, Asked | null>();
  #youngChars = 0;
  readonly #fields: Readonly<Record<Kind, WeakMap<Prepared, Fields>[]>> = {
    whole: [new WeakMap(), new WeakMap()],
    head: [new WeakMap(), new WeakMap()],
    'not-modified': [new WeakMap(), new WeakMap()],
  };

  /** Where the store has them: no copies. */
  readonly #bodies = new WeakMap<Prepared, Buffer>();

  constructor(fast: FastPath) {
    this.#fast = fast;
    this.#visit = fast.visit;
  }

  /** @returns Whether the stream has its answer. */
  answer(call: StreamCall): boolean {
    const { stream, raw, startedAt } = call;
    let method = '';
    let target = '';
    for (let i = 0; i < raw.length; i += 2) {
      if (raw[i] === ':path') target = raw[i + 1] as string;
      else if (raw[i] === ':method') method = raw[i + 1] as string;
    }
    if ((method !== 'GET' && method !== 'HEAD') || !TARGET.test(target)) return false;
    const asked = this.#askedAgainBy(call);
    if (asked === null || asked.hasRange) return false;
    const now = this.#visit.core.now();
    const key = asked.prefix + target + asked.suffix;
    const prepared = this.#fast.find(key, asked, target, now);
    if (prepared === undefined || !prepared.isOneBuffer) return false;

    const isOwner = this.#fast.isOwner(prepared, key);
    const kind = kindOf(method, asked, prepared, now);
    const fields = this.#fieldsOf(prepared, kind, !isOwner, now);
    if (fields === undefined) return false;
    if (kind !== 'whole' || prepared.stored.length === 0) {
      stream.respond(fields as never, { endStream: true });
    } else {
      let body = this.#bodies.get(prepared);
      if (body === undefined) {
        body = bodyOf(prepared);
        if (body === undefined) return false;
        this.#bodies.set(prepared, body);
      }
      stream.respond(fields as never);
      stream.end(body);
    }
    this.#count(
      isOwner ? asked.hits : asked.hotCopies,
      asked,
      kind === 'whole' ? prepared.stored.length : 0,
      startedAt,
    );
    this.#fast.hasAnswered(key, isOwner, now);
    return true;
  }

  #fieldsOf(prepared: Prepared, kind: Kind, isHotCopy: boolean, now: number): readonly string[] | undefined {
    const kept = this.#fields[kind][isHotCopy ? 1 : 0] as WeakMap<Prepared, Fields>;
    const known = kept.get(prepared);
    if (known !== undefined && now >= known.fromMs && now <= known.untilMs) return known.list;
    const head = prepared.head(kind, isHotCopy, now);
    if (head === undefined) return undefined;
    const list = fieldsIn(head);
    kept.set(prepared, { list, fromMs: now, untilMs: prepared.unchangedUntil(now) });
    return list;
  }

  /** A connection's requests differ in their path, and in little else: comparing is cheaper than looking up. */
  #askedAgainBy(call: StreamCall): Asked | null {
    const { raw, peer } = call;
    const { known } = peer;
    if (known !== undefined && known.of === this.#fast.visit && isSameSection(known.raw, raw)) {
      return known.meaning as Asked | null;
    }
    const asked = this.#askedBy(sectionOf(raw), call);
    peer.known = { raw, meaning: asked, of: this.#fast.visit };
    return asked;
  }

  #askedBy(section: string, call: StreamCall): Asked | null {
    const { visit } = this.#fast;
    if (visit !== this.#visit) {
      this.#visit = visit;
      this.#young.clear();
      this.#old.clear();
      this.#youngChars = 0;
    }
    const isProxy = visit.region.trusted_proxies.length > 0 && isTrusted(visit.trusted, call.peer.remoteAddress);
    if (isProxy) return null; // what it says counts, and is another visitor's each time
    let asked = this.#young.get(section);
    if (asked !== undefined) return asked;
    asked = this.#old.get(section);
    if (asked === undefined) asked = this.#read(call);
    if (section.length <= MAX_SECTION_CHARS) {
      if (this.#youngChars > GENERATION_CHARS) {
        this.#old = this.#young;
        this.#young = new Map();
        this.#youngChars = 0;
      }
      this.#young.set(section, asked);
      this.#youngChars += section.length;
    }
    return asked;
  }

  #read({ raw, peer }: StreamCall): Asked | null {
    if (!isPlain(raw)) return null;
    try {
      const { rawHeaders } = translateHead(raw, false);
      const head = { method: 'GET', url: '/', rawHeaders, sender: peer.remoteAddress, encrypted: true };
      return askedBy(this.#visit, head) ?? null;
    } catch (error) {
      if (error instanceof HttpError) return null; // to be answered with a page
      throw error;
    }
  }

  #count(results: Tally, asked: Asked, bytes: number, startedAt: number): void {
    results.value++;
    asked.bytes.value += bytes;
    this.#visit.core.metrics.durations.public.observe((performance.now() - startedAt) / 1_000);
  }
}

function isOfTheTarget(name: string): boolean {
  return name === ':path' || name === ':method';
}

function isSameSection(a: RawHeaders, b: RawHeaders): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 2) {
    if (a[i] !== b[i] || (a[i + 1] !== b[i + 1] && !isOfTheTarget(a[i] as string))) return false;
  }
  return true;
}

function sectionOf(raw: RawHeaders): string {
  let section = '';
  for (let i = 0; i < raw.length; i += 2) {
    if (!isOfTheTarget(raw[i] as string)) section += `${raw[i]}\0${raw[i + 1]}\0`;
  }
  return section;
}

function kindOf(method: string, asked: Asked, prepared: Prepared, now: number): Kind {
  if (asked.hasConditions && isNotModified(asked, prepared, now)) return 'not-modified';
  return method === 'HEAD' ? 'head' : 'whole';
}

function isPlain(raw: RawHeaders): boolean {
  for (let i = 0; i < raw.length; i += 2) if (NOT_TAKEN.has(raw[i] as string)) return false;
  return true;
}

/** @returns The fields of a head of HTTP/1.1, as HTTP/2 has them. */
function fieldsIn(head: string): string[] {
  const lines = head.split('\r\n');
  const headers: string[] = [];
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(': ');
    if (colon > 0) headers.push(line.slice(0, colon), line.slice(colon + 2));
  }
  return http2Headers(Number((lines[0] as string).split(' ')[1]), headers);
}

/** @returns The body, if it is there in one piece. */
function bodyOf(prepared: Prepared): Buffer | undefined {
  const reader = prepared.open();
  const piece = reader.next();
  const isWhole = piece !== null && !(piece instanceof Promise) && piece.length === prepared.stored.length;
  reader.close();
  return isWhole ? piece : undefined;
}
