/** The store of several control nodes, in a real etcd of three members. */
import tap, { test } from 'tap';
import { openEtcdStore } from '../../../control/store/etcd-store.ts';
import { EtcdTable } from '../../../control/store/etcd-table.ts';
import { wallNow } from '../../../lib/clock.ts';
import { call, encoded, newPrefix } from '../../journal/etcd.ts';
import { startEtcd } from '../../support/etcd.ts';
import { type OpenedStore, storeContract } from '../store-contract.ts';

const cluster = await startEtcd(3);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

storeContract('etcd, three members', async (t, now) => {
  const options = { endpoints, prefix: newPrefix(), network: 'test', now, defer: setImmediate };
  const open = async (): Promise<OpenedStore> => {
    const store = await openEtcdStore(options);
    t.teardown(() => store.close());
    return { store, again: open };
  };
  return open();
});

test('rows that another program deletes are gone at the next read', async (t) => {
  const prefix = `${newPrefix()}tokens/`;
  const table = new EtcdTable({ endpoints }, prefix);
  t.teardown(() => table.close());
  for (const name of ['a', 'b', 'c']) t.ok(await table.write(name, { name }, '0'));
  t.same([...(await table.read()).keys()], ['a', 'b', 'c']);
  await call(endpoints[0] as string, 'deleterange', { key: encoded(`${prefix}b`) });
  t.same([...(await table.read()).keys()], ['a', 'c']);
  t.notOk(await table.write('a', {}, '1'), 'written at another revision');
  t.match((await table.read()).get('a'), { value: { name: 'a' } });
});

test('a stopped member delays a look-up of a token, and no look-up fails', async (t) => {
  const table = new EtcdTable({ endpoints, callTimeoutMs: 300 }, `${newPrefix()}tokens/`);
  t.teardown(() => table.close());
  await table.write('a', 1, '0');
  for (const member of cluster.members) {
    await member.freeze();
    const reads = Array.from({ length: 50 }, () => table.read());
    t.ok((await Promise.all(reads)).every((rows) => rows.get('a')?.value === 1));
    member.kill('SIGCONT');
  }
});

test('a store that is closed leaves nothing open', async (t) => {
  const store = await openEtcdStore({ endpoints, prefix: newPrefix(), network: 'test', now: wallNow });
  await store.close();
  await store.close();
  await t.rejects(store.journal.current(), { code: 'journal_closed' });
  await t.rejects(store.tokens.list(), { code: 'journal_closed' });
});
