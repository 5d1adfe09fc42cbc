/**
 * Contradictions in a region's `geo` settings.
 * @module
 */
import ipaddr from 'ipaddr.js';
import type { Source } from './document.ts';
import { positionText } from './duplicates.ts';
import { isAnyHost } from './listener.ts';
import type { ConfigProblem } from './problem.ts';
import type { Placed, RegionBody } from './read.ts';

/** @returns Problems of one region. */
export function geoProblems({ config, source }: Placed<RegionBody>): ConfigProblem[] {
  return [
    ...config.geo.countries.flatMap((code, index) => countryProblem(code, index, source)),
    ...config.edges.flatMap((edge, index) => publicProblems(edge.public, source.within(['edges', index]))),
    ...senderProblems(config, source),
  ];
}

/** @returns A problem for every region of a network but the first that is to be the default. */
export function defaultProblems(bodies: readonly Placed<RegionBody>[]): ConfigProblem[] {
  const [first, ...others] = bodies.filter(({ config }) => config.geo.default);
  return others.map(({ source }) => {
    const place = positionText({ source: first?.source ?? source, path: ['geo', 'default'] }, source.file);
    const message = `${first?.config.region} is the default region already (${place})`;
    return source.problem(['geo', 'default'], message, 'Keep it in one of the two regions.');
  });
}

const NAMES = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
/** Have codes and names, but no visitor is in them. */
const NO_COUNTRIES: ReadonlySet<string> = new Set(['EU', 'EZ', 'UN', 'QO', 'ZZ', 'XA', 'XB']);

function countryProblem(code: string, index: number, source: Source): ConfigProblem[] {
  const refuse = (message: string, fix: string) => [source.problem(['geo', 'countries', index], message, fix)];
  if (NO_COUNTRIES.has(code) || NAMES.of(code) === undefined) {
    const fix = code === 'EU' ? 'Write `continents: [EU]`.' : 'Write the code that ISO 3166-1 has.';
    return refuse(`${code} is not the code of a country`, fix);
  }
  const today = new Intl.Locale(`und-${code}`).region;
  return today === undefined || today === code
    ? []
    : refuse(`databases write ${today}, not ${code}`, `Write ${today}.`);
}

function publicProblems(addresses: readonly string[], source: Source): ConfigProblem[] {
  return addresses.flatMap((address, index) => {
    const isAddress = ipaddr.IPv6.isValid(address) || ipaddr.IPv4.isValidFourPartDecimal(address);
    if (isAddress && !address.includes('%') && !isAnyHost(ipaddr.process(address).toString())) return [];
    const message = `expected an address such as 203.0.113.7 or 2001:db8::7, found ${JSON.stringify(address)}`;
    return [source.problem(['public', index], message, 'Write the address at which visitors reach the edge.')];
  });
}

/** Without trusted senders no forwarded address is believed, and every proxy is taken for a visitor. */
function senderProblems(
  { client_address: mode, trusted_proxies: trusted }: RegionBody,
  source: Source,
): ConfigProblem[] {
  const needsSender = mode === 'proxy-protocol' || typeof mode === 'object';
  if (!needsSender || trusted.length > 0) return [];
  const what = typeof mode === 'object' ? `the header ${mode.header}` : 'the PROXY protocol';
  const message = `no sender is trusted, so ${what} is never believed`;
  return [source.problem(['client_address'], message, 'Name the proxies in `trusted_proxies`.')];
}
