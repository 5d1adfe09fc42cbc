/** Schema of the DNS server: what it shows to a reader as an example can be written. */
import { test } from 'tap';
import { dnsSchema, zoneSchema } from '../../../config/dns/schema.ts';
import { parseName } from '../../../lib/dns/name.ts';
import { recordType } from '../../../lib/dns/record-data.ts';

const ORIGIN = parseName('example.com.') ?? '';
const ZONE = { name: 'example.com', nameservers: [{ name: 'ns.example.net' }] };

test('each record type that the page about the config shows can stand in a zone', async (t) => {
  const { type } = zoneSchema.shape.records.unwrap().element.shape;
  const shown = type.meta()?.examples as readonly string[];
  t.ok(shown.length > 2);
  for (const name of shown) t.ok(recordType(name), name);
});

test('the values that are shown are values of MX', async (t) => {
  const { values } = zoneSchema.shape.records.unwrap().element.shape;
  const [shown = []] = values.meta()?.examples as readonly (readonly string[])[];
  for (const value of shown) t.ok(recordType('MX')?.parse(value, ORIGIN), value);
});

for (const { key, value, isAccepted } of [
  { key: 'name', value: 'Example.com', isAccepted: false },
  { key: 'name', value: 'example.com.', isAccepted: false },
  { key: 'name', value: 'a--b.example', isAccepted: true },
  { key: 'name', value: '-a.example', isAccepted: false },
  { key: 'name', value: `${'a'.repeat(200)}.example`, isAccepted: true },
  { key: 'name', value: 'a.'.repeat(127), isAccepted: false },
  { key: 'ttl', value: '7d', isAccepted: true },
  { key: 'ttl', value: '8d', isAccepted: false },
  { key: 'ttl', value: '0s', isAccepted: true },
  { key: 'serial', value: 2 ** 32 - 1, isAccepted: true },
  { key: 'serial', value: 2 ** 32, isAccepted: false },
  { key: 'hostmaster', value: 'dns.admin@example.com', isAccepted: true },
  { key: 'hostmaster', value: 'dns.admin', isAccepted: false },
  { key: 'hostmaster', value: 'a..b@example.com', isAccepted: false },
  { key: 'nameservers', value: [], isAccepted: false },
]) {
  const shown = String(value).slice(0, 30);
  test(`a zone with ${key}: ${shown} (${String(value).length} characters) is ${isAccepted ? 'accepted' : 'refused'}`, async (t) => {
    t.equal(zoneSchema.safeParse({ ...ZONE, [key]: value }).success, isAccepted);
  });
}

test('a server without a single setting of its own is complete', async (t) => {
  const { udp, tcp, rate_limit: limit, cookies } = dnsSchema.parse({ listen: ['127.0.0.1:53'], zones: [ZONE] });
  t.ok(udp.max_unverified <= udp.max_answer, 'an address that may be forged gets no more than others');
  t.ok(tcp.max_connections_per_network < tcp.max_connections, 'one network cannot take all connections');
  t.ok(limit.answers <= limit.total && limit.errors <= limit.total, 'a part is no more than the whole');
  t.equal(cookies.secret, undefined);
});
