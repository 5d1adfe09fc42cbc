/** Access to a control node's pages: pages in an operator's browser. */
import { get } from 'node:http';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { UNREACHABLE } from '../support/origin.ts';
import { startTestControl } from './control.ts';

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
