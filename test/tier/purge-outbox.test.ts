/** Invalidations by origins while the journal is unreachable. */
import { test } from 'tap';
import type { Purge } from '../../journal/journal.ts';
import { PurgeOutbox } from '../../tier/purge-outbox.ts';

const tag = (selector: string, site = 'shop'): Purge => ({
  site,
  kind: 'tag',
  selector,
  soft: false,
  who: 'eu-1',
  why: 'Cache-Group-Invalidation',
});

/** A journal that takes purges when it is told to, and a clock that goes on when it is told to. */
function stand() {
  const taken: Purge[] = [];
  const waits: number[] = [];
  const errors: unknown[][] = [];
  let goOn = (): void => undefined;
  const journal = { isThere: false, before: (): void => undefined };
  const outbox = new PurgeOutbox({
    append: async (purges) => {
      journal.before();
      if (!journal.isThere) throw new Error('not there');
      taken.push(...purges);
    },
    wait: (ms, signal) =>
      new Promise((resolve, reject) => {
        waits.push(ms);
        goOn = resolve;
        signal.addEventListener('abort', reject, { once: true });
      }),
    log: { info: () => undefined, error: (...args: unknown[]) => void errors.push(args) } as never,
  });
  const pass = async (): Promise<void> => {
    goOn();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { pending: outbox, taken, waits, errors, journal, pass };
}

test('the outbox retries after growing pauses until the journal has accepted a purge', async (t) => {
  const { pending: outbox, taken, waits, journal, pass } = stand();
  outbox.add([tag('a'), tag('b', 'blog')]);
  outbox.add([tag('a')]);
  for (let i = 0; i < 8; i++) await pass();
  t.same(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  t.notOk(outbox.isEmpty);
  journal.isThere = true;
  await pass();
  t.same(taken, [tag('a'), tag('b', 'blog')], 'once each');
  t.ok(outbox.isEmpty);
  outbox.add([tag('c')]);
  t.equal(waits.at(-1), 250, 'it begins anew');
  await pass();
  t.same(taken.at(-1), tag('c'));
});

test('the outbox retries at once when the journal is reachable again', async (t) => {
  const { pending: outbox, taken, waits, journal, pass } = stand();
  outbox.add([tag('a')]);
  for (let i = 0; i < 8; i++) await pass();
  t.equal(waits.at(-1), 10_000);
  journal.isThere = true;
  outbox.flush();
  await new Promise((resolve) => setImmediate(resolve));
  t.same(taken, [tag('a')]);
  outbox.flush(); // nothing is owed
  outbox.add([tag('b')]);
  t.equal(waits.at(-1), 250);
});

test('a purge that is repeated while it is being appended is appended again', async (t) => {
  const { pending: outbox, taken, journal, pass } = stand();
  outbox.add([tag('a'), tag('b')]);
  journal.isThere = true;
  journal.before = () => {
    journal.before = () => undefined;
    outbox.add([tag('b'), tag('c')]);
  };
  await pass();
  t.same(taken, [tag('a'), tag('b')]);
  t.notOk(outbox.isEmpty);
  await pass();
  t.same(taken.slice(2), [tag('b'), tag('c')]);
  t.ok(outbox.isEmpty);
});

test('too many purges of one site become one of the whole site, those of others stay', async (t) => {
  const { pending: outbox, taken, journal, pass } = stand();
  outbox.add([tag('a', 'blog')]);
  for (let i = 0; i < 500; i++) outbox.add([tag(`${i}`.padEnd(16_000, '-'))]);
  journal.isThere = true;
  await pass();
  t.same(taken, [tag('a', 'blog'), { ...tag(''), kind: 'site' }]);
  outbox.add([tag('a')]);
  await pass();
  t.same(taken.at(-1), tag('a'), 'and none of it counts afterwards');
});

test('an outbox that is closed tries once more, and logs what is lost', async (t) => {
  const { pending: outbox, errors } = stand();
  outbox.add([tag('a')]);
  await outbox.close();
  t.same(errors, [[{ sites: ['shop'] }, 'invalidations by origins are lost: purge these sites']]);
  const other = stand();
  other.pending.add([tag('a')]);
  other.journal.isThere = true;
  await other.pending.close();
  t.same(other.taken, [tag('a')]);
  t.same(other.errors, []);
});
