/** Operators' views of the control node. */
import { test } from 'tap';
import { Progress } from '../../control/progress.ts';
import type { JournalState } from '../../journal/journal.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';

const EDGE = { region: 'eu', role: 'edge', leaseMs: 60_000 } as const;
const A = { ...EDGE, name: 'a' };
const B = { ...EDGE, name: 'b' };

const journal = (): JournalState => ({ terms: [{ identity: 'j', after: -1 }], floor: 0, newest: 30_000 });

test('durations are counted per node, and for the slowest of all', async (t) => {
  let now = 0;
  const completed: number[] = [];
  const progress = new Progress([A, B], {
    journal,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(now),
    now: () => epochMs(now),
    completed: (ms) => completed.push(ms),
  });
  progress.accepted(3, monotonicMs(0));
  now = 5;
  progress.accepted(4, monotonicMs(5));
  progress.report({ node: 'a', identity: 'j', seq: 3 });
  now = 9;
  progress.report({ node: 'b', identity: 'j', seq: 4 });
  t.match(progress.receipt(3), [
    { name: 'a', applied: true, afterMs: 5 },
    { name: 'b', applied: true, afterMs: 9 },
  ]);
  t.match(progress.receipt(4), [
    { applied: false, afterMs: undefined },
    { applied: true, afterMs: 4 },
  ]);
  t.strictSame(completed, [9]);
  now = 20;
  progress.report({ node: 'a', identity: 'j', seq: 4 });
  t.strictSame(completed, [9, 15]);
});

test('the memory of durations is bounded, and applied purges are known all the same', async (t) => {
  const progress = new Progress([A], {
    journal,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(1),
    now: () => epochMs(1),
  });
  for (let seq = 1; seq <= 25_000; seq += 1) {
    progress.accepted(seq, monotonicMs(0));
    if (seq % 7 === 0) progress.report({ node: 'a', identity: 'j', seq });
  }
  t.match(progress.receipt(1), [{ applied: true, afterMs: undefined }]);
  t.match(progress.receipt(24_990), [{ applied: true, afterMs: 1 }]);
});

test('a purge does not wait for a node that was removed from the files', async (t) => {
  const progress = new Progress([A, B], {
    journal,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(0),
    now: () => epochMs(0),
  });
  progress.accepted(1, monotonicMs(0));
  progress.report({ node: 'a', identity: 'j', seq: 1 });
  const waiting = progress.whenComplete(1, 10_000);
  progress.setNodes([A]);
  t.equal(await waiting, true);
});

test('a wait ends when the caller disconnects', async (t) => {
  const progress = new Progress([A], {
    journal,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(0),
    now: () => epochMs(0),
  });
  const requester = new AbortController();
  const waiting = progress.whenComplete(1, 10_000, requester.signal);
  requester.abort();
  t.equal(await waiting, false);
});

test('a node that restarts has applied what it reports', async (t) => {
  const progress = new Progress([A], {
    journal,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(0),
    now: () => epochMs(0),
  });
  progress.accepted(5, monotonicMs(0));
  progress.report({ node: 'a', identity: 'j', seq: 5 });
  progress.report({ node: 'a', identity: 'j', seq: 2 });
  t.equal(progress.isComplete(5), false);
});

test('a reported position counts only if it is in the journal', async (t) => {
  const terms = [
    { identity: 'i', after: -1 },
    { identity: 'j', after: 5 },
  ];
  const state = { terms, floor: 0, newest: 9 };
  const progress = new Progress([A], {
    journal: () => state,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(0),
    now: () => epochMs(0),
  });
  for (const { identity, seq, counts } of [
    { identity: 'i', seq: 5, counts: true },
    { identity: 'i', seq: 6, counts: false }, // lost, and given out again
    { identity: 'j', seq: 9, counts: true },
    { identity: 'j', seq: 10, counts: false },
    { identity: 'k', seq: 9, counts: false },
  ]) {
    progress.report({ node: 'a', identity, seq });
    await Promise.resolve(); // the journal is read again
    t.equal(progress.nodes()[0]?.seq, counts ? seq : 0, `${identity} ${seq}`);
  }
});
