/**
 * Seven regions of a network, and places in the world whose visitors should go
 * to one of them.
 * @module
 */

import { cityDatabases } from '../city-sample.ts';

/** Name, latitude, longitude; the last part of their addresses is their place in the list. */
export const REGIONS: readonly (readonly [name: string, latitude: number, longitude: number])[] = [
  ['frankfurt', 50.11, 8.68],
  ['virginia', 39.04, -77.49],
  ['oregon', 45.84, -119.7],
  ['saopaulo', -23.55, -46.63],
  ['johannesburg', -26.2, 28.05],
  ['mumbai', 19.08, 72.88],
  ['singapore', 1.35, 103.82],
  ['tokyo', 35.68, 139.69],
  ['sydney', -33.87, 151.21],
];

/** The edge of a region. */
export function addressesOf(region: string): { readonly ipv4: string; readonly ipv6: string } {
  const number = REGIONS.findIndex(([name]) => name === region) + 1;
  return { ipv4: `203.0.113.${number}`, ipv6: `2001:db8::${number}` };
}

/** Universities and national networks: addresses that have long been where they are. */
export const PLACES: readonly (readonly [place: string, subnet: string, region: string])[] = [
  ['Dresden', '141.30.0.0/24', 'frankfurt'],
  ['Amsterdam', '193.0.6.0/24', 'frankfurt'],
  ['Edinburgh', '129.215.0.0/24', 'frankfurt'],
  ['Stockholm', '130.237.0.0/24', 'frankfurt'],
  ['Prague', '147.32.0.0/24', 'frankfurt'],
  ['Berlin', '2001:638::/48', 'frankfurt'],
  ['Cambridge, Massachusetts', '18.7.0.0/24', 'virginia'],
  ['Toronto', '128.100.0.0/24', 'virginia'],
  ['Stanford', '171.64.0.0/24', 'oregon'],
  ['São Paulo', '143.107.0.0/24', 'saopaulo'],
  ['Buenos Aires', '157.92.0.0/24', 'saopaulo'],
  ['Santiago de Chile', '200.10.0.0/24', 'saopaulo'],
  ['São Paulo, IPv6', '2800:3f0:4001::/48', 'saopaulo'],
  ['Johannesburg', '146.141.0.0/24', 'johannesburg'],
  ['Cape Town', '196.21.0.0/24', 'johannesburg'],
  ['Nairobi', '41.204.160.0/24', 'johannesburg'],
  ['Cairo', '41.33.0.0/24', 'frankfurt'],
  ['Tokyo', '130.54.0.0/24', 'tokyo'],
  ['Daejeon', '143.248.0.0/24', 'tokyo'],
  ['Fujisawa', '2001:200::/48', 'tokyo'],
  ['Singapore', '137.132.0.0/24', 'singapore'],
  ['New Delhi', '14.139.0.0/24', 'mumbai'],
  ['Sydney', '129.78.0.0/24', 'sydney'],
  ['Canberra', '144.110.0.0/24', 'sydney'],
  ['Auckland', '130.216.0.0/24', 'sydney'],
];

/** @returns Files of regions without a DNS server: all but the first. */
export function otherRegions(): string[] {
  return REGIONS.slice(1).map(([name]) => regionFile(name));
}

/** @param more - Further blocks. */
export function regionFile(region: string, more = ''): string {
  const [, latitude, longitude] = REGIONS.find(([name]) => name === region) ?? [];
  const { ipv4, ipv6 } = addressesOf(region);
  const [ipv4Database, ipv6Database] = cityDatabases();
  // At port 0 nobody can look whether the edge is up, and so it is.
  return `region: ${region}
tier_secret: 0123456789abcdef
coordinates: [${latitude}, ${longitude}]
geo:
  default: ${region === 'frankfurt'}
  databases:
    - ${ipv4Database}
    - ${ipv6Database}
edges:
  - { name: ${region}-1, listen: '127.0.0.1:0', tier: '127.0.0.1:0', public: ['${ipv4}', '${ipv6}'] }
${more}
sites:
  - name: shop
    hosts: [www.example.com]
    origin: { servers: [{ url: 'https://origin.example.net' }] }
`;
}
