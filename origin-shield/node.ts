/**
 * A shield: the one node between all edges and a site's origin.
 * @module
 */
import type { Logger } from 'pino';
import type { RegionConfig, ShieldConfig } from '../config/schema.ts';
import { openAll } from '../http/listener.ts';
import type { EpochMs } from '../lib/clock.ts';
import { nodeControl } from '../tier/control.ts';
import { listenForNodes, type RoutingFor } from '../tier/listener.ts';
import { NodeCore } from '../tier/node-core.ts';
import { once } from '../tier/once.ts';
import { OriginPools } from './origin-pool.ts';

export interface ShieldOptions {
  readonly region: RegionConfig;
  readonly shield: ShieldConfig;
  readonly log: Logger;
  /** `wallNow` but for tests. */
  readonly now?: (() => EpochMs) | undefined;
}

export interface ShieldNode {
  readonly name: string;
  readonly addresses: { readonly tier: string; readonly control: string | undefined };
  /** Serves what the new config says; its addresses must be the same. */
  reload(region: RegionConfig): void;
  /** Resolves when requests under way have finished, or had the time that the config gives them. */
  close(): Promise<void>;
}

export async function startShield(options: ShieldOptions): Promise<ShieldNode> {
  const { region, shield, log, now } = options;
  const { name } = shield;
  const memoryBytes = shield.memory ?? region.memory;
  const core = new NodeCore({ name, role: 'shield', memoryBytes, region, log, now });
  try {
    return await openShield(core, options);
  } catch (error) {
    await core.close();
    throw error;
  }
}

async function openShield(core: NodeCore, { region, shield }: ShieldOptions): Promise<ShieldNode> {
  const { name } = shield;
  const origins = new OriginPools(region.network, region.sites);
  let { tier_secret: secret, control_hosts: hosts } = region;
  const routing: RoutingFor = (_call, { site }) => ({
    fetch: origins.fetchFor(site),
    asksPeer: false,
    keeps: () => true,
  });
  const [tier, control] = await openAll([
    () => listenForNodes({ core, address: shield.tier, secret: () => secret, routing }),
    shield.control === undefined
      ? undefined
      : nodeControl(core, shield.control, { secret: () => secret, hosts: () => hosts }),
  ]);
  return {
    name,
    addresses: { tier: tier.address, control: control?.address },
    reload: (next) => {
      secret = next.tier_secret;
      hosts = next.control_hosts;
      const memoryBytes = next.shields.find((other) => other.name === name)?.memory ?? next.memory;
      core.update({ region: next, memoryBytes });
      for (const listener of [tier, control]) listener?.update(next.limits);
      origins.update(next.sites);
    },
    close: once(async () => {
      await tier.close();
      await Promise.all([control?.close(), origins.close(), core.close()]);
    }),
  };
}
