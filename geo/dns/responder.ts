/**
 * From the bytes of a query to the bytes of its answer: the whole server but
 * for its sockets. Nothing that comes in makes it throw, and nothing that goes
 * out is larger than its transport, or the sender's proof of its address, allows.
 * @module
 */
import { hkdfSync, randomInt } from 'node:crypto';
import type { DnsConfig } from '../../config/dns/schema.ts';
import { type ParsedAddress, parseAddress } from '../../lib/address.ts';
import { type CidrSet, cidrSetOf } from '../../lib/cidr-set.ts';
import type { Instant, MonotonicMs } from '../../lib/clock.ts';
import {
  CLASS_IN,
  FLAG,
  HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  MIN_UDP_BYTES,
  RCODE,
  type Rcode,
  TYPE,
} from '../../lib/dns/numbers.ts';
import type { Decision, Steering } from '../steering.ts';
import { type Answer, answerFrom } from './answering.ts';
import { COOKIE_BYTES, type CookieState, Cookies } from './cookies.ts';
import { subnetAddress } from './edns.ts';
import type { DnsCounts } from './metrics.ts';
import { type Query, readQuery } from './query.ts';
import { RateLimiter } from './rate-limit.ts';
import { AddressChooser } from './steered.ts';
import { AnswerWriter, type EdnsAnswer, ednsBytes } from './writer.ts';
import { Zones } from './zone.ts';

export type Transport = 'udp' | 'tcp';

export interface ResponderOptions {
  readonly config: DnsConfig;
  /** Host names of the region's sites. */
  readonly hosts: readonly string[];
  /** Secret of the network, from which that of cookies is derived if the config names none. */
  readonly networkSecret: string;
  readonly steering: Steering;
  readonly counts: DnsCounts;
}

/** So many networks and kinds of answers, in 1 MiB. */
const LIMITER_SIZE = 65_536;

/** Kinds of answers for the limiter, beside those of names (above) and zones (below). */
const KIND_ERROR = 0;
const KIND_TOTAL = -(2 ** 31);

/** State of one query and its answer. */
interface Exchange {
  readonly query: Query;
  readonly client: ParsedAddress;
  readonly transport: Transport;
  readonly cookieState: CookieState;
  /** The address of the sender is not forged. */
  readonly isVerified: boolean;
  readonly now: Instant;
}

export class Responder {
  readonly #options: ResponderOptions;
  readonly #zones: Zones;
  readonly #cookies: Cookies | undefined;
  readonly #exempt: CidrSet;
  readonly #limiter: RateLimiter;
  readonly #chooser: AddressChooser;
  readonly #writer = new AnswerWriter();
  #limited = 0;

  /** @param before - The one that this one replaces: what it knows of clients stays. */
  constructor(options: ResponderOptions, before?: Responder) {
    const { config, hosts, networkSecret } = options;
    this.#options = options;
    this.#zones = new Zones(config.zones, hosts);
    this.#cookies = config.cookies.enabled ? new Cookies(cookieSecrets(config, networkSecret)) : undefined;
    this.#exempt = cidrSetOf(config.rate_limit.exempt);
    this.#limiter = before ? before.#limiter : new RateLimiter({ size: LIMITER_SIZE, seed: randomInt(2 ** 32) });
    this.#chooser = before ? before.#chooser : new AddressChooser();
  }

  /**
   * @param message - Not changed, and not kept.
   * @param address - Of the sender.
   * @returns `undefined` when there is to be no answer.
   */
  respond(message: Buffer, address: string, transport: Transport, now: Instant): Buffer | undefined {
    const { counts } = this.#options;
    const zoneIdAt = address.indexOf('%'); // fe80::1%eth0
    const client = parseAddress(zoneIdAt < 0 ? address : address.slice(0, zoneIdAt));
    const query = client === undefined ? undefined : readQuery(message);
    if (client === undefined || query === undefined) {
      counts.dropped.unreadable += 1;
      return undefined;
    }
    counts.queries[transport] += 1;
    const cookieState = this.#cookies?.check(query.edns?.cookie, client, Math.floor(now.wall / 1_000)) ?? 'none';
    if (cookieState !== 'none') counts.cookies[cookieState] += 1;
    const isVerified = transport === 'tcp' || cookieState === 'valid';
    const exchange: Exchange = { query, client, transport, cookieState, isVerified, now };

    const edns = this.#ednsFor(exchange);
    this.#writer.begin(query, this.#maxBytes(exchange), query.edns === undefined ? 0 : ednsBytes(edns));
    const answer = this.#answer(query, address, now.monotonic);
    if (!this.#mayAnswer(exchange, answer)) return this.#beyondLimit(exchange, edns);
    if (answer.isTruncated) counts.truncated.size += 1;
    if (edns.subnet !== undefined && answer.decision !== undefined)
      edns.scopePrefix = this.#scopeOf(edns.subnet, answer.decision);
    return this.#finish(query, answer, edns);
  }

  #ednsFor({ query, client, transport, cookieState, now }: Exchange): EdnsAnswer & { scopePrefix: number } {
    const { config, counts } = this.#options;
    const cookie = this.#cookies === undefined ? undefined : query.edns?.cookie;
    const subnet = config.client_subnet.enabled && query.rcode === RCODE.NOERROR ? query.edns?.subnet : undefined;
    if (subnet !== undefined) counts.subnets += 1;
    return {
      subnet,
      scopePrefix: 0,
      cookieBytes: cookie === undefined ? 0 : COOKIE_BYTES,
      writeCookie: (out, at) => {
        if (cookie !== undefined)
          this.#cookies?.write(cookie, cookieState, client, Math.floor(now.wall / 1_000), out, at);
      },
      keepAliveMs: transport === 'tcp' && query.edns?.wantsKeepAlive === true ? config.tcp.idle_timeout : undefined,
    };
  }

  #maxBytes({ query, transport, isVerified }: Exchange): number {
    if (transport === 'tcp') return MAX_MESSAGE_BYTES;
    const { max_answer, max_unverified } = this.#options.config.udp;
    return Math.min(query.edns?.udpBytes ?? MIN_UDP_BYTES, max_answer, isVerified ? max_answer : max_unverified);
  }

  /** Writes everything but the OPT record. */
  #answer(query: Query, address: string, now: MonotonicMs): Answer {
    if (query.rcode !== RCODE.NOERROR) return withRcode(query.rcode);
    if (query.questionEnd === HEADER_BYTES) return withRcode(RCODE.NOERROR); // for a cookie
    const isOurs = query.class === CLASS_IN && !isMetaType(query.type);
    const zone = isOurs ? this.#zones.zoneOf(query.name) : undefined;
    // Other names, other classes (version.bind among them), transfers (RFC 5936, section 2.2.1): not ours to answer.
    if (zone === undefined)
      return withRcode(query.type === TYPE.OPT || query.type === 0 ? RCODE.FORMERR : RCODE.REFUSED);
    const { config, counts, steering } = this.#options;
    return answerFrom({
      zone,
      query,
      writer: this.#writer,
      decide: () => {
        const subnet = config.client_subnet.enabled ? query.edns?.subnet : undefined;
        return steering.where((subnet && subnetAddress(subnet)) ?? address, now);
      },
      choose: (decision, type) => this.#chooser.choose(decision, type, config.max_addresses),
      ttlSeconds: Math.floor(config.ttl / 1_000),
      counts,
    });
  }

  /** RFC 7871, section 7.2.1. Of no address nothing can be said but that it holds for all (section 7.1.2). */
  #scopeOf({ family, sourcePrefix }: NonNullable<EdnsAnswer['subnet']>, { prefix }: Decision): number {
    const { max_scope_ipv4, max_scope_ipv6 } = this.#options.config.client_subnet;
    if (sourcePrefix === 0) return 0;
    return Math.min(prefix, family === 1 ? max_scope_ipv4 : max_scope_ipv6);
  }

  #mayAnswer({ query, client, isVerified, now }: Exchange, { kind, rcode }: Answer): boolean {
    const { rate_limit: limit } = this.#options.config;
    if (isVerified || !limit.enabled || this.#exempt.hasAddress(client)) return true;
    const isError = rcode !== RCODE.NOERROR || kind === KIND_ERROR;
    const perSecond = isError ? limit.errors : limit.answers;
    const kindOfType = isError ? kind : kind ^ (query.type << 16);
    return (
      this.#limiter.take(client, kindOfType, perSecond, now.monotonic) &&
      this.#limiter.take(client, KIND_TOTAL, limit.total, now.monotonic)
    );
  }

  /**
   * Answers one in `slip` rate-limited queries with a cookie (RFC 7873, section 5.2.3) or TC=1, so real clients can
   * retry.
   */
  #beyondLimit({ query, cookieState }: Exchange, edns: EdnsAnswer): Buffer | undefined {
    const { counts, config } = this.#options;
    this.#limited += 1;
    if (config.rate_limit.slip === 0 || this.#limited % config.rate_limit.slip !== 0) {
      counts.dropped.limit += 1;
      return undefined;
    }
    this.#writer.rewind(query.questionEnd);
    if (cookieState === 'new') {
      counts.cookies.bad += 1;
      return this.#finish(query, withRcode(RCODE.BADCOOKIE), edns);
    }
    counts.truncated.limit += 1;
    return this.#finish(query, { ...withRcode(RCODE.NOERROR), isTruncated: true }, edns);
  }

  #finish(query: Query, { rcode, isAuthoritative, isTruncated }: Answer, edns: EdnsAnswer): Buffer {
    const { counts, config } = this.#options;
    counts.answers.set(rcode, (counts.answers.get(rcode) ?? 0) + 1);
    if (query.edns !== undefined) this.#writer.edns(config.udp.max_answer, rcode >> 4, query.edns.dnssecOk, edns);
    const asked = query.message.readUInt16BE(2) & FLAG.RD;
    const flags = FLAG.QR | (query.opcode << 11) | (isAuthoritative ? FLAG.AA : 0) | (isTruncated ? FLAG.TC : 0);
    return this.#writer.end(flags | asked | (rcode & 15), query.questionEnd > HEADER_BYTES ? 1 : 0);
  }
}

function withRcode(rcode: Rcode): Answer {
  return { rcode, isAuthoritative: false, isTruncated: false, decision: undefined, kind: KIND_ERROR };
}

/** Types that are no data (RFC 6895, section 3.1), except for ANY. */
function isMetaType(type: number): boolean {
  return type === 0 || type === TYPE.OPT || (type >= 128 && type < TYPE.ANY);
}

function cookieSecrets({ cookies: { secret, previous_secret } }: DnsConfig, networkSecret: string): Uint8Array[] {
  const derived = () => new Uint8Array(hkdfSync('sha256', networkSecret, '', 'seawall dns cookies', 16));
  const first = secret === undefined ? derived() : Buffer.from(secret, 'hex');
  return previous_secret === undefined ? [first] : [first, Buffer.from(previous_secret, 'hex')];
}
