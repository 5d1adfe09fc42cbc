/**
 * Keeps a node's ledger up with the journal of purges, for as long as the node
 * runs.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Ledger } from '../cache/ledger.ts';
import type { RegionConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { journalClient } from '../journal/client.ts';
import { Follower } from '../journal/follower.ts';
import type { Purge } from '../journal/journal.ts';
import { startReporter } from '../journal/reporter.ts';
import { instantNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
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
}

/** Follows the journal from now on. In a network without one, a node keeps its purges to itself. */
export function followPurges(node: PurgedNode, region: RegionConfig): Purging {
  let followed = settings(region);
  const outbox = new PurgeOutbox({
    append: async (purges) => (await following).append(purges),
    wait: pause,
    log: node.log,
  });
  const reached = (): void => outbox.flush();
  let following = Promise.resolve(follow(node, followed, reached));
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
      node.ledger.leaseMs = leaseOf(wanted);
      if (wanted.url === followed.url && wanted.secret === followed.secret) return;
      followed = wanted;
      following = before.then(({ close }) => close()).then(() => follow(node, wanted, reached));
    },
    async close() {
      await outbox.close();
      await (await following).close();
    },
  };
}

interface Settings {
  readonly url: string | undefined;
  readonly secret: string;
  readonly leaseMs: number;
}

function settings({ purges, control, tier_secret: secret }: RegionConfig): Settings {
  const own = control === undefined ? undefined : `http://${control.listen}`;
  return { url: purges.journal ?? own, secret, leaseMs: purges.lease };
}

function leaseOf({ url, leaseMs }: Settings): number {
  return url === undefined ? Number.POSITIVE_INFINITY : leaseMs;
}

interface Following extends Pick<Purging, 'purge' | 'close'> {
  /** Resolves when they are in the journal. @throws {HttpError} `journal_unreachable`. */
  append(purges: readonly Purge[]): Promise<unknown>;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false });
}

/** @param onReached - Told when the journal is within reach again. */
function follow(node: PurgedNode, wanted: Settings, onReached: () => void): Following {
  const { url, secret } = wanted;
  node.ledger.leaseMs = leaseOf(wanted);
  return url === undefined ? withoutJournal(node) : followJournal(node, { url, secret, onReached });
}

function withoutJournal({ ledger }: PurgedNode): Following {
  ledger.extend({ terms: [] }); // it goes on from what it knows by numbers of its own, which are those of no journal
  const apply = async (purges: readonly Purge[]): Promise<void> => {
    const { seq } = ledger.latestKnown; // stamps go by that
    ledger.apply(purges.map((purge, index) => ({ ...purge, seq: seq + index + 1 })));
  };
  return {
    purge: apply,
    append: apply,
    close: async () => undefined,
  };
}

/** Maximum time that the node's own journal connection may lag behind a purge that it has appended. */
const CATCH_UP_MS = 5_000;

function followJournal(
  { member: node, ledger, log }: PurgedNode,
  { url, secret, onReached }: { readonly url: string; readonly secret: string; readonly onReached: () => void },
): Following {
  let reached = true;
  const problem = (error: Error): void => {
    if (reached) log.warn({ detail: error.message, journal: url }, 'journal unreachable');
    reached = false; // said once, until it is reached again
  };
  const client = journalClient({ url, secret, node });
  const reporter = startReporter({ client, node, wait: pause, problem });
  const follower = new Follower({
    target: ledger,
    connect: client.messages,
    report: (seq, identity) => {
      if (!reached) {
        log.info({ journal: url, applied: seq }, 'journal reachable again');
        onReached();
      }
      reached = true;
      reporter.report(seq, identity);
    },
    now: instantNow,
    wait: pause,
    random: Math.random,
    problem,
  });
  follower.start();
  return {
    purge: async (purges) => {
      const last = await client.append(purges);
      if (!(await follower.caughtUp(last, CATCH_UP_MS)))
        throw new HttpError('journal_unreachable', 'not applied in time');
    },
    append: (purges) => client.append(purges),
    close: async () => {
      await follower.stop();
      await reporter.close();
      await client.close();
    },
  };
}
