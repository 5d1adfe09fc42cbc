/** The control listener of a node: which requests it answers, and when it says that the node takes nothing new. */
import { Agent } from 'node:http';
import { Registry } from 'prom-client';
import { type Test, test } from 'tap';
import { limitsSchema } from '../../config/schema.ts';
import { type ControlListenerOptions, listenForControl } from '../../telemetry/control-listener.ts';
import { STARTED } from '../support/started.ts';
import { ask } from '../support/visitor.ts';

async function started(t: Test, options: Partial<ControlListenerOptions> = {}) {
  const listener = await listenForControl(STARTED, {
    address: '127.0.0.1:0',
    limits: limitsSchema.parse({}),
    registry: new Registry(),
    node: 'eu-1',
    hosts: () => ['control.internal:8900'],
    ...options,
  });
  t.teardown(() => listener.close());
  return listener;
}

const headers = { Host: '127.0.0.1' };

for (const { method = 'GET', target, host = '127.0.0.1', status, allow } of [
  { target: '/healthz', status: 200 },
  { target: '/healthz?probe=1', status: 200 },
  { target: '/metrics', status: 200 },
  { target: '/metrics/', status: 404 },
  { target: '/', status: 404 },
  { target: '/%6detrics', status: 404 },
  { method: 'HEAD', target: '/healthz', status: 200 },
  { method: 'POST', target: '/metrics', status: 405, allow: 'GET, HEAD' },
  { method: 'DELETE', target: '/nothing', status: 405, allow: 'GET, HEAD' },
  { target: '/metrics', host: 'control.internal', status: 200 },
  { target: '/metrics', host: 'rebound.example', status: 421 },
  { method: 'POST', target: '/metrics', host: 'rebound.example', status: 421 },
]) {
  test(`${method} ${target} for ${host} is ${status}`, async (t) => {
    const { address } = await started(t);
    const reply = await ask(address, target, { method, headers: { Host: host } });
    t.equal(reply.status, status);
    t.equal(reply.headers['allow'], allow);
    if (status === 421) t.match(reply.text, 'control_hosts');
    if (method === 'HEAD') t.equal(reply.text, '');
  });
}

test('health is that of the node at the moment, with its details', async (t) => {
  let isServing = true;
  const { address } = await started(t, { health: () => ({ isServing, details: { disk: { status: 'ok' } } }) });
  const first = await ask(address, '/healthz', { headers });
  t.same(JSON.parse(first.text), { node: 'eu-1', status: 'ok', disk: { status: 'ok' } });
  isServing = false;
  const second = await ask(address, '/healthz', { headers });
  t.equal(second.status, 503);
  t.equal(JSON.parse(second.text).status, 'down');
});

test('a node that drains says so on connections that are open, and takes no new one', async (t) => {
  const listener = await started(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  t.equal((await ask(listener.address, '/healthz', { agent, headers })).status, 200);
  listener.drain();
  const draining = await ask(listener.address, '/healthz', { agent, headers });
  t.equal(draining.status, 503);
  t.equal(JSON.parse(draining.text).status, 'draining');
  await t.rejects(ask(listener.address, '/healthz', { headers }), { code: 'ECONNREFUSED' });
});

test('metrics that cannot be read are a 500, and the next scrape is answered', async (t) => {
  let fails = true;
  const registry = {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    metrics: async () => {
      if (fails) throw new Error('a gauge that throws');
      return 'up 1\n';
    },
  };
  const { address } = await started(t, { registry });
  t.equal((await ask(address, '/metrics', { headers })).status, 500);
  fails = false;
  const reply = await ask(address, '/metrics', { headers });
  t.equal(reply.text, 'up 1\n');
  t.equal(reply.headers['content-type'], Registry.PROMETHEUS_CONTENT_TYPE);
});
