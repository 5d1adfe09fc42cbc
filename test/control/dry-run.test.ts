/** Dry runs: every node is asked, and nothing is purged. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { type Test, test } from 'tap';
import type { DryRunAnswer } from '../../control/schemas.ts';
import { bySecret } from '../../trust/authentication.ts';
import { type Control, SECRET, startTestControl } from './control.ts';

async function newest(control: Control): Promise<number> {
  const { body } = await control.get<{ journal: { newest: number } }>('/healthz');
  return body.journal.newest;
}

test('a dry run asks every node and purges nothing', async (t) => {
  const asked: unknown[] = [];
  const node = await nodeWithMatches(t, asked);
  const control = await startTestControl(t, {
    edges: [undefined, undefined, undefined],
    tiers: [node, '127.0.0.1:0', '127.0.0.1:1'],
  });
  const { status, body } = await control.purge<DryRunAnswer>({ site: 'shop', tags: ['a'], dry_run: true });
  t.equal(status, 200);
  t.match(body, {
    dry_run: true,
    kinds: { tag: 1 },
    nodes: [
      { name: 'eu-1', matches: 17 },
      { name: 'eu-2', matches: null, problem: 'it listens on a port that no file tells' },
      { name: 'eu-3', matches: null, problem: 'it did not answer' },
    ],
  });
  t.strictSame(asked, [{ selectors: [{ kind: 'tag', selector: 'a', site: 'shop' }] }]);
  t.equal(await newest(control), 0);
});

async function nodeWithMatches(t: Test, asked: unknown[]): Promise<string> {
  const server = createServer(async (request, response) => {
    bySecret(() => SECRET).identify(request.rawHeaders, request.socket);
    asked.push(await json(request));
    return response.end('{"matches":17}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
