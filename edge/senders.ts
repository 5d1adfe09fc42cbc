/**
 * Rules of an edge for senders: which proxies it believes, and where a visitor's address is read.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import { isBelieved, type Sender } from '../http/fields/client-address.ts';
import { cidrSetOf } from '../lib/cidr-set.ts';

type SenderRules = Pick<RegionConfig, 'client_address' | 'trusted_proxies'>;

/** Returns the sender of a request, and whether it is trusted. @param sender - The other end of the connection. */
export function senderOf({ client_address: mode, trusted_proxies: proxies }: SenderRules, sender: string): Sender {
  return { mode, sender, trusted: (ip) => cidrSetOf(proxies).has(ip) };
}

/** Returns whether the other end is a trusted proxy. */
export function isProxy(rules: SenderRules, sender: string): boolean {
  return rules.trusted_proxies.length > 0 && isBelieved(senderOf(rules, sender));
}
