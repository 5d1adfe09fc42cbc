/**
 * A network of real nodes on loopback, in this process: regions with edges,
 * and shields that all regions use.
 * @module
 */
import type { z } from 'zod';
import { cacheKey } from '../../cache/key.ts';
import type { TierTlsConfig } from '../../config/schema/tier-tls.ts';
import {
  type limitsSchema,
  type RegionConfig,
  regionSchema,
  type ruleSchema,
  type SiteConfig,
  siteSchema,
} from '../../config/schema.ts';
import { type EdgeNode, startEdge } from '../../edge/node.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { type ShieldNode, startShield } from '../../origin-shield/node.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { createLog, type Logger } from '../../telemetry/log.ts';
import { Ring } from '../../tier/ring.ts';
import { HOST } from './visitor.ts';

export const SECRET = 'journeys-know-this-secret';

type SiteInput = z.input<typeof siteSchema>;

export interface NetworkOptions {
  readonly origin: string | readonly string[];
  /** Its servers with other keys than their URL; by default `origin`. */
  readonly servers?: NonNullable<SiteInput['origin']>['servers'];
  /** Keys of the site beside its name, hosts and servers. */
  readonly site?: Partial<Omit<SiteInput, 'origin'>>;
  /** Keys of `origin` beside its servers. */
  readonly access?: Partial<SiteInput['origin']>;
  readonly rules?: readonly z.input<typeof ruleSchema>[];
  readonly limits?: Partial<z.input<typeof limitsSchema>>;
  readonly memory?: string;
  readonly spool?: z.input<typeof regionSchema>['spool'];
  readonly trustedProxies?: readonly string[];
  /** Access log of the edges; none by default. */
  readonly accessLog?: z.input<typeof regionSchema>['access_log'];
  /** Log of all nodes; silent by default. */
  readonly log?: Logger;
  /** Source of a visitor's address, if not Forwarded. */
  readonly clientAddress?: z.input<typeof regionSchema>['client_address'] | undefined;
  /** Control nodes, each as HOST:PORT; with `tierTls` their addresses for nodes. */
  readonly journal?: string | readonly string[];
  /** Certificates of the nodes; by default they know each other by their secret. */
  readonly tierTls?: TierTlsConfig | undefined;
  /** Other keys of `purges`. */
  readonly purges?: Omit<NonNullable<z.input<typeof regionSchema>['purges']>, 'journal'>;
  /** Edges of each region; one region with two edges by default. */
  readonly regions?: Readonly<Record<string, number>>;
  readonly shields?: number;
  /** Tier addresses of shields that are not started, before those that are. */
  readonly brokenShields?: readonly string[];
  /** Tier address that all other edges find at the place of this one, which is the last edge of its region. */
  readonly brokenEdge?: string;
}

export interface Network {
  readonly regions: readonly RegionConfig[];
  readonly edges: readonly EdgeNode[];
  readonly shields: readonly ShieldNode[];
  /** @returns HOST:PORT for visitors. */
  at(edge: string): string;
  edge(name: string): EdgeNode;
  /** @returns Names of the edges of a region that own the key of this path, nearest first. */
  owners(target: string, region?: string): readonly string[];
  /** @returns A path that begins so and belongs to this edge. */
  pathOf(edge: string, prefix: string): string;
  /** Serves with other keys of the site. */
  reload(site: NetworkOptions['site'], rules?: NetworkOptions['rules'], access?: NetworkOptions['access']): void;
  /** A counter or gauge of a node; the sum over all label sets that have these labels. */
  metric(node: string, name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  metricsText(node: string): Promise<string>;
  close(): Promise<void>;
}

const silent = createLog({ name: 'journey', level: process.env['SEAWALL_LOG'] === 'debug' ? 'debug' : 'silent' });

export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { log = silent } = options;
  let regions: readonly RegionConfig[] = configsOf(options);
  const main = regions[0] as RegionConfig;
  const shields = await Promise.all(main.shields.map((shield) => startShield({ region: main, shield, log })));
  const edges = await Promise.all(
    regions.flatMap((region) =>
      region.edges.map((edge) => {
        const origin = new OriginPools(region.network, region.sites);
        return startEdge({ region, edge, origin, log });
      }),
    ),
  );
  const nodes = [...edges, ...shields];
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const serve = (next: readonly RegionConfig[]): void => {
    regions = next;
    for (const region of regions) {
      for (const { name } of [...region.edges, ...region.shields]) byName.get(name)?.reload(region);
    }
  };
  // Every node took a free port; now they get to know each other's.
  const placed = (given: NetworkOptions): readonly RegionConfig[] =>
    configsOf(given).map((region) => withAddresses(region, byName, options));
  serve(placed(options));

  const edge = (name: string): EdgeNode => {
    const found = edges.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no edge ${name}`);
    return found;
  };
  const owners = (target: string, region = regions[0]?.region): readonly string[] => {
    const config = regions.find((one) => one.region === region) as RegionConfig;
    const site = config.sites[0] as SiteConfig;
    const { key } = cacheKey(site, 'http', parseRequestTarget('GET', target, ['Host', HOST]), []);
    return new Ring(config.edges).successors(key);
  };
  const metricsText = async (node: string): Promise<string> => {
    const { control } = (byName.get(node) as EdgeNode | ShieldNode).addresses;
    return (await fetch(`http://${control}/metrics`)).text();
  };
  return {
    get regions() {
      return regions;
    },
    edges,
    shields,
    at: (name) => edge(name).addresses.listen,
    edge,
    owners,
    pathOf: (name, prefix) => {
      const region = regions.find((one) => one.edges.some((member) => member.name === name))?.region;
      for (let i = 0; ; i++) {
        const path = `${prefix}${i}`;
        if (owners(path, region)[0] === name) return path;
      }
    },
    reload: (site = {}, rules = options.rules ?? [], access = options.access ?? {}) =>
      serve(placed({ ...options, site: { ...options.site, ...site }, rules, access })),
    metricsText,
    metric: async (node, name, labels = {}) => sumOf(await metricsText(node), name, labels),
    close: async () => {
      await Promise.all(edges.map((node) => node.close()));
      await Promise.all(shields.map((node) => node.close()));
    },
  };
}

/** @returns Region files of such a network for its control node: they name its nodes. */
export function filesOfNetwork(options: Pick<NetworkOptions, 'regions' | 'shields'>): RegionConfig[] {
  return configsOf({ ...options, origin: 'http://127.0.0.1:1' });
}

function configsOf(options: NetworkOptions): RegionConfig[] {
  const { origin, access, site, rules = [], limits = {}, memory = '32MiB', trustedProxies = [] } = options;
  const servers = options.servers ?? (typeof origin === 'string' ? [origin] : origin).map((url) => ({ url }));
  const parsedSite = siteSchema.parse({
    name: 'site',
    hosts: [HOST],
    rules,
    ...site,
    origin: { ...access, servers },
  });
  const shields = Array.from({ length: options.shields ?? 1 }, (_, i) => ({
    name: `shield-${i + 1}`,
    tier: '127.0.0.1:0',
    control: '127.0.0.1:0',
  }));
  const broken = (options.brokenShields ?? []).map((tier, i) => ({ name: `broken-${i + 1}`, tier, weight: 1 }));
  return Object.entries(options.regions ?? { eu: 2 }).map(([region, count], index): RegionConfig => {
    const parsed = regionSchema.parse({
      region,
      tier_secret: SECRET,
      tier_tls: options.tierTls,
      memory,
      spool: options.spool,
      edges: Array.from({ length: count }, (_, i) => ({
        name: `${region}-${i + 1}`,
        listen: '127.0.0.1:0',
        ...(site?.tls && { listen_tls: '127.0.0.1:0' }),
        tier: '127.0.0.1:0',
        control: '127.0.0.1:0',
      })),
      shields: index === 0 ? shields : [],
      trusted_proxies: trustedProxies,
      access_log: options.accessLog,
      client_address: options.clientAddress,
      purges: {
        ...options.purges,
        ...(options.journal !== undefined && {
          journal: [options.journal].flat().map((one) => `${options.tierTls ? 'https' : 'http'}://${one}`),
        }),
      },
      limits: { drain_timeout: '1s', ...limits },
      sites: [{ include: 'site.yaml' }],
    });
    const shared = regionSchema.shape.shields.parse(shields);
    return {
      ...parsed,
      file: `${region}.yaml`,
      sites: [parsedSite],
      reachableShields: [...broken.map((shield) => ({ ...shield, control: undefined })), ...shared],
    };
  });
}

function withAddresses(
  region: RegionConfig,
  nodes: ReadonlyMap<string, EdgeNode | ShieldNode>,
  { brokenEdge }: NetworkOptions,
): RegionConfig {
  const place = <N extends { readonly name: string; readonly tier: string }>(node: N): N => ({
    ...node,
    tier: nodes.get(node.name)?.addresses.tier ?? node.tier,
  });
  const edges = region.edges.map(place);
  const last = edges.at(-1);
  if (brokenEdge !== undefined && last !== undefined) edges[edges.length - 1] = { ...last, tier: brokenEdge };
  return { ...region, edges, shields: region.shields.map(place), reachableShields: region.reachableShields.map(place) };
}

/** One line of the Prometheus text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function samplesOf(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, of]) => [key, of] as const);
      return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
    });
}

function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  return samplesOf(text)
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
