/**
 * A DNS server as a node: its sockets, what it answers, its metrics.
 * @module
 */
import { splitAddress } from '../../config/listener.ts';
import type { DnsConfig, RegionConfig } from '../../config/schema.ts';
import type { Listener } from '../../http/listener.ts';
import { instantNow, monotonicNow } from '../../lib/clock.ts';
import { listenForControl } from '../../telemetry/control-listener.ts';
import type { Logger } from '../../telemetry/log.ts';
import { openSteering } from '../open-steering.ts';
import { dnsCounts, dnsRegistry } from './metrics.ts';
import { Responder, type Transport } from './responder.ts';
import { listenTcp, type TcpListener } from './tcp.ts';
import { listenUdp, type UdpListener } from './udp.ts';

export interface DnsNodeOptions {
  readonly region: RegionConfig;
  readonly dns: DnsConfig;
  /** Every region that visitors may be sent to, as far as files tell; the control node tells the rest. */
  readonly regions: readonly RegionConfig[];
  readonly log: Logger;
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
  readonly udp: UdpListener;
  readonly tcp: TcpListener;
}

/** At port 0 the port that UDP gets has to be free for TCP too. */
const FREE_PORT_TRIES = 20;

/** @throws the system's error when an address cannot be had; `ConfigError` when a database cannot be used. */
export async function startDns({ region, dns, regions, log }: DnsNodeOptions): Promise<DnsNode> {
  const opened = await openSteering({ region, regions, node: dns.name, log });
  const steering = { where: (address: string) => opened.where(address, monotonicNow()) };
  const counts = dnsCounts();
  let config = dns;
  let hosts = region.control_hosts;
  let limits = region.limits;
  let responder = new Responder(responderOptions(region, dns));

  function responderOptions(of: RegionConfig, with_: DnsConfig): ConstructorParameters<typeof Responder>[0] {
    const hosts = of.sites.flatMap((site) => site.hosts);
    return { config: with_, hosts, networkSecret: of.tier_secret, steering, counts };
  }

  function respond(message: Buffer, address: string, transport: Transport): Buffer | undefined {
    try {
      return responder.respond(message, address, transport, instantNow());
    } catch (error) {
      // A mistake of ours must not end the server for everybody else.
      counts.dropped.failed += 1;
      log.error({ err: error, query: message.subarray(0, 64).toString('hex') }, 'a query could not be answered');
      return undefined;
    }
  }

  const entrances: Entrance[] = [];
  let control: Listener | undefined;
  const closeAll = async (): Promise<void> => {
    await Promise.all([...entrances.flatMap(({ udp, tcp }) => [udp.close(), tcp.close()]), control?.close()]);
    await opened.close();
  };
  const connections = new Map<string, number>();
  let closing: Promise<void> | undefined;

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
          bounds: () => ({
            maxConnections: config.tcp.max_connections,
            maxConnectionsPerNetwork: config.tcp.max_connections_per_network,
            idleMs: config.tcp.idle_timeout,
          }),
          respond: (message, from) => respond(message, from, 'tcp'),
          onConnections: (count) => {
            connections.set(address, count);
            counts.connections = [...connections.values()].reduce((sum, one) => sum + one, 0);
          },
          onRefused: () => {
            counts.connectionsRefused += 1;
          },
        });
        return { address: host.includes(':') ? `[${host}]:${udp.port}` : `${host}:${udp.port}`, udp, tcp };
      } catch (error) {
        await udp.close();
        if (port !== 0 || tries === FREE_PORT_TRIES) throw error;
      }
    }
  }

  try {
    for (const address of dns.listen) entrances.push(await open(address));
    if (dns.control !== undefined) {
      const isAnyRegionHealthy = () => steering.where('').chosen?.state === 'healthy';
      const registry = dnsRegistry(dns.name, counts, isAnyRegionHealthy);
      control = await listenForControl({ address: dns.control, limits, registry, node: dns.name, hosts: () => hosts });
    }
  } catch (error) {
    await closeAll();
    throw error;
  }

  return {
    name: dns.name,
    addresses: { listen: entrances[0]?.address, control: control?.address },
    reload(next, nextRegions) {
      if (next.dns === undefined) return;
      opened.reload(next, nextRegions);
      responder = new Responder(responderOptions(next, next.dns), responder);
      config = next.dns;
      hosts = next.control_hosts;
      limits = next.limits;
      control?.update(limits);
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}
