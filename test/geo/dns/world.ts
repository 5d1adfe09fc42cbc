/**
 * A DNS server's config and a network for it, for tests.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import { loadRegion } from '../../../config/load.ts';
import type { RegionConfig } from '../../../config/schema.ts';
import { type DnsCounts, dnsCounts } from '../../../geo/dns/metrics.ts';
import { Responder } from '../../../geo/dns/responder.ts';
import type { Network, NetworkRegion } from '../../../geo/network.ts';
import type { Decision, RankedRegion, Steering } from '../../../geo/steering.ts';
import { monotonicMs } from '../../../lib/clock.ts';
import { instant } from '../../support/instant.ts';

export const ZONE = `
    - name: example.com
      nameservers:
        - { name: ns1.example.com, addresses: [192.0.2.53, '2001:db8::53'] }
        - { name: ns.other.example }
      hostmaster: dns.admin@example.com
      serial: 7
      negative_ttl: 60s
      steer: ['@', www, '*.shops', 'deep.in.the.tree']
      records:
        - { name: '@', type: MX, values: ['10 mail', '20 mail.other.example.'] }
        - { name: '@', type: TXT, values: ['v=spf1 -all', '"two" "strings \\"here\\" \\065"'] }
        - { name: '@', type: CAA, values: ['0 issue "ca.example.net"', '128 iodef "mailto:x@example.com"'] }
        - { name: mail, type: A, values: [192.0.2.25], ttl: 5m }
        - { name: mail, type: AAAA, values: ['2001:db8::25'] }
        - { name: alias, type: CNAME, values: [www] }
        - { name: far, type: CNAME, values: [www.other.example.] }
        - { name: lost, type: CNAME, values: [nowhere] }
        - { name: round, type: CNAME, values: [robin] }
        - { name: robin, type: CNAME, values: [round] }
        - { name: '*.wild', type: TXT, values: [from the wildcard] }
        - { name: there.wild, type: A, values: [192.0.2.77] }
        - { name: _sip._udp, type: SRV, values: ['10 60 5060 mail'] }
        - { name: _443._tcp.www, type: TLSA, values: ['3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'] }
        - { name: www, type: HTTPS, values: ['\\# 3 000100'] }
        - { name: child, type: NS, values: [ns.child, ns.other.example.] }
        - { name: ns.child, type: A, values: [192.0.2.99] }
        - { name: big, type: TXT, values: [${Array.from({ length: 30 }, (_, i) => `'${i} ${'x'.repeat(90)}'`).join(', ')}] }
`;

/** @param more - Lines of the block `dns`, indented by two. */
export function regionYaml({ zone = ZONE, more = '', listen = '127.0.0.1:0' } = {}): string {
  return `region: eu
tier_secret: 0123456789abcdef
coordinates: [50.11, 8.68]
dns:
  listen: ['${listen}']
  zones:${zone.replace(/\n$/, '')}
${more}
sites:
  - name: shop
    hosts: [www.example.com, shop.example.com, other.example.net]
    origin: { servers: [{ url: 'https://origin.example.net' }] }
`;
}

export function regionOf(directory: string, yaml: string): RegionConfig {
  const file = join(directory, 'eu.yaml');
  writeFileSync(file, yaml);
  return loadRegion(file, {});
}

/** Two regions: odd first bytes of addresses go to `odd`, others to `even`, for /16s. */
export function scriptedSteering(change: (decision: Decision) => Partial<Decision> = () => ({})): Steering {
  return {
    where(address) {
      const isOdd = Number.parseInt(address, 10) % 2 === 1;
      const order = isOdd ? [ODD, EVEN] : [EVEN, ODD];
      const decision: Decision = {
        address,
        place: undefined,
        regions: order,
        chosen: order[0],
        reason: 'nearest',
        prefix: 16,
      };
      return { ...decision, ...change(decision) };
    },
  };
}

const region = (name: string, ipv4: readonly string[], ipv6: readonly string[]): RankedRegion => ({
  name,
  state: 'healthy',
  coordinates: undefined,
  distanceKm: undefined,
  weightedKm: undefined,
  weight: 1,
  pin: undefined,
  isDefault: name === 'even',
  edges: { up: 2, total: 2 },
  ipv4,
  ipv6,
});

export const ODD = region('odd', ['198.51.100.1', '198.51.100.3'], ['2001:db8:1::1']);
export const EVEN = region('even', ['203.0.113.2', '203.0.113.4', '203.0.113.6'], []);

/** dns-packet's types leave out what it does decode. */
export type Decoded = DecodedPacket & { rcode: string; flags: number };

export interface Server {
  readonly counts: DnsCounts;
  readonly responder: Responder;
  /** @returns The answer's bytes. */
  raw(message: Buffer, from?: string, transport?: 'udp' | 'tcp', nowMs?: number): Buffer | undefined;
  /** Asks as dns-packet would. */
  ask(name: string, type: string, options?: AskOptions): Decoded;
}

export interface AskOptions {
  readonly from?: string;
  readonly transport?: 'udp' | 'tcp';
  readonly edns?: readonly object[];
  readonly udpBytes?: number;
  readonly class?: string;
}

export function serverFor(region: RegionConfig, steering: Steering = scriptedSteering()): Server {
  const { dns } = region;
  if (dns === undefined) throw new Error('no dns');
  const counts = dnsCounts();
  const hosts = region.sites.flatMap((site) => site.hosts);
  const responder = new Responder({ config: dns, hosts, networkSecret: region.tier_secret, steering, counts });
  const raw: Server['raw'] = (message, from = '192.0.2.1', transport = 'udp', nowMs = 1e12) =>
    responder.respond(message, from, transport, instant(nowMs));
  return {
    counts,
    responder,
    raw,
    ask(name, type, { from, transport, edns, udpBytes, class: cls = 'IN' } = {}) {
      const query = queryFor(name, type, {
        ...(edns && { edns }),
        ...(udpBytes !== undefined && { udpBytes }),
        class: cls,
      });
      const answer = raw(query, from, transport);
      if (answer === undefined) throw new Error('no answer');
      return decode(answer) as Decoded;
    },
  };
}

export function queryFor(name: string, type: string, { edns, udpBytes, class: cls = 'IN' }: AskOptions = {}): Buffer {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: udpBytes ?? 1232, flags: 0, options: edns ?? [] };
  return encode({
    type: 'query',
    id: 4711,
    flags: 0x100,
    questions: [{ name, type: type as 'A', class: cls as 'IN' }],
    additionals: edns !== undefined || udpBytes !== undefined ? [opt as never] : [],
  } satisfies Packet);
}

/** Public regions of five continents, to be steered between. */
export function worldNetwork(): Network {
  const at = (name: string, coordinates: readonly [number, number], ipv4: string, ipv6: string): NetworkRegion => ({
    name,
    coordinates,
    weight: 1,
    countries: [],
    continents: [],
    isDefault: name === 'frankfurt',
    drained: false,
    minHealth: 0.5,
    recoveryMs: 10_000,
    health: 'healthy',
    healthyAt: monotonicMs(0),
    shed: 0,
    edges: [{ name: `${name}-1`, addresses: [ipv4, ipv6], probe: `${ipv4}:80`, up: true }],
  });
  return {
    regions: [
      at('frankfurt', [50.11, 8.68], '203.0.113.1', '2001:db8::1'),
      at('virginia', [39.04, -77.49], '203.0.113.2', '2001:db8::2'),
      at('saopaulo', [-23.55, -46.63], '203.0.113.3', '2001:db8::3'),
      at('johannesburg', [-26.2, 28.05], '203.0.113.4', '2001:db8::4'),
      at('singapore', [1.35, 103.82], '203.0.113.5', '2001:db8::5'),
      at('sydney', [-33.87, 151.21], '203.0.113.6', '2001:db8::6'),
      at('tokyo', [35.68, 139.69], '203.0.113.7', '2001:db8::7'),
    ],
  };
}
