/**
 * The control node: keeps the journal of purges, takes purges and tells
 * operators about the network. It is never on a request's path; the network
 * serves what it has while the control node is gone.
 *
 * It listens where its region file says and nowhere else. Purges and receipts
 * need a token; every client of the address may read which nodes there are.
 * @module
 */
import type { FastifyInstance } from 'fastify';
import { fingerprintOfAll } from '../config/fingerprint.ts';
import type { RegionConfig } from '../config/schema.ts';
import { addListening, listenOptions } from '../http/listener/sockets.ts';
import { checkNodeInternals } from '../http/node-internals/checks.ts';
import { monotonicNow, wallNow } from '../lib/clock.ts';
import { type Component, type ComponentEvents, Components } from '../lib/components.ts';
import { VERSION } from '../lib/version.ts';
import type { Logger } from '../telemetry/log.ts';
import { openNodeTrust } from '../telemetry/node-certificates.ts';
import { byCertificate, bySecret } from '../trust/authentication.ts';
import { nodeListening } from '../trust/listening.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { AuditLog } from './audit.ts';
import { AuditFile } from './audit-file.ts';
import { auditSealing } from './audit-key.ts';
import { emptyRegularly } from './audit-outbox.ts';
import { auditRoutes } from './audit-routes.ts';
import { auditTrust } from './certificate-audit.ts';
import { compactRegularly } from './compaction.ts';
import { addDashboard } from './dashboard/routes.ts';
import { Sessions } from './dashboard/sessions.ts';
import { type ControlConfig, dataProblem, openDataFolder } from './data-folder.ts';
import { addCloudflare } from './dialects/cloudflare.ts';
import { addFastly } from './dialects/fastly.ts';
import { explainRoutes } from './explain-routes.ts';
import { jobRoutes } from './jobs/job-routes.ts';
import { JobService } from './jobs/service.ts';
import { workRoutes } from './jobs/work-routes.ts';
import { noteChange } from './member-audit.ts';
import { memberRoutes } from './member-routes.ts';
import { Members } from './members.ts';
import { ControlMetrics } from './metrics.ts';
import { createNodeList, type NodeListSources } from './node-list.ts';
import { NodeQuestions } from './node-questions.ts';
import { NodeRefusals } from './node-refusals.ts';
import { addNodeRoutes } from './node-routes.ts';
import { addApiRoutes, addOperatorRoutes } from './operator-routes.ts';
import { createProbe } from './probe.ts';
import { Progress } from './progress.ts';
import { PurgeApi } from './purge-api.ts';
import { Purges } from './purges.ts';
import { RateLimit } from './rate-limit.ts';
import { regionRoutes } from './region-routes.ts';
import { Regions } from './regions.ts';
import { purgeRoutes } from './routes.ts';
import { MAX_SELECTORS } from './schemas.ts';
import { createServer } from './server.ts';
import { type SiteDirectory, siteDirectory } from './site-directory.ts';
import { openStore } from './store/open-store.ts';
import type { ControlStore } from './store/store.ts';
import { StoreMonitor } from './store/store-monitor.ts';
import { Tokens } from './tokens.ts';
import { trafficRoute } from './traffic/traffic-routes.ts';
import { TrafficStore } from './traffic/traffic-store.ts';
import { refusalOf, sitesOf } from './trust.ts';

export type { ControlConfig } from './data-folder.ts';

export interface ControlOptions {
  /** The region that this node is of: its secret is what nodes prove themselves with. */
  readonly region: RegionConfig;
  readonly control: ControlConfig;
  /** Every region that this node tells about. */
  readonly regions: readonly RegionConfig[];
  readonly log: Logger;
  readonly componentEvents?: ComponentEvents | undefined;
}

export interface ControlNode {
  readonly name: string;
  /** HOST:PORT. */
  readonly address: string;
  /** HOST:PORT for nodes, where they have certificates. */
  readonly tier: string | undefined;
  /** Tells about these regions from now on. */
  reload(regions: readonly RegionConfig[]): void;
  /** Finishes what is under way, then stops. */
  close(): Promise<void>;
}

/** So many seconds' worth of a rate may come at once. */
const BURST_SECONDS = 5;

/** Entries of the audit log about wrong tokens. */
const REFUSALS_NOTED = { perSecond: 1, burst: 60 };

/** State of a control node, from its config. */
class ControlState implements Component<readonly RegionConfig[]> {
  readonly #file: string;
  regions!: readonly RegionConfig[];
  sites!: SiteDirectory;
  /** The region that this node is of. */
  own: RegionConfig;
  control: ControlConfig;

  constructor(region: RegionConfig, control: ControlConfig, regions: readonly RegionConfig[]) {
    this.#file = region.file;
    this.own = region;
    this.control = control;
    this.update(regions);
  }

  update(regions: readonly RegionConfig[]): void {
    this.regions = regions;
    this.sites = siteDirectory(regions);
    const own = regions.find(({ file }) => file === this.#file);
    this.own = own ?? this.own;
    this.control = own?.control ?? this.control;
  }
}

/**
 * Starts a control node: its components in order, then its listener.
 *
 * @throws {ConfigError} when the data folder cannot be used.
 * @throws What `listen` fails with, such as `EADDRINUSE`. Nothing runs then.
 */
export async function startControl({
  region,
  control,
  regions,
  log,
  componentEvents,
}: ControlOptions): Promise<ControlNode> {
  await checkNodeInternals(log);
  const components = new Components<readonly RegionConfig[]>(componentEvents);
  const state = await components.start('config', () => new ControlState(region, control, regions));
  const stores = await components.start('stores', () => openStores(region, control), {
    update: ({ auditFile }) => auditFile?.update(auditBounds(state.control)),
    close: (part) => part.close(),
  });
  const refusals = new NodeRefusals({ monotonic: monotonicNow, now: wallNow });
  const trust = await components.start(
    'trust',
    () =>
      openNodeTrust({
        region,
        name: control.name,
        role: 'control',
        log,
        refused: (reason, peer) => refusals.note(reason, peer),
      }),
    { update: (part) => part.update(state.own), close: (part) => part.close() },
  );
  const { certificates } = trust;
  const { journal } = stores;
  const audit = new AuditLog({ journal, node: control.name, file: stores.auditFile, now: wallNow, log });
  if (certificates !== undefined) auditTrust(certificates, audit);
  await components.start(
    'audit outbox',
    () =>
      emptyRegularly({
        outbox: stores.outbox,
        journal,
        node: control.name,
        appended: (entry) => audit.copy(entry),
        log,
      }),
    { close: (stop) => stop() },
  );
  const probe = await components.start('probe', createProbe);
  const questions = await components.start('questions', () => new NodeQuestions(control.name, certificates));
  const progress: Progress = await components.start(
    'progress',
    () =>
      new Progress([], {
        journal: () => journal.state(),
        refresh: () => journal.current(),
        monotonic: monotonicNow,
        now: wallNow,
        completed: (ms) => metrics.appliedEverywhere(ms),
      }),
    { close: (part) => part.close() },
  );
  const ownConfig = (): string => fingerprintOfAll(state.regions);
  const members: Members = await components.start(
    'members',
    () =>
      Members.open({
        store: stores.members,
        regions,
        progress,
        self: () => selfOf(state, ownConfig(), certificates, control.name),
        monotonic: monotonicNow,
        now: wallNow,
        changed: (change) => void noteChange(audit, change),
        log,
      }),
    { update: (part, next) => part.reload(next), close: (part) => part.close() },
  );
  const sources: NodeListSources = {
    progress: () => progress.nodes(),
    newest: () => journal.state().newest,
    members: () => members,
    refused: () => refusals.list(),
    config: ownConfig,
  };
  const nodes = await components.start('node list', () => ({ current: createNodeList(regions, probe.isUp, sources) }), {
    update: (part, next) => {
      part.current = createNodeList(next, probe.isUp, sources);
    },
  });
  const metrics = new ControlMetrics(control.name, {
    journal: () => journal.state(),
    isWritable: () => journal.isWritable,
    auditFits: () => journal.auditFits,
    nodes: () => progress.nodes(),
  });
  trust.watch(metrics.registry);
  const purges = new Purges({
    journal,
    appended: (last, { startedAt }) => progress.accepted(last, startedAt),
  });
  const callLimit = await components.start(
    'call limit',
    () => new RateLimit({ ...callRate(control), now: monotonicNow }),
    { update: (part) => part.update(callRate(state.control)) },
  );
  const selectorLimit = await components.start(
    'selector limit',
    () => new RateLimit({ ...selectorRate(control), now: monotonicNow }),
    { update: (part) => part.update(selectorRate(state.control)) },
  );
  const api = new PurgeApi({
    purges,
    progress,
    members,
    tokens: new Tokens(stores.tokens, wallNow),
    callLimit,
    selectorLimit,
    refusalLimit: new RateLimit({ ...REFUSALS_NOTED, now: monotonicNow }),
    questions,
    audit,
    metrics,
    regions: () => state.regions,
    sites: () => state.sites,
  });
  const regionsKnown = await components.start(
    'regions',
    () => Regions.open({ region, regions, drains: stores.drains, log, registry: metrics.registry }),
    { update: (part, next) => part.reload(next), drain: (part) => part.endStreams(), close: (part) => part.close() },
  );
  await components.start(
    'store monitor',
    () =>
      new StoreMonitor({
        store: stores,
        quota: () => state.control.journal?.etcd.quota,
        registry: metrics.registry,
        log,
      }),
    { close: (part) => part.close() },
  );
  await components.start(
    'compaction',
    () =>
      compactRegularly(
        () => ({
          journal,
          retentionMs: state.control.retention,
          maxRecords: state.control.max_records,
          maxNotes: state.control.audit_log.max_entries,
          now: wallNow,
        }),
        log,
      ),
    { close: (stop) => stop() },
  );
  const service = await components.start(
    'jobs',
    () =>
      new JobService({
        table: stores.jobs,
        config: () => state.control,
        regions: () => state.regions,
        registry: metrics.registry,
        log,
      }),
    { close: (part) => part.close() },
  );
  // Nodes connect again when there is a process to connect to.
  const closing = await components.start('calls', () => new AbortController(), { drain: (part) => part.abort() });
  const server = createServer(log);
  /** Server for nodes: with certificates they have one of their own. */
  const nodeServer =
    certificates && createServer(log, { listening: nodeListening(certificates), limits: () => state.own.limits });
  const hosts = (): readonly string[] => [
    state.control.listen,
    ...state.regions.flatMap(({ control_hosts: names, purges: { journal: urls } }) => [
      ...names,
      ...urls.map((url) => new URL(url).host),
    ]),
  ];
  addOperatorRoutes(server, { nodes: () => nodes.current, journal, metrics, hosts });
  const routes = [
    ...purgeRoutes(api),
    ...regionRoutes(regionsKnown, audit),
    ...memberRoutes(members, audit),
    ...jobRoutes({
      jobs: service.jobs,
      audit,
      regions: () => state.regions,
      sites: () => state.sites,
      signal: closing.signal,
    }),
    ...auditRoutes(audit),
    ...explainRoutes({ questions, regions: () => state.regions, sites: () => state.sites }),
  ];
  addApiRoutes(server, api, routes);
  const traffic = new TrafficStore(wallNow);
  await components.start(
    'dashboard',
    () =>
      addDashboard(server, {
        api,
        audit,
        routes,
        traffic,
        hosts,
        log,
        sessions: new Sessions(monotonicNow),
        // By what nodes say to the journal: their control listeners are not asked each second.
        nodes: () => createNodeList(state.regions, async () => true, sources),
        regions: () => state.regions,
        status: regionsKnown,
        configOf: (node) => members.row(node)?.about?.config ?? null,
        now: wallNow,
      }),
    { drain: (part) => part.close(), close: () => undefined },
  );
  const authentication =
    certificates === undefined
      ? bySecret(
          () => state.own.tier_secret,
          (reason, peer) => trust.refused(reason, peer),
        )
      : byCertificate(certificates, (identity) => refusalOf(state.regions, members, identity));
  addNodeRoutes(nodeServer ?? server, {
    journal,
    purges,
    audit,
    progress,
    members,
    regions: regionsKnown,
    authentication,
    sitesOf: (identity) => sitesOf(state.regions, identity),
    further: [
      ...workRoutes({
        queue: service.queue,
        jobs: service.jobs,
        authentication,
        workerOf: (node) => service.workerOf(node),
        monotonic: monotonicNow,
        signal: closing.signal,
      }),
      trafficRoute({
        traffic,
        authentication,
        regionOf: (node) => members.regionOf(node),
        now: wallNow,
        signal: closing.signal,
      }),
    ],
    signal: closing.signal,
    log,
  });
  addCloudflare(server, api, log);
  addFastly(server, api, log);
  const { tier } = control;
  const { listener, nodeListener } = await components.listen(
    {
      listener: () => open(server, control.listen),
      nodeListener: nodeServer && tier !== undefined ? () => open(nodeServer, tier) : undefined,
    },
    { close: (part: Opened) => part.close() },
  );
  return {
    name: control.name,
    address: listener.address,
    tier: nodeListener?.address,
    reload: (next) => components.update(next),
    close: () => components.close(),
  };
}

interface Opened {
  /** HOST:PORT. */
  readonly address: string;
  close(): Promise<undefined>;
}

/** @throws What `listen` fails with; the server is closed then. */
async function open(server: FastifyInstance, address: string): Promise<Opened> {
  try {
    const url = await server.listen(listenOptions(address));
    addListening(server.server, address);
    return { address: url.slice(url.indexOf('://') + '://'.length), close: () => server.close() };
  } catch (error) {
    await server.close();
    throw error;
  }
}

interface Stores extends ControlStore {
  /** Copy of the audit log; only where control nodes keep files. */
  readonly auditFile: AuditFile | undefined;
}

/** @throws {ConfigError} (rejects) */
async function openStores(region: RegionConfig, control: ControlConfig): Promise<Stores> {
  const store = await openStore(region, control, auditSealing(region, control));
  if (control.journal !== undefined) return { ...store, auditFile: undefined, close: () => store.close() };
  try {
    const auditFile = new AuditFile(openDataFolder(region.file, control).audit, auditBounds(control));
    return {
      ...store,
      auditFile,
      async close() {
        await store.close();
        auditFile.close();
      },
    };
  } catch (error) {
    await store.close();
    throw dataProblem(region.file, (error as Error).message);
  }
}

function callRate({ rate_limits: { calls } }: ControlConfig) {
  return rateOf(calls, 1);
}

function selectorRate({ rate_limits: { selectors } }: ControlConfig) {
  return rateOf(selectors, MAX_SELECTORS);
}

function rateOf(perSecond: number, atLeast: number): { perSecond: number; burst: number } {
  return { perSecond, burst: Math.max(atLeast, perSecond * BURST_SECONDS) };
}

function auditBounds({ audit_log: { max_size: maxBytes, files } }: ControlConfig) {
  return { maxBytes, files };
}

/** Start of the process. */
const STARTED_AT = new Date(wallNow()).toISOString();

/** This control node, as its row in the registry has it. */
function selfOf({ own }: ControlState, config: string, certificates: NodeCertificates | undefined, name: string) {
  const expiresAt = certificates?.expiresAt;
  const about = {
    version: VERSION,
    config,
    since: STARTED_AT,
    ...(expiresAt !== undefined && { certificate_expires: new Date(expiresAt).toISOString() }),
  };
  return { name, region: own.region, about };
}
