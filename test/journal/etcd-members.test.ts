/** Faults of members of etcd. */
import tap, { test } from 'tap';
import { type Member, startEtcd } from '../support/etcd.ts';
import { purges } from './contract.ts';
import { newPrefix, openJournal, PATIENT, selectors } from './etcd.ts';

const cluster = await startEtcd(3);
tap.teardown(() => cluster.stop());
const { endpoints, members } = cluster;

for (const { what, harm, heal } of [
  {
    what: 'killed',
    harm: async (member: Member) => member.end(),
    heal: async (member: Member) => member.start(),
  },
  {
    what: 'stopped',
    harm: (member: Member) => member.freeze(),
    heal: async (member: Member) => member.kill('SIGCONT'),
  },
]) {
  test(`each member in turn is ${what}: nothing acknowledged is lost or doubled`, { timeout: 90_000 }, async (t) => {
    const prefix = newPrefix();
    const journals = await Promise.all([0, 1].map(() => openJournal(t, endpoints, prefix, PATIENT)));
    const acknowledged: string[] = [];
    let isOver = false;
    const appending = journals.map(async (journal, at) => {
      for (let round = 0; !isOver; round += 1) {
        const [purge] = purges(1, `${at}-${round}`);
        if (purge === undefined) return;
        const { repeated } = await journal.append([purge], { key: `${at}-${round}`, body: Buffer.of() });
        if (repeated) t.fail(`${purge.selector} was there already`);
        acknowledged.push(purge.selector);
      }
    });
    const moreThan = async (count: number): Promise<void> => {
      while (acknowledged.length <= count) await new Promise((resolve) => setImmediate(resolve));
    };
    for (const member of members) {
      await moreThan(acknowledged.length + 5);
      await harm(member);
      await moreThan(acknowledged.length + 5);
      await heal(member);
    }
    isOver = true;
    await Promise.all(appending);
    const found = await selectors(await openJournal(t, endpoints, prefix, PATIENT));
    t.equal(new Set(found).size, found.length, 'none twice');
    t.same(
      acknowledged.filter((selector) => !found.includes(selector)),
      [],
      `${acknowledged.length} acknowledged`,
    );
  });
}

test('without a majority nothing is confirmed, and appends succeed when there is one again', async (t) => {
  const impatient = { appendTimeoutMs: 500, callTimeoutMs: 300 };
  const prefix = newPrefix();
  const journal = await openJournal(t, endpoints, prefix, impatient);
  const patient = await openJournal(t, endpoints, prefix, PATIENT);
  await journal.append(purges(1));
  const [, ...majority] = members;
  for (const member of majority) await member.freeze();
  await t.rejects(journal.current(), { code: 'journal_unreachable' });
  const appended = journal.append(purges(1), { key: 'k', body: Buffer.of() });
  await t.rejects(appended, { code: /^journal_(?:unconfirmed|unreachable)$/ });
  t.equal(journal.isWritable, false);
  for (const member of majority) member.kill('SIGCONT');
  const once = { key: 'k', body: Buffer.of() };
  t.match(await patient.append(purges(1), once), { first: 2 }, 'whatever came of the first attempt');
  t.equal((await patient.current()).newest, 2);
});
