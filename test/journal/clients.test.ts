/** Clients of several control nodes: which one is followed, and which one takes an append. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Test, test } from 'tap';
import { journalClients } from '../../journal/clients.ts';
import type { Purge } from '../../journal/journal.ts';

const PURGE: Purge = { site: 's', kind: 'tag', selector: 'a', soft: false, who: '', why: '' };

/** A control node that answers every append with this status, and ends every stream at once. */
async function control(t: Test, name: string, status: () => number) {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    calls.push(request.method ?? '');
    request.resume();
    response.writeHead(request.method === 'POST' ? status() : 200, { 'content-type': 'application/json' });
    response.end(request.method === 'POST' ? JSON.stringify({ first: 1, last: 7, identity: name }) : '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

test('each connection follows the next control node, round and round, and is the first to get appends', async (t) => {
  const nodes = await Promise.all(['a', 'b', 'c'].map((name) => control(t, name, () => 200)));
  const clients = journalClients({ urls: nodes.map(({ url }) => url), secret: 's', node: 'n' });
  t.teardown(() => clients.close());
  t.equal(clients.followed, nodes[0]?.url, 'before the first connection');
  for (const name of ['a', 'b', 'c', 'a']) {
    const stream = clients.messages({ identity: undefined, seq: 0 }, new AbortController().signal);
    for await (const _ of stream) t.fail('a message');
    t.equal(clients.followed, nodes['abc'.indexOf(name)]?.url);
    t.equal((await clients.append([PURGE])).identity, name);
  }
});

test('an append goes to the next control node while one refuses it, and fails when all do', async (t) => {
  const state = { a: 503, b: 200 };
  const [a, b] = [await control(t, 'a', () => state.a), await control(t, 'b', () => state.b)];
  const clients = journalClients({ urls: [a.url, 'http://127.0.0.1:1', b.url], secret: 's', node: 'n' });
  t.teardown(() => clients.close());
  t.match(await clients.append([PURGE]), { identity: 'b', seq: 7 });
  t.same([a.calls, b.calls], [['POST'], ['POST']]);
  state.b = 500;
  await t.rejects(clients.append([PURGE]), { code: 'journal_unreachable' });
  t.same([a.calls.length, b.calls.length], [2, 2], 'each once');
});
