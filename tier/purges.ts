/**
 * Keeps a node's ledger up with the journal of purges, for as long as the node
 * runs.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Ledger } from '../cache/ledger.ts';
import { controlUrls } from '../config/control-urls.ts';
import type { RegionConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { journalClients } from '../journal/clients.ts';
import { Follower } from '../journal/follower.ts';
import type { Purge } from '../journal/journal.ts';
import { startReporter } from '../journal/reporter.ts';
import { startTrafficReporter } from '../journal/traffic-reporter.ts';
import type { NodeAbout, NodeCondition } from '../journal/wire.ts';
import { instantNow, wallNow } from '../lib/clock.ts';
import type { Traffic } from '../lib/traffic.ts';
import { VERSION } from '../lib/version.ts';
import type { Logger } from '../telemetry/log.ts';
import { sha256Of } from '../trust/certificate-files.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { PurgeOutbox } from './purge-outbox.ts';

/** Component that keeps a node's purge state up to date. */
export interface Purging {
  /**
   * Purges on behalf of a visitor that a site lets purge.
   * Resolves when it is in the journal and applied here.
   *
   * @throws {HttpError} `journal_unreachable` when it may not have been taken.
   */
  purge(purges: readonly Purge[]): Promise<void>;
  /**
   * The same on behalf of an origin, which does not say it again: what the journal does not take is owed. Never
   * rejects.
   */
  invalidate(purges: readonly Purge[]): Promise<void>;
  /** Another process takes purges from now on: those that only this one would know of are refused. */
  release(): void;
  /** Follows where the new config says. */
  reload(region: RegionConfig): void;
  close(): Promise<void>;
}

/** The part of a node that purges concern. */
export interface PurgedNode {
  /** Its name in the journal and in receipts. */
  readonly member: string;
  readonly ledger: Ledger;
  readonly log: Logger;
  /** Absent: it does not say. */
  readonly role?: 'edge' | 'shield' | undefined;
  /** Its certificates, where nodes know each other by them. */
  readonly certificates?: NodeCertificates | undefined;
  /** Returns its state, for operators. */
  readonly condition?: (() => NodeCondition) | undefined;
  /** Returns its traffic since the last call. */
  readonly traffic?: (() => Traffic | undefined) | undefined;
  /** Resolves when all threads of the node have applied what its ledger has; absent: there is one. */
  readonly everywhere?: () => Promise<void>;
}

/** Component that follows the journal itself. */
export interface JournalFollowing extends Purging {
  /** Compares what the ledger knows with the journal again. */
  renew(): void;
}

/** Follows the journal from now on. In a network without one, a node keeps its purges to itself. */
export function followPurges(node: PurgedNode, region: RegionConfig): JournalFollowing {
  let followed = settings(region);
  let config = region.fingerprint ?? '';
  const about = (): NodeAbout => aboutOf(node, config);
  const outbox = new PurgeOutbox({
    append: async (purges) => (await following).append(purges),
    wait: pause,
    log: node.log,
  });
  const reached = (): void => outbox.flush();
  const lease = new RegisteredLease(node.ledger, leaseOf(followed));
  let following = Promise.resolve(follow(node, followed, { reached, about, lease }));
  return {
    purge: async (purges) => (await following).purge(purges),
    async invalidate(purges) {
      if (!outbox.isEmpty) {
        outbox.add(purges); // the journal is unreachable: purges are queued without waiting
        return;
      }
      try {
        await (await following).purge(purges);
      } catch (error) {
        const { message: detail } = error as Error;
        node.log.error(
          { site: purges[0]?.site, detail },
          'journal unreachable: an invalidation by the origin is queued',
        );
        outbox.add(purges);
      }
    },
    reload(next) {
      const before = following;
      const wanted = settings(next);
      config = next.fingerprint ?? '';
      const isSame = isDeepStrictEqual({ ...wanted, leaseMs: 0 }, { ...followed, leaseMs: 0 });
      followed = wanted;
      lease.want(leaseOf(wanted));
      if (isSame && wanted.leaseMs <= lease.registeredMs) return;
      following = before.then(({ close }) => close()).then(() => follow(node, wanted, { reached, about, lease }));
    },
    release: () => void following.then(({ release }) => release()),
    renew: () => void following.then(({ renew }) => renew()),
    async close() {
      await outbox.close();
      await (await following).close();
    },
  };
}

function aboutOf({ certificates, condition }: PurgedNode, config: string): NodeAbout {
  const expiresAt = certificates?.expiresAt;
  const revocations = sha256Of(certificates?.texts.crl_file ?? '');
  return {
    version: VERSION,
    config,
    since: STARTED_AT,
    ...condition?.(),
    ...(expiresAt !== undefined && { certificate_expires: new Date(expiresAt).toISOString() }),
    ...(revocations !== null && { revocations }),
  };
}

/** Start of the process, or of the thread. */
const STARTED_AT = new Date(wallNow()).toISOString();

interface Settings {
  /** Addresses of the control nodes; none: the network has no journal. */
  readonly urls: readonly string[];
  readonly secret: string;
  readonly region: string;
  readonly leaseMs: number;
}

function settings(config: RegionConfig): Settings {
  const { region, tier_secret: secret, purges } = config;
  return { urls: controlUrls(config), secret, region, leaseMs: purges.lease };
}

function leaseOf({ urls, leaseMs }: Settings): number {
  return urls.length === 0 ? Number.POSITIVE_INFINITY : leaseMs;
}

interface Following extends Pick<JournalFollowing, 'purge' | 'close' | 'release' | 'renew'> {
  /** Resolves when they are in the journal. @throws {HttpError} `journal_unreachable`. */
  append(purges: readonly Purge[]): Promise<unknown>;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false });
}

interface Calls {
  /** Called when the journal is within reach again. */
  readonly reached: () => void;
  readonly about: () => NodeAbout;
  readonly lease: RegisteredLease;
}

/**
 * Lease of a node: that of its config, and no longer than what is registered with the journal. Control nodes take it as
 * certain that the node validates what it serves once that time has passed.
 */
class RegisteredLease {
  readonly #ledger: Ledger;
  #wantedMs: number;
  #registeredMs = Number.POSITIVE_INFINITY;

  constructor(ledger: Ledger, wantedMs: number) {
    this.#ledger = ledger;
    this.#wantedMs = wantedMs;
  }

  get registeredMs(): number {
    return this.#registeredMs;
  }

  /** The config says so from now on. */
  want(ms: number): void {
    this.#wantedMs = ms;
    this.#apply();
  }

  /** The journal is about to be followed, and this registered. */
  begin(ms: number): void {
    this.#registeredMs = Math.min(this.#registeredMs, ms);
    this.#apply();
  }

  /** The journal has it. */
  register(ms: number): void {
    if (ms === this.#registeredMs) return;
    this.#registeredMs = ms;
    this.#apply();
  }

  /** There is no journal. */
  end(): void {
    this.#registeredMs = Number.POSITIVE_INFINITY;
    this.#apply();
  }

  #apply(): void {
    this.#ledger.leaseMs = Math.min(this.#wantedMs, this.#registeredMs);
  }
}

function follow(node: PurgedNode, wanted: Settings, calls: Calls): Following {
  if (wanted.urls.length === 0) {
    calls.lease.end();
    return withoutJournal(node);
  }
  return followJournal(node, { ...wanted, ...calls });
}

const inOneThread = async (): Promise<void> => undefined;

function withoutJournal({ ledger, everywhere = inOneThread }: PurgedNode): Following {
  ledger.extend({ terms: [] }); // it goes on from what it knows by numbers of its own, which are those of no journal
  const apply = async (purges: readonly Purge[]): Promise<void> => {
    const { seq } = ledger.latestKnown; // stamps go by that
    ledger.apply(purges.map((purge, index) => ({ ...purge, seq: seq + index + 1 })));
    await everywhere();
  };
  let isReleased = false;
  return {
    purge: async (purges) => {
      if (isReleased) throw new HttpError('journal_unreachable', 'another process takes over');
      await apply(purges);
    },
    append: apply,
    release: () => {
      isReleased = true;
    },
    renew: () => undefined,
    close: async () => undefined,
  };
}

/** Maximum time that the node's own journal connection may lag behind a purge that it has appended. */
const CATCH_UP_MS = 5_000;

function followJournal(
  { member: node, role, ledger, log, certificates, traffic, everywhere = inOneThread }: PurgedNode,
  { urls, secret, region, leaseMs, reached: onReached, about, lease }: Settings & Calls,
): Following {
  let reached = true;
  lease.begin(leaseMs);
  const registration = { role, region, leaseMs: Math.ceil(leaseMs) };
  const clients = journalClients({ urls, secret, node, certificates, registration });
  const problem = (error: Error): void => {
    if (reached) log.warn({ detail: error.message, journal: clients.followed }, 'journal unreachable');
    reached = false; // said once, until it is reached again
  };
  const isShared = urls.length > 1;
  // With several control nodes the loss of one that is not followed is no loss of the journal.
  const reportProblem = isShared ? {} : { problem };
  const reporters = clients.reports.map((client) =>
    startReporter({ client, node, wait: pause, staysOpen: true, about, ...reportProblem }),
  );
  const trafficReporter = traffic && startTrafficReporter({ clients: clients.traffic, take: traffic, wait: pause });
  const follower = new Follower({
    target: ledger,
    connect: clients.messages,
    report: (seq, identity) => {
      lease.register(leaseMs);
      if (!reached) {
        log.info({ journal: clients.followed, applied: seq }, 'journal reachable again');
        onReached();
      }
      reached = true;
      void everywhere().then(() => {
        for (const reporter of reporters) reporter.report(seq, identity);
      });
    },
    now: instantNow,
    wait: pause,
    random: Math.random,
    problem,
  });
  follower.start();
  return {
    purge: async (purges) => {
      const last = await clients.append(purges);
      if (!(await follower.caughtUp(last, CATCH_UP_MS)))
        throw new HttpError('journal_unreachable', 'not applied in time');
      await everywhere();
    },
    append: (purges) => clients.append(purges),
    release: () => undefined, // both processes follow it
    renew: () => follower.renew(),
    close: async () => {
      await follower.stop();
      await trafficReporter?.close();
      await Promise.all(reporters.map((reporter) => reporter.close()));
      await clients.close();
    },
  };
}
