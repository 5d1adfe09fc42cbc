/**
 * An edge: the node that visitors reach.
 * @module
 */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { DiskStore } from '../cache/disk/disk.ts';
import { siblingPath } from '../config/path.ts';
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { memoryOf } from '../config/workers.ts';
import { Spool } from '../http/body/spool.ts';
import { expectsProxyHeader, visitorAddress } from '../http/fields/client-address.ts';
import { addressBlock } from '../http/listener/address-block.ts';
import { AddressCounts } from '../http/listener/address-counts.ts';
import { LISTENER_LIFETIME, type ListenerOptions, listen } from '../http/listener/listener.ts';
import type { SecureListening } from '../http/listener/tls.ts';
import { checkNodeInternals } from '../http/node-internals/checks.ts';
import { requestIdField } from '../http/request-id.ts';
import type { EpochMs } from '../lib/clock.ts';
import { type Component, type ComponentEvents, Components, CurrentConfig } from '../lib/components.ts';
import { CONTROL_LIFETIME } from '../telemetry/control-listener.ts';
import { openNodeTrust } from '../telemetry/node-certificates.ts';
import { nodeControl } from '../tier/control.ts';
import { countMatches } from '../tier/dry-run.ts';
import { reportHealth } from '../tier/health-report.ts';
import { listenForNodes, type RoutingFor } from '../tier/listener.ts';
import { NodeCore, type NodeCoreOptions, type SharedByThreads } from '../tier/node-core.ts';
import { type NodeDisk, openNodeDisk } from '../tier/node-disk.ts';
import { tierTrust } from '../tier/trust.ts';
import { answerUpgrade } from '../tier/upgrade.ts';
import type { CertificateTexts } from '../trust/certificate-files.ts';
import { EdgeAccessLog } from './access-log.ts';
import { EdgeGeo } from './edge-geo.ts';
import { explainVisit } from './explain.ts';
import { HotKeys } from './hot.ts';
import { type OriginAccess, Peers } from './peers.ts';
import { VisitorPipeline } from './pipeline.ts';
import { PreparedResponses } from './prepared-responses.ts';
import { RateLimits, reportLimited } from './rate-limits.ts';
import { RegionLimits } from './region-limits.ts';
import { EdgeRouting } from './routing.ts';
import { isProxy, senderOf } from './senders.ts';
import { type EdgeContext, idNameOf, readUpgrade, requestId } from './visitor.ts';
import { type Delivery, visitorServer } from './visitor-server.ts';
import { type SharedTls, visitorTls } from './visitor-tls.ts';

export interface EdgeOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  /** Access to the origin without a shield; absent: never. */
  readonly origin?: OriginAccess | undefined;
  /** Worker of the edge that this thread is; absent: the only one. */
  readonly worker?: WorkerOptions | undefined;
  /** `prepared` but for tests that compare the ways to deliver: the answers are the same. */
  readonly delivery?: Delivery | undefined;
  readonly log: Logger;
  /** `wallNow` but for tests. */
  readonly now?: (() => EpochMs) | undefined;
  readonly componentEvents?: ComponentEvents | undefined;
}

/** One of several threads that are one edge. */
export interface WorkerOptions extends SharedTls {
  /** In the log: `eu-1#2`. */
  readonly name: string;
  /** True if this one works on jobs for the edge. */
  readonly worksOnJobs: boolean;
  /** Store of all workers. */
  readonly shared: SharedByThreads;
  /** Disk of all workers, which the main thread has. */
  readonly disk: DiskStore | undefined;
  /** Contents of the files of the node's certificates, as the main thread has read them. */
  readonly nodeTexts?: CertificateTexts | undefined;
  /** Keeps its ledger up to date. */
  readonly follow: NonNullable<NodeCoreOptions['follow']>;
}

export interface EdgeNode {
  readonly name: string;
  readonly addresses: {
    readonly listen: string;
    readonly listen_tls: string | undefined;
    readonly tier: string;
    readonly control: string | undefined;
  };
  readonly core: NodeCore;
  /** Requests that were answered with prepared bytes. */
  readonly answeredPrepared: number;
  /** Other keys for session tickets, from now on. */
  setTicketKeys(keys: Buffer): void;
  /** Serves what the new config says; its addresses must be the same. */
  reload(region: RegionConfig): void;
  /** Closes the disk, for another process, and refuses purges that it would not know of. */
  release(): Promise<void>;
  /** Resolves when requests under way have finished, or had the time that the config gives them. */
  close(): Promise<void>;
}

/** Window over which a key's requests are counted for `hot_after`. */
const HOT_WINDOW_MS = 10_000;

/** Keys that are counted at a time. */
const MAX_COUNTED_KEYS = 100_000;

/**
 * Starts an edge: its components in order, then its listeners.
 *
 * @throws The system's error for an address that cannot be used, `ConfigError` for a database; nothing runs then.
 */
export async function startEdge(options: EdgeOptions): Promise<EdgeNode> {
  const { region, edge, worker, log } = options;
  const { name } = edge;
  await checkNodeInternals(log);
  const components = new Components<RegionConfig>(options.componentEvents);
  const parts = await startParts(components, options);
  const { config, core, geo, prepared, tls, disk } = parts;
  const reusePort = worker !== undefined;
  // First, so that it is closed last. A worker's is that of the whole edge, in the main thread.
  const hosts = (): readonly string[] => config.value.control_hosts;
  const { control } = await components.listen(
    { control: edge.control === undefined || worker ? undefined : nodeControl(core, edge.control, { hosts }) },
    CONTROL_LIFETIME,
  );
  const { visitors, encrypted, tier } = await components.listen(
    {
      visitors: (started) => listen(started, visitorListener(parts, edge.listen, reusePort)),
      encrypted:
        tls && ((started) => listen(started, visitorListener(parts, edge.listen_tls ?? '', reusePort, tls.listening))),
      tier: (started) =>
        listenForNodes(started, {
          core,
          ...tierTrust(core, () => config.value),
          matches: (records) => countMatches(core, records),
          explain: (question) => explainVisit(parts.visits.current, question),
          limits: (message) => parts.regionLimits.hear(message),
          routing: routingOf(parts, options),
          address: edge.tier,
          reusePort,
        }),
    },
    LISTENER_LIFETIME,
  );
  let newest = region;
  const useWhenReady = async (next: RegionConfig): Promise<void> => {
    try {
      await geo.open(next);
      if (newest === next) components.update(next);
    } catch (error) {
      log.error({ detail: (error as Error).message }, 'new config not applied, the old one stays in use');
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
    },
    get answeredPrepared() {
      return prepared.answered;
    },
    setTicketKeys: (keys) => {
      tls?.tickets.set(keys);
      core.certificates?.setTicketKeys(keys);
    },
    reload: (next) => {
      newest = next;
      if (geo.isReady(next)) components.update(next);
      else void useWhenReady(next);
    },
    async release() {
      core.purging.release();
      await disk?.close();
    },
    close: () => components.close(),
  };
}

/** Context for visitors' requests, made once per config. */
class Visits implements Component<RegionConfig> {
  readonly #make: (region: RegionConfig) => EdgeContext;
  current: EdgeContext;

  constructor(region: RegionConfig, make: (region: RegionConfig) => EdgeContext) {
    this.#make = make;
    this.current = make(region);
  }

  update(region: RegionConfig): void {
    this.current = this.#make(region);
  }
}

type Parts = Awaited<ReturnType<typeof startParts>>;

/** Starts what an edge consists of beside its listeners. */
async function startParts(
  components: Components<RegionConfig>,
  { region, edge, origin, log, now, worker, delivery = 'prepared' }: EdgeOptions,
) {
  const { name } = edge;
  if (origin !== undefined) {
    await components.start('origin', () => origin, {
      update: (part, { sites }) => part.update(sites),
      close: (part) => part.close(),
    });
  }
  const config = await components.start('config', () => new CurrentConfig(region));
  const accessLog = await components.start('access log', () => new EdgeAccessLog(region, log));
  const trust = await components.start(
    'trust',
    () => openNodeTrust({ region, name, role: 'edge', log, known: worker?.nodeTexts, ticketKeys: worker?.ticketKeys }),
    { update: (part, next) => part.update(next), close: (part) => part.close() },
  );
  const core = await components.start(
    'core',
    () =>
      new NodeCore({
        name,
        trust,
        member: worker?.name,
        follow: worker?.follow,
        role: 'edge',
        memoryBytes: memoryOf(region, edge),
        shared: worker?.shared,
        region,
        log,
        now,
        accessLog,
        visitorAddress: (sender, headers) => visitorAddress(senderOf(config.value, sender), headers),
      }),
    {
      update: (part, next) => part.update({ region: next, memoryBytes: memoryOf(next, edge) }),
      drain: (part) => part.drain(),
      close: (part) => part.close(),
    },
  );
  let disk: NodeDisk | undefined;
  if (worker?.disk !== undefined) core.useDisk(worker.disk);
  else if (worker === undefined && edge.disk !== undefined) {
    const { disk: config } = edge;
    const opened = await components.start('disk', () => openNodeDisk(core, region, config), {
      update: (part, next) => part.update(next.edges.find((other) => other.name === name)?.disk),
      close: (part) => part.close(),
    });
    core.useOwnDisk(opened.disk);
    disk = opened;
  }
  const peers = await components.start('peers', () => new Peers(name, region, core.certificates));
  reportHealth(core, peers.targets);
  if (origin !== undefined) {
    reportHealth(core, origin.targets);
    core.metrics.traffic.origin = origin.requests;
  }
  const geo = await components.start('geo', async () => {
    const opened = new EdgeGeo(name, log, core.certificates);
    await opened.open(region);
    return opened;
  });
  accessLog.country = (ip) => geo.locate(ip)?.country;
  const spool = await components.start(
    'spool',
    () =>
      new Spool({
        folder: () => siblingPath(config.value.file, config.value.spool.folder),
        memoryBytes: () => config.value.spool.memory,
        fileBytes: () => config.value.spool.file,
      }),
  );
  const requests = new AddressCounts();
  const rateLimits = await components.start(
    'rate-limits',
    () => new RateLimits(region.sites, reportLimited(core), worker === undefined ? undefined : name),
    { update: (part, { sites }) => part.update(sites), close: (part) => part.close() },
  );
  const regionLimits = new RegionLimits(rateLimits, (key) => peers.countsOwner(key));
  const prepared = await components.start('prepared', () => new PreparedResponses(name, region), {
    update: (part, next) => part.update(next),
    close: (part) => part.close(),
  });
  const visits = await components.start(
    'visits',
    () =>
      new Visits(region, (of) => ({
        core,
        region: of,
        idName: idNameOf(of),
        origin,
        peers,
        geo,
        requests,
        rateLimits,
        spool,
        prepared,
        hot: new HotKeys({ after: of.limits.hot_after, windowMs: HOT_WINDOW_MS, maxKeys: MAX_COUNTED_KEYS }),
      })),
  );
  if (worker?.worksOnJobs !== false) {
    // Other threads do without them.
    const { JobAgent } = await import('../tier/jobs/agent.ts');
    const { warmStep } = await import('./warming.ts');
    await components.start('jobs', () => new JobAgent(core, region, (run) => warmStep(() => visits.current, run)), {
      drain: (part) => part.end(),
      close: (part) => part.close(),
      update: (part, next) => part.update(next),
    });
  }
  const pipeline = new VisitorPipeline(visits);
  const front = await components.start('front', () => visitorServer(core, pipeline, delivery), {
    update: (part) => part.update(),
    drain: (part) => part.server.close(),
    close: () => undefined,
  });
  const onRequest = pipeline.answer;
  const tls =
    edge.listen_tls === undefined
      ? undefined
      : await components.start(
          'tls',
          () =>
            visitorTls(core, region, worker, {
              onRequest,
              isPrepared: delivery === 'prepared',
              idName: () => config.value.request_id,
            }),
          { update: (part, { sites }) => part.update(sites), close: (part) => part.close() },
        );
  const connections = new AddressCounts();
  return { config, core, disk, peers, geo, prepared, visits, front, onRequest, tls, regionLimits, connections };
}

/** Returns the options of a listener for visitors. */
function visitorListener(
  { config, core, visits, front, onRequest, connections }: Parts,
  address: string,
  reusePort: boolean,
  secure?: SecureListening,
): ListenerOptions {
  /** Trusted proxies bring many visitors' requests on a connection. */
  const admits = (socket: Socket): boolean => {
    const sender = socket.remoteAddress ?? '';
    if (isProxy(config.value, sender)) return true;
    const block = addressBlock(sender);
    if (!connections.begin(block, core.limits.connections_per_address)) {
      core.metrics.connectionRefused('too_many_connections');
      return false;
    }
    socket.once('close', () => connections.end(block));
    return true;
  };
  return {
    address,
    secure,
    reusePort,
    limits: core.limits,
    admits,
    proxied: {
      isExpected: (sender) => expectsProxyHeader(senderOf(config.value, sender)),
      timeoutMs: () => core.limits.header_timeout,
      refused: (error) => core.refused('public', error),
    },
    allowHalfOpen: true,
    onConnection: (socket, wire, unread) => front.server.accept(socket, wire, unread),
    onRequest,
    onRefused: (error) => core.refused('public', error),
    idName: () => config.value.request_id,
    onRetire: () => front.server.retire(),
    onUpgrade: (request) =>
      answerUpgrade(request, {
        core,
        listener: 'public',
        read: (_request, trace, id) => readUpgrade(visits.current, request, trace, id),
        identify: () => requestId(visits.current, request),
        idName: () => config.value.request_id,
      }),
  };
}

/** Returns the routing of requests that other nodes send. */
function routingOf({ config, core, peers }: Parts, { edge, origin }: EdgeOptions): RoutingFor {
  return (call, { site }, key, trace) => {
    const next = () => ({
      id: call.id,
      from: edge.name,
      proto: call.proto,
      position: core.ledger.positionFor(call.position),
      background: call.background,
    });
    const idField = requestIdField(config.value.request_id, call.id);
    return new EdgeRouting({ peers, origin, site, key, asksOwner: false, call: next, idField, trace });
  };
}
