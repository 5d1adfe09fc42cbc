/**
 * A zone made ready to be answered from: RFC 1034, section 4.3.2, with
 * wildcards as RFC 4592 has them.
 * @module
 */

import type { ZoneConfig } from '../../config/dns/schema.ts';
import { namesAbove, type RecordSet, zoneContent } from '../../config/dns/zone-content.ts';
import { isWithin, labelsOf, type NameKey, parentOf, parseName, wildcardBelow } from '../../lib/dns/name.ts';
import { TYPE } from '../../lib/dns/numbers.ts';
import type { RecordData } from '../../lib/dns/record-data.ts';

/** A name that exists in a zone, whether it has records or only names below it. */
export interface ZoneName {
  readonly key: NameKey;
  /** Tells it from other names, for limits. */
  readonly id: number;
  /** A and AAAA are the nearest region's. */
  readonly isSteered: boolean;
  readonly sets: ReadonlyMap<number, RecordSet>;
  /** Handed to other name servers. */
  readonly isCut: boolean;
}

export type Lookup =
  /** The name itself, or the wildcard that stands for it. */
  | { readonly kind: 'found'; readonly name: ZoneName }
  /** It is `cut`, or below it. */
  | { readonly kind: 'handed-on'; readonly cut: ZoneName }
  | { readonly kind: 'missing' };

const MISSING: Lookup = { kind: 'missing' };

export class Zone {
  readonly apex: NameKey;
  readonly id: number;
  readonly soa: RecordSet;
  /** TTL of negative answers (RFC 2308, section 5): the smaller of the SOA's TTL and its minimum. */
  readonly negativeTtlSeconds: number;
  readonly #names = new Map<NameKey, Lookup>();
  /** Number of labels of the longest name in the zone; longer names cannot exist. */
  readonly #maxLabels: number;
  readonly #hasCuts: boolean;

  /**
   * @param hosts - Of the sites of the region.
   * @param newId - Gives every name and every zone another number.
   */
  constructor(config: ZoneConfig, hosts: readonly string[], newId: () => number) {
    const { apex, names } = zoneContent(config, hosts);
    this.apex = apex;
    this.id = newId();
    this.soa = soaOf(config, apex);
    this.negativeTtlSeconds = Math.min(this.soa.ttlSeconds, Math.floor(config.negative_ttl / 1_000));
    for (const [key, { isSteered, sets }] of names) {
      const all = key === apex ? new Map([...sets, [TYPE.SOA, this.soa]]) : sets;
      const isCut = key !== apex && sets.has(TYPE.NS);
      this.#add({ key, id: newId(), isSteered, sets: all, isCut });
    }
    // Empty non-terminals (RFC 4592, section 2.2.2): they exist, and have nothing.
    for (const key of names.keys()) {
      for (const above of namesAbove(key, apex)) {
        if (!this.#names.has(above))
          this.#add({ key: above, id: newId(), isSteered: false, sets: new Map(), isCut: false });
      }
    }
    this.#maxLabels = Math.max(...[...this.#names.keys()].map(labelsOf));
    this.#hasCuts = [...this.#names.values()].some(({ kind }) => kind === 'handed-on');
  }

  /** @param name - In the zone. */
  lookup(name: NameKey): Lookup {
    if (this.#hasCuts) {
      const cut = this.#cutAbove(name);
      if (cut !== undefined) return cut;
    }
    const exact = this.#names.get(name);
    if (exact !== undefined) return exact;
    // The closest encloser, and the wildcard below it, if there is one (RFC 4592, section 3.3.1).
    let encloser = name;
    for (let labels = labelsOf(name); labels > this.#maxLabels; labels -= 1) encloser = parentOf(encloser);
    while (!this.#names.has(encloser)) encloser = parentOf(encloser);
    return this.#names.get(wildcardBelow(encloser)) ?? MISSING;
  }

  /** @returns The name itself if it exists, cut or not: for addresses of name servers (glue). */
  glueOf(name: NameKey): ZoneName | undefined {
    const found = isWithin(name, this.apex) ? this.#names.get(name) : undefined;
    return found?.kind === 'found' ? found.name : found?.kind === 'handed-on' ? found.cut : undefined;
  }

  /** The highest one counts: what is below it is not ours. */
  #cutAbove(name: NameKey): Lookup | undefined {
    let cut: Lookup | undefined;
    for (let at = name; at !== this.apex; at = parentOf(at)) {
      const found = this.#names.get(at);
      if (found?.kind === 'handed-on') cut = found;
    }
    return cut;
  }

  #add(name: ZoneName): void {
    this.#names.set(name.key, name.isCut ? { kind: 'handed-on', cut: name } : { kind: 'found', name });
  }
}

/** The zones of a server. */
export class Zones {
  readonly #zones: ReadonlyMap<NameKey, Zone>;
  readonly #maxLabels: number;

  constructor(configs: readonly ZoneConfig[], hosts: readonly string[]) {
    let ids = 0;
    const zones = configs.map((config) => {
      return new Zone(config, hosts, () => {
        ids += 1;
        return ids;
      });
    });
    this.#zones = new Map(zones.map((zone) => [zone.apex, zone]));
    this.#maxLabels = Math.max(...zones.map(({ apex }) => labelsOf(apex)));
  }

  /** @returns The zone that has the most labels in common with `name`, if one has all of its own. */
  zoneOf(name: NameKey): Zone | undefined {
    let at = name;
    for (let labels = labelsOf(name); labels > 0; labels -= 1) {
      if (labels <= this.#maxLabels) {
        const zone = this.#zones.get(at);
        if (zone !== undefined) return zone;
      }
      at = parentOf(at);
    }
    return undefined;
  }
}

/** RFC 1035, section 3.3.13. */
function soaOf(config: ZoneConfig, apex: NameKey): RecordSet {
  const numbers = Buffer.alloc(20);
  const seconds = [config.refresh, config.retry, config.expire, config.negative_ttl].map((ms) =>
    Math.floor(ms / 1_000),
  );
  for (const [index, number] of [config.serial, ...seconds].entries()) numbers.writeUInt32BE(number >>> 0, index * 4);
  const primary = parseName(`${config.nameservers[0]?.name}.`) ?? apex;
  const data: RecordData = [{ name: primary }, ...mailbox(config, apex), numbers];
  return { type: TYPE.SOA, ttlSeconds: Math.floor(config.ttl / 1_000), data: [data] };
}

/** A mail address as a name: what is before the @ is one label (RFC 1035, section 8). */
function mailbox({ hostmaster }: ZoneConfig, apex: NameKey): RecordData {
  const at = hostmaster?.indexOf('@') ?? -1;
  if (hostmaster === undefined || at < 0) return [Buffer.from('\x0ahostmaster', 'latin1'), { name: apex }];
  const local = hostmaster.slice(0, at).slice(0, 63);
  const domain = parseName(`${hostmaster.slice(at + 1)}.`) ?? apex;
  return [Buffer.from(String.fromCharCode(local.length) + local, 'latin1'), { name: domain }];
}
