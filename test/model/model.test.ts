/**
 * A few thousand random histories (`npm run model` runs more, and replays one),
 * and the histories that found a mistake in the program.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { emptyCopy, MemoryJournal } from './control.ts';
import { type Action, type History, histories, historiesWithDisks, type Profile } from './history.ts';
import { runHistory } from './world.ts';

const HISTORIES = 2_000;
const HISTORIES_WITH_DISKS = 300;

test(`${HISTORIES} random histories break no rule`, async (t) => {
  let answers = 0;
  const property = fc.asyncProperty(histories, async (history) => {
    answers += (await runHistory(history)).answers;
  });
  const { failed, errorInstance, seed, counterexamplePath } = await fc.check(property, { numRuns: HISTORIES });
  const again = failed ? `${errorInstance}; again: npm run model -- --seed ${seed} --path ${counterexamplePath}` : '';
  t.notOk(failed, again);
  t.ok(answers > HISTORIES, 'and visitors were answered');
});

test(`${HISTORIES_WITH_DISKS} random histories of nodes with disks break no rule`, async (t) => {
  let fromDisk = 0;
  const property = fc.asyncProperty(historiesWithDisks, async (history) => {
    fromDisk += (await runHistory(history)).fromDisk;
  });
  const { failed, errorInstance, seed, counterexamplePath } = await fc.check(property, {
    numRuns: HISTORIES_WITH_DISKS,
  });
  const options = `--disk --seed ${seed} --path ${counterexamplePath}`;
  t.notOk(failed, failed ? `${errorInstance}; again: npm run model -- ${options}` : '');
  t.ok(fromDisk > 0, 'and visitors were answered from disk');
});

for (const { what, drawn } of [
  { what: 'a history', drawn: histories },
  { what: 'a history of nodes with disks', drawn: historiesWithDisks },
]) {
  test(`${what} runs the same way twice`, async (t) => {
    for (const history of fc.sample(drawn, { seed: 7, numRuns: 20 })) {
      const [first, second] = [await traceOf(history), await traceOf(history)];
      t.same(second, first);
    }
  });
}

const VISIT = {
  type: 'visit',
  at: 'edge',
  url: 0,
  language: 'de',
  method: 'GET',
  hot: false,
  wish: undefined,
  leavesAfterMs: 0,
  visitors: 1,
} as const;
const PROFILE: Profile = {
  directives: 'max-age=60',
  etag: 'strong',
  tags: [],
  vary: false,
  status: 200,
  sized: false,
};
const RESTART = {
  type: 'restart',
  downMs: 10,
  kept: false,
  aloneMs: 0,
  missed: undefined,
  forgotten: false,
} as const;
const PUBLISH = { type: 'publish', url: 0, profile: PROFILE, aim: { kind: 'url', url: 0 }, soft: false } as const;

for (const { found, steps, noise } of [
  {
    found: 'a node that joins late revalidates against a shield that serves what is soft-purged',
    steps: [
      [0, { type: 'cut', between: ['owner', 'control'], ms: 25_000 }],
      [0, VISIT],
      [9_000, { ...PUBLISH, soft: true }],
    ],
    noise: [3],
  },
  {
    found: 'a tag is purged while two wait for the response that carries it',
    steps: [
      [9_000, { ...VISIT, leavesAfterMs: 20 }],
      [100, { type: 'purge', aims: [{ kind: 'tag', tag: 't0' }], soft: false }],
      [0, VISIT],
    ],
    noise: [120, 28, 0, 52, 0, 0, 0, 0, 0, 0, 21, 6, 41, 112, 0],
  },
  {
    found: 'who is asked begins with another journal while the request is on its way',
    steps: [
      [0, PUBLISH],
      [1_000, { type: 'purge', aims: [{ kind: 'url', url: 0 }], soft: false }],
      [0, VISIT],
      [100, VISIT],
      [0, { type: 'renew' }],
      [3_000, PUBLISH],
    ],
    noise: [0, 120, 60, 0, 0],
  },
  {
    found: 'a HEAD is overtaken by a purge, and its fields come to what was stored after it',
    steps: [
      [0, { type: 'freeze', node: 'shield-1', ms: 3_000 }],
      [0, { ...VISIT, method: 'HEAD' }],
      [3_000, VISIT],
      [0, PUBLISH],
    ],
    noise: [0, 2, 0, 9, 0],
  },
  {
    found: 'a node that has just started, and has not heard of the journal, keeps what a shield tells it',
    steps: [
      [100, { type: 'cut', between: ['shield-1', 'control'], ms: 25_000 }],
      [0, { ...VISIT, at: 'owner' }],
      [100, PUBLISH],
      [100, { ...RESTART, node: 'owner', aloneMs: 12_000 }],
      [100, { ...VISIT, at: 'owner' }],
      [6_000, { ...VISIT, at: 'owner' }],
    ],
    noise: [],
  },
  {
    found: 'the journal is restored, and a node has forgotten its records but not applied them again',
    steps: [
      [3_000, { ...VISIT, url: 2 }],
      [0, VISIT],
      [0, PUBLISH],
      [100, VISIT],
      [50, PUBLISH],
      [0, PUBLISH],
      [0, { type: 'restore', loses: 1 }],
      [1_000, { type: 'purge', aims: [{ kind: 'url', url: 0 }], soft: false }],
      [0, VISIT],
    ],
    noise: [3, 0, 0, 21, 22, 0, 0, 39, 0, 78, 22],
  },
  {
    found: 'a node stands still for longer than the lease, and somebody joins a fill from before',
    steps: [
      [0, VISIT],
      [0, { type: 'freeze', node: 'edge', ms: 25_000 }],
      [300, VISIT],
      [0, { type: 'purge', aims: [{ kind: 'tag', tag: 't0' }], soft: false }],
    ],
    noise: [92],
  },
  {
    found:
      'the journal is restored while somebody waits for a response that a purge has named, and the purge is forgotten for a moment',
    steps: [
      [0, VISIT],
      [100, { type: 'purge', aims: [{ kind: 'tag', tag: 't0' }], soft: false }],
      [100, PUBLISH],
      [0, VISIT],
      [0, { type: 'restore', loses: 1 }],
    ],
    noise: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 45],
  },
  {
    found: 'two nodes, of which only one has heard that the journal was restored, compare numbers given out twice',
    steps: [
      [0, PUBLISH],
      [0, VISIT],
      [9_000, { type: 'restore', loses: 1 }],
      [0, { ...RESTART, node: 'owner', kept: true }],
      [0, { type: 'purge', aims: [{ kind: 'variant', url: 0, language: 'de' }], soft: false }],
      [100, VISIT],
    ],
    noise: [],
  },
  {
    found: 'the journal is restored, and a node had heard of a number that it has not applied',
    steps: [
      [0, PUBLISH],
      [50, VISIT],
      [0, { type: 'restore', loses: 1 }],
      [1_000, VISIT],
      [0, PUBLISH],
      [0, { type: 'cut', between: ['edge', 'control'], ms: 10 }],
    ],
    noise: [124],
  },
  {
    found: 'a new journal begins, and a node that has not heard of either has nothing in common with it',
    steps: [
      [0, VISIT],
      [0, { type: 'cut', between: ['shield-1', 'control'], ms: 25_000 }],
      [3_000, { ...RESTART, node: 'edge', missed: 0 }],
      [0, { type: 'renew' }],
    ],
    noise: [],
  },
  {
    found: 'somebody joins those who wait for a response that a shield has sent as stale',
    steps: [
      [0, VISIT],
      [0, PUBLISH],
      [9_000, { type: 'purge', aims: [{ kind: 'url', url: 0 }], soft: true }],
      [0, { ...VISIT, visitors: 3 }],
      [0, { type: 'purge', aims: [{ kind: 'url', url: 0 }], soft: false }],
      [0, { ...RESTART, node: 'owner', missed: 0 }],
      [100, { ...VISIT, at: 'owner' }],
    ],
    noise: [12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 3, 0, 0, 0, 0, 3, 90, 0, 85, 0, 0],
  },
] satisfies { found: string; steps: [number, Action][]; noise: number[] }[]) {
  test(`the model finds: ${found}`, async (t) => {
    const history = { steps: steps.map(([afterMs, action]) => ({ afterMs, action: action as Action })), noise };
    await t.resolves(runHistory(history));
  });
}

const REOPEN = { type: 'restore', loses: 0 } as const;
const SHORT_CUT = { type: 'cut', between: ['shield-1', 'control'], ms: 3_000 } as const;

for (const { what, events } of [
  { what: 'is restarted', events: [REOPEN] },
  { what: 'is restarted again and again', events: [REOPEN, REOPEN, REOPEN] },
  { what: 'is restarted, and some nodes do not hear of it', events: [SHORT_CUT, REOPEN, REOPEN] },
  {
    what: 'is restarted, and an edge comes back meanwhile',
    events: [SHORT_CUT, REOPEN, { ...RESTART, node: 'owner', kept: true }, REOPEN],
  },
] satisfies { what: string; events: Action[] }[]) {
  test(`a control node that ${what} causes no request to the origin`, async (t) => {
    const visits: Action[] = [0, 1, 2].flatMap((url) => [
      { ...VISIT, url, hot: true },
      { ...VISIT, url, at: 'owner' },
    ]);
    const steps = (actions: readonly Action[]): History['steps'] => actions.map((action) => ({ afterMs: 300, action }));
    const [before, after] = [steps([PUBLISH, PUBLISH, ...visits]), steps(visits)];
    const undisturbed = await runHistory({ steps: [...before, ...after], noise: [] });
    const { fetches } = await runHistory({ steps: [...before, ...steps(events), ...after], noise: [] });
    t.equal(fetches, undisturbed.fetches);
    const restored = steps([{ type: 'restore', loses: 1 }, ...events]);
    const { fetches: more } = await runHistory({ steps: [...before, ...restored, ...after], noise: [] });
    t.ok(more > fetches, 'but one that is restored does');
  });
}

async function traceOf(history: History): Promise<string[]> {
  const lines: string[] = [];
  await runHistory(history, { trace: (line) => lines.push(line) });
  return lines;
}

test('a copy of a journal knows the terms of its own numbers, and of no others', async (t) => {
  const now = (): number => 0;
  const identities = (journal: MemoryJournal, loses: number): string[] =>
    journal.copy(loses).line.map(({ identity }) => identity);
  const first = new MemoryJournal('t1', now, emptyCopy('j'));
  await first.append([{ kind: 'everything', selector: '', site: '', soft: false, who: '', why: '' }]);
  t.same(identities(first, 0), ['j', 't1']);
  t.same(identities(first, 1), ['j']);
  const second = new MemoryJournal('t2', now, first.copy(0));
  t.same(identities(second, 0), ['j', 't1'], 'an opening that has given out nothing leaves nothing');
  t.same(identities(second, 1), ['j']);
});
