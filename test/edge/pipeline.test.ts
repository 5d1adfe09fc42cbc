/** Phases that requests pass, as the channel tells of them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type Test, test } from 'tap';
import type { PhaseMessage } from '../../tier/pipeline.ts';
import { startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask } from '../support/visitor.ts';

/** @returns Phases of each request, by node, until the test ends. */
function phasesSeen(t: Test): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  const note = (message: unknown): void => {
    const { node, phase } = message as PhaseMessage;
    seen.set(node, [...(seen.get(node) ?? []), phase]);
  };
  subscribe('seawall:request:phase', note);
  t.teardown(() => unsubscribe('seawall:request:phase', note));
  return seen;
}

const HOUR = { 'Cache-Control': 'max-age=3600' };
const READ = ['receive', 'admit', 'route'];
const SENT = ['deliver', 'log'];

for (const { name, target, method = 'GET', body, status, edge, shield = [] } of [
  {
    name: 'a miss',
    target: '/new',
    status: 200,
    edge: [...READ, 'body', 'cache', ...SENT],
    shield: ['receive', 'cache', ...SENT],
  },
  {
    name: 'a body',
    target: '/',
    method: 'POST',
    body: 'x',
    status: 200,
    edge: [...READ, 'body', 'cache', ...SENT],
    shield: ['receive', 'cache', ...SENT],
  },
  { name: 'PURGE', target: '/', method: 'PURGE', status: 405, edge: ['receive', 'purge', ...SENT] },
  { name: 'a redirect', target: '/old', status: 308, edge: [...READ, ...SENT] },
  { name: 'a refused head', target: '/a/%2e%2e/b', status: 400, edge: ['receive', ...SENT] },
  { name: 'a refused method', target: '/', method: 'TRACE', status: 405, edge: ['receive', ...SENT] },
  {
    name: 'a body that is too large',
    target: '/',
    method: 'POST',
    body: 'x'.repeat(2_000),
    status: 413,
    edge: [...READ, 'body', ...SENT],
  },
] as const) {
  test(`${name} passes ${edge.join(', ')} at the edge`, async (t) => {
    const origin = await startOrigin((request, response) => {
      request.resume();
      text('hello', HOUR)(request, response);
    });
    const network = await startNetwork({
      origin: origin.url,
      regions: { eu: 1 },
      site: { max_request_body: '1KiB', ...(target === '/old' && { redirect: { host: 'elsewhere.test' } }) },
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const seen = phasesSeen(t);
    const answer = await ask(network.at('eu-1'), target, { method, ...(body && { body }) });
    t.equal(answer.status, status);
    t.strictSame(seen.get('eu-1'), edge);
    t.strictSame(seen.get('shield-1') ?? [], shield);
    t.equal(await network.metric('eu-1', 'seawall_requests_total', { listener: 'public' }), 1);
  });
}
