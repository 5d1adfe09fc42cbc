/**
 * `npm run test:prometheus`: alerts by promtool, and Prometheus beside a network of processes, in which each query of
 * the alerts, the dashboard and the documents is run. Every metric in them has to be there.
 * @module
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { encode } from 'dns-packet';
import { t as all, type Test, test } from 'tap';
import { readArguments } from '../support/arguments.ts';
import { makeCertificate } from '../support/certificate.ts';
import { SECRET } from '../support/network.ts';
import { makeToken, type NodeProcess, startNode, temporaryFolder } from '../support/node-processes.ts';
import { startOrigin, UNREACHABLE } from '../support/origin.ts';
import { freePorts } from '../support/ports.ts';
import { ask, HOST } from '../support/visitor.ts';
import { promtool, startPrometheus } from './prometheus.ts';
import { metricsIn, queries, RULE_TESTS, RULES, SCRAPES } from './queries.ts';

const HELP = `Usage: npm run test:prometheus

Alerts, dashboard and queries of the documents with Prometheus (Debian's package
prometheus), beside a network that it scrapes, as TAP.

Options:
  --help  Say this.
`;

readArguments('test:prometheus', HELP, {});
all.setTimeout(120_000);

test('promtool takes the rules, and each alert fires when it should', async (t) => {
  for (const args of [
    ['check', 'rules', RULES],
    ['check', 'config', SCRAPES],
    ['test', 'rules', RULE_TESTS],
  ]) {
    await t.resolves(promtool(...args), args.join(' '));
  }
});

test('Prometheus scrapes a network, and runs every query that users are given', async (t) => {
  const network = await startNodes(t);
  const prometheus = await startPrometheus(network.controls);
  t.teardown(() => prometheus.close());
  await prometheus.until('up == 1', network.controls.length);
  await network.beBusy();
  const all = queries();
  for (const { from, expr } of all) await t.resolves(prometheus.query(expr), `${from}: ${expr}`);
  const names = new Set(all.flatMap(({ expr }) => metricsIn(expr).map(({ name }) => name)));
  t.ok(names.size > 30, 'metrics were found in the queries');
  // Some appear with their first value only, at the next scrape.
  for (const name of names) await t.resolves(prometheus.until(`count(${name})`, 1), name);
});

interface Nodes {
  /** Control listeners, as HOST:PORT. */
  readonly controls: readonly string[];
  /** Does what makes every metric appear. */
  beBusy(): Promise<void>;
}

/** Starts an edge with two workers, TLS and a disk, a shield, a control node and a DNS server. */
async function startNodes(t: Test): Promise<Nodes> {
  const origin = await startOrigin((request, response) => {
    response.setHeader('Cache-Control', request.url === '/private' ? 'no-store' : 'max-age=60');
    response.end('text');
  });
  t.teardown(() => origin.close());
  const ports = await freePorts(8);
  const [visitors, secure, edgeTier, edgeControl, shieldTier, shieldControl, control, dns] = ports.map(
    (port) => `127.0.0.1:${port}`,
  );
  const [dnsControl] = (await freePorts(1)).map((port) => `127.0.0.1:${port}`);
  const home = temporaryFolder();
  const { cert_file, key_file } = makeCertificate(home, 'site', [HOST]);
  const file = join(home, 'region.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      region: 'main',
      tier_secret: SECRET,
      edges: [
        {
          ...{ name: 'edge', workers: 2, listen: visitors, listen_tls: secure, tier: edgeTier, control: edgeControl },
          disk: { path: join(home, 'disk'), size: '256MiB' },
        },
      ],
      shields: [{ name: 'shield', tier: shieldTier, control: shieldControl }],
      control: { name: 'control', listen: control },
      dns: {
        ...{ name: 'dns', listen: [dns], control: dnsControl },
        zones: [
          {
            name: 'site.test',
            nameservers: [{ name: 'ns.site.test', addresses: ['127.0.0.1'] }],
            hostmaster: 'dns@site.test',
            steer: ['@'],
          },
        ],
      },
      sites: [
        {
          name: 'site',
          hosts: [HOST],
          tls: { cert_file, key_file },
          origin: { servers: [{ url: origin.url }] },
        },
        { name: 'broken', hosts: ['broken.test'], origin: { servers: [{ url: UNREACHABLE }] } },
      ],
    }),
  );
  const token = makeToken(home);
  const nodes: NodeProcess[] = [];
  for (const name of ['control', 'shield', 'edge', 'dns']) nodes.push(await startNode(name, [file]));
  t.teardown(async () => {
    for (const node of nodes) await node.kill();
  });

  const purge = (bearer: string): Promise<Response> =>
    fetch(`http://${control}/v1/purges`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify({ files: [`http://${HOST}/page`], wait: 'applied' }),
    });
  return {
    controls: [edgeControl, shieldControl, control, dnsControl] as string[],
    async beBusy() {
      for (const target of ['/page', '/page', '/private']) await ask(visitors as string, target);
      await ask(visitors as string, '/page', { headers: { Host: 'broken.test' } });
      await purge('wrong');
      t.match(await purge(token), { ok: true }, 'a purge is accepted');
      await abandonHandshake(secure as string);
      await askName(dns as string);
    },
  };
}

/** Asks for a name that no certificate is for. */
async function abandonHandshake(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connect({ host, port: Number(port), servername: 'other.test', rejectUnauthorized: false });
  await once(socket, 'error');
}

async function askName(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const socket = createSocket('udp4');
  socket.send(encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'site.test' }] }), Number(port), host);
  await once(socket, 'message');
  socket.close();
}
