/** Turns of control nodes that append at the same time, in simulated time on a stand-in for etcd. */
import { test } from 'tap';
import { EtcdJournal } from '../../journal/etcd/journal.ts';
import type { Purge } from '../../journal/journal.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { Clock } from '../model/clock.ts';
import { ModelEtcd } from '../model/etcd/store.ts';

const NAMES = ['one', 'two', 'three'];

interface Made {
  readonly journals: readonly EtcdJournal[];
  readonly clock: Clock;
  /** Names of the control nodes by their transactions, in the order of the journal. */
  readonly writers: string[];
  /** Paths of calls, and kinds of transactions, by name. */
  readonly calls: Map<string, string[]>;
}

/** Three journals on one undisturbed etcd, of which each call takes two milliseconds. */
async function made(): Promise<Made> {
  const clock = new Clock();
  const writers: string[] = [];
  const written = (rows: ReadonlyMap<string, string>): void => {
    for (const [key, value] of rows) {
      if (!key.includes('/batch/')) continue;
      const { rows: records } = JSON.parse(Buffer.from(value, 'base64').toString()) as { rows: string[][] };
      writers.push(records[0]?.[4] ?? '');
    }
  };
  const etcd = new ModelEtcd(clock, () => 0, written, undefined);
  etcd.isUndisturbed = true;
  const calls = new Map<string, string[]>(NAMES.map((name) => [name, []]));
  const after = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
  const journals = NAMES.map(
    (name) =>
      new EtcdJournal({
        endpoints: [name],
        prefix: '/turns/',
        network: 'turns',
        now: () => epochMs(clock.now),
        monotonic: () => monotonicMs(clock.now),
        random: () => 0,
        wait: after,
        defer: (flush) => clock.after(0, flush),
        open: async () => {
          const channel = etcd.open();
          const { call } = channel;
          channel.call = (path, body) => {
            calls.get(name)?.push((body as { compare?: unknown }).compare === undefined ? 'read' : 'append');
            return call.call(channel, path, body) as Promise<never>;
          };
          return channel;
        },
      }),
  );
  const opened = Promise.all(journals.map((journal) => journal.current()));
  await clock.runUntil(clock.now + 100);
  await opened;
  return { journals, clock, writers, calls };
}

function purgeBy(who: string, index: number): Purge {
  return { site: 's', kind: 'url', selector: `//h/${index}`, soft: false, who, why: '' };
}

/** Appends again and again, so that there is always something that waits. */
async function appendAlways(journal: EtcdJournal, name: string, isOver: () => boolean): Promise<number> {
  let count = 0;
  const one = async (): Promise<void> => {
    while (!isOver()) {
      await journal.append([purgeBy(name, count)]);
      count += 1;
    }
  };
  await Promise.all([one(), one(), one()]);
  return count;
}

test('of control nodes that always have something to append, each has its turn', async (t) => {
  const { journals, clock, writers } = await made();
  writers.length = 0;
  const end = clock.now + 1_000;
  const isOver = (): boolean => clock.now > end;
  const ended = Promise.all(journals.map((journal, i) => appendAlways(journal, NAMES[i] as string, isOver)));
  await clock.runUntil(end + 200);
  await ended;
  // Until one of the others has written for the first time, the first one takes itself for alone.
  const inTurn = writers.slice(150, -20);
  t.ok(inTurn.length > 100, `${inTurn.length} transactions`);
  // Two transactions of each of the others, at the worst.
  const longest = Math.max(...NAMES.map((name) => longestWithout(inTurn, name)));
  t.ok(longest <= 4, `one waited for ${longest} transactions of others`);
});

/** Longest run without a transaction of the node. */
function longestWithout(writers: readonly string[], name: string): number {
  let [longest, run] = [0, 0];
  for (const writer of writers) {
    run = writer === name ? 0 : run + 1;
    longest = Math.max(longest, run);
  }
  return longest;
}

test('a control node that appends alone leaves a turn to others five times a second', async (t) => {
  const { journals, clock, writers } = await made();
  const [journal] = journals as [EtcdJournal];
  const end = clock.now + 1_000;
  const ended = appendAlways(journal, 'one', () => clock.now > end);
  await clock.runUntil(end + 100);
  await ended;
  t.ok(writers.length > 450, `${writers.length} transactions of two milliseconds in a second`);
});

test('an append that finds another head is made on top of it at once, without another read', async (t) => {
  const { journals, clock, calls } = await made();
  const [one, two] = journals as [EtcdJournal, EtcdJournal];
  const both = Promise.all([one.append([purgeBy('one', 0)]), two.append([purgeBy('two', 0)])]);
  const before = calls.get('two')?.length ?? 0;
  await clock.runUntil(clock.now + 7);
  const [first, second] = await both;
  t.same([first.last, second.last], [1, 2]);
  t.same(calls.get('two')?.slice(before, before + 2), ['append', 'append']);
  t.equal(two.state().newest, 2);
  t.same(
    (await two.read(0, 10)).map(({ who }) => who),
    ['one', 'two'],
  );
});

test('the event of its own append makes a control node read nothing', async (t) => {
  const { journals, clock, calls } = await made();
  const [one] = journals as [EtcdJournal];
  const before = calls.get('one')?.length ?? 0;
  const appended = one.append([purgeBy('one', 0)]);
  await clock.runUntil(clock.now + 100);
  await appended;
  t.same(calls.get('one')?.slice(before), ['append']);
  t.ok((calls.get('two') ?? []).filter((kind) => kind === 'read').length > 0, 'the others read');
});
