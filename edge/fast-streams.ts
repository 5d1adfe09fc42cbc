/**
 * Answers requests of HTTP/2 from the store at once, by the same decisions as
 * the fast path of HTTP/1.1 (fast-path.ts). What is left to do for each is to
 * find out what its header section means, which is remembered, and to copy
 * frames that are good for a second.
 * @module
 */
import { KeyBytes } from '../cache/store/key-bytes.ts';
import { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { Connection } from '../http/http2/connection.ts';
import { http2Headers, type Peer, translateHead } from '../http/http2/exchange.ts';
import { answerFrames } from '../http/http2/frames.ts';
import { headerBlock } from '../http/http2/header-block.ts';
import type { IncomingRequest, Section } from '../http/http2/section.ts';
import { TwoGenerationCache } from '../lib/two-generation-cache.ts';
import { type FastPath, formFor } from './fast-path.ts';
import { type Form, PLACES } from './prepared.ts';
import { profileSection, type SectionProfile } from './section-profile.ts';
import { isProxy } from './senders.ts';
import type { EdgeContext } from './visitor.ts';

/** Longer sections are not remembered. */
const MAX_SECTION_CHARS = 4_096;

/** Maximum size of each of two generations, in characters of sections; their profiles take a few times as much. */
const GENERATION_CHARS = 256 * 1024;

/** Fields about the message or the connection that only the long way reads. */
const NOT_TAKEN: ReadonlySet<string> = new Set(['content-length', 'expect', 'trailer', 'host']);

/** The key of the request that is being answered. */
const joined = new KeyBytes();

const TARGET = /^\/[\x21-\x7e]*$/;

const HTTP2: Form = {
  from: PLACES,
  beginningOf: (head, bodyBytes) => answerFrames(headerBlock(fieldsIn(head)), bodyBytes),
};

export class FastStreams {
  readonly #fast: FastPath;
  #edge: EdgeContext;
  /** By header section. */
  readonly #known = new TwoGenerationCache<string, SectionProfile | null>({
    generationWeight: GENERATION_CHARS,
    weightOf: (section) => section.length,
  });

  constructor(fast: FastPath) {
    this.#fast = fast;
    this.#edge = fast.edge;
  }

  /** @returns Whether the request has its answer. */
  answer(connection: Connection, { id, section }: IncomingRequest): boolean {
    const { method, path: target } = section;
    if ((method !== 'GET' && method !== 'HEAD') || !TARGET.test(target)) return false;
    const { known } = connection.peer;
    const sectionProfile = this.#knownSectionOf(connection.peer, section);
    if (sectionProfile === null) return false;
    const now = this.#edge.core.nowAt(connection.readAt);
    const request = { target };
    const isHead = method === 'HEAD';
    const prepared = this.#fast.find(
      keyOf(sectionProfile, target),
      sectionProfile,
      isHead,
      request,
      now,
      connection.readAt,
    );
    if (prepared === undefined || !prepared.isOneBuffer) return false;
    const kind = formFor(isHead, sectionProfile, prepared, now);
    if (kind === 'part') return false;

    const isOwner = this.#fast.isOwner(prepared, sectionProfile, request);
    const bytes = this.#fast.bytesOf(prepared, kind, !isOwner, now, HTTP2);
    if (bytes === undefined) return false;
    const { status, length } = prepared.stored;
    const bodyBytes = kind === 'whole' ? length : 0;
    if (!connection.answer(id, bytes, bodyBytes)) return false;
    const sent = kind === 'not-modified' ? 304 : status;
    const note = this.#fast.noteOf(isHead, request);
    this.#fast.count(connection.peer, connection.readAt, sectionProfile, !isOwner, sent, bodyBytes, note);
    this.#fast.hasAnswered(prepared, isOwner);
    if (this.#fast.edge.core.tracer.isOnForHits) this.#fast.trace(method, target, sectionProfile, isOwner);
    section.isRemembered = known !== undefined && connection.peer.known === known;
    return true;
  }

  /** A connection's requests differ in their path, and in little else: comparing is cheaper than looking up. */
  #knownSectionOf(peer: Peer, section: Section): SectionProfile | null {
    const { known } = peer;
    if (known !== undefined && known.of === this.#fast.edge && section.isLike(known.section)) {
      return known.meaning as SectionProfile | null;
    }
    const sectionProfile = this.#sectionOf(peer, section);
    peer.known = { section, meaning: sectionProfile, of: this.#fast.edge };
    return sectionProfile;
  }

  #sectionOf(peer: Peer, section: Section): SectionProfile | null {
    const { edge } = this.#fast;
    if (edge !== this.#edge) {
      this.#edge = edge;
      this.#known.clear();
    }
    if (isProxy(edge.region, peer.remoteAddress)) return null; // what it says counts, and is another visitor's each time
    const text = section.textBesidesTarget;
    let sectionProfile = this.#known.get(text);
    if (sectionProfile !== undefined) return sectionProfile;
    sectionProfile = this.#read(peer, section.raw);
    if (text.length <= MAX_SECTION_CHARS) this.#known.set(text, sectionProfile);
    return sectionProfile;
  }

  #read(peer: Peer, raw: RawHeaders): SectionProfile | null {
    if (!isPlain(raw)) return null;
    try {
      const { headers } = translateHead(raw, false);
      const head = { method: 'GET', target: '/', headers, remoteAddress: peer.remoteAddress, isTls: true };
      return profileSection(this.#edge, head) ?? null;
    } catch (error) {
      if (error instanceof HttpError) return null; // to be answered with a page
      throw error;
    }
  }
}

/** @returns The key that the request has if its target is spelt as it is stored: as bytes, valid until the next. */
function keyOf({ prefix, suffix, around }: SectionProfile, target: string): string | KeyBytes {
  return around === undefined ? prefix + target + suffix : joined.joinText(around.prefix, target, around.suffix);
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
