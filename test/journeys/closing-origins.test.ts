/**
 * Origins that close kept connections, at the moment at which a request that must not be repeated is on its way: no
 * visitor's POST is lost, and none is sent twice.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { UpstreamClient } from '../../http/upstream/client.ts';

async function startClosing(t: Test, kind: string): Promise<string> {
  const child = fork(new URL('../support/closing-origin.ts', import.meta.url), [kind]);
  t.teardown(() => void child.kill());
  const [port] = (await once(child, 'message')) as [number];
  return `http://127.0.0.1:${port}`;
}

function clientOf(url: string): UpstreamClient {
  return new UpstreamClient({
    url,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    maxConnections: 64,
    maxWaiting: 1_000,
    busyCode: 'origin_overloaded',
  });
}

/** @returns The body, or the message of the error. */
function post(client: UpstreamClient, method: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    client.send(
      { method, target: '/', headers: ['Host', 'a.test'], body: undefined },
      {
        onInterim: () => undefined,
        onHead: () => undefined,
        onData: (piece) => {
          text += piece.toString('latin1');
        },
        onEnd: () => resolve(text),
        onError: ({ message }) => resolve(message),
      },
    );
  });
}

/** Connections that the origin closes around the time of a request. */
const LANES = 300;

function lostOf(replies: readonly string[]): readonly string[] {
  return replies.filter((reply) => reply !== 'ok');
}

for (const [kind, rule, idleMs] of [
  ['idle-300', 'after 300 ms, unannounced', 300],
  ['idle-2000', 'after 2 s, unannounced', 2_000],
  ['announced-2000', 'after the 2 s that it has announced', 2_000],
] as const) {
  for (const method of ['POST', 'PUT']) {
    test(`${method} when the origin closes idle connections ${rule}`, async (t) => {
      const url = await startClosing(t, kind);
      // A connection each, as idle as the others, and requests from a moment before its end to a moment after it.
      const lanes = await Promise.all(
        Array.from({ length: LANES }, async (_, lane) => {
          const client = clientOf(url);
          const first = await post(client, 'GET');
          await sleep(idleMs - 4 + (lane * 8) / LANES);
          const second = await post(client, method);
          await client.destroy();
          return [first, second];
        }),
      );
      const lost = lostOf(lanes.flat());
      t.comment(`${lost.length} of ${lanes.length} lost: ${lost[0] ?? ''}`);
      t.equal(lost.length, 0);
    });
  }
}

test('POST when the origin closes each connection soon after its response, unannounced', async (t) => {
  const client = clientOf(await startClosing(t, 'each-response'));
  const replies: string[] = [];
  for (let i = 0; i < 300; i++) {
    replies.push(await post(client, i % 4 === 0 ? 'GET' : 'POST'));
    await sleep(i % 4);
  }
  await client.destroy();
  const lost = lostOf(replies);
  t.comment(`${lost.length} of ${replies.length} lost: ${lost[0] ?? ''}`);
  t.equal(lost.length, 0);
});

test('POSTs share connections that the origin keeps, from the third one on', async (t) => {
  const client = clientOf(await startClosing(t, 'never'));
  let open = 0;
  for (let i = 0; i < 50; i++) {
    t.equal(await post(client, 'POST'), 'ok');
    open = Math.max(open, client.pool.open);
    await sleep(5); // a request that comes sooner than the last one did shows less
  }
  t.ok(open <= 10, `${open} connections at a time`);
  await client.destroy();
});
