/**
 * Addresses that cannot be listened on, that two nodes listen on, and origins
 * that are the network itself.
 * @module
 */
import ipaddr from 'ipaddr.js';
import type { Source } from './document.ts';
import { positionText } from './duplicates.ts';
import { reachableShields } from './linked-regions.ts';
import {
  answersAt,
  canonicalHost,
  clash,
  isAnyHost,
  isBrokenAddress,
  type Listener,
  listenersOf,
  machineOf,
  splitAddress,
} from './listener.ts';
import type { ConfigProblem, KeyPath } from './problem.ts';
import type { Placed, RegionBody, RegionReading } from './read.ts';

/** @returns A problem for every listener that cannot be opened because of one further up. */
export function clashProblems(listeners: readonly Listener[]): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const byPort = Map.groupBy(listeners, ({ port }) => port);
  for (const group of byPort.values()) {
    group.forEach((listener, index) => {
      const first = group.slice(0, index).find((other) => clash(other, listener));
      if (!first) return;
      const { source, path, address } = listener;
      const other = `${first.node} listens on ${first.address} (${positionText(first, source.file)})`;
      problems.push(source.problem(path, `${address} is taken: ${other}`, 'Use another port or another address.'));
    });
  }
  return problems;
}

/** @returns A problem for every origin server that is a listener of the network: its requests would come back. */
export function originProblems(reading: RegionReading, listeners: readonly Listener[]): ConfigProblem[] {
  const shields = reachableShields(reading);
  const edges = reading.body?.config.edges ?? [];
  const machines = (nodes: readonly { tier: string }[]) => nodes.map(({ tier }) => machineOf(splitAddress(tier).host));
  const onPath = listeners.filter(({ role }) => role !== 'control');

  return reading.sites.flatMap(({ config: site, source }) => {
    const asksItself = site.direct_to_origin || shields.length === 0;
    const askers = new Set([...machines(shields), ...(asksItself ? machines(edges) : [])]);
    return site.origin.servers.flatMap(({ url }, index) => {
      const path = ['origin', 'servers', index, 'url'];
      const host = URL.canParse(url) ? canonicalHost(new URL(url).hostname) : undefined;
      if (host === undefined) return [source.problem(path, `${url} is not a URL`, 'Correct the host or the port.')];
      const { port, protocol } = new URL(url);
      const number = Number(port || (protocol === 'https:' ? 443 : 80));
      const own = onPath.find((listener) => answersAt(listener, host, number, askers));
      if (!own) return [];
      const message = `${url} is ${own.node} itself (${positionText(own, source.file)}), so its requests would come back to it`;
      return [source.problem(path, message, 'Write the address of the site’s own server.')];
    });
  });
}

/** @returns A problem for every listener whose address cannot be what is meant. */
export function addressProblems({ config, source }: Placed<RegionBody>): ConfigProblem[] {
  return listenersOf(config, source).flatMap(({ role, address, host, path }) => {
    const written = address.slice(0, address.lastIndexOf(':'));
    if (isBrokenAddress(written)) {
      return [source.problem(path, `${written} is not an IP address`, 'Correct the address.')];
    }
    if (role === 'tier' && isAnyHost(host)) {
      const message = `other nodes cannot reach ${written}`;
      return [source.problem(path, message, 'Write the address that this machine has in your network.')];
    }
    return [];
  });
}

/** @returns A problem for every trusted proxy that is not an address. */
export function proxyProblems({ config, source }: Placed<RegionBody>): ConfigProblem[] {
  return networkProblems(config.trusted_proxies, source, ['trusted_proxies']);
}

/** @returns A problem for every entry that is neither an address nor a CIDR block. */
export function networkProblems(entries: readonly string[], source: Source, path: KeyPath): ConfigProblem[] {
  return entries.flatMap((entry, index) => {
    const [address = ''] = entry.split('/', 1);
    const isAddress = ipaddr.IPv6.isValid(address) || ipaddr.IPv4.isValidFourPartDecimal(address);
    if (isAddress && (address === entry || ipaddr.isValidCIDR(entry))) return [];
    const message = `expected an address or a CIDR block such as 10.0.0.0/8 or 192.0.2.7, found ${JSON.stringify(entry)}`;
    return [source.problem([...path, index], message, 'Correct the address; names are not looked up.')];
  });
}
