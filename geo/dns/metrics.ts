/**
 * Counters of a DNS server: plain numbers that a scrape reads.
 * @module
 */
import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import { RCODE } from '../../config/dns/numbers.ts';
import { gauge } from '../../telemetry/gauge.ts';

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

/** @returns A registry that reads `counts` whenever it is asked. */
export function dnsRegistry(node: string, counts: DnsCounts, isAnyRegionWell: () => boolean): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ node, role: 'dns' });
  collectDefaultMetrics({ register: registry });
  const counter = (
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [string, number]>,
  ): void => {
    new Counter({
      name,
      help,
      labelNames: label === '' ? [] : [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc(label === '' ? {} : { [label]: value }, count);
      },
    });
  };
  counter('seawall_dns_queries_total', 'Queries by transport.', 'transport', () => Object.entries(counts.queries));
  counter('seawall_dns_answers_total', 'Answers by code.', 'rcode', () =>
    [...counts.answers].map(([code, count]) => [RCODE_NAMES.get(code) ?? String(code), count]),
  );
  counter(
    'seawall_dns_truncated_total',
    'Answers without content: too large, or beyond the rate limit.',
    'reason',
    () => Object.entries(counts.truncated),
  );
  counter(
    'seawall_dns_dropped_total',
    'Messages without an answer: no query, beyond the rate limit, or not to be sent.',
    'reason',
    () => Object.entries(counts.dropped),
  );
  counter(
    'seawall_dns_cookies_total',
    'Cookies in queries; bad: answers that asked for another try with a cookie.',
    'state',
    () => Object.entries(counts.cookies),
  );
  counter('seawall_dns_client_subnet_total', 'Queries that told the network of the visitor.', '', () => [
    ['', counts.subnets],
  ]);
  counter('seawall_dns_steered_total', 'Answers to steered names, by region.', 'region', () => counts.regions);
  counter(
    'seawall_dns_no_region_well_total',
    'Answers with the default region, because no region was well.',
    '',
    () => [['', counts.lastResort]],
  );
  counter('seawall_dns_connections_refused_total', 'Connections beyond the bounds.', '', () => [
    ['', counts.connectionsRefused],
  ]);
  gauge(registry, 'seawall_dns_connections', 'Open connections.', () => counts.connections);
  gauge(registry, 'seawall_dns_any_region_well', '1: there is a region to send visitors to; 0: there is none.', () =>
    Number(isAnyRegionWell()),
  );
  return registry;
}
