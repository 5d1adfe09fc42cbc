/**
 * An edge: the node that visitors reach.
 * @module
 */
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { siblingPath } from '../config/path.ts';
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { addressBlock } from '../http/address-block.ts';
import { AddressCounts } from '../http/address-counts.ts';
import { expectsProxyHeader, visitorAddress } from '../http/client-address.ts';
import type { ServerExchange } from '../http/exchange.ts';
import { Front } from '../http/front.ts';
import { listen, openAll } from '../http/listener.ts';
import { Recogniser } from '../http/recogniser.ts';
import type { SecureListening } from '../http/secure.ts';
import { Spool } from '../http/spool.ts';
import { cidrSetOf } from '../lib/cidr-set.ts';
import type { EpochMs } from '../lib/clock.ts';
import { nodeControl } from '../tier/control.ts';
import { listenForNodes, type RoutingFor } from '../tier/listener.ts';
import { NodeCore } from '../tier/node-core.ts';
import { once } from '../tier/once.ts';
import { answerUpgrade } from '../tier/upgrade.ts';
import { useAccessLog } from './access-log.ts';
import { EdgeGeo } from './edge-geo.ts';
import { FastPath } from './fast-path.ts';
import { FastStreams } from './fast-streams.ts';
import { HotKeys } from './hot.ts';
import { type OriginAccess, Peers, type WorkerAddress } from './peers.ts';
import { answerVisitor } from './pipeline.ts';
import { EdgeRouting } from './routing.ts';
import { isProxy, readUpgrade, senderOf, type Visit } from './visitor.ts';
import { type SharedTls, visitorTls } from './visitor-tls.ts';

export interface EdgeOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  /** Access to the origin without a shield; absent: never. */
  readonly origin?: OriginAccess | undefined;
  /** Worker of the edge that this process is; absent: the only one. */
  readonly worker?: WorkerOptions | undefined;
  /** Without it every request goes the long way, with the same answers; for tests that compare the two. */
  readonly fastPath?: boolean | undefined;
  readonly log: Logger;
  /** `wallNow` but for tests. */
  readonly now?: (() => EpochMs) | undefined;
}

/** One of several processes that are one edge. */
export interface WorkerOptions extends SharedTls {
  /** In the log and in receipts. */
  readonly name: string;
}

export interface EdgeNode {
  readonly name: string;
  readonly addresses: {
    readonly listen: string;
    readonly listen_tls: string | undefined;
    readonly tier: string;
    readonly control: string | undefined;
    /** Address for the edge's other processes. */
    readonly worker: string | undefined;
  };
  readonly core: NodeCore;
  /** Requests that were answered before HTTP was parsed. */
  readonly answeredFast: number;
  /** The edge's processes, this one included. */
  setWorkers(workers: readonly WorkerAddress[]): void;
  /** Other keys for session tickets, from now on. */
  setTicketKeys(keys: Buffer): void;
  /** Serves what the new config says; its addresses must be the same. */
  reload(region: RegionConfig): void;
  /** Resolves when requests under way have finished, or had the time that the config gives them. */
  close(): Promise<void>;
}

/** Window over which a key's requests are counted for `hot_after`. */
const HOT_WINDOW_MS = 10_000;

/** Keys that are counted at a time. */
const MAX_COUNTED_KEYS = 100_000;

/** Address on which a worker listens for the others of its machine. */
const WORKER_ADDRESS = '127.0.0.1:0';

export async function startEdge(options: EdgeOptions): Promise<EdgeNode> {
  const { region, edge, worker, log, now } = options;
  const { name } = edge;
  const memoryBytes = edge.memory ?? region.memory;
  const core = new NodeCore({ name, member: worker?.name, role: 'edge', memoryBytes, region, log, now });
  try {
    return await openEdge(core, options);
  } catch (error) {
    await core.close();
    throw error;
  }
}

async function openEdge(
  core: NodeCore,
  { region, edge, origin, log, worker, fastPath = true }: EdgeOptions,
): Promise<EdgeNode> {
  const { name } = edge;
  const { limits } = region;
  const reusePort = worker !== undefined;
  const peers = new Peers(name, region, worker && { self: worker.name, all: [] });
  const geo = new EdgeGeo(name, log);
  await geo.open(region);
  const requests = new AddressCounts();
  const connections = new AddressCounts();
  const spool: Spool = new Spool({
    folder: () => siblingPath(visit.region.file, visit.region.spool.folder),
    memoryBytes: () => visit.region.spool.memory,
    fileBytes: () => visit.region.spool.file,
  });
  /** Trusted proxies bring many visitors' requests on a connection. */
  const admits = (socket: Socket): boolean => {
    const sender = socket.remoteAddress ?? '';
    if (isProxy(visit, sender)) return true;
    const block = addressBlock(sender);
    if (!connections.begin(block, core.limits.connections_per_address)) {
      core.metrics.connectionRefused('too_many_connections');
      return false;
    }
    socket.once('close', () => connections.end(block));
    return true;
  };
  let visit = visiting(core, region, origin, peers, geo, { requests, spool });
  useAccessLog(core, undefined, region);
  core.visitorAddress = (sender, headers) => visitorAddress(senderOf(visit, sender), headers);
  const fast = fastPath ? new FastPath(visit) : undefined;
  const plain = fast ? undefined : plainFront(core);
  const front = fast?.front ?? plain;
  const streams = fast && new FastStreams(fast);
  const secret = (): string => visit.region.tier_secret;
  const onRequest = (exchange: ServerExchange): void => void answerVisitor(visit, exchange);
  const tls =
    edge.listen_tls === undefined
      ? undefined
      : visitorTls(core, region, worker, {
          onRequest,
          answer: streams && ((connection, request) => streams.answer(connection, request)),
        });
  const listenForVisitors = (address: string, secure?: SecureListening) =>
    listen({
      address,
      secure,
      reusePort,
      limits,
      admits,
      proxied: {
        isExpected: (sender) => expectsProxyHeader(senderOf(visit, sender)),
        timeoutMs: () => core.limits.header_timeout,
        refused: (error) => core.refused('public', error),
      },
      allowHalfOpen: true,
      onConnection: (socket, wire, hasServed) => front?.accept(socket, wire, hasServed),
      onRequest,
      onRefused: (error) => core.refused('public', error),
      onUpgrade: (request) =>
        answerUpgrade(request, { core, listener: 'public', read: () => readUpgrade(visit, request) }),
    });
  const routing: RoutingFor = (call, { site }, key) => {
    const asked = call.ask === 'owner' && key !== '' ? 'by-edge' : 'by-worker';
    const next = () => ({
      id: call.id,
      from: name,
      proto: call.proto,
      position: core.ledger.positionFor(call.position),
    });
    return new EdgeRouting({ peers, origin, site, key, asked, call: next });
  };
  const forNodes = { core, secret, routing };
  const [visitors, encrypted, tier, ownTier, control] = await openAll([
    () => listenForVisitors(edge.listen),
    tls && (() => listenForVisitors(edge.listen_tls ?? '', tls.listening)),
    () => listenForNodes({ ...forNodes, address: edge.tier, reusePort }),
    worker && (() => listenForNodes({ ...forNodes, address: WORKER_ADDRESS })),
    // A worker's is that of the whole edge, in the process that started it.
    edge.control === undefined || worker
      ? undefined
      : nodeControl(core, edge.control, { secret, hosts: () => visit.region.control_hosts }),
  ]);
  let newest = region;
  const use = (next: RegionConfig): void => {
    const memoryBytes = next.edges.find((other) => other.name === name)?.memory ?? next.memory;
    core.update({ region: next, memoryBytes });
    for (const listener of [visitors, encrypted, tier, ownTier, control]) listener?.update(next.limits);
    origin?.update(next.sites);
    peers.update(next);
    geo.update(next);
    useAccessLog(core, visit.region, next);
    visit = visiting(core, next, origin, peers, geo, { requests, spool });
    fast?.update(visit);
    tls?.update(next.sites);
  };
  const useWhenReady = async (next: RegionConfig): Promise<void> => {
    try {
      await geo.open(next);
      if (newest === next) use(next);
    } catch (error) {
      log.error({ detail: (error as Error).message }, 'the new config is not used, the old one stays');
    }
  };
  return {
    name,
    core,
    addresses: {
      listen: visitors.address,
      listen_tls: encrypted?.address,
      tier: tier.address,
      control: control?.address,
      worker: ownTier?.address,
    },
    get answeredFast() {
      return fast?.answered ?? 0;
    },
    setTicketKeys: (keys) => tls?.tickets.set(keys),
    setWorkers: (all) => peers.setWorkers({ self: core.member, all }),
    reload: (next) => {
      newest = next;
      if (geo.isReady(next)) use(next);
      else void useWhenReady(next);
    },
    close: once(async () => {
      fast?.close();
      plain?.close();
      await setImmediate(); // what it has handed over is read by then, and not taken for idle
      await Promise.all([visitors.close(), encrypted?.close(), tier.close(), ownTier?.close()]);
      tls?.close();
      await Promise.all([core.close(), control?.close(), peers.close(), geo.close(), origin?.close(), spool.close()]);
    }),
  };
}

/** Recognises nothing: every request goes the long way. */
function plainFront(core: NodeCore): Front<undefined> {
  const recogniser = new Recogniser({ maxBytes: 0, maxLines: 0, meaningOf: () => undefined });
  return new Front({
    recogniser: () => recogniser,
    limits: () => core.limits,
    allowHalfOpen: true,
    answer: () => false,
    ask: () => undefined,
  });
}

function visiting(
  core: NodeCore,
  region: RegionConfig,
  origin: OriginAccess | undefined,
  peers: Peers,
  geo: EdgeGeo,
  { requests, spool }: Pick<Visit, 'requests' | 'spool'>,
): Visit {
  const proxies = cidrSetOf(region.trusted_proxies);
  return {
    core,
    region,
    origin,
    peers,
    geo,
    requests,
    spool,
    trusted: (ip) => proxies.has(ip),
    hot: new HotKeys({ after: region.limits.hot_after, windowMs: HOT_WINDOW_MS, maxKeys: MAX_COUNTED_KEYS }),
  };
}
