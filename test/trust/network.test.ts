/** Nodes that know each other by certificates: real nodes on real sockets. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { SECRET, startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { makeTrust } from '../support/trust.ts';
import { ask } from '../support/visitor.ts';
import { NODES, startWorld } from './world.ts';

test('a miss goes from an edge over the owner and the shield, all of them by TLS', async (t) => {
  const { network } = await startWorld(t);
  const path = network.pathOf('eu-2', '/x');
  const first = await ask(network.at('eu-1'), path);
  t.equal(first.text, 'hello');
  t.same(
    first.tiers.map((tier) => /^"?([\w-]+)/.exec(tier)?.[1]),
    ['shield-1', 'eu-2', 'eu-1'],
  );
  // Once the nodes follow the journal, what they store is served.
  while (!/eu-2"?;hit/.test((await ask(network.at('eu-1'), path)).tiers[0] ?? '')) await setImmediate();
});

test('purges travel by TLS: a PURGE at one edge holds at the other', async (t) => {
  const { network, origin } = await startWorld(t, { site: { purge_method: { from: ['127.0.0.1'] } } });
  const path = network.pathOf('eu-2', '/x');
  // Once the nodes follow the journal, what they store is served.
  while (!/hit/.test((await ask(network.at('eu-2'), path)).tiers[0] ?? '')) await ask(network.at('eu-1'), path);
  const before = origin.count(path);
  t.equal((await ask(network.at('eu-1'), path, { method: 'PURGE' })).status, 200);
  while (origin.count(path) === before) await ask(network.at('eu-2'), path); // the other edge hears of it soon after
  t.equal(origin.count(path), before + 1);
});

for (const { how, isTls } of [
  { how: 'with certificates', isTls: true },
  { how: 'without', isTls: false },
]) {
  test(`what passes on the port for nodes can be read: ${how} ${isTls ? 'nothing' : 'everything'}`, async (t) => {
    const relay = await startRelay(t);
    const trust = makeTrust(t.testdir());
    for (const [role, name] of NODES) trust.issue(role, name, 'eu');
    const origin = await startOrigin((_request, response) => {
      response.writeHead(200, { 'X-Answer': 'an-answer-field' }).end('the body of the answer');
    });
    const network = await startNetwork({
      origin: origin.url,
      brokenEdge: relay.address, // where eu-1 finds eu-2
      tierTls: isTls ? trust.tierTls : undefined,
    });
    t.teardown(async () => {
      await network.close();
      await origin.close();
    });
    relay.target = network.edge('eu-2').addresses.tier;
    const headers = { Cookie: 'session=a-secret-of-a-visitor' };
    const answer = await ask(network.at('eu-1'), network.pathOf('eu-2', '/a-path-'), { headers });
    t.equal(answer.text, 'the body of the answer');
    t.match(answer.tiers[1], /eu-2/, 'it came over the relay');
    const bytes = relay.bytes();
    t.ok(bytes.length > 500);
    for (const text of [
      ...[
        'HTTP/1.1',
        'GET',
        'site.test',
        'a-path-',
        'a-secret-of-a-visitor',
        'an-answer-field',
        'the body of the answer',
      ],
      ...['Seawall-Tier', SECRET, 'eu-1'],
    ]) {
      t.equal(bytes.includes(text), !isTls, text);
    }
  });
}

interface Relay {
  readonly address: string;
  /** HOST:PORT; set before the first connection. */
  target: string;
  /** All that has passed, both ways. */
  bytes(): Buffer;
}

/** Passes connections on, and keeps a copy of what passes: what `tcpdump` would show. */
async function startRelay(t: Test): Promise<Relay> {
  const copies: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const colon = relay.target.lastIndexOf(':');
    const far = connect({ host: relay.target.slice(0, colon), port: Number(relay.target.slice(colon + 1)) });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes: Buffer) => copies.push(bytes));
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const relay: Relay = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: '',
    bytes: () => Buffer.concat(copies),
  };
  return relay;
}
