/**
 * Reads a visitor's address and scheme from the fields of trusted proxies.
 * @module
 */
import { isIP } from 'node:net';
import type { ClientAddress } from '../../config/schema/geo.ts';
import {
  type Chain,
  chainOf,
  claimedScheme,
  clientAddress,
  NO_CHAIN,
  type ReportField,
  reportedChain,
} from './forwarding.ts';
import { fieldLines, type RawHeaders, trimOws } from './headers.ts';

/** Sender of a request, and whether its statements about others are trusted. */
export interface Sender {
  /** `client_address`. */
  readonly mode: ClientAddress;
  /** The other end of the connection, as a PROXY header says it where one is expected. */
  readonly sender: string;
  /** Returns whether the address is in `trusted_proxies`. */
  readonly trusted: (ip: string) => boolean;
}

/**
 * Returns whether the other end is a proxy whose fields count. Where a PROXY
 * header says who the visitor is, the other end is the visitor, also one with an
 * address inside `trusted_proxies`.
 */
export function isBelieved({ mode, sender, trusted }: Sender): boolean {
  return mode !== 'proxy-protocol' && trusted(canonical(sender));
}

/** Returns whether the connection begins with a PROXY header. */
export function expectsProxyHeader({ mode, sender, trusted }: Sender): boolean {
  return mode === 'proxy-protocol' && trusted(canonical(sender));
}

/** Senders before the other end; none where no sender is trusted. */
export function believedChain(by: Sender, headers: RawHeaders): Chain {
  const { mode } = by;
  if (mode === 'connection' || !isBelieved(by)) return NO_CHAIN;
  if (mode === 'forwarded' || mode === 'proxy-protocol') return reportedChain(headers);
  const field = reportField(mode);
  if (field !== undefined) return reportedChain(headers, field);
  const address = onlyAddress(headers, mode.header);
  return address === undefined ? NO_CHAIN : chainOf([address]);
}

/** The visitor's address in canonical form (RFC 5952), IPv4 never mapped into IPv6. */
export function visitorAddress(by: Sender, headers: RawHeaders): string {
  return clientAddress(by.sender, believedChain(by, headers), by.trusted);
}

/** The scheme that the visitor used, where a proxy that is believed says so. */
export function believedScheme(by: Sender, headers: RawHeaders): 'http' | 'https' | undefined {
  return isBelieved(by) ? claimedScheme(headers, reportField(by.mode)) : undefined;
}

/** The one of the two lists of senders that proxies write, where the config says which. */
function reportField(mode: ClientAddress): ReportField | undefined {
  const name = typeof mode === 'string' ? undefined : mode.header.toLowerCase();
  return name === 'forwarded' || name === 'x-forwarded-for' ? name : undefined;
}

/** @returns What the one line of the field holds, if that is an address and nothing else. */
function onlyAddress(headers: RawHeaders, name: string): string | undefined {
  const lines = fieldLines(headers, name.toLowerCase());
  const text = lines.length === 1 ? trimOws(lines[0] as string) : '';
  return isIP(text) === 0 || text.includes('%') ? undefined : canonical(text);
}

function canonical(address: string): string {
  return clientAddress(address, NO_CHAIN, () => false);
}
