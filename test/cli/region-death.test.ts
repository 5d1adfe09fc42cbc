/** A region of real processes is killed under load: seen in time, not felt elsewhere, and back once. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import type { WhereAnswer } from '../../geo/where.ts';
import { freePorts } from '../support/ports.ts';
import { startCommand } from './process.ts';

const AMERICAN = '8.8.8.8';

test('kill -9 of a whole region: the other region serves its visitors', async (t) => {
  const origin = createServer((_request, response) => {
    response.setHeader('cache-control', 'max-age=60').end('hello');
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  t.teardown(() => origin.close().closeAllConnections());
  const [control, ...ports] = await freePorts(7);
  const region = (
    name: string,
    coordinates: string,
    [listen, tier, own]: number[],
    more: string,
  ): string => `region: ${name}
coordinates: ${coordinates}
tier_secret: 0123456789abcdef
geo: { recovery: 1s }
edges: [{ name: ${name}-1, listen: '127.0.0.1:${listen}', tier: '127.0.0.1:${tier}', control: '127.0.0.1:${own}', workers: 1 }]
${more}
sites: [{ name: site, hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:${(origin.address() as AddressInfo).port}' }] } }]
`;
  const folder = t.testdir({});
  const [eu, us] = [join(folder, 'eu.yaml'), join(folder, 'us.yaml')] as const;
  writeFileSync(eu, region('eu', '[50.11, 8.68]', ports.slice(0, 3), `control: { listen: '127.0.0.1:${control}' }`));
  const journal = `purges: { journal: 'http://127.0.0.1:${control}' }`;
  writeFileSync(us, region('us', '[39.04, -77.49]', ports.slice(3), journal));

  await startCommand(t, 'cli/seawall.ts', ['start', eu, us, '--node', 'control']);
  await startCommand(t, 'cli/seawall.ts', ['start', eu, '--node', 'eu-1']);
  const american = await startCommand(t, 'cli/seawall.ts', ['start', us, '--node', 'us-1']);
  const where = async (): Promise<string | null> => {
    const response = await fetch(`http://127.0.0.1:${control}/v1/where?address=${AMERICAN}`);
    return ((await response.json()) as WhereAnswer).region;
  };
  const until = async (wanted: string): Promise<number> => {
    const startedAt = performance.now();
    while ((await where()) !== wanted) await new Promise((resolve) => setTimeout(resolve, 20));
    return performance.now() - startedAt;
  };
  await until('us');

  const load = { isOver: false, answered: 0, failed: 0 };
  const loading = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!load.isOver) {
        const response = await fetch(`http://127.0.0.1:${ports[0]}/`).catch(() => undefined);
        await response?.body?.cancel();
        if (response?.status === 200) load.answered += 1;
        else load.failed += 1;
      }
    }),
  );
  american.kill('SIGKILL');
  await american.exitCode;
  const seenMs = await until('eu');
  await startCommand(t, 'cli/seawall.ts', ['start', us, '--node', 'us-1']);
  let returns = 0;
  let before: string | null = 'eu';
  for (const end = performance.now() + 3_000; performance.now() < end; ) {
    const now = await where();
    if (now !== before && now === 'us') returns += 1;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  load.isOver = true;
  await loading;
  t.comment(`seen after ${seenMs.toFixed(0)} ms; elsewhere ${load.answered} answers, ${load.failed} failures`);
  t.ok(seenMs < 3_000);
  t.equal(returns, 1, 'it came back once');
  t.equal(before, 'us');
  t.equal(load.failed, 0);
  t.ok(load.answered > 100);
});
