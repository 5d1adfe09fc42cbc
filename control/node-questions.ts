/**
 * Questions of a control node to other nodes, at their listener for nodes.
 * @module
 */
import { LRUCache } from 'lru-cache';
import { Pool } from 'undici';
import type { RegionConfig } from '../config/schema.ts';
import { formatTierField, TIER_FIELD, token } from '../http/fields/tier-field.ts';
import { connectionsTo } from '../trust/connector.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import type { NamedNode } from './progress.ts';

/** A node looks at everything that it stores. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 256 * 1_024;
/** Nodes to which a connection is kept for the next question. */
const MAX_POOLS = 1_024;

/** Node as it is asked. */
export interface AskedNode extends NamedNode {
  /** HOST:PORT. */
  readonly tier: string;
  readonly secret: string;
}

/** Answer of a node, or the reason why there is none. */
export type NodeAnswer = { readonly answer: unknown } | { readonly problem: string };

export class NodeQuestions {
  readonly #name: string;
  readonly #certificates: NodeCertificates | undefined;
  /** By role, name and address, as each node is expected to show its own certificate. */
  readonly #pools = new LRUCache<string, Pool>({ max: MAX_POOLS, dispose: (pool) => void pool.close() });

  /**
   * @param name - Of this node.
   * @param certificates - Of this node; absent: nodes know each other by their secret.
   */
  constructor(name: string, certificates?: NodeCertificates | undefined) {
    this.#name = name;
    this.#certificates = certificates;
  }

  /** Asks a node, with the body as JSON. Never rejects. */
  async ask(node: AskedNode, ask: 'matches' | 'explain', body: object): Promise<NodeAnswer> {
    if (node.tier.endsWith(':0')) return { problem: 'it listens on a port that no file tells' };
    const secret = this.#certificates === undefined ? node.secret : undefined;
    const field = formatTierField({ secret, from: this.#name, ask: token(ask) });
    try {
      const { statusCode, body: answer } = await this.#poolFor(node).request({
        path: '/',
        method: 'POST',
        headers: { 'content-type': 'application/json', [TIER_FIELD]: field },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await answer.text();
      return statusCode === 200 ? { answer: JSON.parse(text) as unknown } : { problem: `it answered ${statusCode}` };
    } catch {
      return { problem: 'it did not answer' }; // refused, timed out, cut off or talking nonsense
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  #poolFor({ role, name: node, tier }: AskedNode): Pool {
    const key = `${role} ${node} ${tier}`;
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const url = `${this.#certificates === undefined ? 'http' : 'https'}://${tier}`;
    const { connect } = connectionsTo(url, { role, name: node }, this.#certificates, TIMEOUT_MS);
    const pool = new Pool(url, { connections: 1, keepAliveTimeout: 1_000, maxResponseSize: MAX_ANSWER_BYTES, connect });
    this.#pools.set(key, pool);
    return pool;
  }
}

/** @returns Every edge and shield that the region files name, and how to reach it. */
export function knownNodes(regions: readonly RegionConfig[]): AskedNode[] {
  return regions.flatMap(({ region, tier_secret: secret, edges, shields }) => [
    ...edges.map(({ name, tier }) => ({ region, name, role: 'edge' as const, tier, secret })),
    ...shields.map(({ name, tier }) => ({ region, name, role: 'shield' as const, tier, secret })),
  ]);
}
