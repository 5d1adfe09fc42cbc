/**
 * Explains a request: asks every edge and shield that may have to do with it what it would do, and why.
 * @module
 */

import type { Explanation, Question } from '../cache/explanation.ts';
import type { RegionConfig } from '../config/schema.ts';
import { type AskedNode, knownNodes, type NodeQuestions } from './node-questions.ts';
import type { NamedNode } from './progress.ts';

/** Explanation of one node. */
export interface NodeExplanation extends NamedNode {
  readonly explanation: Explanation | undefined;
  /** Reason why the node said nothing. */
  readonly problem: string | undefined;
}

export interface Explained {
  /** The region whose edges were asked. */
  readonly region: string;
  /** Its edges, the owner of the key first; then the shields in the order in which they are asked. */
  readonly nodes: readonly NodeExplanation[];
}

/**
 * Asks the edges of a region, and the shields that they name. Only the edge that owns the key fetches, where the
 * question says so; it is asked again then, so that all nodes are explained as they are afterwards.
 *
 * @param region - One of `regions`.
 */
export async function explainAtNodes(
  questions: NodeQuestions,
  question: Question,
  region: RegionConfig,
  regions: readonly RegionConfig[],
): Promise<Explained> {
  const quiet = { ...question, fetch: false };
  const ask = (nodes: readonly AskedNode[], what: Question): Promise<NodeExplanation[]> =>
    Promise.all(nodes.map((node) => askOne(questions, node, what)));
  const edges = knownNodes([region]).filter(({ role }) => role === 'edge');
  const first = await ask(edges, quiet);
  const known = first.find(({ explanation }) => explanation !== undefined)?.explanation;
  const owner = edges.find(({ name }) => name === known?.owners[0]) ?? edges[0];
  const fetched =
    question.fetch && owner !== undefined && known?.lookup != null
      ? await askOne(questions, owner, question)
      : undefined;
  const named = known?.shields ?? [];
  const shields = named.flatMap((name) =>
    knownNodes(regions).filter((node) => node.role === 'shield' && node.name === name),
  );
  const after = fetched === undefined ? first : await ask(edges, quiet);
  const answers = after.map((one) =>
    one.name === owner?.name && one.explanation !== undefined && fetched?.explanation?.fetched !== undefined
      ? { ...one, explanation: { ...one.explanation, fetched: fetched.explanation.fetched } }
      : one,
  );
  const order = (name: string): number => {
    const at = known?.owners.indexOf(name) ?? -1;
    return at < 0 ? Number.POSITIVE_INFINITY : at;
  };
  return {
    region: region.region,
    nodes: [...answers.toSorted((a, b) => order(a.name) - order(b.name)), ...(await ask(shields, quiet))],
  };
}

async function askOne(questions: NodeQuestions, asked: AskedNode, question: Question): Promise<NodeExplanation> {
  const { tier: _, secret: __, ...node } = asked;
  const result = await questions.ask(asked, 'explain', question);
  return 'problem' in result
    ? { ...node, explanation: undefined, problem: result.problem }
    : { ...node, explanation: result.answer as Explanation, problem: undefined };
}
