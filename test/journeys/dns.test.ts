/**
 * A region dies, and comes back, as the DNS tells it: control node, edges of two
 * regions and the DNS server as processes, visitors who ask all the time.
 */
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { decode } from 'dns-packet';
import { test } from 'tap';
import { type Started, startCommand } from '../cli/process.ts';
import { askUdp, until } from '../geo/dns/server.ts';
import { queryFor } from '../geo/dns/world.ts';
import { startOrigin, text } from '../support/origin.ts';
import { freePorts } from '../support/ports.ts';

const SEEN_WITHIN_MS = 3_000;
const ASK_EVERY_MS = 25;

const REGIONS = {
  eu: { coordinates: '[50.11, 8.68]', address: '203.0.113.1', visitor: '141.30.0.0' },
  us: { coordinates: '[39.04, -77.49]', address: '203.0.113.2', visitor: '18.7.0.0' },
} as const;
type Name = keyof typeof REGIONS;

test('DNS answers change when a region dies and when it returns', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const [eu1, eu1Tier, eu1Control, us1, us1Tier, us1Control, control, dns] = await freePorts(8);
  const file = (
    name: Name,
    listen: number | undefined,
    tier: number | undefined,
    own: number | undefined,
    more = '',
  ): string => `region: ${name}
network: journey
tier_secret: 0123456789abcdef
coordinates: ${REGIONS[name].coordinates}
geo: { recovery: 1s, default: ${name === 'us'} }
edges:
  - name: ${name}-1
    listen: 127.0.0.1:${listen}
    tier: 127.0.0.1:${tier}
    control: 127.0.0.1:${own}
    public: [${REGIONS[name].address}]
    workers: 1
purges: { journal: 'http://127.0.0.1:${control}' }
${more}
sites:
  - name: shop
    hosts: [www.example.com, '*']
    origin: { servers: [{ url: '${origin.url}' }] }
`;
  const directory = t.testdir({
    'eu.yaml': file('eu', eu1, eu1Tier, eu1Control),
    'us.yaml': file(
      'us',
      us1,
      us1Tier,
      us1Control,
      `control: { listen: '127.0.0.1:${control}' }
dns:
  listen: ['127.0.0.1:${dns}']
  ttl: 5s
  rate_limit: { exempt: [127.0.0.0/8] }
  zones: [{ name: example.com, nameservers: [{ name: ns.example.net }] }]`,
    ),
  });
  const [eu, us] = [join(directory, 'eu.yaml'), join(directory, 'us.yaml')];
  const start = (...args: string[]): Promise<Started<unknown>> => startCommand(t, 'cli/seawall.ts', ['start', ...args]);
  const [, european] = await Promise.all([
    start(us, eu, '--node', 'control'),
    start(eu, '--node', 'eu-1'),
    start(us, '--node', 'us-1'),
  ]);
  const server = await start(us, eu, '--node', 'dns');

  // Where visitors are sent, each change of it once.
  const sent: Record<Name, string[]> = { eu: [], us: [] };
  const failures: string[] = [];
  let requests = 0;
  let isOver = false;
  const everyMoment = async (act: () => Promise<void>): Promise<void> => {
    while (!isOver) {
      await act();
      await timeout(ASK_EVERY_MS);
    }
  };
  const asking = (['eu', 'us'] as const).map((name) =>
    everyMoment(async () => {
      const address = await where(dns as number, REGIONS[name].visitor);
      if (sent[name].at(-1) !== address) sent[name].push(address);
    }),
  );
  const visiting = everyMoment(async () => {
    const response = await fetch(`http://127.0.0.1:${us1}/${requests}`);
    requests += 1;
    if (response.status !== 200) failures.push(String(response.status));
    await response.arrayBuffer();
  });
  t.teardown(() => {
    isOver = true;
  });

  await until(
    () => sent.eu.at(-1) === REGIONS.eu.address && sent.us.at(-1) === REGIONS.us.address,
    'the nearest regions',
  );
  const before = sent.eu.length;
  european.kill('SIGKILL');
  const failoverMs = await until(() => sent.eu.at(-1) === REGIONS.us.address, 'the other region');
  t.ok(failoverMs < SEEN_WITHIN_MS, `seen after ${failoverMs.toFixed(0)} ms`);

  await start(eu, '--node', 'eu-1');
  const backMs = await until(() => sent.eu.at(-1) === REGIONS.eu.address, 'the way back');
  t.comment(`back ${backMs.toFixed(0)} ms after it was ready; its recovery is 1 s`);
  await timeout(1_500); // long enough for a region that flaps to show it
  isOver = true;
  await Promise.all([...asking, visiting]);
  t.same(sent.eu.slice(before), [REGIONS.us.address, REGIONS.eu.address], 'there once, and back once');
  t.same(new Set(sent.us), new Set([REGIONS.us.address]), 'visitors of the other region stay where they are');
  t.same(failures, [], `nothing was noticed there in ${requests} requests`);

  server.kill('SIGTERM');
  t.equal(await server.exitCode, 0, 'the DNS server ends well');
});

/** @returns The first address. */
async function where(port: number, visitor: string): Promise<string> {
  const subnet = { code: 'CLIENT_SUBNET', ip: visitor, sourcePrefixLength: 24 };
  const answer = decode(await askUdp(port, queryFor('www.example.com', 'A', { edns: [subnet] })));
  const [first] = answer.answers ?? [];
  return first?.type === 'A' ? first.data : 'nothing';
}
