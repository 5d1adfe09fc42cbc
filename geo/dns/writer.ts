/**
 * Writes an answer, never past the bound of its transport.
 *
 * Every name in an answer ends in the zone's, and the question, whose bytes are
 * repeated as they came (so that its mixture of capitals comes back), ends in
 * that too: one pointer to it compresses nearly all there is (RFC 1035, section 4.1.4).
 * @module
 */

import type { RecordSet } from '../../config/dns/zone-content.ts';
import { isWithin, type NameKey } from '../../lib/dns/name.ts';
import { CLASS_IN, HEADER_BYTES, MAX_MESSAGE_BYTES, OPTION, TYPE } from '../../lib/dns/numbers.ts';
import type { RecordData } from '../../lib/dns/record-data.ts';
import type { ClientSubnet } from './edns.ts';
import type { Query } from './query.ts';

/** Position in the message that a compressed name can point to. */
export interface Anchor {
  /** The zone's name, which the question ends in. */
  readonly apex: NameKey;
  /** Length of the question's name. */
  readonly nameBytes: number;
}

const POINTER = 0xc000;

export class AnswerWriter {
  readonly #buffer = Buffer.alloc(MAX_MESSAGE_BYTES);
  #at = 0;
  #limit = 0;
  #answers = 0;
  #authorities = 0;
  #additionals = 0;

  /**
   * Starts with header and question.
   *
   * @param maxBytes - At least 512: there is room for the question and all options.
   * @param reserved - Bytes to keep for what {@link edns} writes.
   */
  begin({ message, questionEnd }: Query, maxBytes: number, reserved: number): void {
    message.copy(this.#buffer, 0, 0, 2);
    message.copy(this.#buffer, HEADER_BYTES, HEADER_BYTES, questionEnd);
    this.#at = questionEnd;
    this.#limit = maxBytes - reserved;
    this.#answers = 0;
    this.#authorities = 0;
    this.#additionals = 0;
  }

  /**
   * One record with the owner's name as `owner`: see {@link pointerTo}, or a name that is written out.
   * @returns Whether there was room for it.
   */
  record(owner: number | NameKey, type: number, ttlSeconds: number, data: RecordData, anchor: Anchor): boolean {
    const start = this.#at;
    if (typeof owner === 'number' ? !this.#word(owner) : !this.#name(owner, anchor)) return this.#undo(start);
    if (this.#at + 10 > this.#limit) return this.#undo(start);
    this.#recordHead(type, ttlSeconds);
    const lengthAt = this.#at - 2;
    for (const piece of data) {
      const fits = 'name' in piece ? this.#name(piece.name, anchor) : this.#bytes(piece);
      if (!fits) return this.#undo(start);
    }
    this.#buffer.writeUInt16BE(this.#at - lengthAt - 2, lengthAt);
    return true;
  }

  /** All records of a set, or none. @returns How many; -1 when there is no room. */
  set(owner: number | NameKey, { type, ttlSeconds, data }: RecordSet, ttl: number | undefined, anchor: Anchor): number {
    const start = this.#at;
    for (const one of data) {
      if (!this.record(owner, type, ttl ?? ttlSeconds, one, anchor)) {
        this.#at = start;
        return -1;
      }
    }
    return data.length;
  }

  /** An A or AAAA record. @returns Whether there was room for it. */
  address(owner: number, type: number, ttlSeconds: number, bytes: Uint8Array): boolean {
    if (this.#at + 12 + bytes.length > this.#limit) return false;
    this.#word(owner);
    this.#recordHead(type, ttlSeconds);
    this.#buffer.writeUInt16BE(bytes.length, this.#at - 2);
    return this.#bytes(bytes);
  }

  /** Forgets everything behind the question. */
  rewind(questionEnd: number): void {
    this.#at = questionEnd;
    this.#answers = 0;
    this.#authorities = 0;
    this.#additionals = 0;
  }

  /** Offset at which the next record will begin, to pass to {@link pointerTo}. */
  get offset(): number {
    return this.#at;
  }

  count(section: 'answers' | 'authorities' | 'additionals', records: number): void {
    if (section === 'answers') this.#answers += records;
    else if (section === 'authorities') this.#authorities += records;
    else this.#additionals += records;
  }

  /** The OPT record (RFC 6891, section 6.1.2), which has its room already. */
  edns(udpBytes: number, extendedRcode: number, dnssecOk: boolean, options: EdnsAnswer): void {
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at] = 0;
    buffer.writeUInt16BE(TYPE.OPT, at + 1);
    buffer.writeUInt16BE(udpBytes, at + 3);
    buffer.writeUInt32BE(extendedRcode * 2 ** 24 + (dnssecOk ? 0x8000 : 0), at + 5);
    const lengthAt = at + 9;
    at += 11;
    if (options.subnet !== undefined) {
      const { family, sourcePrefix, bytes } = options.subnet;
      at = this.#option(at, OPTION.CLIENT_SUBNET, 4 + bytes.length);
      buffer.writeUInt16BE(family, at);
      buffer[at + 2] = sourcePrefix;
      buffer[at + 3] = options.scopePrefix;
      buffer.set(bytes, at + 4);
      at += 4 + bytes.length;
    }
    if (options.cookieBytes > 0) {
      at = this.#option(at, OPTION.COOKIE, options.cookieBytes);
      options.writeCookie(buffer, at);
      at += options.cookieBytes;
    }
    if (options.keepAliveMs !== undefined) {
      at = this.#option(at, OPTION.TCP_KEEPALIVE, 2);
      // RFC 7828, section 3.1: in units of 100 ms.
      buffer.writeUInt16BE(Math.min(65_535, Math.floor(options.keepAliveMs / 100)), at);
      at += 2;
    }
    buffer.writeUInt16BE(at - lengthAt - 2, lengthAt);
    this.#at = at;
    this.#additionals += 1;
  }

  /** @returns The whole answer, in memory of its own. */
  end(flags: number, questions: number): Buffer {
    const buffer = this.#buffer;
    buffer.writeUInt16BE(flags, 2);
    buffer.writeUInt16BE(questions, 4);
    buffer.writeUInt16BE(this.#answers, 6);
    buffer.writeUInt16BE(this.#authorities, 8);
    buffer.writeUInt16BE(this.#additionals, 10);
    return Buffer.from(buffer.subarray(0, this.#at));
  }

  #option(at: number, code: number, length: number): number {
    this.#buffer.writeUInt16BE(code, at);
    this.#buffer.writeUInt16BE(length, at + 2);
    return at + 4;
  }

  #recordHead(type: number, ttlSeconds: number): void {
    this.#buffer.writeUInt16BE(type, this.#at);
    this.#buffer.writeUInt16BE(CLASS_IN, this.#at + 2);
    this.#buffer.writeUInt32BE(ttlSeconds, this.#at + 4);
    this.#at += 10;
  }

  #name(name: NameKey, { apex, nameBytes }: Anchor): boolean {
    if (!isWithin(name, apex)) return this.#text(name);
    return this.#text(name.slice(0, name.length - apex.length)) && this.#word(pointerTo(nameBytes, apex.length));
  }

  #text(text: string): boolean {
    if (this.#at + text.length > this.#limit) return false;
    this.#at += this.#buffer.write(text, this.#at, 'latin1');
    return true;
  }

  #bytes(bytes: Uint8Array): boolean {
    if (this.#at + bytes.length > this.#limit) return false;
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
    return true;
  }

  #word(value: number): boolean {
    if (this.#at + 2 > this.#limit) return false;
    this.#buffer.writeUInt16BE(value, this.#at);
    this.#at += 2;
    return true;
  }

  #undo(start: number): false {
    this.#at = start;
    return false;
  }
}

/** OPT record of an answer. */
export interface EdnsAnswer {
  readonly subnet: ClientSubnet | undefined;
  readonly scopePrefix: number;
  /** 0: no cookie. */
  readonly cookieBytes: number;
  writeCookie(out: Buffer, at: number): void;
  readonly keepAliveMs: number | undefined;
}

/** @returns Bytes that {@link AnswerWriter.edns} takes. */
export function ednsBytes({ subnet, cookieBytes, keepAliveMs }: EdnsAnswer): number {
  const subnetBytes = subnet === undefined ? 0 : 8 + subnet.bytes.length;
  return 11 + subnetBytes + (cookieBytes > 0 ? 4 + cookieBytes : 0) + (keepAliveMs === undefined ? 0 : 6);
}

/** @returns A pointer to the last `suffixBytes` bytes of the question's name. */
export function pointerTo(nameBytes: number, suffixBytes: number): number {
  return POINTER | (HEADER_BYTES + nameBytes - suffixBytes);
}

/** @returns A pointer to a name that was written at an offset. */
export function pointerAt(offset: number): number {
  return POINTER | offset;
}
