/**
 * Asks every node how many of its stored responses a purge would name.
 * @module
 */
import { LRUCache } from 'lru-cache';
import { Pool } from 'undici';
import type { RegionConfig } from '../config/schema.ts';
import { formatTierField, TIER_FIELD, token } from '../http/fields/tier-field.ts';
import { connectionsTo } from '../trust/connector.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import type { KnownNode } from './progress.ts';
import type { Selector } from './selectors.ts';

export interface NodeMatches extends KnownNode {
  /** Absent where the node could not be asked. */
  readonly matches: number | undefined;
  /** Reason why the node could not be reached. */
  readonly problem: string | undefined;
}

export interface DryRun {
  count(selectors: readonly Selector[], regions: readonly RegionConfig[]): Promise<NodeMatches[]>;
  close(): Promise<void>;
}

/** A node looks at everything that it stores. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1_024;
/** Nodes to which a connection is kept for the next dry run. */
const MAX_POOLS = 1_024;

/** Node as it is asked. */
interface AskedNode extends KnownNode {
  /** HOST:PORT. */
  readonly tier: string;
  readonly secret: string;
}

/**
 * @param name - Of this node.
 * @param certificates - Of this node; absent: nodes know each other by their secret.
 */
export function createDryRun(name: string, certificates?: NodeCertificates | undefined): DryRun {
  const scheme = certificates === undefined ? 'http' : 'https';
  /** By role, name and address, as each node is expected to show its own certificate. */
  const pools = new LRUCache<string, Pool>({ max: MAX_POOLS, dispose: (pool) => void pool.close() });
  const poolFor = ({ role, name: node, tier }: AskedNode): Pool => {
    const key = `${role} ${node} ${tier}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    const url = `${scheme}://${tier}`;
    const { connect } = connectionsTo(url, { role, name: node }, certificates, TIMEOUT_MS);
    const pool = new Pool(url, { connections: 1, keepAliveTimeout: 1_000, maxResponseSize: MAX_ANSWER_BYTES, connect });
    pools.set(key, pool);
    return pool;
  };

  async function ask(node: AskedNode, body: string): Promise<number | string> {
    if (node.tier.endsWith(':0')) return 'it listens on a port that no file tells';
    const secret = certificates === undefined ? node.secret : undefined;
    const field = formatTierField({ secret, from: name, ask: token('matches') });
    try {
      const { statusCode, body: answer } = await poolFor(node).request({
        path: '/',
        method: 'POST',
        headers: { 'content-type': 'application/json', [TIER_FIELD]: field },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await answer.text();
      if (statusCode !== 200) return `it answered ${statusCode}`;
      const { matches } = JSON.parse(text) as { matches?: unknown };
      return Number.isSafeInteger(matches) ? (matches as number) : 'it gave no number';
    } catch {
      return 'it did not answer'; // refused, timed out, cut off or talking nonsense: there is no number
    }
  }

  return {
    async count(selectors, regions) {
      const body = JSON.stringify({ selectors });
      return Promise.all(
        knownNodes(regions).map(async (asked) => {
          const { tier: _, secret: __, ...node } = asked;
          const answer = await ask(asked, body);
          return typeof answer === 'number'
            ? { ...node, matches: answer, problem: undefined }
            : { ...node, matches: undefined, problem: answer };
        }),
      );
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.close()));
    },
  };
}

/** @returns Every edge and shield that the region files name, and how to reach it. */
export function knownNodes(regions: readonly RegionConfig[]): AskedNode[] {
  return regions.flatMap(({ region, tier_secret: secret, edges, shields }) => [
    ...edges.map(({ name, tier }) => ({ region, name, role: 'edge' as const, tier, secret })),
    ...shields.map(({ name, tier }) => ({ region, name, role: 'shield' as const, tier, secret })),
  ]);
}
