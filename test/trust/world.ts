/**
 * A network whose nodes know each other by certificates: a control node, a shield, two edges and an origin, on real
 * sockets in this process.
 * @module
 */
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import type { Test } from 'tap';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import { type Network, type NetworkOptions, SECRET, samplesOf, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { makeTrust, type TestTrust } from '../support/trust.ts';

/** Line of the log of any node. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface TrustedWorld {
  readonly trust: TestTrust;
  readonly network: Network;
  readonly control: ControlNode;
  readonly controlRegions: readonly RegionConfig[];
  readonly origin: Origin;
  readonly lines: readonly LogLine[];
  /** Resolves with the first line that matches, past ones included. */
  logged(matches: (line: LogLine) => boolean): Promise<LogLine>;
  /** Number of refusals of a node, by their reason. */
  refusals(node: string): Promise<Record<string, number>>;
}

export interface WorldOptions {
  /** With `root`, the folder that it is in: a test has one folder. */
  readonly trust?: TestTrust;
  readonly root?: string;
  readonly site?: NetworkOptions['site'];
}

export const NODES = [
  ['edge', 'eu-1'],
  ['edge', 'eu-2'],
  ['shield', 'shield-1'],
  ['control', 'control'],
] as const;

export async function startWorld(t: Test, options: WorldOptions = {}): Promise<TrustedWorld> {
  const root = options.root ?? t.testdir();
  const trust = options.trust ?? makeTrust(root);
  for (const [role, name] of NODES) trust.issue(role, name, 'eu');
  const { log, lines, logged } = collectingLog();
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=3600', 'Content-Length': 5 }).end('hello');
  });
  const region = regionOf(join(root, 'control.yaml'), trust);
  const control = await startControl({ region, control: region.control, regions: [region], log });
  const network = await startNetwork({
    origin: origin.url,
    tierTls: trust.tierTls,
    journal: control.tier ?? '',
    log,
    ...(options.site && { site: options.site }),
  });
  t.teardown(async () => {
    await network.close();
    await control.close();
    await origin.close();
  });
  const metricsOf = async (node: string): Promise<string> =>
    node === 'control' ? (await fetch(`http://${control.address}/metrics`)).text() : network.metricsText(node);
  return {
    trust,
    network,
    control,
    controlRegions: [region],
    origin,
    lines,
    logged,
    async refusals(node) {
      const samples = samplesOf(await metricsOf(node)).filter(({ name }) => name === 'seawall_node_refusals_total');
      return Object.fromEntries(
        samples.map(({ labels, value }) => [`${labels['direction']} ${labels['reason']}`, value]),
      );
    },
  };
}

/** Region file of the control node, which names all nodes. */
function regionOf(
  file: string,
  { tierTls }: TestTrust,
): RegionConfig & { control: NonNullable<RegionConfig['control']> } {
  const { control, ...parsed } = regionSchema.parse({
    region: 'eu',
    tier_secret: SECRET,
    tier_tls: tierTls,
    edges: ['eu-1', 'eu-2'].map((name, i) => ({ name, listen: '127.0.0.1:0', tier: `127.0.0.1:${i + 1}` })),
    shields: [{ name: 'shield-1', tier: '127.0.0.1:3' }],
    control: { listen: '127.0.0.1:0', tier: '127.0.0.1:0', data: 'data' },
    sites: [{ name: 'site', hosts: ['site.test'], origin: { servers: [{ url: 'http://127.0.0.1:1' }] } }],
  });
  if (control === undefined) throw new TypeError('a region without a control node');
  const sites = parsed.sites.flatMap((site) => ('include' in site ? [] : [site]));
  return { ...parsed, control, file, sites, reachableShields: parsed.shields };
}

function collectingLog(): { log: Logger; lines: LogLine[]; logged: TrustedWorld['logged'] } {
  const lines: LogLine[] = [];
  const waiting = new Set<{ matches: (line: LogLine) => boolean; resolve: (line: LogLine) => void }>();
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const line = JSON.parse(chunk.toString()) as LogLine;
      lines.push(line);
      for (const one of waiting) {
        if (!one.matches(line)) continue;
        waiting.delete(one);
        one.resolve(line);
      }
      done();
    },
  });
  const log = pino({ level: 'info', formatters: { level: (level) => ({ level }) } }, stream);
  return {
    log,
    lines,
    logged(matches) {
      const found = lines.find(matches);
      if (found !== undefined) return Promise.resolve(found);
      const { promise, resolve } = Promise.withResolvers<LogLine>();
      waiting.add({ matches, resolve });
      return promise;
    },
  };
}
