/**
 * Counters of a DNS server: plain numbers that a scrape reads.
 * @module
 */
import type { Registry } from 'prom-client';
import { RCODE } from '../../lib/dns/numbers.ts';
import { counters, gauge } from '../../telemetry/instruments.ts';
import { nodeRegistry } from '../../telemetry/registry.ts';

export interface DnsCounts {
  readonly queries: { udp: number; tcp: number };
  /** By code: at most the 24 of `RCODE`. */
  readonly answers: Map<number, number>;
  readonly truncated: { size: number; limit: number };
  readonly dropped: { unreadable: number; limit: number; failed: number };
  readonly cookies: { valid: number; new: number; bad: number };
  /** Queries that told the visitor's network. */
  subnets: number;
  /** Answers to steered names, by region. */
  readonly regions: Map<string, number>;
  /** Answers that name a region although none was healthy. */
  lastResort: number;
  /** Connections that were closed at once. */
  connectionsRefused: number;
  /** Now open. */
  connections: number;
}

export function dnsCounts(): DnsCounts {
  return {
    queries: { udp: 0, tcp: 0 },
    answers: new Map(),
    truncated: { size: 0, limit: 0 },
    dropped: { unreadable: 0, limit: 0, failed: 0 },
    cookies: { valid: 0, new: 0, bad: 0 },
    subnets: 0,
    regions: new Map(),
    lastResort: 0,
    connectionsRefused: 0,
    connections: 0,
  };
}

const RCODE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(RCODE).map(([name, code]) => [code, name]));

/** Returns a registry that reads `counts` when it is scraped. */
export function dnsRegistry(node: string, counts: DnsCounts, isAnyRegionHealthy: () => boolean): Registry {
  const registry = nodeRegistry(node, 'dns');
  counters(registry, 'seawall_dns_queries_total', () => by('transport', Object.entries(counts.queries)));
  counters(registry, 'seawall_dns_answers_total', () =>
    by(
      'rcode',
      [...counts.answers].map(([code, count]) => [RCODE_NAMES.get(code) ?? String(code), count]),
    ),
  );
  counters(registry, 'seawall_dns_truncated_total', () => by('reason', Object.entries(counts.truncated)));
  counters(registry, 'seawall_dns_dropped_total', () => by('reason', Object.entries(counts.dropped)));
  counters(registry, 'seawall_dns_cookies_total', () => by('state', Object.entries(counts.cookies)));
  counters(registry, 'seawall_dns_client_subnet_queries_total', () => [[{}, counts.subnets]]);
  counters(registry, 'seawall_dns_steered_answers_total', () => by('region', [...counts.regions]));
  counters(registry, 'seawall_dns_no_region_healthy_total', () => [[{}, counts.lastResort]]);
  counters(registry, 'seawall_dns_connections_refused_total', () => [[{}, counts.connectionsRefused]]);
  gauge(registry, 'seawall_dns_connections', () => counts.connections);
  gauge(registry, 'seawall_dns_any_region_healthy', () => Number(isAnyRegionHealthy()));
  return registry;
}

function by<Label extends string>(
  label: Label,
  counted: readonly (readonly [string, number])[],
): (readonly [Readonly<Record<Label, string>>, number])[] {
  return counted.map(([value, count]) => [{ [label]: value } as Record<Label, string>, count]);
}
