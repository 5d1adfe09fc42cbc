/** Several control nodes on one store, and faults of the way to it. */
import { cpSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import tap, { type Test, test } from 'tap';
import type { EtcdJournal } from '../../journal/etcd/journal.ts';
import type { Journal } from '../../journal/journal.ts';
import { identityOf, isInHistory, type JournalPosition } from '../../journal/terms.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Cluster, type Member, startEtcd, trusting } from '../support/etcd.ts';
import { purges } from './contract.ts';
import { call, encoded, newPrefix, openJournal, PATIENT, selectors } from './etcd.ts';
import { followOn, serveJournal, source } from './served.ts';

const cluster = await startEtcd(3);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

const PATIENCE_MS = 10_000;

function newest(journal: Journal): JournalPosition {
  const { terms, newest: seq } = journal.state();
  return { identity: identityOf(terms, seq), seq };
}

test('control nodes that append at the same time share one sequence, in few terms', async (t) => {
  const prefix = newPrefix();
  const journals = await Promise.all([0, 1, 2].map(() => openJournal(t, endpoints, prefix)));
  const made = new Map<number, string>();
  const append = async (journal: EtcdJournal, at: number): Promise<void> => {
    for (let round = 0; round < 15; round += 1) {
      const list = purges(1 + (round % 3), `${at}-${round}`);
      const { first } = await journal.append(list);
      for (const [index, { selector }] of list.entries()) made.set(first + index, selector);
    }
  };
  await Promise.all(journals.map(append));
  t.equal(made.size, 3 * 30);
  const expected = Array.from(made, ([seq, selector]) => ({ seq, selector })).sort((a, b) => a.seq - b.seq);
  for (const journal of journals) {
    t.same(
      await selectors(journal),
      expected.map(({ selector }) => selector),
    );
    t.ok(journal.state().terms.length <= 1 + journals.length, `${journal.state().terms.length} terms`);
  }
});

test('an append at one control node rings at the others', async (t) => {
  const prefix = newPrefix();
  const [one, other] = await Promise.all([openJournal(t, endpoints, prefix), openJournal(t, endpoints, prefix)]);
  const rung = Promise.withResolvers<number>();
  await one.append(purges(1));
  await other.current();
  other.subscribe(rung.resolve);
  await one.append(purges(2));
  t.equal(await rung.promise, 3);
  t.equal((await other.read(0, 10)).length, 3);
});

test('one idempotency key at several control nodes makes one purge', async (t) => {
  const prefix = newPrefix();
  const journals = await Promise.all([0, 1, 2].map(() => openJournal(t, endpoints, prefix)));
  const once = { key: 'k', body: Buffer.from('b') };
  const made = await Promise.all(journals.map((journal, at) => journal.append(purges(2, `${at}`), once)));
  t.same(
    made.map(({ first, last }) => [first, last]),
    [
      [1, 2],
      [1, 2],
      [1, 2],
    ],
  );
  t.equal(made.filter(({ repeated }) => !repeated).length, 1);
  t.equal((await selectors(journals[0] as Journal)).length, 2);
});

/** A TCP proxy to a member, which cuts the connection instead of passing on the answer to an append. */
async function cuttingProxy(t: Test, target: string, prefix: string, cut: { left: number }): Promise<string> {
  const head = encoded(`${prefix}journal/head`);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(target).port), '127.0.0.1');
    let isAppend = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      isAppend = bytes.includes('request_put') && bytes.includes(head);
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (isAppend && cut.left > 0) {
        cut.left -= 1;
        client.destroy();
        return;
      }
      client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

test('a transaction of unknown outcome is found in the store, and not made again', async (t) => {
  const cut = { left: 0 };
  const prefix = newPrefix();
  const proxy = await cuttingProxy(t, endpoints[0] as string, prefix, cut);
  const journal = await openJournal(t, [proxy], prefix, PATIENT);
  const expected: string[] = [];
  for (let round = 0; round < 5; round += 1) {
    cut.left = round % 2;
    const list = purges(2, `round-${round}`);
    expected.push(...list.map(({ selector }) => selector));
    const once = { key: `k${round}`, body: Buffer.from('b') };
    t.match(await journal.append(list, round % 4 < 2 ? once : undefined), { first: 2 * round + 1, repeated: false });
    t.equal(cut.left, 0, 'the answers were cut off');
  }
  t.same(await selectors(journal), expected);
});

test('a node that follows hears of the term that another control node begins', async (t) => {
  const prefix = newPrefix();
  const [one, other] = await Promise.all([openJournal(t, endpoints, prefix), openJournal(t, endpoints, prefix)]);
  await one.append(purges(1));
  const { url, problems } = await serveJournal(t, one);
  const { follower, target } = followOn(t, source(url));
  t.ok(await follower.caughtUp(newest(one), PATIENCE_MS));
  await other.append(purges(2, 'joined'));
  t.ok(await follower.caughtUp(newest(other), PATIENCE_MS));
  t.equal(newest(other).identity, newest(one).identity, 'connected before the term began: the same term');
  const later = await openJournal(t, endpoints, prefix);
  await later.append(purges(2, 'later'));
  t.not(newest(later).identity, newest(other).identity);
  t.ok(await follower.caughtUp(newest(later), PATIENCE_MS));
  t.same(target.position, newest(later));
  t.same(problems, []);
});

test('a journal that cannot confirm its state sends no heartbeat', async (t) => {
  const single = await startEtcd(1);
  t.teardown(() => single.stop());
  const [member] = single.members as readonly [Member];
  const journal = await openJournal(t, single.endpoints, newPrefix());
  await journal.append(purges(1));
  const { url, ended, problems } = await serveJournal(t, journal, { heartbeatIntervalMs: 20 });
  const messages = source(url)({ identity: undefined, seq: 0 }, new AbortController().signal)[Symbol.asyncIterator]();
  for (let types = new Set<unknown>(); !types.has('heartbeat'); ) {
    types = types.add(((await messages.next()).value as { type: string }).type);
  }
  await member.end();
  await ended[0];
  t.same(problems, ['journal_unreachable']);
  await t.rejects(async () => {
    while (!(await messages.next()).done);
  });
});

test('with TLS: a client with a certificate is admitted, one without and one that does not trust etcd are not', async (t) => {
  const certificate = makeCertificate(t.testdir(), 'etcd', ['localhost']);
  const single = await startEtcd(1, certificate);
  t.teardown(() => single.stop());
  const prefix = newPrefix();
  const journal = await openJournal(t, single.endpoints, prefix, { tls: trusting(certificate) });
  t.match(await journal.append(purges(1)), { first: 1 });
  const { ca } = trusting(certificate);
  await t.rejects(openJournal(t, single.endpoints, prefix, { tls: { ca } }), { code: 'journal_unreachable' });
  await t.rejects(openJournal(t, single.endpoints, prefix), { code: 'journal_unreachable', message: /self-signed/ });
});

test('a restored store gives out numbers again in another term, also by a control node that had not noticed', async (t) => {
  const single = await startEtcd(1);
  t.teardown(() => single.stop());
  const [member] = single.members as readonly [Member];
  const prefix = newPrefix();
  const [active, idle] = await Promise.all([
    openJournal(t, single.endpoints, prefix, PATIENT),
    openJournal(t, single.endpoints, prefix, PATIENT),
  ]);
  await active.append(purges(3, 'before'));
  await idle.current();
  await member.end();
  const copy = `${member.data}-copy`;
  cpSync(member.data, copy, { recursive: true });
  await member.start();
  const common = newest(idle);
  await active.append(purges(2, 'lost'));
  const lost = newest(active);
  await member.end();
  rmSync(member.data, { recursive: true });
  cpSync(copy, member.data, { recursive: true });
  await member.start();
  await idle.append(purges(2, 'after'));
  const { terms, newest: last } = idle.state();
  t.equal(last, lost.seq, 'the same numbers');
  t.ok(isInHistory(terms, last, common));
  t.notOk(isInHistory(terms, last, lost));
  t.same((await selectors(active)).slice(-2), ['after-0', 'after-1']);
});

test('refused: a store of another network, a wrong address, a purge beyond a transaction', async (t) => {
  const prefix = newPrefix();
  const journal = await openJournal(t, endpoints, prefix);
  await t.rejects(openJournal(t, endpoints, prefix, { network: 'another' }), { code: 'journal_foreign' });
  await t.rejects(openJournal(t, ['http://127.0.0.1:1'], prefix), { code: 'journal_unreachable' });
  const long = purges(100).map((purge) => ({ ...purge, selector: purge.selector.padEnd(16_000, 'x') }));
  await t.rejects(journal.append(long), { code: 'journal_too_large' });
  t.equal((await journal.current()).newest, 0);
});

test('with authentication: a user is admitted, a wrong password and none are refused', async (t) => {
  const single: Cluster = await startEtcd(1);
  t.teardown(() => single.stop());
  const [endpoint = ''] = single.endpoints;
  const auth = (name: string, body: unknown): Promise<Response> =>
    fetch(`${endpoint}/v3/auth/${name}`, { method: 'POST', body: JSON.stringify(body) });
  const user = { name: 'root', password: 'a password' };
  await auth('user/add', user);
  await auth('role/add', { name: 'root' });
  await auth('user/grant', { user: 'root', role: 'root' });
  await auth('enable', {});
  const prefix = newPrefix();
  const restricted = { name: 'seawall', password: 'another password' };
  const root = await fetch(`${endpoint}/v3/auth/authenticate`, { method: 'POST', body: JSON.stringify(user) });
  const { token } = (await root.json()) as { token: string };
  const asRoot = (name: string, body: unknown): Promise<Response> =>
    fetch(`${endpoint}/v3/auth/${name}`, {
      method: 'POST',
      headers: { authorization: token },
      body: JSON.stringify(body),
    });
  await asRoot('user/add', restricted);
  await asRoot('role/add', { name: 'seawall' });
  const perm = { permType: 'READWRITE', key: encoded(prefix), range_end: encoded(`${prefix.slice(0, -1)}0`) };
  await asRoot('role/grant', { name: 'seawall', perm });
  await asRoot('user/grant', { user: 'seawall', role: 'seawall' });
  const ofPrefix = await openJournal(t, single.endpoints, prefix, { user: restricted });
  t.match(await ofPrefix.append(purges(1), { key: 'k', body: Buffer.of() }, () => ({})), { first: 1 });
  for (let round = 0; round < 3; round += 1) await ofPrefix.compact(0);
  t.ok(ofPrefix.isWritable, 'a user of the prefix may do all that a control node does');
  await ofPrefix.compact(Number.POSITIVE_INFINITY);
  await t.rejects(openJournal(t, single.endpoints, newPrefix(), { user: restricted }), { code: 'journal_refused' });
  const journal = await openJournal(t, single.endpoints, prefix, { user });
  t.match(await journal.append(purges(1)), { first: 2 });
  await t.rejects(openJournal(t, single.endpoints, prefix, { user: { ...user, password: 'no' } }), {
    code: 'journal_refused',
  });
  await t.rejects(openJournal(t, single.endpoints, prefix), { code: 'journal_refused' });
  await t.rejects(call(endpoint, 'range', { key: encoded(prefix) }));
});
