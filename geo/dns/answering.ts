/**
 * Answers a question from a zone (RFC 1034, section 4.3.2): records, a chain of aliases, a referral, or a negative
 * answer.
 * @module
 */

import type { RecordSet } from '../../config/dns/zone-content.ts';
import { isWithin, type NameKey } from '../../lib/dns/name.ts';
import { RCODE, type Rcode, TYPE } from '../../lib/dns/numbers.ts';
import type { Decision } from '../steering.ts';
import type { DnsCounts } from './metrics.ts';
import type { Query } from './query.ts';
import type { Choice } from './steered.ts';
import { type Anchor, type AnswerWriter, pointerAt, pointerTo } from './writer.ts';
import type { Zone, ZoneName } from './zone.ts';

export interface Question {
  readonly zone: Zone;
  readonly query: Query;
  /** Writer of the answer, with its header already written. */
  readonly writer: AnswerWriter;
  /** Picks the region for the visitor. */
  readonly decide: () => Decision;
  readonly choose: (decision: Decision, type: number) => Choice | undefined;
  /** TTL of steered addresses. */
  readonly ttlSeconds: number;
  readonly counts: DnsCounts;
}

export interface Answer {
  readonly rcode: Rcode;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  /** Steering decision that the answer depends on; `undefined` if the answer is the same for every client. */
  readonly decision: Decision | undefined;
  /** Tells it from answers to others' questions, for limits. */
  readonly kind: number;
}

/** Aliases that lead to aliases; the resolver continues from the last one. */
const MAX_ALIASES = 8;
/** RFC 8482, section 4.2: what there is instead of everything. */
const MINIMAL_ANY: RecordSet = {
  type: TYPE.HINFO,
  ttlSeconds: 3_600,
  data: [[Buffer.from('\x07RFC8482\x00', 'latin1')]],
};
const DS = 43;

/** Writes the answer; a truncated one has nothing but the question (RFC 2181, section 9). */
export function answerFrom(question: Question): Answer {
  const answer = new Answerer(question).answer();
  if (answer.isTruncated) question.writer.rewind(question.query.questionEnd);
  return answer;
}

class Answerer {
  readonly #question: Question;
  readonly #anchor: Anchor;
  /** Pointer to the name that is looked for: the question's, or where an alias leads. */
  #owner: number;
  #decision: Decision | undefined;

  constructor(question: Question) {
    this.#question = question;
    this.#anchor = { apex: question.zone.apex, nameBytes: question.query.nameBytes };
    this.#owner = pointerTo(question.query.nameBytes, question.query.nameBytes);
  }

  answer(): Answer {
    const { zone, query } = this.#question;
    let name = query.name;
    for (let aliases = 0; ; aliases += 1) {
      const found = zone.lookup(name);
      if (found.kind === 'missing') return this.#nothing(RCODE.NXDOMAIN, -zone.id, zone.negativeTtlSeconds);
      if (found.kind === 'handed-on') return this.#handedOn(found.cut, name, aliases);
      const alias = query.type === TYPE.CNAME ? undefined : found.name.sets.get(TYPE.CNAME);
      if (alias === undefined) return this.#found(found.name);
      const start = this.#question.writer.offset;
      if (!this.#write('answers', this.#owner, alias)) return this.#truncated(found.name.id);
      const target = targetOf(alias);
      if (target === undefined || !isWithin(target, zone.apex) || aliases === MAX_ALIASES) {
        return this.#done(RCODE.NOERROR, found.name.id);
      }
      this.#owner = pointerAt(start + RDATA_OFFSET);
      name = target;
    }
  }

  #found(name: ZoneName): Answer {
    const { zone, query } = this.#question;
    const { type } = query;
    if (name.isSteered && (type === TYPE.A || type === TYPE.AAAA)) return this.#steered(name);
    const isAny = type === TYPE.ANY && (name.isSteered || name.sets.size > 0);
    const set = isAny ? MINIMAL_ANY : name.sets.get(type);
    if (set === undefined) return this.#nothing(RCODE.NOERROR, name.id, zone.negativeTtlSeconds);
    if (!this.#write('answers', this.#owner, set)) return this.#truncated(name.id);
    if (type === TYPE.NS) this.#addGlue(set);
    return this.#done(RCODE.NOERROR, name.id);
  }

  #steered(name: ZoneName): Answer {
    const { query, writer, zone, counts, ttlSeconds, decide, choose } = this.#question;
    this.#decision = decide();
    const choice = choose(this.#decision, query.type);
    // No region to answer with: another name server may know better, and a negative answer would be kept.
    if (choice === undefined) return this.#done(RCODE.SERVFAIL, name.id);
    const { region, addresses, isLastResort } = choice;
    counts.regions.set(region.name, (counts.regions.get(region.name) ?? 0) + 1);
    if (isLastResort) counts.lastResort += 1;
    if (addresses.length === 0) {
      return this.#nothing(RCODE.NOERROR, name.id, Math.min(zone.negativeTtlSeconds, ttlSeconds));
    }
    for (const bytes of addresses) {
      if (!writer.address(this.#owner, query.type, ttlSeconds, bytes)) return this.#truncated(name.id);
    }
    writer.count('answers', addresses.length);
    return this.#done(RCODE.NOERROR, name.id);
  }

  /**
   * No such name, or nothing of the type: with the SOA, whose TTL says how long that may be kept (RFC 2308, section 3).
   */
  #nothing(rcode: Rcode, kind: number, ttlSeconds: number): Answer {
    const { soa } = this.#question.zone;
    if (!this.#write('authorities', this.#apexPointer(), soa, ttlSeconds)) return this.#truncated(kind);
    return this.#done(rcode, kind);
  }

  #handedOn(cut: ZoneName, name: NameKey, aliases: number): Answer {
    const { query, zone } = this.#question;
    // What is said of the cut itself is on this side (RFC 4035, section 3.1.4.1).
    if (query.type === DS && name === cut.key) {
      const set = cut.sets.get(DS);
      if (set === undefined) return this.#nothing(RCODE.NOERROR, cut.id, zone.negativeTtlSeconds);
      return this.#write('answers', this.#owner, set) ? this.#done(RCODE.NOERROR, cut.id) : this.#truncated(cut.id);
    }
    const servers = cut.sets.get(TYPE.NS);
    const owner = aliases === 0 ? pointerTo(query.nameBytes, cut.key.length) : cut.key;
    // Without the addresses of servers that are below the cut it leads nowhere (RFC 9471, section 3.1).
    const isWhole = servers !== undefined && this.#write('authorities', owner, servers) && this.#addGlue(servers);
    if (!isWhole) return this.#truncated(cut.id);
    return { ...this.#done(RCODE.NOERROR, cut.id), isAuthoritative: aliases > 0 };
  }

  /** @returns Whether all there was found room. */
  #addGlue(servers: RecordSet): boolean {
    const { zone, writer } = this.#question;
    for (const data of servers.data) {
      const [target] = data;
      const server = target !== undefined && 'name' in target ? zone.glueOf(target.name) : undefined;
      for (const type of [TYPE.A, TYPE.AAAA]) {
        const set = server?.sets.get(type);
        if (server === undefined || set === undefined) continue;
        const count = writer.set(server.key, set, undefined, this.#anchor);
        if (count < 0) return false;
        writer.count('additionals', count);
      }
    }
    return true;
  }

  #write(section: 'answers' | 'authorities', owner: number | NameKey, set: RecordSet, ttlSeconds?: number): boolean {
    const { writer } = this.#question;
    const count = writer.set(owner, set, ttlSeconds, this.#anchor);
    if (count >= 0) writer.count(section, count);
    return count >= 0;
  }

  #apexPointer(): number {
    return pointerTo(this.#anchor.nameBytes, this.#anchor.apex.length);
  }

  #done(rcode: Rcode, kind: number): Answer {
    return { rcode, isAuthoritative: true, isTruncated: false, decision: this.#decision, kind };
  }

  #truncated(kind: number): Answer {
    return { ...this.#done(RCODE.NOERROR, kind), isTruncated: true };
  }
}

/** Behind an owner's name that is a pointer: type, class, TTL, length. */
const RDATA_OFFSET = 2 + 10;

function targetOf({ data: [data] }: RecordSet): NameKey | undefined {
  const target = data?.[0];
  return target !== undefined && 'name' in target ? target.name : undefined;
}
