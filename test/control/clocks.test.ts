/** Control nodes on machines whose clocks differ by minutes. */
import { setImmediate as turn } from 'node:timers/promises';
import tap, { test } from 'tap';
import { Members } from '../../control/members.ts';
import { Progress } from '../../control/progress.ts';
import { openEtcdStore } from '../../control/store/etcd-store.ts';
import { epochMs, monotonicNow, wallNow } from '../../lib/clock.ts';
import { aPurge } from '../journal/contract.ts';
import { newPrefix } from '../journal/etcd.ts';
import { startEtcd } from '../support/etcd.ts';
import { log, regionOf } from './control.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

const MINUTES_MS = 5 * 60_000;
const CLOCKS = [0, MINUTES_MS, -MINUTES_MS].map((offMs) => () => epochMs(wallNow() + offMs));

test('numbers go on, times never go back, and a key that one control node has taken holds at the others', async (t) => {
  const prefix = newPrefix();
  const stores = await Promise.all(
    CLOCKS.map((now) => openEtcdStore({ endpoints, prefix, network: 'test', now, defer: setImmediate })),
  );
  t.teardown(() => Promise.all(stores.map((store) => store.close())));
  for (let round = 0; round < 4; round++) {
    for (const [index, { journal }] of stores.entries()) {
      const once = { key: `round ${round}`, body: Buffer.from('the same') };
      const { repeated, first } = await journal.append([aPurge()], once);
      t.equal(repeated, index > 0);
      t.equal(first, round * 2 + 1);
    }
    await stores[round % 3]?.journal.append([aPurge()]);
  }
  for (const { journal } of stores) {
    t.equal((await journal.current()).newest, 8);
    const times = (await journal.read(0, 100)).map(({ time }) => time);
    t.same(
      times,
      times.toSorted((one, other) => one - other),
    );
  }
});

test('a node is there for all of them, whichever has heard of it', async (t) => {
  const prefix = newPrefix();
  const region = regionOf();
  const registries = await Promise.all(
    CLOCKS.map(async (now, index) => {
      const store = await openEtcdStore({ endpoints, prefix, network: 'test', now, defer: setImmediate });
      const { journal } = store;
      const progress = new Progress([], {
        journal: () => journal.state(),
        refresh: () => journal.current(),
        monotonic: monotonicNow,
        now,
      });
      const about = { version: '1', config: '', since: '2026-01-01T00:00:00Z' };
      const members = await Members.open({
        store: store.members,
        regions: [region],
        progress,
        self: () => ({ name: `control-${index}`, region: 'eu', about }),
        monotonic: monotonicNow,
        now,
        changed: () => undefined,
        log,
      });
      t.teardown(async () => {
        progress.close();
        await members.close();
        await store.close();
      });
      return { members, progress };
    }),
  );
  for (const { members, progress } of registries) {
    await members.register({ name: 'eu-1' }, 60_000);
    const disconnected = progress.connected('eu-1');
    await members.renew();
    for (const other of registries) {
      while (other.members.presence('eu-1') !== 'present') await turn();
      t.ok(other.members.isKnown({ name: 'eu-1', role: 'edge', region: 'eu' }));
    }
    disconnected();
  }
});
