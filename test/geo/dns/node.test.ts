/**
 * The server on real sockets: UDP and TCP, and the life of the node.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { decode } from 'dns-packet';
import { test } from 'tap';
import { framed } from '../../../geo/dns/frames.ts';
import { askUdp, openTcp, readMessages, runDns, until } from './server.ts';
import { queryFor, regionYaml } from './world.ts';

const GEO =
  'geo: { databases: [] }\nedges: [{ name: eu-1, listen: 127.0.0.1:0, tier: 127.0.0.1:1, public: [203.0.113.1] }]\n';
const yaml = (more = '', rest: Partial<Parameters<typeof regionYaml>[0]> = {}): string =>
  GEO + regionYaml({ more, ...rest });
const MAIL = queryFor('mail.example.com', 'A');
const BIG = queryFor('big.example.com', 'TXT');

test('a reload changes answers, and no query is lost', async (t) => {
  const dns = await runDns(t, yaml('  rate_limit: { exempt: [127.0.0.0/8] }'));
  const seen = new Set<string>();
  let asked = 0;
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      asked += 1;
      const [first] = decode(await askUdp(dns.port, MAIL)).answers ?? [];
      seen.add(first?.type === 'A' ? first.data : 'nothing');
    }
  })();
  for (const last of [1, 2, 3]) {
    await until(() => asked > last * 50, 'questions');
    writeFileSync(
      dns.file,
      yaml('  rate_limit: { exempt: [127.0.0.0/8] }').replace('[192.0.2.25]', `[192.0.2.10${last}]`),
    );
    dns.reload();
    await until(() => seen.has(`192.0.2.10${last}`), 'the new address');
  }
  isOver = true;
  await asking;
  t.same([...seen].toSorted(), ['192.0.2.101', '192.0.2.102', '192.0.2.103', '192.0.2.25']);
});

test('a node that stops finishes queries in flight', async (t) => {
  const dns = await runDns(t, yaml());
  const socket = await openTcp(dns.port);
  socket.write(Buffer.concat([framed(MAIL), framed(BIG)]));
  const [first] = await readMessages(socket, 2);
  const closing = dns.node.close();
  t.ok(first);
  await once(socket.resume(), 'end');
  await closing;
  await t.rejects(openTcp(dns.port), { code: 'ECONNREFUSED' });
});

test('metrics and health are served', async (t) => {
  const { node, port } = await runDns(t, yaml('  control: 127.0.0.1:0'));
  await askUdp(port, MAIL);
  const metrics = await (await fetch(`http://${node.addresses.control}/metrics`)).text();
  t.match(metrics, /seawall_dns_queries_total\{transport="udp",node="dns",role="dns"\} 1/);
  t.match(metrics, /seawall_dns_answers_total\{rcode="NOERROR",node="dns",role="dns"\} 1/);
  t.match(await (await fetch(`http://${node.addresses.control}/healthz`)).json(), { node: 'dns', status: 'ok' });
});

test('an address in use is refused, and nothing stays open', async (t) => {
  const { port } = await runDns(t, yaml());
  await t.rejects(runDns(t, yaml('', { listen: `127.0.0.1:${port}` })), { code: 'EADDRINUSE' });
});
