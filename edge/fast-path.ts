/**
 * Answers from the store at once what needs nothing but the store: a response
 * that is there, fresh, and not purged. It decides by the functions that
 * the long way decides by (cache/engine.ts), or leaves the decision to it.
 * @module
 */

import type { Socket } from 'node:net';
import { type AnswerForm, answerForm } from '../cache/answer.ts';
import { KeyBytes } from '../cache/store/key-bytes.ts';
import { storedAnswer } from '../cache/stored-answer.ts';
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import type { Http1Connection } from '../http/http1/connection.ts';
import type { Http1Exchange } from '../http/http1/exchange.ts';
import { Recogniser } from '../http/http1/recogniser.ts';
import { Http1Server } from '../http/http1/server.ts';
import { isEncrypted } from '../http/listener/encrypted.ts';
import { type EpochMs, type MonotonicMs, monotonicNow } from '../lib/clock.ts';
import type { LoggedRequest } from '../tier/node-core.ts';
import { answerVisitor } from './pipeline.ts';
import type { Form, Kind, Prepared } from './prepared.ts';
import { PreparedResponses } from './prepared-responses.ts';
import {
  type KeyedTarget,
  keyedTarget,
  parsedAs,
  profileSection,
  type SectionProfile,
  SectionRequest,
  type Targeted,
} from './section-profile.ts';
import { isProxy } from './senders.ts';
import { type EdgeContext, UNKNOWN_ADDRESS, visitorBlock } from './visitor.ts';

/** Profiles of a header section, by how it arrived: `Asker`. */
type Meaning = { readonly headers: RawHeaders; readonly asked: (SectionProfile | null | undefined)[] };

/** Kinds of connections; the same section means something else on each. */
const ENCRYPTED = 1;
const TRUSTED = 2;
const WAYS = 4;

/** The key of the request that is being answered. */
const joined = new KeyBytes();

const A_GET = { method: 'GET' };

type Connection = Http1Connection<Meaning>;
type Request = Recogniser<Meaning>;

type Noted = Pick<LoggedRequest, 'method' | 'target'>;

export class FastPath {
  readonly server: Http1Server<Meaning>;
  readonly #prepared: PreparedResponses;
  readonly #lookedUp = new SectionRequest();
  #edge: EdgeContext;
  #recogniser!: Request;
  /** Requests that were answered here. */
  answered = 0;

  constructor(edge: EdgeContext) {
    this.#edge = edge;
    this.#prepared = new PreparedResponses(edge.core.name);
    this.update(edge);
    this.server = new Http1Server({
      recogniser: () => this.#recogniser,
      limits: () => this.#edge.core.limits,
      allowHalfOpen: true,
      answer: (connection, request) => this.#answer(connection, request),
      ask: (connection, request, exchange) => this.#ask(connection, request, exchange),
    });
  }

  /** Goes by the new config from now on. */
  update(edge: EdgeContext): void {
    this.#edge = edge;
    const { limits } = edge.core;
    this.#prepared.keepAliveMs = limits.keep_alive_timeout;
    this.#recogniser = new Recogniser({
      maxBytes: limits.max_header,
      maxLines: limits.max_headers,
      meaningOf: (headers) => ({ headers, asked: new Array(WAYS).fill(undefined) }),
    });
  }

  close(): void {
    this.server.close();
    this.#prepared.close();
  }

  #answer(connection: Connection, request: Request): boolean {
    const sectionProfile = this.#sectionOf(connection, request);
    if (sectionProfile === null) return false;
    const now = this.#edge.core.nowAt(connection.startedAt);
    const prepared = this.find(
      keyOf(sectionProfile, request),
      sectionProfile,
      request.isHead,
      request,
      now,
      connection.startedAt,
    );
    if (prepared === undefined) return false;
    const isOwner = this.isOwner(prepared, sectionProfile, request);
    if (!this.#write(connection, request, sectionProfile, prepared, !isOwner, now)) return false;
    this.hasAnswered(prepared, isOwner);
    if (this.#edge.core.tracer.isOnForHits)
      this.trace(request.isHead ? 'HEAD' : 'GET', request.target, sectionProfile, isOwner);
    return true;
  }

  #ask(connection: Connection, request: Request | undefined, exchange: Http1Exchange): void {
    if (request === undefined) {
      void answerVisitor(this.#edge, exchange);
      return;
    }
    const sectionProfile = this.#sectionOf(connection, request);
    const sender = connection.socket.remoteAddress ?? UNKNOWN_ADDRESS;
    const method = request.isHead ? 'HEAD' : 'GET';
    const parsed = sectionProfile === null ? undefined : parsedAs(sectionProfile, method, request.target, sender);
    if ((connection.asker & TRUSTED) === 0) connection.visitor ??= visitorBlock(this.#edge, exchange);
    void answerVisitor(this.#edge, exchange, parsed, connection.visitor);
  }

  /**
   * @param startedAt - When the request came: what has passed since is a slice of time at most.
   * @returns The fresh response that answers the request, unless that is not to be decided here.
   */
  find(
    key: string | KeyBytes,
    sectionProfile: SectionProfile,
    isHead: boolean,
    request: Targeted,
    now: EpochMs,
    startedAt: MonotonicMs,
  ): Prepared | undefined {
    const { engine } = this.#edge.core;
    const lookedUp = this.#lookedUp.set(sectionProfile, isHead, request);
    // Where cookies are in the key at some paths, the path has to be known first.
    let found = sectionProfile.keysCookies
      ? undefined
      : engine.lookup(key, lookedUp, sectionProfile.profile, now, startedAt);
    // What is stored is stored under the one spelling of its target, so a key that is found is the target's own.
    if (found === undefined || found.outcome === 'none') {
      const { keyed } = lookedUp;
      if (keyed === undefined || (keyed.target === request.target && !sectionProfile.keysCookies)) return undefined;
      found = engine.lookup(keyed.key, lookedUp, sectionProfile.profile, now, startedAt);
    }
    if (found.outcome !== 'fresh' || found.isRefused || found.stored === undefined) return undefined;
    const prepared = this.#prepared.of(found.stored, sectionProfile.served, lookedUp);
    return prepared.isPlain ? prepared : undefined;
  }

  /** Returns whether this process answers as the owner of the response. */
  isOwner(prepared: Prepared, sectionProfile: SectionProfile, request: Targeted): boolean {
    const { peers } = this.#edge;
    if (prepared.place?.version !== peers.version) {
      prepared.place = peers.ownerOf((keyedTarget(sectionProfile, request.target) as KeyedTarget).keyed.key);
    }
    return peers.isOwner(prepared.place);
  }

  /** @returns Head and body in the form that the connection speaks; `undefined` where they cannot be known here. */
  bytesOf(prepared: Prepared, kind: Kind, isHotCopy: boolean, now: EpochMs, form?: Form): Buffer | undefined {
    const ready = prepared.readyBytes(kind, isHotCopy, now, form);
    return ready ?? this.#prepared.makeBytes(prepared, kind, isHotCopy, now, form);
  }

  /** Records an answer for ownership and hot keys. */
  hasAnswered({ place }: Prepared, isOwner: boolean): void {
    if (!isOwner && place !== undefined) this.#edge.hot.note(place.key, monotonicNow());
    this.answered++;
  }

  /** Traces an answered hit. */
  trace(method: string, target: string, { head, parsed }: SectionProfile, isOwner: boolean): void {
    const trace = this.#edge.core.tracer.begin({ id: crypto.randomUUID() });
    const site = parsed.served.site.name;
    trace?.note('receive', { method, target, host: fieldValue(head.headers, 'host'), site });
    trace?.note('lookup', { hit: true, detail: isOwner ? undefined : 'hot-copy', way: 'fast' });
  }

  get edge(): EdgeContext {
    return this.#edge;
  }

  #write(
    connection: Connection,
    request: Request,
    sectionProfile: SectionProfile,
    prepared: Prepared,
    isHotCopy: boolean,
    now: EpochMs,
  ): boolean {
    const form = formFor(request.isHead, sectionProfile, prepared, now);
    if (form === 'part') return this.#writePart(connection, request, sectionProfile, prepared, isHotCopy, now);
    const note = this.#noteOf(request);
    if (form !== 'whole' || prepared.isOneBuffer) {
      return this.#sendPrepared(connection, sectionProfile, prepared, form, isHotCopy, now, note);
    }
    const head = prepared.head('whole', isHotCopy, now);
    if (head === undefined) return false;
    this.#stream(
      connection,
      sectionProfile,
      { text: head, status: prepared.stored.status },
      prepared.open(),
      isHotCopy,
      note,
    );
    return true;
  }

  #sendPrepared(
    connection: Connection,
    sectionProfile: SectionProfile,
    prepared: Prepared,
    kind: Kind,
    isHotCopy: boolean,
    now: EpochMs,
    note: Noted | undefined,
  ): boolean {
    const bytes = this.bytesOf(prepared, kind, isHotCopy, now);
    if (bytes === undefined) return false;
    connection.send(bytes);
    const { status, length } = prepared.stored;
    const sent = kind === 'whole' ? length : 0;
    this.#count(connection, sectionProfile, isHotCopy, kind === 'not-modified' ? 304 : status, sent, note);
    return true;
  }

  /** One range, or what comes of asking for one. */
  #writePart(
    connection: Connection,
    asking: Request,
    sectionProfile: SectionProfile,
    prepared: Prepared,
    isHotCopy: boolean,
    now: EpochMs,
  ): boolean {
    const { profile } = sectionProfile;
    if (profile.ranges !== undefined && profile.ranges.length > 1) return false;
    const { head, body, status } = storedAnswer({ request: A_GET, profile }, prepared.stored, now, { hit: true });
    const text = prepared.finishedText(head, isHotCopy, status.ttlMs);
    if (text === undefined) {
      body?.close();
      return false;
    }
    const note = this.#noteOf(asking);
    if (body === undefined) {
      connection.send(Buffer.from(text, 'latin1'));
      this.#count(connection, sectionProfile, isHotCopy, head.status, 0, note);
      return true;
    }
    this.#stream(connection, sectionProfile, { text, status: head.status }, body, isHotCopy, note);
    return true;
  }

  #stream(
    connection: Connection,
    sectionProfile: SectionProfile,
    head: { readonly text: string; readonly status: number },
    body: ReturnType<Prepared['open']>,
    isHotCopy: boolean,
    note: Noted | undefined,
  ): void {
    const { peers } = this.#edge;
    if (!isHotCopy) peers.ownInFlight++;
    connection.stream(Buffer.from(head.text, 'latin1'), body, (bytes) => {
      if (!isHotCopy) peers.ownInFlight--;
      this.#count(connection, sectionProfile, isHotCopy, head.status, bytes, note);
    });
  }

  #count(
    connection: Connection,
    sectionProfile: SectionProfile,
    isHotCopy: boolean,
    status: number,
    bytes: number,
    note: Noted | undefined,
  ): void {
    this.count(connection.socket, connection.startedAt, sectionProfile, isHotCopy, status, bytes, note);
  }

  /** Records an answer when it is written. */
  count(
    sender: { readonly remoteAddress?: string | undefined },
    startedAt: MonotonicMs,
    sectionProfile: SectionProfile,
    isHotCopy: boolean,
    status: number,
    bytes: number,
    note: Noted | undefined,
  ): void {
    const counter = isHotCopy ? sectionProfile.hotCopies : sectionProfile.hits;
    const request = note && { ...note, headers: sectionProfile.head.headers, remoteAddress: sender.remoteAddress };
    this.#edge.core.answered(counter, status, bytes, startedAt, request);
  }

  /**
   * Copies the request for the access log, if there is one: the recogniser has moved on by the time of the last byte.
   */
  noteOf(isHead: boolean, request: Targeted): Noted | undefined {
    return this.#edge.core.accessLog && { method: isHead ? 'HEAD' : 'GET', target: request.target };
  }

  #noteOf(request: Request): Noted | undefined {
    return this.noteOf(request.isHead, request);
  }

  #sectionOf(connection: Connection, { section }: Request): SectionProfile | null {
    const { meaning } = section as { readonly meaning: Meaning };
    if (connection.askerOf !== this.#edge) {
      connection.asker = receptionOf(connection.socket, this.#edge);
      connection.askerOf = this.#edge;
      connection.visitor = undefined;
    }
    const known = meaning.asked[connection.asker];
    if (known !== undefined) return known;
    const isTls = (connection.asker & ENCRYPTED) !== 0;
    const { remoteAddress } = connection.socket;
    const head = { method: 'GET', target: '/', headers: meaning.headers, remoteAddress, isTls };
    const sectionProfile = profileSection(this.#edge, head) ?? null;
    meaning.asked[connection.asker] = sectionProfile;
    return sectionProfile;
  }
}

/**
 * @returns The key that the request has if its target is spelt as it is stored: as bytes where it came as bytes, valid
 * until the next.
 */
function keyOf({ prefix, suffix, around }: SectionProfile, request: Request): string | KeyBytes {
  const { bytes, targetFrom, targetTo } = request;
  if (bytes === undefined || around === undefined) return prefix + request.target + suffix;
  return joined.join(around.prefix, bytes, targetFrom, targetTo, around.suffix);
}

function receptionOf(socket: Socket, edge: EdgeContext): number {
  const encrypted = isEncrypted(socket) ? ENCRYPTED : 0;
  return encrypted + (isProxy(edge.region, socket.remoteAddress ?? UNKNOWN_ADDRESS) ? TRUSTED : 0);
}

/** Form of the answer to a request that finds the response fresh. */
export function formFor(
  isHead: boolean,
  { profile }: SectionProfile,
  { stored, facts }: Prepared,
  now: EpochMs,
): AnswerForm {
  return answerForm(isHead ? 'HEAD' : 'GET', profile, stored, now, facts.isNamedBy(profile));
}
