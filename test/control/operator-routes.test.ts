/** Addresses for operators: under the own names of a control node only, and health within a second. */
import { get } from 'node:http';
import { test } from 'tap';
import { addOperatorRoutes } from '../../control/operator-routes.ts';
import { createServer } from '../../control/server.ts';
import { startNetwork } from '../support/network.ts';
import { UNREACHABLE } from '../support/origin.ts';
import { log, startTestControl } from './control.ts';

function status(address: string, path: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(`http://${address}${path}`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).once('error', reject);
  });
}

for (const path of ['/metrics', '/healthz', '/v1/nodes']) {
  test(`the control node shows ${path} under its own names only`, async (t) => {
    const { address } = await startTestControl(t);
    t.equal(await status(address, path, address), 200);
    t.equal(await status(address, path, 'localhost'), 200);
    t.equal(await status(address, path, 'rebound.example'), 421);
  });
}

test('nodes show /metrics and /healthz under their own names only', async (t) => {
  const network = await startNetwork({ origin: UNREACHABLE });
  t.teardown(() => network.close());
  for (const { addresses } of [...network.edges, ...network.shields]) {
    for (const path of ['/metrics', '/healthz']) {
      t.equal(await status(addresses.control ?? '', path, '127.0.0.1'), 200);
      t.equal(await status(addresses.control ?? '', path, 'rebound.example:8200'), 421);
    }
  }
});

for (const { what, journal, status } of [
  { what: 'that answers', journal: { isWritable: true, current: async () => ({}) }, status: 200 },
  { what: 'that cannot be written', journal: { isWritable: false, current: async () => ({}) }, status: 503 },
  {
    what: 'that cannot be read',
    journal: { isWritable: true, current: () => Promise.reject(new Error('x')) },
    status: 503,
  },
  {
    what: 'that does not answer',
    journal: { isWritable: true, current: () => new Promise(() => undefined) },
    status: 503,
  },
]) {
  test(`a control node with a journal ${what} answers its health check with ${status}`, async (t) => {
    const alive = setInterval(() => undefined, 1_000); // neither the server nor its timer keeps the process
    t.teardown(() => clearInterval(alive));
    const server = createServer(log);
    t.teardown(() => server.close());
    const parts = { journal: { ...journal, state: () => ({ newest: 7 }) }, hosts: () => ['control.example'] };
    addOperatorRoutes(server, parts as never);
    const asked = server.inject({ url: '/healthz', headers: { host: 'control.example' } });
    const { statusCode, body } = await asked;
    t.equal(statusCode, status);
    t.match(JSON.parse(body), { ok: status === 200, journal: { newest: 7 } });
    const { statusCode: other } = await server.inject({ url: '/healthz', headers: { host: 'other.example' } });
    t.equal(other, 421);
  });
}
