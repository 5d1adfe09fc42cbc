/**
 * Values of DNS records, from how people write them in zone files (RFC 1035,
 * section 5.1) to what goes over the wire.
 *
 * dns-packet makes the bytes of TXT, CAA, TLSA and SSHFP. What holds names is
 * put together here, so that the names can be compressed.
 * @module
 */
import { type Answer, encode } from 'dns-packet';
import ipaddr from 'ipaddr.js';
import { type NameKey, parseName } from './name.ts';
import { TYPE } from './numbers.ts';

/**
 * RDATA in pieces: bytes as they are, and names. A name may be compressed only
 * in the types of RFC 1035 (RFC 3597, section 4); in others it is bytes.
 */
export type RecordData = readonly (Uint8Array | { readonly name: NameKey })[];

interface RecordType {
  readonly type: number;
  /** Notation of a value. */
  readonly form: string;
  /** @returns `undefined` when the value is not of that form. */
  parse(value: string, origin: NameKey): RecordData | undefined;
}

const WORDS = /^\S+(?: +\S+)*$/;

/**
 * Record types that can be written by name under `records`; any other as TYPE123 with the value `\# LENGTH HEX` (RFC
 * 3597, section 5).
 */
export const RECORD_TYPES: Readonly<Record<string, RecordType>> = {
  A: { type: TYPE.A, form: '192.0.2.1', parse: (value) => addressBytes(value, 'ipv4') },
  AAAA: { type: TYPE.AAAA, form: '2001:db8::1', parse: (value) => addressBytes(value, 'ipv6') },
  CAA: { type: 257, form: '0 issue "ca.example.net"', parse: parseCaa },
  CNAME: { type: TYPE.CNAME, form: 'NAME', parse: parseTarget },
  DS: { type: 43, form: '60485 13 2 D4B7…', parse: parseDs },
  HTTPS: { type: 65, form: '\\# LENGTH HEX', parse: parseUnknown },
  MX: { type: TYPE.MX, form: '10 NAME', parse: parseMx },
  NS: { type: TYPE.NS, form: 'NAME', parse: parseTarget },
  PTR: { type: TYPE.PTR, form: 'NAME', parse: parseTarget },
  SRV: { type: TYPE.SRV, form: '10 60 5060 NAME', parse: parseSrv },
  SSHFP: { type: 44, form: '4 2 1D5A…', parse: parseSshfp },
  SVCB: { type: 64, form: '\\# LENGTH HEX', parse: parseUnknown },
  TLSA: { type: 52, form: '3 1 1 1D5A…', parse: parseTlsa },
  TXT: { type: TYPE.TXT, form: '"text"', parse: parseTxt },
};

/** @returns What is known of a type as written; `undefined` when it cannot stand in a zone. */
export function recordType(name: string): RecordType | undefined {
  if (Object.hasOwn(RECORD_TYPES, name)) return RECORD_TYPES[name];
  const number = Number(/^TYPE(\d{1,5})$/.exec(name)?.[1] ?? Number.NaN);
  // Neither those of meta information and questions (RFC 6895, section 3.1), nor those that Seawall knows or makes by
  // another name.
  const isData = number > 0 && number < 65_535 && (number < 128 || number > 255) && !NOT_BY_NUMBER.includes(number);
  return isData ? { type: number, form: '\\# LENGTH HEX', parse: parseUnknown } : undefined;
}

/** @returns The name of a type that is written as TYPE and its number, where `records` takes it by name only. */
export function nameOfType(written: string): string | undefined {
  const number = Number(/^TYPE(\d{1,5})$/.exec(written)?.[1]);
  return Object.entries(RECORD_TYPES).find(([, { type }]) => type === number)?.[0];
}

const NOT_BY_NUMBER: readonly number[] = [
  TYPE.SOA,
  TYPE.OPT,
  39, // DNAME would have to be acted upon
  ...Object.values(RECORD_TYPES).map(({ type }) => type),
];

function parseTarget(value: string, origin: NameKey): RecordData | undefined {
  const name = parseName(value, origin);
  return name === undefined ? undefined : [{ name }];
}

function parseMx(value: string, origin: NameKey): RecordData | undefined {
  const [preference, target, ...rest] = wordsOf(value);
  const number = numberOf(preference, 65_535);
  const name = parseName(target ?? '', origin);
  return number === undefined || name === undefined || rest.length > 0 ? undefined : [words16(number), { name }];
}

function parseSrv(value: string, origin: NameKey): RecordData | undefined {
  const words = wordsOf(value);
  const numbers = words.slice(0, 3).map((word) => numberOf(word, 65_535));
  const name = parseName(words[3] ?? '', origin);
  if (words.length !== 4 || name === undefined || !areNumbers(numbers)) return undefined;
  return [words16(...numbers), Buffer.from(name, 'latin1')]; // RFC 2782: "name compression is not to be used"
}

function parseTxt(value: string): RecordData | undefined {
  if (!/^[\t\x20-\x7e]*$/.test(value)) return undefined;
  const strings = value.startsWith('"') ? quotedStrings(value) : [Buffer.from(value, 'latin1')];
  if (strings === undefined) return undefined;
  const parts = strings.flatMap((string) => piecesOf(string, 255));
  return [encoded({ type: 'TXT', name: '.', data: parts })];
}

/** Characters of the value of a CAA record: printable, without quotes and backslashes. */
const CAA_CHARS = '[\\x21\\x23-\\x5b\\x5d-\\x7e](?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]*[\\x21\\x23-\\x5b\\x5d-\\x7e])?';
const CAA = new RegExp(`^(\\d{1,3}) +([a-z0-9]{1,15}) +(?:"(${CAA_CHARS}|)"|(${CAA_CHARS}))$`, 'i');

function parseCaa(value: string): RecordData | undefined {
  const match = CAA.exec(value);
  const flags = numberOf(match?.[1], 255);
  if (!match || flags === undefined) return undefined;
  const tag = (match[2] ?? '').toLowerCase(); // of any name (RFC 8659, section 4.1), whatever dns-packet's types say
  return [encoded({ type: 'CAA', name: '.', data: { flags, tag: tag as 'issue', value: match[3] ?? match[4] ?? '' } })];
}

function parseTlsa(value: string): RecordData | undefined {
  const [usage, selector, matchingType, certificate] = hexForm(value, [3, 1, 2]) ?? [];
  if (usage === undefined || selector === undefined || matchingType === undefined || !certificate) return undefined;
  return [encoded({ type: 'TLSA', name: '.', data: { usage, selector, matchingType, certificate } })];
}

function parseSshfp(value: string): RecordData | undefined {
  const [algorithm, hash, fingerprint] = hexForm(value, [255, 2]) ?? [];
  if (algorithm === undefined || !(fingerprint instanceof Buffer)) return undefined;
  if (typeof hash !== 'number' || fingerprint.length !== [0, 20, 32][hash]) return undefined;
  return [encoded({ type: 'SSHFP', name: '.', data: { algorithm, hash, fingerprint: fingerprint.toString('hex') } })];
}

function parseDs(value: string): RecordData | undefined {
  const [keyTag, algorithm, digestType, digest] = hexForm(value, [65_535, 255, 255]) ?? [];
  if (keyTag === undefined || algorithm === undefined || digestType === undefined || !digest) return undefined;
  return [words16(keyTag), Uint8Array.of(algorithm, digestType), digest];
}

function parseUnknown(value: string): RecordData | undefined {
  const [mark, length, ...hex] = wordsOf(value);
  const bytes = hexBytes(hex.join(''));
  const isRight = mark === '\\#' && bytes !== undefined && numberOf(length, 65_535) === bytes.length;
  return isRight ? [bytes] : undefined;
}

function addressBytes(value: string, kind: 'ipv4' | 'ipv6'): RecordData | undefined {
  const isAddress = kind === 'ipv4' ? ipaddr.IPv4.isValidFourPartDecimal(value) : ipaddr.IPv6.isValid(value);
  if (!isAddress || value.includes('%')) return undefined;
  return [Uint8Array.from(ipaddr.parse(value).toByteArray())];
}

function wordsOf(value: string): string[] {
  return WORDS.test(value) ? value.split(/ +/) : [];
}

function numberOf(word: string | undefined, max: number): number | undefined {
  if (word === undefined || !/^\d{1,5}$/.test(word)) return undefined;
  return Number(word) <= max ? Number(word) : undefined;
}

function areNumbers(list: readonly (number | undefined)[]): list is number[] {
  return !list.includes(undefined);
}

/** Numbers up to their bounds, then hexadecimal to the end. */
function hexForm<const Bounds extends readonly number[]>(
  value: string,
  bounds: Bounds,
): [...{ [K in keyof Bounds]: number }, Buffer] | undefined {
  const words = wordsOf(value);
  const numbers = bounds.map((max, index) => numberOf(words[index], max));
  const bytes = hexBytes(words.slice(bounds.length).join(''));
  if (!areNumbers(numbers) || bytes === undefined || bytes.length === 0) return undefined;
  return [...numbers, bytes] as unknown as [...{ [K in keyof Bounds]: number }, Buffer];
}

function hexBytes(hex: string): Buffer | undefined {
  return hex.length % 2 === 0 && /^[0-9a-f]*$/i.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

function words16(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 2);
  for (const [index, number] of numbers.entries()) bytes.writeUInt16BE(number, index * 2);
  return bytes;
}

/** `"one" "two"`, with `\"`, `\\` and `\DDD` (RFC 1035, section 5.1). */
function quotedStrings(value: string): Buffer[] | undefined {
  if (!/^"(?:[^"\\]|\\.)*"(?:[ \t]+"(?:[^"\\]|\\.)*")*[ \t]*$/.test(value)) return undefined;
  const strings = [...value.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => {
    let isRight = true;
    const plain = text.replace(/\\(\d{3}|.)/g, (_, code: string) => {
      if (!/^\d/.test(code)) return code;
      if (code.length !== 3 || Number(code) > 255) isRight = false;
      return String.fromCharCode(Number(code));
    });
    return isRight ? Buffer.from(plain, 'latin1') : undefined;
  });
  return strings.includes(undefined) ? undefined : (strings as Buffer[]);
}

/** At least one: a TXT record without any string is malformed. */
function piecesOf(bytes: Buffer, size: number): Buffer[] {
  if (bytes.length === 0) return [bytes];
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

/**
 * In a message with nothing else: the header of 12 bytes, the root's name, type, class, TTL and length stand in front.
 */
function encoded(answer: Answer): Uint8Array {
  return encode({ type: 'response', answers: [answer] }).subarray(12 + 1 + 10);
}
