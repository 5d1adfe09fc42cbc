/**
 * A DNS server as a node: its sockets, what it answers, its metrics.
 * @module
 */
import { splitAddress } from '../../config/listener.ts';
import type { DnsConfig, RegionConfig } from '../../config/schema.ts';
import { checkNodeInternals } from '../../http/node-internals/checks.ts';
import { instantNow, monotonicNow } from '../../lib/clock.ts';
import { type Component, type ComponentEvents, Components, CurrentConfig } from '../../lib/components.ts';
import { type ControlListener, listenForControl } from '../../telemetry/control-listener.ts';
import type { Logger } from '../../telemetry/log.ts';
import { openNodeTrust } from '../../telemetry/node-certificates.ts';
import { openSteering } from '../open-steering.ts';
import { dnsCounts, dnsRegistry } from './metrics.ts';
import { Responder, type Transport } from './responder.ts';
import { listenTcp } from './tcp.ts';
import { listenUdp } from './udp.ts';

export interface DnsNodeOptions {
  readonly region: RegionConfig;
  readonly dns: DnsConfig;
  /** Every region that visitors may be sent to, as far as files tell; the control node tells the rest. */
  readonly regions: readonly RegionConfig[];
  readonly log: Logger;
  readonly componentEvents?: ComponentEvents | undefined;
}

export interface DnsNode {
  readonly name: string;
  readonly addresses: { readonly listen: string | undefined; readonly control: string | undefined };
  /** Answers from the new config; not one query is lost. */
  reload(region: RegionConfig, regions: readonly RegionConfig[]): void;
  close(): Promise<void>;
}

/** Both sockets of one address. */
interface Entrance {
  readonly address: string;
  close(): Promise<void>;
}

/** At port 0 the port that UDP gets has to be free for TCP too. */
const FREE_PORT_TRIES = 20;

/** The config that queries are answered from. */
interface DnsRegion {
  readonly region: RegionConfig;
  readonly regions: readonly RegionConfig[];
  readonly dns: DnsConfig;
}

/** @throws the system's error when an address cannot be had; `ConfigError` when a database cannot be used. */
export async function startDns({ region, dns, regions, log, componentEvents }: DnsNodeOptions): Promise<DnsNode> {
  await checkNodeInternals(log);
  const components = new Components<DnsRegion>(componentEvents);
  const config = await components.start('config', () => new CurrentConfig<DnsRegion>({ region, regions, dns }));
  const trust = await components.start('trust', () => openNodeTrust({ region, name: dns.name, role: 'dns', log }), {
    update: (part, next) => part.update(next.region),
    close: (part) => part.close(),
  });
  const { certificates } = trust;
  const steeringOptions = { region, regions, node: dns.name, log, certificates };
  const opened = await components.start('steering', () => openSteering(steeringOptions), {
    update: (part, next) => part.reload(next.region, next.regions),
    close: (part) => part.close(),
  });
  const steering = { where: (address: string) => opened.where(address, monotonicNow()) };
  const counts = dnsCounts();
  const answering = await components.start(
    'responder',
    () =>
      new Answering(config.value, (of, before) => {
        const { region, dns } = of;
        const hosts = region.sites.flatMap((site) => site.hosts);
        return new Responder({ config: dns, hosts, networkSecret: region.tier_secret, steering, counts }, before);
      }),
  );
  const connections = new Map<string, number>();

  function respond(message: Buffer, address: string, transport: Transport): Buffer | undefined {
    try {
      return answering.responder.respond(message, address, transport, instantNow());
    } catch (error) {
      // A mistake of ours must not end the server for other clients.
      counts.dropped.failed += 1;
      log.error({ err: error, query: message.subarray(0, 64).toString('hex') }, 'query failed with an internal error');
      return undefined;
    }
  }

  async function open(address: string): Promise<Entrance> {
    const { host, port } = splitAddress(address);
    for (let tries = 1; ; tries += 1) {
      const udp = await listenUdp({
        host,
        port,
        respond: (message, from) => respond(message, from, 'udp'),
        onFailed: () => {
          counts.dropped.failed += 1;
        },
        log,
      });
      try {
        const tcp = await listenTcp({
          host,
          port: udp.port,
          bounds: () => {
            const { tcp: bounds } = config.value.dns;
            return {
              maxConnections: bounds.max_connections,
              maxConnectionsPerNetwork: bounds.max_connections_per_network,
              idleMs: bounds.idle_timeout,
            };
          },
          respond: (message, from) => respond(message, from, 'tcp'),
          onConnections: (count) => {
            connections.set(address, count);
            counts.connections = [...connections.values()].reduce((sum, one) => sum + one, 0);
          },
          onRefused: () => {
            counts.connectionsRefused += 1;
          },
        });
        return {
          address: host.includes(':') ? `[${host}]:${udp.port}` : `${host}:${udp.port}`,
          async close() {
            await Promise.all([udp.close(), tcp.close()]);
          },
        };
      } catch (error) {
        await udp.close();
        if (port !== 0 || tries === FREE_PORT_TRIES) throw error;
      }
    }
  }

  const { control: controlAddress } = dns;
  const isAnyRegionHealthy = () => steering.where('').chosen?.state === 'healthy';
  const registry = dnsRegistry(dns.name, counts, isAnyRegionHealthy);
  trust.watch(registry);
  const { control } = await components.listen(
    {
      control:
        controlAddress === undefined
          ? undefined
          : (started) =>
              listenForControl(started, {
                address: controlAddress,
                limits: region.limits,
                registry,
                node: dns.name,
                hosts: () => config.value.region.control_hosts,
              }),
    },
    {
      update: (part: ControlListener, next) => part.update(next.region.limits),
      drain: (part) => part.drain(),
      close: (part) => part.close(),
    },
  );
  const entrances = await components.listen(
    Object.fromEntries(dns.listen.map((address, index) => [`listen ${index}`, () => open(address)] as const)),
    { close: (part: Entrance) => part.close() },
  );
  return {
    name: dns.name,
    addresses: { listen: Object.values(entrances)[0]?.address, control: control?.address },
    reload(next, nextRegions) {
      if (next.dns !== undefined) components.update({ region: next, regions: nextRegions, dns: next.dns });
    },
    close: () => components.close(),
  };
}

/** Answers from the newest config, with what the responder before it remembered. */
class Answering implements Component<DnsRegion> {
  readonly #make: (config: DnsRegion, before?: Responder) => Responder;
  responder: Responder;

  constructor(config: DnsRegion, make: (config: DnsRegion, before?: Responder) => Responder) {
    this.#make = make;
    this.responder = make(config);
  }

  update(config: DnsRegion): void {
    this.responder = this.#make(config, this.responder);
  }
}
