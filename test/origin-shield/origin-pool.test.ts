import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { type OriginConfig, originSchema } from '../../config/schema/origin.ts';
import { OriginPool } from '../../origin-shield/origin-pool.ts';
import { startOrigin, text } from '../support/origin.ts';

function poolOf(servers: readonly string[], others: object = {}): OriginPool {
  const config: OriginConfig = originSchema.parse({ servers: servers.map((url) => ({ url })), ...others });
  return new OriginPool(config, 'test-network');
}

/** Resolves with the body, or with the code of the error. */
function get(pool: OriginPool, target: string): Promise<string> {
  return new Promise((resolve) => {
    let body = '';
    pool.fetch(
      { method: 'GET', target, headers: ['Host', 'a.test'], body: undefined },
      {
        onInterim: () => undefined,
        onHead: () => undefined,
        onData: (piece) => {
          body += piece.toString('latin1');
        },
        onEnd: () => resolve(body),
        onError: ({ code }) => resolve(code),
      },
    );
  });
}

test('a wall clock that is set back by an hour does not leave a server out for an hour', async (t) => {
  const { now } = Date;
  let setBackMs = 0;
  Date.now = () => now() - setBackMs;
  t.teardown(() => {
    Date.now = now;
  });
  const wellServer = await startOrigin(text('healthy'));
  const restarted = await startOrigin((_request, response) => response.destroy());
  const pool = poolOf([restarted.url, wellServer.url], { slow_start: '0s' });
  for (let i = 0; i < 8; i++) t.equal(await get(pool, `/${i}`), 'healthy');
  const failed = restarted.requests.length;
  t.ok(failed >= 3);
  restarted.script = text('restarted');
  setBackMs = 3_600_000;
  await sleep(1_500); // the first pause is a second, and then it is tried
  const bodies = new Set<string>();
  for (let i = 0; i < 4; i++) bodies.add(await get(pool, `/later/${i}`));
  t.strictSame([...bodies].sort(), ['healthy', 'restarted']);
  await pool.destroy();
  await Promise.all([wellServer.close(), restarted.close()]);
});

test('a visitor whose body breaks off leaves no server of the origin out', async (t) => {
  let arrived = (): void => undefined;
  const origins = await Promise.all([startOrigin(() => arrived()), startOrigin(() => arrived())]);
  const pool = poolOf(origins.map(({ url }) => url));
  for (const error of [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), new Error('gone')]) {
    for (let i = 0; i < 12; i++) {
      const body = new Readable({ read: () => undefined });
      body.push('x');
      arrived = () => body.destroy(error);
      const failed = new Promise<string>((resolve) => {
        const headers = ['Host', 'a.test', 'Content-Length', '10'];
        pool.fetch(
          { method: 'POST', target: '/', headers, body },
          {
            onInterim: () => undefined,
            onHead: () => undefined,
            onData: () => undefined,
            onEnd: () => resolve('end'),
            onError: ({ code }) => resolve(code),
          },
        );
      });
      t.equal(await failed, 'client_closed');
    }
  }
  for (const [index, origin] of origins.entries()) origin.script = text(String(index));
  const bodies = new Set<string>();
  for (let i = 0; i < 4; i++) bodies.add(await get(pool, `/${i}`));
  t.strictSame([...bodies].sort(), ['0', '1']);
  await pool.destroy();
  await Promise.all(origins.map((origin) => origin.close()));
});
