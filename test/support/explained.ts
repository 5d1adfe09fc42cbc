/**
 * One edge, and the explanations that it gives to a control node.
 * @module
 */
import type { Test } from 'tap';
import type { Explanation, Question } from '../../cache/explanation.ts';
import { NodeQuestions } from '../../control/node-questions.ts';
import { type Network, type NetworkOptions, SECRET, startNetwork } from './network.ts';
import { startOrigin } from './origin.ts';
import { HOST } from './visitor.ts';

export interface ExplainedSite {
  /** Fields of the origin's answer. */
  readonly origin?: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly body?: string;
  readonly site?: NetworkOptions['site'];
  readonly rules?: NetworkOptions['rules'];
}

export interface ExplainedEdge {
  readonly network: Network;
  explain(question: Partial<Question>): Promise<Explanation>;
}

/** Starts the edge, and its origin. */
export async function startExplained(
  t: Test,
  { origin: fields = {}, status = 200, body = 'page', site = {}, rules = [] }: ExplainedSite,
): Promise<ExplainedEdge> {
  const origin = await startOrigin((request, response) => {
    if (request.headers['if-none-match'] === fields['ETag'] && fields['ETag'] !== undefined) {
      response.writeHead(304, fields).end();
    } else response.writeHead(status, fields).end(body);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, shields: 0, site, rules });
  const questions = new NodeQuestions('control');
  t.teardown(() => Promise.all([network.close(), origin.close(), questions.close()]));
  const { tier } = network.edge('eu-1').addresses;
  const node = { region: 'eu', name: 'eu-1', role: 'edge', tier, secret: SECRET } as const;
  return {
    network,
    async explain(question) {
      const usual = { method: 'GET', scheme: 'http', authority: HOST, target: '/page', headers: [], fetch: false };
      const result = await questions.ask(node, 'explain', { ...usual, ...question });
      if ('problem' in result) throw new Error(result.problem);
      return result.answer as Explanation;
    },
  };
}
