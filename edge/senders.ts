/**
 * Rules of an edge for senders: which proxies it believes, and where a visitor's address is read.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import { isBelieved, type Sender, visitorAddress } from '../http/client-address.ts';
import type { RawHeaders } from '../http/headers.ts';
import { cidrSetOf } from '../lib/cidr-set.ts';
import type { Component } from '../lib/components.ts';

export class Senders implements Component<RegionConfig> {
  #mode!: RegionConfig['client_address'];
  #hasProxies!: boolean;
  /** Returns whether the address is in `trusted_proxies`. */
  trusted!: (ip: string) => boolean;

  constructor(region: RegionConfig) {
    this.update(region);
  }

  update({ client_address: mode, trusted_proxies: proxies }: RegionConfig): void {
    this.#mode = mode;
    this.#hasProxies = proxies.length > 0;
    const set = cidrSetOf(proxies);
    this.trusted = (ip) => set.has(ip);
  }

  /** @param address - The other end of a connection. */
  of(address: string): Sender {
    return { mode: this.#mode, sender: address, trusted: this.trusted };
  }

  /** Returns whether the other end is a trusted proxy. */
  isProxy(address: string): boolean {
    return this.#hasProxies && isBelieved(this.of(address));
  }

  visitorAddress(address: string, headers: RawHeaders): string {
    return visitorAddress(this.of(address), headers);
  }
}
