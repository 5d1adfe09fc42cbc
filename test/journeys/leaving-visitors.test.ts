/** Requests that no visitor waits for any more: the origin is told, whatever nodes are in between. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startTcp } from '../support/origin.ts';

/** Less than a request counts for at most: 10 s. */
const SOON_MS = 8_000;

for (const shields of [0, 1]) {
  test(`with ${shields} shields the origin is told that a visitor has left`, async (t) => {
    const arrived = Promise.withResolvers<Socket>();
    const origin = await startTcp((socket) => arrived.resolve(socket));
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, shields });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const [host = '', port = ''] = network.at('eu-1').split(':');
    const visitor = connect(Number(port), host);
    visitor.write('GET /slow HTTP/1.1\r\nHost: site.test\r\n\r\n');
    const closed = once(await arrived.promise, 'end');
    const left = performance.now();
    visitor.resetAndDestroy(); // one that closes its side only may wait for the answer
    await closed;
    const tookMs = performance.now() - left;
    t.ok(tookMs < SOON_MS, `${tookMs} ms`);
  });
}
