/**
 * A site that steers by redirect, in a network of real processes: to the nearest region, and around one that has died.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { startNode } from '../support/node-processes.ts';
import { startOrigin, text } from '../support/origin.ts';
import { freePorts } from '../support/ports.ts';
import { ask, type Reply } from '../support/visitor.ts';

const GERMANY = '141.1.1.1';
const UNITED_STATES = '8.8.8.8';

/** Maximum time from a region's death to the first answer that avoids it. */
const NOTICED_MS = 3_000;

test('navigations are redirected to the nearest healthy region, and never in circles', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const folder = t.testdir();
  const [eu = 0, euTier = 0, us = 0, usTier = 0, control = 0] = await freePorts(5);
  const host = (port: number): string => `127.0.0.1:${port}`;
  const common = {
    network: 'steering',
    tier_secret: 'only-for-this-one-journey',
    trusted_proxies: ['127.0.0.0/8'],
    sites: [
      {
        name: 'site',
        hosts: ['site.test', '*.site.test'],
        key: { host: 'site.test' },
        origin: { servers: [{ url: origin.url }] },
        geo: { redirect: { eu: 'eu.site.test', us: 'us.site.test' } },
      },
    ],
  };
  const edge = (name: string, listen: number, tier: number) => [
    { name, listen: host(listen), tier: host(tier), workers: 1 },
  ];
  const files = {
    'eu.yaml': {
      ...common,
      region: 'eu',
      coordinates: [50.1, 8.7],
      geo: { recovery: '1s' },
      edges: edge('eu-1', eu, euTier),
      control: { listen: host(control) },
    },
    'us.yaml': {
      ...common,
      region: 'us',
      coordinates: [39, -77],
      geo: { recovery: '1s' },
      edges: edge('us-1', us, usTier),
      purges: { journal: `http://${host(control)}` },
    },
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, body] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(body));
  const [euFile, usFile] = [join(folder, 'eu.yaml'), join(folder, 'us.yaml')];
  const nodes = await Promise.all([
    startNode('control', [euFile, usFile]),
    startNode('eu-1', [euFile]),
    startNode('us-1', [usFile]),
  ]);
  let usNode = nodes[2];
  t.teardown(async () => {
    for (const node of [nodes[0], nodes[1], usNode]) await node.kill();
  });

  const navigate = (from: string, name = 'site.test', headers = {}): Promise<Reply> =>
    ask(host(eu), '/page?a=b', {
      headers: { Host: name, 'X-Forwarded-For': from, 'Sec-Fetch-Mode': 'navigate', ...headers },
    });
  /** Asks until it is so, or for too long. */
  const becomes = async (status: number, from = UNITED_STATES): Promise<number> => {
    const startedAt = performance.now();
    while ((await navigate(from)).status !== status) {
      if (performance.now() - startedAt > 20_000) throw new Error(`never ${status}`);
      await sleep(20); // not to take the processor from those that are to notice
    }
    return performance.now() - startedAt;
  };

  await becomes(307); // the other region is well by then,
  await becomes(200, GERMANY); // and so is this one, whichever came first
  const reply = await navigate(UNITED_STATES);
  t.match(reply.headers, { location: 'http://us.site.test/page?a=b', 'cache-control': 'no-store' });
  t.equal((await navigate(GERMANY)).status, 200, 'who is at the right one stays');
  t.equal((await navigate(UNITED_STATES, 'eu.site.test')).status, 200, 'who asks for this region by name, too');
  t.equal((await navigate(UNITED_STATES, 'site.test', { 'Sec-Fetch-Mode': 'no-cors' })).status, 200, 'and an image');
  t.equal((await navigate('10.0.0.1')).status, 200, 'and whoever is nowhere');

  await usNode.kill();
  const noticedMs = await becomes(200);
  t.ok(noticedMs < NOTICED_MS, `its death is noticed after ${noticedMs.toFixed(0)} ms`);
  usNode = await startNode('us-1', [usFile]);
  await becomes(307);
  t.equal((await navigate(UNITED_STATES)).status, 307);
});
