/**
 * A shield: the one node between all edges and a site's origin.
 * @module
 */
import type { Logger } from 'pino';
import type { RegionConfig, ShieldConfig } from '../config/schema.ts';
import { memoryOf } from '../config/workers.ts';
import { LISTENER_LIFETIME } from '../http/listener/listener.ts';
import { checkNodeInternals } from '../http/node-internals/checks.ts';
import { requestIdField, withIdField } from '../http/request-id.ts';
import type { EpochMs } from '../lib/clock.ts';
import { type ComponentEvents, Components, CurrentConfig } from '../lib/components.ts';
import { CONTROL_LIFETIME } from '../telemetry/control-listener.ts';
import { openNodeTrust } from '../telemetry/node-certificates.ts';
import { nodeControl } from '../tier/control.ts';
import { countMatches } from '../tier/dry-run.ts';
import { explainForNodes } from '../tier/explain.ts';
import { reportHealth } from '../tier/health-report.ts';
import { listenForNodes, type RoutingFor } from '../tier/listener.ts';
import { NodeCore } from '../tier/node-core.ts';
import { type NodeDisk, openNodeDisk } from '../tier/node-disk.ts';
import { tierTrust } from '../tier/trust.ts';
import { OriginPools } from './origin-pool.ts';

export interface ShieldOptions {
  readonly region: RegionConfig;
  readonly shield: ShieldConfig;
  readonly log: Logger;
  /** `wallNow` but for tests. */
  readonly now?: (() => EpochMs) | undefined;
  readonly componentEvents?: ComponentEvents | undefined;
}

export interface ShieldNode {
  readonly name: string;
  readonly core: NodeCore;
  readonly addresses: { readonly tier: string; readonly control: string | undefined };
  /** Serves what the new config says; its addresses must be the same. */
  reload(region: RegionConfig): void;
  /** Closes the disk, for another process. */
  release(): Promise<void>;
  /** Resolves when requests under way have finished, or had the time that the config gives them. */
  close(): Promise<void>;
}

/**
 * Starts a shield: its components in order, then its listeners.
 *
 * @throws The system's error for an address that cannot be used; nothing runs then.
 */
export async function startShield({ region, shield, log, now, componentEvents }: ShieldOptions): Promise<ShieldNode> {
  const { name } = shield;
  await checkNodeInternals(log);
  const components = new Components<RegionConfig>(componentEvents);
  const config = await components.start('config', () => new CurrentConfig(region));
  const origins = await components.start('origins', () => new OriginPools(region.network, region.sites), {
    update: (part, { sites }) => part.update(sites),
    close: (part) => part.close(),
  });
  const trust = await components.start('trust', () => openNodeTrust({ region, name, role: 'shield', log }), {
    update: (part, next) => part.update(next),
    close: (part) => part.close(),
  });
  const core = await components.start(
    'core',
    () => new NodeCore({ name, role: 'shield', memoryBytes: memoryOf(region, shield), region, log, now, trust }),
    {
      update: (part, next) => part.update({ region: next, memoryBytes: memoryOf(next, shield) }),
      drain: (part) => part.drain(),
      close: (part) => part.close(),
    },
  );
  reportHealth(core, origins.targets);
  core.metrics.traffic.origin = origins.requests;
  let disk: NodeDisk | undefined;
  if (shield.disk !== undefined) {
    const { disk: config } = shield;
    const opened = await components.start('disk', () => openNodeDisk(core, region, config), {
      update: (part, next) => part.update(next.shields.find((other) => other.name === name)?.disk),
      close: (part) => part.close(),
    });
    core.useOwnDisk(opened.disk);
    disk = opened;
  }
  const hosts = (): readonly string[] => config.value.control_hosts;
  const routing: RoutingFor = ({ id }, { site }, _key, trace) => {
    const fetch = withIdField(origins.fetchFor(site), requestIdField(config.value.request_id, id));
    const traced: typeof fetch = (request, sink) => {
      trace?.note('fetch', { to: 'origin' });
      return fetch(request, sink);
    };
    return { fetch: trace === undefined ? fetch : traced, asksPeer: false, shouldStore: () => true };
  };
  const { control } = await components.listen(
    { control: shield.control === undefined ? undefined : nodeControl(core, shield.control, { hosts }) },
    CONTROL_LIFETIME,
  );
  const { tier } = await components.listen(
    {
      tier: (started) =>
        listenForNodes(started, {
          core,
          address: shield.tier,
          routing,
          ...tierTrust(core, () => config.value),
          matches: (records) => countMatches(core, records),
          explain: (question) => explainForNodes(core, config.value.file, question),
        }),
    },
    LISTENER_LIFETIME,
  );
  return {
    name,
    core,
    addresses: { tier: tier.address, control: control?.address },
    async release() {
      core.purging.release();
      await disk?.close();
    },
    reload: (next) => components.update(next),
    close: () => components.close(),
  };
}
