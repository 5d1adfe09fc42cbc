/**
 * Asks every node how many of its stored responses a purge would name.
 * @module
 */
import { Agent } from 'undici';
import type { RegionConfig } from '../config/schema.ts';
import { TIER_FIELD } from '../http/fields/tier-field.ts';
import { formatNodeField } from '../journal/wire.ts';
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

/** @param name - Of this node. */
export function createDryRun(name: string): DryRun {
  const agent = new Agent({ connections: 2, keepAliveTimeout: 1_000, maxResponseSize: MAX_ANSWER_BYTES });

  async function ask(control: string | undefined, secret: string, body: string): Promise<number | string> {
    if (control === undefined) return 'it has no control listener';
    if (control.endsWith(':0')) return 'it listens on a port that no file tells';
    try {
      const { statusCode, body: answer } = await agent.request({
        origin: `http://${control}`,
        path: '/v1/matches',
        method: 'POST',
        headers: { 'content-type': 'application/json', [TIER_FIELD]: formatNodeField(name, secret) },
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
        knownNodes(regions).map(async ({ control, secret, ...node }) => {
          const answer = await ask(control, secret, body);
          return typeof answer === 'number'
            ? { ...node, matches: answer, problem: undefined }
            : { ...node, matches: undefined, problem: answer };
        }),
      );
    },
    close: () => agent.close(),
  };
}

/** @returns Every edge and shield that the region files name, and how to reach it. */
export function knownNodes(
  regions: readonly RegionConfig[],
): (KnownNode & { control: string | undefined; secret: string })[] {
  return regions.flatMap(({ region, tier_secret: secret, edges, shields }) => [
    ...edges.map(({ name, control }) => ({ region, name, role: 'edge' as const, control, secret })),
    ...shields.map(({ name, control }) => ({ region, name, role: 'shield' as const, control, secret })),
  ]);
}
