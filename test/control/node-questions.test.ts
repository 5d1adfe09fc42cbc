/** Questions to nodes that answer something else, or nothing. */
import { test } from 'tap';
import { NodeQuestions } from '../../control/node-questions.ts';
import { startOrigin, text } from '../support/origin.ts';

const NODE = { region: 'eu', name: 'eu-1', role: 'edge', secret: 'only-for-this-test-of-questions' } as const;

test('a node that gives no answer is named with the reason', async (t) => {
  const questions = new NodeQuestions('control');
  const refusing = await startOrigin((_request, response) => response.writeHead(403).end());
  const babbling = await startOrigin(text('<html>'));
  const endless = await startOrigin((_request, response) => response.end('x'.repeat(300_000)));
  t.teardown(() => Promise.all([questions.close(), refusing.close(), babbling.close(), endless.close()]));
  for (const [tier, problem] of [
    ['127.0.0.1:0', 'it listens on a port that no file tells'],
    ['127.0.0.1:1', 'it did not answer'],
    [new URL(refusing.url).host, 'it answered 403'],
    [new URL(babbling.url).host, 'it did not answer'],
    [new URL(endless.url).host, 'it did not answer'],
  ] as const) {
    t.strictSame(await questions.ask({ ...NODE, tier }, 'matches', {}), { problem }, tier);
  }
});

test('an answer is passed on as it is', async (t) => {
  const questions = new NodeQuestions('control');
  const node = await startOrigin((request, response) => {
    response.end(JSON.stringify({ field: request.headers['seawall-tier'], method: request.method }));
  });
  t.teardown(() => Promise.all([questions.close(), node.close()]));
  const result = await questions.ask({ ...NODE, tier: new URL(node.url).host }, 'explain', { a: 1 });
  t.match(result, { answer: { method: 'POST', field: /from="control".*ask=explain/ } });
});
