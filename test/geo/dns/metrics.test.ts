/** Counters of a DNS server as a scrape reads them. */
import { test } from 'tap';
import { dnsCounts, dnsRegistry } from '../../../geo/dns/metrics.ts';

test('a scrape has what was counted until then, also codes that have no name', async (t) => {
  const counts = dnsCounts();
  let isHealthy = true;
  const registry = dnsRegistry('d', counts, () => isHealthy);
  counts.answers.set(0, 3).set(77, 2);
  counts.regions.set('eu', 5);
  counts.queries.tcp = 4;
  counts.connections = 1;
  const text = await registry.metrics();
  for (const line of [
    'seawall_dns_answers_total{rcode="NOERROR",node="d",role="dns"} 3',
    'seawall_dns_answers_total{rcode="77",node="d",role="dns"} 2',
    'seawall_dns_steered_answers_total{region="eu",node="d",role="dns"} 5',
    'seawall_dns_queries_total{transport="tcp",node="d",role="dns"} 4',
    'seawall_dns_queries_total{transport="udp",node="d",role="dns"} 0',
    'seawall_dns_connections{node="d",role="dns"} 1',
    'seawall_dns_any_region_healthy{node="d",role="dns"} 1',
  ]) {
    t.ok(text.split('\n').includes(line), line);
  }
  isHealthy = false;
  counts.connections = 0;
  t.match(await registry.metrics(), /any_region_healthy\{[^}]*\} 0/);
});
