/**
 * The fields that a proxy removes, adds or believes when it passes a message
 * on: hop-by-hop fields, Via, CDN-Loop, and who the visitor is.
 * @module
 */
import { isIP, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { asCgiReadsIt, fieldFacts, HOP_BY_HOP, isEndToEnd, isUntrusted } from './forwarding-fields.ts';
import {
  fieldLines,
  fieldValue,
  hasField,
  listMembers,
  lowerCase,
  type RawHeaders,
  TOKEN_CHARS,
  trimOws,
  withField,
  withoutFields,
} from './headers.ts';

/**
 * The message without what was meant for this connection only (RFC 9110,
 * section 7.6.1): the fields that Connection names, and those that must not be
 * forwarded even where it does not name them.
 *
 * A name that {@link isEndToEnd} knows stays, whatever Connection says.
 *
 * @param hopByHop - Fields that go though Connection does not name them: those of HTTP, or these and others.
 */
export function removeHopByHop(headers: RawHeaders, hopByHop: ReadonlySet<string> = HOP_BY_HOP): RawHeaders {
  const isOfHttp = hopByHop === HOP_BY_HOP;
  const kept = isOfHttp ? withoutFieldsWhere(headers, isHopByHop) : withoutFields(headers, hopByHop);
  if (kept === headers) return headers; // nor is there a Connection
  const connection = fieldValue(headers, 'connection');
  if (connection === undefined || NAMES_NOTHING.test(connection)) return kept;
  const named = listMembers(connection).map((option) => option.toLowerCase());
  return withoutFields(headers, new Set([...hopByHop, ...named.filter((name) => !isEndToEnd(name))]));
}

/** Usual values of Connection, which name no field. */
const NAMES_NOTHING = /^(?:keep-alive|close)$/i;

/**
 * Notes a protocol step in Via (RFC 9110, section 7.6.3). Changes `headers`.
 *
 * @param version - Of the message as it was received: `1.1`.
 * @param pseudonym - The name of this network; never a real host, as it is public.
 */
export function appendVia(headers: string[], version: string, pseudonym: string): void {
  appendMember(headers, 'Via', `${version} ${pseudonym}`);
}

/** Notes in CDN-Loop that the request has been here (RFC 8586, section 2). Changes `headers`. */
export function appendCdnLoop(headers: string[], id: string): void {
  appendMember(headers, 'CDN-Loop', id);
}

/** @returns Whether the request has been here before (RFC 8586). The id is compared without case. */
export function hasCdnLoop(headers: RawHeaders, id: string): boolean {
  const wanted = id.toLowerCase();
  return fieldLines(headers, 'cdn-loop').some((line) =>
    everyCommaMember(line).some((member) => trimOws(member.split(';', 1)[0] as string).toLowerCase() === wanted),
  );
}

/** Addresses that a request came through to this node. */
export interface VisitorAddress {
  /** The other end of the connection: the visitor's, or that of the trusted proxy in between. */
  readonly ip: string;
  readonly proto: 'http' | 'https';
  /** Host and port as asked for. */
  readonly host: string;
}

/** Senders that a proxy in front reports, from left to right, in both of the forms that servers read. */
export interface Chain {
  /** Members of X-Forwarded-For: addresses in canonical form, or `unknown`. */
  readonly addresses: readonly string[];
  /** Elements of Forwarded. */
  readonly elements: readonly string[];
}

export const NO_CHAIN: Chain = { addresses: [], elements: [] };

/**
 * Tells the next server who asked: Forwarded (RFC 7239) and its forerunners
 * X-Forwarded-For, -Proto and -Host. Changes `headers`.
 *
 * @param chain - What a proxy that is believed reports; it is continued. Nothing else of what came in survives.
 */
export function setForwarded(headers: string[], visitor: VisitorAddress, chain: Chain): void {
  removeFieldsWhere(headers, isForwardedField);
  const ip = canonicalAddress(visitor.ip);
  const element = forwardedElement(ip, visitor);
  headers.push('Forwarded', [...chain.elements, element].join(', '));
  headers.push('X-Forwarded-For', [...chain.addresses, ip].join(', '));
  headers.push('X-Forwarded-Proto', visitor.proto, 'X-Forwarded-Host', visitor.host);
}

function forwardedElement(ip: string, { host, proto }: VisitorAddress): string {
  return `for=${forwardedNode(ip)};host=${tokenOrQuoted(host)};proto=${proto}`;
}

/** Fields that `setForwarded` writes, and whose values `withForwarded` changes. */
export const DIFFER_BY_VISITOR: ReadonlySet<string> = new Set(['Forwarded', 'X-Forwarded-For']);

/**
 * Puts another visitor in the place of the one that `setForwarded` wrote, trusting no sender.
 *
 * @param visitor - Who asks by the same scheme for the same host.
 */
export function withForwarded(headers: RawHeaders, visitor: VisitorAddress): string[] {
  const ip = canonicalAddress(visitor.ip);
  const changed = [...headers];
  for (let i = 0; i < changed.length; i += 2) {
    if (changed[i] === 'Forwarded') changed[i + 1] = forwardedElement(ip, visitor);
    else if (changed[i] === 'X-Forwarded-For') changed[i + 1] = ip;
  }
  return changed;
}

/**
 * The request's headers without those that no visitor may set for the origin:
 * an origin trusts them, and the cache key does not contain them, so that one
 * visitor could decide what all others are served.
 *
 * @param allowed - Names, in lower case, that the site lets through.
 */
export function stripUntrusted(headers: RawHeaders, allowed: ReadonlySet<string> = NONE): string[] {
  const kept = headers.slice();
  removeFieldsWhere(kept, (name) => isUntrusted(name) && !allowed.has(lowerCase(name)));
  return kept;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Another method than that of the request line, which a field asks for and the
 * site does not allow: without the field the origin would do something else than
 * the client means (an editor's DELETE would become a POST).
 */
export function refusedOverride(
  method: string,
  headers: RawHeaders,
  allowed: ReadonlySet<string> = NONE,
): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!fieldFacts(name).isMethodOverride || allowed.has(lowerCase(name))) continue;
    const wanted = trimOws(headers[i + 1] as string);
    if (wanted !== '' && wanted.toUpperCase() !== method) return wanted;
  }
  return undefined;
}

/** Fields by which a proxy reports its senders. */
export type ReportField = 'x-forwarded-for' | 'forwarded';

/**
 * Senders as a trusted proxy reports them. Only one field counts, in both of the
 * forms that are passed on (RFC 7239, section 7.4: the other one is translated):
 * a proxy that writes one of the two passes on the other as its visitor sent it.
 *
 * @param field - The one that the proxy writes; by default X-Forwarded-For, or Forwarded where there is none.
 */
export function reportedChain(headers: RawHeaders, field?: ReportField): Chain {
  const listed = field === 'forwarded' ? undefined : fieldValue(headers, 'x-forwarded-for');
  if (listed !== undefined) return chainOf(everyCommaMember(listed).map((text) => parseNode(text) ?? UNKNOWN));
  if (field === 'x-forwarded-for') return NO_CHAIN;
  const all = everyCommaMember(fieldValue(headers, 'forwarded') ?? '');
  // What stands left of an element that cannot be read came from farther away still, and could swallow our own.
  const elements = all.slice(all.findLastIndex((element) => forwardedPairs(element) === undefined) + 1);
  return { addresses: elements.map((text) => parseForwardedFor(text) ?? UNKNOWN), elements };
}

/** @param addresses - In canonical form, or `unknown`. */
export function chainOf(addresses: readonly string[]): Chain {
  return { addresses, elements: addresses.map((ip) => `for=${forwardedNode(ip)}`) };
}

/**
 * The visitor's address: the nearest one that we do not trust to report others.
 * Walks the chain from the right; what is not an address ends the walk.
 *
 * @param socketAddress - The other end of the connection.
 * @returns The address in its canonical form (RFC 5952), IPv4 never mapped into IPv6.
 */
export function clientAddress(socketAddress: string, { addresses }: Chain, trusted: (ip: string) => boolean): string {
  let address = canonicalAddress(socketAddress);
  for (let i = addresses.length - 1; i >= 0 && trusted(address); i--) {
    const sender = addresses[i] as string;
    if (sender === UNKNOWN) return address;
    address = sender;
  }
  return address;
}

/**
 * The scheme that a proxy in front of us says it was asked with: the nearest
 * member of X-Forwarded-Proto; or of Forwarded, where the proxy writes no
 * X-Forwarded-For that would show it to write the other fields.
 *
 * @param believed - Headers that a trusted proxy sent.
 * @param field - As of {@link reportedChain}.
 */
export function claimedScheme(believed: RawHeaders, field?: ReportField): 'http' | 'https' | undefined {
  const listed = field === 'forwarded' ? undefined : fieldValue(believed, 'x-forwarded-proto');
  const isOld = field === 'x-forwarded-for' || (field === undefined && hasField(believed, 'x-forwarded-for'));
  const element = isOld ? undefined : everyCommaMember(fieldValue(believed, 'forwarded') ?? '').at(-1);
  const nearest = everyCommaMember(listed ?? '').at(-1);
  const scheme = (nearest ?? (element && forwardedPairs(element)?.get('proto')))?.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : undefined;
}

/**
 * Counts a hop of OPTIONS down (RFC 9110, section 7.6.2).
 *
 * @returns The fields that go on, or `undefined` where the request must not go on.
 */
export function withoutHop(method: string, headers: RawHeaders): RawHeaders | undefined {
  const left = method === 'OPTIONS' ? fieldValue(headers, 'max-forwards') : undefined;
  if (left === undefined || !/^\d{1,9}$/.test(left)) return headers;
  return Number(left) === 0 ? undefined : withField(headers, 'Max-Forwards', String(Number(left) - 1));
}

/** Returns whether the field names the sender, which `setForwarded` writes anew for each visitor. */
export function isForwardedField(name: string): boolean {
  return fieldFacts(name).isForwarded;
}

function isHopByHop(name: string): boolean {
  return fieldFacts(name).isHopByHop;
}

/** @returns The headers without those that CGI takes for one of the names, which are in its spelling. */
export function withoutFieldsLike(headers: RawHeaders, names: ReadonlySet<string>): string[] {
  const kept = headers.slice();
  removeFieldsWhere(kept, (name) => names.has(asCgiReadsIt(name)));
  return kept;
}

/** @returns The same array where it has none of them. */
function withoutFieldsWhere(headers: RawHeaders, isUnwanted: (name: string) => boolean): RawHeaders {
  for (let i = 0; i < headers.length; i += 2) {
    if (!isUnwanted(headers[i] as string)) continue;
    const kept = headers.slice();
    removeFieldsWhere(kept, isUnwanted, i);
    return kept;
  }
  return headers;
}

/** Changes `headers`. @param first - Index of a field before which none goes. */
function removeFieldsWhere(headers: string[], isUnwanted: (name: string) => boolean, first = 0): void {
  let kept = first;
  for (let i = first; i < headers.length; i += 2) {
    if (isUnwanted(headers[i] as string)) continue;
    if (kept < i) {
      headers[kept] = headers[i] as string;
      headers[kept + 1] = headers[i + 1] as string;
    }
    kept += 2;
  }
  headers.length = kept;
}

/** Adds to the last line of the field, or makes one (RFC 9110, section 5.3: the two say the same). */
function appendMember(headers: string[], name: string, member: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (lowerCase(headers[i] as string) !== lowerCase(name)) continue;
    headers[i + 1] = headers[i + 1] === '' ? member : `${headers[i + 1]}, ${member}`;
    return;
  }
  headers.push(name, member);
}

/**
 * Splits at every comma, quoted or not. A visitor who opens a quoted string and
 * does not close it (`CDN-Loop: x; a="`) would otherwise hide all that proxies
 * append after it. What is read here, ids and addresses, contains no comma.
 */
function everyCommaMember(value: string): string[] {
  return value
    .split(',')
    .map(trimOws)
    .filter((member) => member !== '');
}

/** RFC 7239, section 6.2. */
const UNKNOWN = 'unknown';

/** RFC 7239, section 6: IPv6 in brackets, and quoted because of them. */
function forwardedNode(ip: string): string {
  if (isIPv6(ip)) return `"[${ip}]"`;
  return isIP(ip) === 0 ? UNKNOWN : ip;
}

function tokenOrQuoted(text: string): string {
  return TOKEN.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const TOKEN = new RegExp(`^${TOKEN_CHARS}$`);
/** RFC 7239, section 4: `name=value`, the value a token or a quoted string. */
const FORWARDED_PAIR = new RegExp(`^(${TOKEN_CHARS})=(?:(${TOKEN_CHARS})|"((?:[^"\\\\]|\\\\.)*)")$`);

/** The pairs of one element, by name in lower case; `undefined` if it is malformed. */
function forwardedPairs(element: string): Map<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (const text of element.split(';').map(trimOws)) {
    if (text === '') continue;
    const match = FORWARDED_PAIR.exec(text);
    if (match === null) return undefined;
    const name = (match[1] as string).toLowerCase();
    if (pairs.has(name)) return undefined; // section 4: "MUST NOT occur more than once per field-value element"
    pairs.set(name, match[2] ?? (match[3] as string).replace(/\\(.)/g, '$1'));
  }
  return pairs;
}

function parseForwardedFor(element: string): string | undefined {
  const node = forwardedPairs(element)?.get('for');
  return node === undefined ? undefined : parseNode(node);
}

/** An address, perhaps with a port (RFC 7239, section 6; some write X-Forwarded-For like that too). */
const NODE = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(?:\d{1,5}|_[\w.-]+))?$/i;

function parseNode(text: string): string | undefined {
  const match = NODE.exec(text);
  const address = match?.[1] ?? match?.[2] ?? text;
  // A zone (`fe80::1%eth0`) means nothing on another machine.
  return isIP(address) === 0 || address.includes('%') ? undefined : canonicalAddress(address);
}

/** Unmaps IPv4 and writes IPv6 as RFC 5952 does; what is no address stays as it is. */
export function canonicalAddress(text: string): string {
  return isIP(text) === 6 ? ipaddr.process(text).toString() : text; // of IPv4 `isIP` takes one spelling only
}
