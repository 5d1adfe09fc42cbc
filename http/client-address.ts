/**
 * The address of a visitor, by what the config says is to be believed.
 * @module
 */
import { isIP } from 'node:net';
import type { ClientAddress } from '../config/schema/geo.ts';
import { clientAddress } from './forwarding.ts';
import { fieldLines, type RawHeaders, trimOws } from './headers.ts';

/**
 * @param mode - `client_address`.
 * @param sender - The other end of the connection, as a PROXY header says it where one is expected.
 * @param trusted - Whether somebody is one of `trusted_proxies`.
 * @returns In canonical form (RFC 5952), IPv4 never mapped into IPv6.
 */
export function visitorAddress(
  mode: ClientAddress,
  sender: string,
  headers: RawHeaders,
  trusted: (ip: string) => boolean,
): string {
  const own = (): string => clientAddress(sender, [], nobody);
  if (mode === 'forwarded') return clientAddress(sender, headers, trusted);
  if (typeof mode === 'string' || !trusted(own())) return own();
  return onlyAddress(headers, mode.header) ?? own();
}

/** @returns What the one line of the field holds, if that is an address and nothing else. */
function onlyAddress(headers: RawHeaders, name: string): string | undefined {
  const lines = fieldLines(headers, name.toLowerCase());
  const text = lines.length === 1 ? trimOws(lines[0] as string) : '';
  return isIP(text) === 0 || text.includes('%') ? undefined : clientAddress(text, [], nobody);
}

function nobody(): boolean {
  return false;
}
