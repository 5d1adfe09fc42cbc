/** A request is explained by the edges of a region, its owner first, and by the shields. */
import { test } from 'tap';
import type { Question } from '../../cache/explanation.ts';
import { explainAtNodes } from '../../control/explain.ts';
import { NodeQuestions } from '../../control/node-questions.ts';
import { startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask, HOST } from '../support/visitor.ts';

const QUESTION: Question = {
  method: 'GET',
  scheme: 'http',
  authority: HOST,
  target: '/page',
  headers: [],
  address: undefined,
  fetch: false,
};

test('the owner comes first and fetches; all are explained as they are afterwards', async (t) => {
  const origin = await startOrigin(text('page', { 'Cache-Control': 'max-age=60' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 3, us: 1 }, shields: 2 });
  const questions = new NodeQuestions('control');
  t.teardown(() => Promise.all([network.close(), origin.close(), questions.close()]));
  const [region] = network.regions;
  if (region === undefined) throw new Error('no region');
  const owners = network.owners('/page');
  const before = await explainAtNodes(questions, QUESTION, region, network.regions);
  t.strictSame(
    before.nodes.slice(0, 3).map(({ name }) => name),
    owners,
  );
  t.strictSame(
    before.nodes.map(({ role }) => role),
    ['edge', 'edge', 'edge', 'shield', 'shield'],
  );
  t.ok(before.nodes.every(({ explanation }) => explanation?.lookup?.outcome === 'none'));
  t.equal(origin.count('/page'), 0, 'nothing was fetched');

  const after = await explainAtNodes(questions, { ...QUESTION, fetch: true }, region, network.regions);
  const [owner, second] = after.nodes;
  t.equal(owner?.name, owners[0]);
  t.match(owner?.explanation?.fetched?.members, [{ text: /^"shield-\d";.*stored/ }, { text: /stored/ }]);
  t.equal(owner?.explanation?.lookup?.outcome, 'fresh');
  t.equal(second?.explanation?.lookup?.outcome, 'none');
  const shield = after.nodes.find(
    ({ role, explanation }) => role === 'shield' && explanation?.lookup?.outcome === 'fresh',
  );
  t.equal(shield?.name, owner?.explanation?.shields[0], 'the first shield has it, too');
  t.equal(origin.count('/page'), 1);
  await ask(network.at('eu-1'), '/page');
  t.equal(origin.count('/page'), 1, 'a visitor gets what was fetched');
});

test('nodes that do not answer leave the others to say it', async (t) => {
  const origin = await startOrigin(text('page'));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 2 }, brokenEdge: '127.0.0.1:1' });
  const questions = new NodeQuestions('control');
  t.teardown(() => Promise.all([network.close(), origin.close(), questions.close()]));
  const [region] = network.regions;
  if (region === undefined) throw new Error('no region');
  const broken = {
    ...region,
    edges: region.edges.map((edge) => (edge.name === 'eu-2' ? { ...edge, tier: '127.0.0.1:1' } : edge)),
  };
  const { nodes } = await explainAtNodes(questions, QUESTION, broken, [broken]);
  t.equal(nodes.find(({ name }) => name === 'eu-2')?.problem, 'it did not answer');
  t.equal(nodes.find(({ name }) => name === 'eu-1')?.explanation?.site, 'site');
});
