/**
 * Regions, nodes and certificates, as the dashboard shows them, and what is wrong with them.
 * @module
 */
import type { RegionConfig } from '../../config/schema.ts';
import type { ControlEntry, NetworkEntry, NodeEntry } from '../node-list.ts';
import type { RegionStatus } from '../regions.ts';
import type { TrafficStore } from '../traffic/traffic-store.ts';
import type { CertificateRow, Health, NodeModel, RegionModel } from './model.ts';

export interface NetworkSources {
  readonly network: NetworkEntry;
  readonly regions: readonly RegionConfig[];
  readonly status: readonly RegionStatus[];
  /** Returns the fingerprint of the config that a node runs. */
  readonly configOf: (node: string) => string | null;
  readonly traffic: TrafficStore;
  readonly nowMs: number;
  readonly mayRead: (site: string) => boolean;
}

const DAY_MS = 86_400_000;
/** Days before its end from which on a certificate is worth a warning, and worse. */
const SOON_DAYS = 14;
const URGENT_DAYS = 3;
/** Purges that a node may be behind for a moment. */
const USUAL_LAG = 10;

export function regionModels(sources: NetworkSources): RegionModel[] {
  const { network, regions, status, traffic } = sources;
  return network.regions.map(({ region: name, nodes }) => {
    const config = regions.find(({ region }) => region === name);
    const state = status.find((one) => one.name === name);
    const models = nodes.map((node) => nodeModel(node, sources));
    const { drain } = state ?? {};
    const isDrained = state?.state === 'drained';
    return {
      name,
      health: healthOfRegion(state?.state),
      state: state?.state ?? 'not known here',
      drain: drain ? drainText(drain) : null,
      isDrainable: state !== undefined && drain?.source !== 'config',
      isDrained,
      file: config?.file.replace(/^.*\//, '') ?? null,
      config: config?.fingerprint ?? null,
      requests: nodes.reduce((sum, node) => sum + traffic.node(node.name).requests, 0),
      nodes: models,
    };
  });
}

function drainText(drain: NonNullable<RegionStatus['drain']>): string {
  if (drain.source === 'config') return 'drained by its region file';
  return `drained by ${drain.by} since ${drain.since}${drain.reason === '' ? '' : `: ${drain.reason}`}`;
}

function healthOfRegion(state: RegionStatus['state'] | undefined): Health {
  if (state === undefined) return 'unknown';
  return state === 'healthy' ? 'ok' : state === 'down' ? 'bad' : 'warn';
}

function nodeModel(node: NodeEntry, { traffic, configOf, nowMs }: NetworkSources): NodeModel {
  const { requests, hits } = traffic.node(node.name);
  const { name, role, version, since, workers, memory, disk, lag, connected } = node;
  const [health, state] = stateOf(node);
  return {
    name,
    role,
    health,
    state,
    lag: connected ? lag : null,
    version,
    config: configOf(name),
    isOtherConfig: node.config === 'other',
    since,
    workers,
    memory: memory === null || memory.size === 0 ? null : memory.used / memory.size,
    disk: disk === null ? null : disk.ok ? `${disk.objects} objects` : 'failed',
    certificateDays: daysLeft(node.certificate_expires, nowMs),
    requests,
    hitRatio: requests === 0 ? null : hits / requests,
  };
}

function stateOf({ presence, connected, lag, disk, doubled, state }: NodeEntry): [Health, string] {
  if (presence === 'missing') return ['bad', 'missing'];
  if (presence === 'never_seen') return ['bad', 'never seen'];
  if (presence === 'forgotten') return ['unknown', 'forgotten'];
  if (presence === 'unknown') return ['unknown', 'not heard of yet'];
  if (doubled) return ['bad', 'two processes'];
  if (disk?.ok === false) return ['bad', 'disk failed'];
  if (state === 'down') return ['bad', 'does not answer'];
  if (!connected) return ['warn', 'journal lost'];
  if (lag > USUAL_LAG) return ['warn', `${lag} behind`];
  return ['ok', 'up'];
}

export function controlModels({ network, configOf, nowMs }: NetworkSources): NodeModel[] {
  return network.control.map((entry: ControlEntry) => {
    const { name, presence, version, since, config, certificate_expires: expires } = entry;
    const isThere = presence === 'present';
    return {
      name,
      role: 'control' as const,
      health: isThere ? ('ok' as const) : presence === 'unknown' ? ('unknown' as const) : ('bad' as const),
      state: isThere ? 'up' : presence,
      lag: null,
      version,
      config: configOf(`control/${name}`),
      isOtherConfig: config === 'other',
      since,
      workers: null,
      memory: null,
      disk: null,
      certificateDays: daysLeft(expires, nowMs),
      requests: 0,
      hitRatio: null,
    };
  });
}

/** Certificates, the one that ends first at the top. */
export function certificateRows({ network, traffic, nowMs, mayRead }: NetworkSources): CertificateRow[] {
  const nodes = [...network.regions.flatMap((region) => region.nodes), ...network.control].flatMap(
    ({ name, certificate_expires: expires }) =>
      expires === null ? [] : [{ what: 'node', name, at: Date.parse(expires) }],
  );
  const sites = [...traffic.certificates].flatMap(([name, at]) =>
    mayRead(name) ? [{ what: 'visitors', name, at }] : [],
  );
  return [...nodes, ...sites]
    .filter(({ at }) => Math.abs(at) <= 8.64e15)
    .sort((one, other) => one.at - other.at)
    .map(({ what, name, at }) => {
      const days = Math.floor((at - nowMs) / DAY_MS);
      const health = days < URGENT_DAYS ? 'bad' : days < SOON_DAYS ? 'warn' : 'ok';
      return { what, name, expires: new Date(at).toISOString(), days, health };
    });
}

function daysLeft(expires: string | null, nowMs: number): number | null {
  return expires === null ? null : Math.floor((Date.parse(expires) - nowMs) / DAY_MS);
}

/** Problems that an operator should look at. */
export function problemsOf(
  { network }: Pick<NetworkSources, 'network'>,
  regions: readonly RegionModel[],
  control: readonly NodeModel[],
  certificates: readonly CertificateRow[],
): string[] {
  const nodes = regions.flatMap(({ nodes: of }) => of);
  const versions = new Set([...nodes, ...control].flatMap(({ version }) => version ?? []));
  return [
    ...regions.flatMap(({ name, state, drain }) =>
      state === 'healthy' || state === 'not known here' ? [] : [`Region ${name}: ${drain ?? state}`],
    ),
    ...[...nodes, ...control].flatMap(({ name, health, state }) =>
      health === 'bad' || health === 'warn' ? [`Node ${name}: ${state}`] : [],
    ),
    ...[...nodes, ...control].flatMap(({ name, isOtherConfig }) =>
      isOtherConfig ? [`Node ${name} runs another config than the files of this control node`] : [],
    ),
    ...(versions.size > 1 ? [`Nodes run different versions: ${[...versions].sort().join(', ')}`] : []),
    ...certificates.flatMap(({ what, name, days, health }) =>
      health === 'ok'
        ? []
        : [
            `Certificate of ${what === 'node' ? 'node' : 'site'} ${name}: ${days < 0 ? 'has ended' : `${days} days left`}`,
          ],
    ),
    ...network.refused
      .slice(0, 10)
      .map(({ name, reason }) => `A node was refused: ${name ?? 'without a name'} (${reason})`),
  ];
}
