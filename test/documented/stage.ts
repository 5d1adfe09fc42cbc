/**
 * The nodes of a documented config in this process, between visitors and an
 * origin of the test’s own. Addresses, certificates and the origin’s URL are
 * the test’s; everything else is as documented.
 * @module
 */
import { Agent as HttpAgent, type IncomingMessage, request as sendPlain } from 'node:http';
import { Agent as HttpsAgent, request as sendSecure } from 'node:https';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { type EdgeNode, startEdge } from '../../edge/node.ts';
import { type ShieldNode, startShield } from '../../origin-shield/node.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { createLog } from '../../telemetry/log.ts';
import type { Asked } from './oracle.ts';
import { ASK_FIELD, type IdentityOrigin, type OriginOptions, startIdentityOrigin } from './origin.ts';
import { usesPlaces } from './people.ts';

export interface Got {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

export interface Stage {
  readonly region: RegionConfig;
  readonly origin: IdentityOrigin;
  readonly clock: { now: number };
  /** Addresses that visitors’ connections come from are believed about the visitor’s address. */
  readonly isBehindProxy: boolean;
  /** Sends a request to one of the edges. */
  send(asked: Asked, edge: number): Promise<Got>;
  close(): Promise<void>;
}

const log = createLog({ name: 'documented', level: process.env['SEAWALL_LOG'] === 'debug' ? 'debug' : 'silent' });

/** Where visitors of a site that wants to know their place come from: a proxy that is believed. */
export const PROXY_ADDRESS = '127.0.0.9';

export async function startStage(documented: RegionConfig, options: Omit<OriginOptions, 'now'>): Promise<Stage> {
  const clock = { now: Date.now() };
  const now = (): number => clock.now;
  const origin = await startIdentityOrigin({ ...options, now });
  const isBehindProxy = documented.sites.some(usesPlaces);
  const region = onLoopback(documented, origin.url, isBehindProxy);
  const shields = await Promise.all(
    region.reachableShields.map((shield) =>
      startShield({ region: { ...region, shields: [shield] }, shield, log, now }),
    ),
  );
  const edges = await Promise.all(
    region.edges.map((edge) =>
      startEdge({ region, edge, origin: new OriginPools(region.network, region.sites), log, now }),
    ),
  );
  const nodes = [...edges, ...shields];
  const known = withAddresses(region, nodes);
  for (const node of nodes) node.reload(known);
  const agents = new Map<string, HttpAgent | HttpsAgent>();
  return {
    region: known,
    origin,
    clock,
    isBehindProxy,
    send: (asked, edge) => send(edges[edge % edges.length] as EdgeNode, asked, agents, isBehindProxy),
    close: async () => {
      for (const agent of agents.values()) agent.destroy();
      await Promise.all(edges.map((node) => node.close()));
      await Promise.all(shields.map((node) => node.close()));
      await origin.close();
    },
  };
}

const PORT_0 = '127.0.0.1:0';

function onLoopback(region: RegionConfig, originUrl: string, isBehindProxy: boolean): RegionConfig {
  const { databases } = regionSchema.shape.geo.parse({});
  return {
    ...region,
    edges: region.edges.map((edge) => ({
      ...edge,
      listen: PORT_0,
      listen_tls: edge.listen_tls === undefined ? undefined : PORT_0,
      tier: PORT_0,
      control: undefined,
    })),
    shields: region.shields.map((shield) => ({ ...shield, tier: PORT_0, control: undefined })),
    reachableShields: region.reachableShields.map((shield) => ({ ...shield, tier: PORT_0, control: undefined })),
    control: undefined,
    dns: undefined,
    purges: { ...region.purges, journal: undefined },
    access_log: undefined,
    geo: { ...region.geo, databases },
    trusted_proxies: isBehindProxy ? [...region.trusted_proxies, PROXY_ADDRESS] : region.trusted_proxies,
    sites: region.sites.map((site) => ({
      ...site,
      origin: { ...site.origin, servers: [{ url: originUrl, weight: 1 }] },
    })),
  };
}

function withAddresses(region: RegionConfig, nodes: readonly (EdgeNode | ShieldNode)[]): RegionConfig {
  const placed = <N extends { readonly name: string; readonly tier: string }>(node: N): N => ({
    ...node,
    tier: nodes.find(({ name }) => name === node.name)?.addresses.tier ?? node.tier,
  });
  return {
    ...region,
    edges: region.edges.map(placed),
    shields: region.shields.map(placed),
    reachableShields: region.reachableShields.map(placed),
  };
}

function send(
  edge: EdgeNode,
  asked: Asked,
  agents: Map<string, HttpAgent | HttpsAgent>,
  isBehindProxy: boolean,
): Promise<Got> {
  const isSecure = asked.scheme === 'https';
  const address = isSecure ? edge.addresses.listen_tls : edge.addresses.listen;
  if (address === undefined) throw new Error('the edge has no listener for TLS');
  const localAddress = isBehindProxy ? PROXY_ADDRESS : asked.address;
  const name = `${asked.visitor} ${asked.scheme}`;
  const options = { keepAlive: true, localAddress };
  const agent =
    agents.get(name) ?? (isSecure ? new HttpsAgent({ ...options, rejectUnauthorized: false }) : new HttpAgent(options));
  agents.set(name, agent);
  const fields = asked.fields.flatMap((field) => [...field]);
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  const request = (isSecure ? sendSecure : sendPlain)({
    host: '127.0.0.1',
    port,
    ...(isSecure && { servername: asked.host.replace(/\.?(?::\d+)?$/, '').toLowerCase() }),
    method: asked.method,
    path: asked.target,
    agent,
    maxHeaderSize: 262_144,
    headers: [
      ...['Host', asked.host, ...fields],
      ...(isBehindProxy ? ['X-Forwarded-For', asked.address] : []),
      ...[ASK_FIELD, String(asked.ask)],
    ],
  });
  request.once('response', (response) => void read(response).then(resolve, reject));
  request.once('error', reject);
  request.end();
  return promise;
}

async function read(response: IncomingMessage): Promise<Got> {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => {
    response.once('error', () => undefined); // a body that breaks off is read as far as it came
    response.once('close', resolve);
  });
  const { statusCode: status = 0, rawHeaders, headers } = response;
  return { status, rawHeaders, headers, body: Buffer.concat(chunks).toString('latin1') };
}
