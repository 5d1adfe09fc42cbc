/**
 * Asks every node how many of its stored responses a purge would name.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import { knownNodes, type NodeQuestions } from './node-questions.ts';
import type { NamedNode } from './progress.ts';
import type { Selector } from './selectors.ts';

export interface NodeMatches extends NamedNode {
  /** Absent where the node could not be asked. */
  readonly matches: number | undefined;
  /** Reason why the node could not be reached. */
  readonly problem: string | undefined;
}

/** Asks all nodes at once. Never rejects. */
export function countAtNodes(
  questions: NodeQuestions,
  selectors: readonly Selector[],
  regions: readonly RegionConfig[],
): Promise<NodeMatches[]> {
  return Promise.all(
    knownNodes(regions).map(async (asked) => {
      const { tier: _, secret: __, ...node } = asked;
      const result = await questions.ask(asked, 'matches', { selectors });
      if ('problem' in result) return { ...node, matches: undefined, problem: result.problem };
      const { matches } = result.answer as { matches?: unknown };
      return Number.isSafeInteger(matches)
        ? { ...node, matches: matches as number, problem: undefined }
        : { ...node, matches: undefined, problem: 'it gave no number' };
    }),
  );
}
