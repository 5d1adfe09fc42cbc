/**
 * A query as it comes from outside, read strictly: one question, nothing that
 * a query has no use for, every length within the message, not a byte too many.
 *
 * dns-packet is not used here. It reads every record into objects, follows
 * compression pointers, takes names for UTF-8 (so two different names can look
 * the same), leaves bytes behind the last record unread, and throws for what is
 * malformed without saying how far it came, when the answer has to repeat the question.
 *
 *     header  id 2 | flags 2 | QDCOUNT 2 | ANCOUNT 2 | NSCOUNT 2 | ARCOUNT 2
 *     question  name | type 2 | class 2
 *     record    name | type 2 | class 2 | TTL 4 | RDLENGTH 2 | RDATA
 * @module
 */

import { keyOfBytes, type NameKey, ROOT } from '../../lib/dns/name.ts';
import { FLAG, HEADER_BYTES, MAX_NAME_BYTES, RCODE, type Rcode, TYPE } from '../../lib/dns/numbers.ts';
import { type Edns, readOptions } from './edns.ts';

export interface Query {
  readonly message: Buffer;
  readonly opcode: number;
  /** One past the question; `HEADER_BYTES` when none could be read, or there is none. */
  readonly questionEnd: number;
  readonly name: NameKey;
  /** Length of `name` in the message. */
  readonly nameBytes: number;
  readonly type: number;
  readonly class: number;
  /** EDNS options of the query; `undefined` if absent or malformed. */
  readonly edns: Edns | undefined;
  /** Error to answer with, alone; NOERROR if the query is valid. */
  readonly rcode: Rcode;
}

/** EDNS, a signature (TSIG, SIG(0)), and room for what may come; a query with more means no good. */
const MAX_ADDITIONAL_RECORDS = 4;

/** @returns `undefined` for what gets no answer at all: no header, or no query. */
export function readQuery(message: Buffer): Query | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  // An answer to an answer would be the beginning of a loop.
  if ((flags & FLAG.QR) !== 0) return undefined;
  const opcode = (flags >> 11) & 15;
  if (opcode !== 0) return unanswerable(message, opcode, RCODE.NOTIMP);

  const questions = message.readUInt16BE(4);
  if (questions > 1) return unanswerable(message, opcode, RCODE.FORMERR); // RFC 9619
  let nameEnd = HEADER_BYTES;
  if (questions === 1) {
    nameEnd = plainNameEnd(message, HEADER_BYTES);
    if (nameEnd < 0 || nameEnd + 4 > message.length) return unanswerable(message, opcode, RCODE.FORMERR);
  }
  const hasQuestion = questions === 1;
  const questionEnd = hasQuestion ? nameEnd + 4 : HEADER_BYTES;
  const type = hasQuestion ? message.readUInt16BE(nameEnd) : 0;
  const additional = readAdditional(message, questionEnd, type);
  const edns = typeof additional === 'object' ? additional : undefined;
  let rcode: Rcode = additional === 'malformed' ? RCODE.FORMERR : (edns?.rcode ?? RCODE.NOERROR);
  // RFC 7873, section 5.4: no question, but a cookie, asks for a cookie of ours.
  if (!hasQuestion && edns?.cookie === undefined) rcode = RCODE.FORMERR;
  return {
    message,
    opcode,
    questionEnd,
    name: hasQuestion ? keyOfBytes(message, HEADER_BYTES, nameEnd) : ROOT,
    nameBytes: nameEnd - HEADER_BYTES,
    type,
    class: hasQuestion ? message.readUInt16BE(nameEnd + 2) : 0,
    edns,
    rcode,
  };
}

function unanswerable(message: Buffer, opcode: number, rcode: Rcode): Query {
  const questionEnd = HEADER_BYTES;
  return { message, opcode, questionEnd, name: ROOT, nameBytes: 0, type: 0, class: 0, edns: undefined, rcode };
}

/** @returns One past an uncompressed name, or -1. */
function plainNameEnd(message: Buffer, start: number): number {
  const limit = Math.min(message.length, start + MAX_NAME_BYTES);
  let at = start;
  while (at < limit) {
    const length = message[at] as number;
    if (length === 0) return at + 1;
    if (length > 63) return -1; // a pointer, in the first name of a message, can only point at nonsense
    at += 1 + length;
  }
  return -1;
}

/** Goes through what stands behind the question. */
function readAdditional(message: Buffer, start: number, type: number): Edns | 'none' | 'malformed' {
  const answers = message.readUInt16BE(6);
  const authorities = message.readUInt16BE(8);
  const additionals = message.readUInt16BE(10);
  // A transfer names the version that it has in the authority section (RFC 1995, section 3).
  if (answers !== 0 || authorities > (type === TYPE.IXFR ? 1 : 0)) return 'malformed';
  if (additionals > MAX_ADDITIONAL_RECORDS) return 'malformed';

  let at = start;
  let edns: Edns | undefined;
  for (let left = authorities + additionals; left > 0; left -= 1) {
    const nameEnd = recordNameEnd(message, at);
    if (nameEnd < 0 || nameEnd + 10 > message.length) return 'malformed';
    const dataEnd = nameEnd + 10 + message.readUInt16BE(nameEnd + 8);
    if (dataEnd > message.length) return 'malformed';
    if (message.readUInt16BE(nameEnd) === TYPE.OPT) {
      // RFC 6891, section 6.1.1: one of them, in the additional section, of the root.
      if (edns !== undefined || left > additionals || nameEnd !== at + 1) return 'malformed';
      edns = readOptions(message, nameEnd + 2, dataEnd);
    }
    at = dataEnd;
  }
  return at === message.length ? (edns ?? 'none') : 'malformed';
}

/** @returns One past a name that may end in a pointer to something before it, or -1. These names are not read. */
function recordNameEnd(message: Buffer, start: number): number {
  const limit = Math.min(message.length, start + MAX_NAME_BYTES);
  let at = start;
  while (at < limit) {
    const length = message[at] as number;
    if (length === 0) return at + 1;
    if (length >= 0xc0) {
      if (at + 2 > message.length) return -1;
      const target = message.readUInt16BE(at) & 0x3fff;
      return target >= HEADER_BYTES && target < start ? at + 2 : -1;
    }
    if (length > 63) return -1;
    at += 1 + length;
  }
  return -1;
}
