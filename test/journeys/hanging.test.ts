/**
 * Nodes and servers that hang instead of dying: no request waits for them for longer than a moment, and none is the
 * trial (promise P4).
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { ask } from '../support/visitor.ts';

const KEPT = { 'Cache-Control': 'max-age=60' };

/** A second by design (docs/health.md), and as much for a machine with other things to do. */
const MOST_MS = 2_000;

interface Hanging {
  readonly network: Network;
  readonly relay: Relay;
  /** Name of what hangs, as the node `asker` has it. */
  readonly target: string;
  readonly asker: string;
  /** A key whose way leads over the target. */
  path(i: number): string;
}

const CASES: Readonly<Record<string, (t: Test) => Promise<Hanging>>> = {
  async 'the owner of a key'(t) {
    const [relay, network] = await networkWith(t, (address) => ({ brokenEdge: address }));
    relay.target = network.edge('eu-2').addresses.tier;
    return { network, relay, target: 'eu-2', asker: 'eu-1', path: (i) => network.pathOf('eu-2', `/${i}/`) };
  },
  async 'a shield'(t) {
    const [relay, network] = await networkWith(t, (address) => ({ regions: { eu: 1 }, brokenShields: [address] }));
    relay.target = network.shields[0]?.addresses.tier as string;
    return { network, relay, target: 'broken-1', asker: 'eu-1', path: (i) => `/${i}` };
  },
  async 'an origin server with a check'(t) {
    const [relay, network] = await networkWith(t, (address, origin) => ({
      regions: { eu: 1 },
      origin: [`http://${address}`, origin],
      access: { check: { path: '/', interval: '250ms', timeout: '300ms' } },
    }));
    return { network, relay, target: relay.url, asker: 'shield-1', path: (i) => `/${i}` };
  },
};

async function networkWith(
  t: Test,
  options: (relay: string, origin: string) => Partial<NetworkOptions>,
): Promise<[Relay, Network]> {
  const origin = await startOrigin(text('hello', KEPT));
  const relay = await startRelay(new URL(origin.url).host);
  const network = await startNetwork({ origin: origin.url, ...options(relay.address, origin.url) });
  t.teardown(() => Promise.all([network.close(), relay.close(), origin.close()]));
  return [relay, network];
}

/** @returns Milliseconds until the metric has the value. */
async function untilUp({ network, asker, target }: Hanging, value: number): Promise<number> {
  const since = performance.now();
  for (;;) {
    const up = await network.metric(asker, 'seawall_target_up', { target });
    if (up === value) return performance.now() - since;
    await pause(20);
  }
}

for (const [what, start] of Object.entries(CASES)) {
  test(`${what} hangs: it is left out within a second, and no request waits for longer`, async (t) => {
    const hanging = await start(t);
    const { network, relay, asker, target, path } = hanging;
    let keys = 0;
    const visit = async (): Promise<number> => {
      const since = performance.now();
      const reply = await ask(network.at('eu-1'), path(keys++));
      t.match(reply, { status: 200, text: 'hello', complete: true });
      return performance.now() - since;
    };
    for (let i = 0; i < 4; i++) await visit();

    relay.hang();
    const waits = Array.from({ length: 4 }, visit);
    t.ok((await untilUp(hanging, 0)) < MOST_MS, 'left out in time');
    for (const ms of await Promise.all(waits)) t.ok(ms < MOST_MS, `those that waited were answered: ${ms} ms`);
    t.ok((await network.metric(asker, 'seawall_targets_left_out_total', { target, cause: 'silent' })) >= 1);
    // For longer than any pause between trials: no visitor is one.
    for (const end = performance.now() + 3_000; performance.now() < end; await pause(20)) {
      const ms = await visit();
      t.ok(ms < MOST_MS / 4, `answered by another at once: ${ms} ms`);
    }

    relay.goOn();
    t.ok((await untilUp(hanging, 1)) < 2 * MOST_MS, 'used again');
    await visit();
  });
}
