/**
 * Keeps a node's ledger up with the journal of purges, for as long as the node
 * runs.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { RegionConfig } from '../config/schema.ts';
import { Follower } from '../journal/follower.ts';
import { httpReporter } from '../journal/reporter.ts';
import { httpSource } from '../journal/source.ts';
import type { NodeCore } from './node-core.ts';

export interface PurgeFollower {
  /** Follows where the new config says. */
  reload(region: RegionConfig): void;
  close(): Promise<void>;
}

/** Follows from now on; a network without a control node has no purges, and nothing is followed. */
export function followPurges(core: NodeCore, region: RegionConfig): PurgeFollower {
  let followed = settings(region);
  let following = Promise.resolve(follow(core, followed));
  return {
    reload(next) {
      const before = following;
      const wanted = settings(next);
      core.ledger.leaseMs = leaseOf(wanted);
      if (wanted.url === followed.url && wanted.secret === followed.secret) return;
      followed = wanted;
      following = before.then((close) => close()).then(() => follow(core, wanted));
    },
    close: async () => (await following)(),
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

/** @returns How to stop. */
function follow({ name, ledger, log }: NodeCore, wanted: Settings): () => Promise<void> {
  const { url, secret } = wanted;
  ledger.leaseMs = leaseOf(wanted);
  if (url === undefined) return async () => undefined;
  const problem = (error: Error): void =>
    log.warn({ detail: error.message, journal: url }, 'the journal is out of reach');
  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    await wait(ms, undefined, { signal, ref: false });
  };
  const reporter = httpReporter({ url, secret, node: name, wait: pause, problem });
  const follower = new Follower({
    target: ledger,
    connect: httpSource({ url, secret, node: name }),
    report: (seq, identity) => reporter.report(seq, identity),
    now: Date.now,
    wait: pause,
    random: Math.random,
    problem,
  });
  follower.start();
  return async () => {
    await follower.stop();
    await reporter.close();
  };
}
