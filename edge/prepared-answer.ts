/**
 * Answer to a request from the prepared form of a stored response: found by the one lookup (cache/lookup.ts), in the
 * form that any other answer would have (cache/answer.ts), as bytes.
 *
 * One object is used for all requests that are answered at once, one after the other: nothing is left to the garbage
 * collector.
 * @module
 */
import { answerForm } from '../cache/answer.ts';
import type { EarlyLookup, Found } from '../cache/lookup.ts';
import { KeyBytes } from '../cache/store/key-bytes.ts';
import { EvictedError } from '../cache/store/store.ts';
import { storedAnswer } from '../cache/stored-answer.ts';
import type { ServerExchange } from '../http/exchange.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { BodyReader } from '../http/message.ts';
import type { PreparedSink } from '../http/prepared-delivery.ts';
import { ID_PLACEHOLDER } from '../http/request-id.ts';
import { type EpochMs, monotonicNow } from '../lib/clock.ts';
import type { AnswerCounter } from '../telemetry/metrics.ts';
import type { Reply, ServedSite } from '../tier/node-core.ts';
import type { Block, Kind, Prepared } from './prepared.ts';
import { type KeyedTarget, keyedTarget, type SectionProfile, SectionRequest } from './section-profile.ts';
import type { EdgeContext } from './visitor.ts';

const joined = new KeyBytes();
const lookedUp = new SectionRequest();

const A_GET = { method: 'GET' };

export class PreparedAnswer {
  /** True if the request is answered by this. */
  isFound = false;
  /** True if the response belongs to this thread, not a copy of another's. */
  isOwner = false;
  status = 0;
  /** Lookup of a request that is not answered by this: good until anything else happens. */
  early: EarlyLookup | undefined;
  /** Bytes of the body that `send` sends. */
  bodyBytes = 0;
  #profile!: SectionProfile;
  #prepared!: Prepared;
  #sink!: PreparedSink;
  /** Head and body in one piece, in the form of the exchange's server; `undefined`: to be streamed. */
  #block: Block | undefined;
  #kind: Kind | 'part' = 'whole';
  /** Head of an answer that is to be streamed, and its body. */
  #head: string | undefined;
  #body: BodyReader | undefined;

  /** Looks for a fresh response in its prepared form. @returns Whether there is one, and the request may have it. */
  find(edge: EdgeContext, exchange: ServerExchange, sink: PreparedSink, profile: SectionProfile): boolean {
    const now = edge.core.nowAt(exchange.arrivedAt);
    const found = lookUp(edge, exchange, sink, profile, now);
    if (found === undefined) return false;
    const prepared = preparedFrom(edge, found, profile);
    if (prepared === undefined || !this.#use(edge, exchange, sink, profile, prepared, now)) {
      this.early = { found, now };
    }
    return this.isFound;
  }

  #use(
    edge: EdgeContext,
    exchange: ServerExchange,
    sink: PreparedSink,
    profile: SectionProfile,
    prepared: Prepared,
    now: EpochMs,
  ): boolean {
    const { stored } = prepared;
    const form = answerForm(exchange.method, profile.profile, stored, now, prepared.facts.isNamedBy(profile.profile));
    this.#profile = profile;
    this.#prepared = prepared;
    this.#sink = sink;
    this.#kind = form;
    this.isOwner = isOwner(edge, prepared, profile, exchange);
    try {
      this.isFound = form === 'part' ? this.#makePart(now) : this.#make(edge, sink, form, now);
    } catch (error) {
      if (!(error instanceof EvictedError)) throw error;
      this.isFound = false; // by another thread, since it was looked up: it is looked up again
    }
    return this.isFound;
  }

  #make(edge: EdgeContext, sink: PreparedSink, kind: Kind, now: EpochMs): boolean {
    const prepared = this.#prepared;
    const { status, length } = prepared.stored;
    this.status = kind === 'not-modified' ? 304 : status;
    this.bodyBytes = kind === 'whole' ? length : 0;
    this.#head = undefined;
    if (kind === 'whole' && !prepared.isOneBuffer) this.#block = undefined;
    else {
      this.#block =
        prepared.readyBytes(kind, !this.isOwner, now, sink.form) ??
        edge.prepared.makeBytes(prepared, kind, !this.isOwner, now, sink.form);
      if (this.#block !== undefined) return true;
    }
    this.#head = prepared.head(kind, !this.isOwner, now);
    if (this.#head === undefined) return false;
    if (kind === 'whole') this.#body = prepared.open();
    return true;
  }

  /** One range, or what comes of asking for one. */
  #makePart(now: EpochMs): boolean {
    const { profile } = this.#profile;
    if (profile.ranges !== undefined && profile.ranges.length > 1) return false;
    const prepared = this.#prepared;
    const { head, body, status } = storedAnswer({ request: A_GET, profile }, prepared.stored, now, { hit: true });
    this.#head = prepared.finishedText(head, !this.isOwner, status.ttlMs);
    if (this.#head === undefined) {
      body?.close();
      return false;
    }
    this.#body = body;
    this.status = head.status;
    this.#block = undefined;
    return true;
  }

  get counter(): AnswerCounter {
    return this.isOwner ? this.#profile.hits : this.#profile.hotCopies;
  }

  get served(): ServedSite {
    return this.#profile.served;
  }

  get scheme(): 'http' | 'https' {
    return this.#profile.scheme;
  }

  get storedHeaders(): RawHeaders {
    return this.#prepared.stored.headers;
  }

  /** Bytes of the stored body. */
  get length(): number {
    return this.#prepared.stored.length;
  }

  /** @returns The key of a target that was found. */
  keyOf(target: string): string | undefined {
    return keyedTarget(this.#profile, target)?.keyed.key;
  }

  /** The answer as its trace shows it. */
  asReply(): Reply {
    const head = { status: this.status, statusText: '', headers: [] };
    return { head, body: undefined, trailers: () => [], result: this.counter.result };
  }

  /** Records the answer for hot keys. */
  note(edge: EdgeContext): void {
    const { place } = this.#prepared;
    if (!this.isOwner && place !== undefined) edge.hot.note(place.key, monotonicNow());
    edge.prepared.answered++;
  }

  /**
   * @param request - Writes its identifier into the answer.
   * @returns False if the answer is not of one piece, or there is no room for it as one: then it is to be streamed.
   */
  send(request: { writeId(bytes: Buffer, at: number): void }): boolean {
    const block = this.#block;
    if (block === undefined) return false;
    const { bytes, idAt } = block;
    if (idAt >= 0) request.writeId(bytes, idAt);
    const sink = this.#sink;
    if (!sink.sendPrepared(bytes, this.bodyBytes)) return false;
    // The next identifier must not be written over one that is still on its way.
    if (idAt >= 0 && sink.isLent) this.#prepared.discardBytes();
    return true;
  }

  /** @returns Bytes of the body that were written. */
  stream({ core }: EdgeContext, id: string): Promise<number> {
    const sink = this.#sink;
    const kind = this.#kind;
    const prepared = this.#prepared;
    // A small answer that there was no room for as one piece is opened now: its body is part of the response.
    const isReady = kind === 'part' || this.#head !== undefined;
    const head = isReady ? this.#head : prepared.head(kind, !this.isOwner, core.now());
    const body = isReady ? this.#body : kind === 'whole' ? prepared.open() : undefined;
    this.#body = undefined;
    return new Promise((resolve) =>
      sink.stream(sink.form.headOf((head as string).replace(ID_PLACEHOLDER, id)), body, resolve),
    );
  }
}

/** @returns What the store has for the request, if its target is valid. */
function lookUp(
  { core: { engine } }: EdgeContext,
  exchange: ServerExchange,
  sink: PreparedSink,
  profile: SectionProfile,
  now: EpochMs,
): Found | undefined {
  const request = lookedUp.set(profile, exchange);
  // When the request came: what has passed since is a slice of time at most.
  const at = exchange.arrivedAt;
  // Where cookies are in the key at some paths, the path has to be known first.
  if (!profile.keysCookies) {
    const found = engine.lookup(keyOf(profile, exchange, sink), request, profile.profile, now, at);
    // What is stored is stored under the one spelling of its target, so a key that is found is the target's own.
    if (found.stored !== undefined) return found;
    const { keyed } = request;
    if (keyed === undefined) return undefined;
    if (keyed.target === exchange.target) return found;
  }
  const { keyed } = request;
  return keyed && engine.lookup(keyed.key, request, profile.profile, now, at);
}

function preparedFrom(
  { prepared, core }: EdgeContext,
  found: Found,
  { served, profile }: SectionProfile,
): Prepared | undefined {
  const { outcome, stored, isRefused } = found;
  if (outcome !== 'fresh' || isRefused || stored === undefined) return undefined;
  const accepted = profile.acceptedCodings;
  const form = accepted === undefined ? stored : core.encodings.formFor(stored, lookedUp, profile, accepted);
  const one = prepared.of(form, served, lookedUp);
  return one.isPlain ? one : undefined;
}

/** @returns The key that the request has if its target is spelt as it is stored: as bytes, valid until the next. */
function keyOf(
  { prefix, suffix, around }: SectionProfile,
  exchange: ServerExchange,
  sink: PreparedSink,
): string | KeyBytes {
  if (around === undefined) return prefix + exchange.target + suffix;
  const target = sink.targetBytes;
  if (target?.bytes === undefined) return joined.joinText(around.prefix, exchange.target, around.suffix);
  return joined.join(around.prefix, target.bytes, target.targetFrom, target.targetTo, around.suffix);
}

/** Returns whether this thread answers as the owner of the response. */
function isOwner(
  { peers }: EdgeContext,
  prepared: Prepared,
  profile: SectionProfile,
  exchange: ServerExchange,
): boolean {
  if (prepared.place?.version !== peers.version) {
    prepared.place = peers.ownerOf((keyedTarget(profile, exchange.target) as KeyedTarget).keyed.key);
  }
  return peers.isOwner(prepared.place);
}
