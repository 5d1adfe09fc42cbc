/** The ledgers of several threads say the same as the one of the main thread, whenever a thread starts. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { Ledger, type StampedResponse } from '../../cache/ledger.ts';
import { instantNow, monotonicNow, wallNow } from '../../lib/clock.ts';
import { type FromPurgedThread, PurgeRelay, RelayedPurges, type ToPurgedThread } from '../../tier/purge-relay.ts';
import { followPurges, type JournalFollowing } from '../../tier/purges.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const REGION = { purges: { lease: 1_000, journal: [] }, tier_secret: 'a-secret-of-the-tests' } as never;
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined } as never;
const TERMS = [{ identity: 'a'.repeat(32), after: -1 }];
const OTHER_TERMS = [{ identity: 'b'.repeat(32), after: -1 }];

/** A thread whose messages arrive when they are let through. */
class Thread {
  readonly ledger = new Ledger({ leaseMs: 0 });
  readonly #sent: ToPurgedThread[] = [];
  readonly #purges: RelayedPurges;

  constructor(relay: PurgeRelay, token: number) {
    const start = relay.add(token, (message) => this.#sent.push(structuredClone(message)));
    const answer = (message: FromPurgedThread): void => relay.onMessage(token, message);
    this.#purges = new RelayedPurges(structuredClone(start), answer);
    this.#purges.follow({ member: 'eu-1#1', ledger: this.ledger, log: LOG });
  }

  hear(): void {
    for (const message of this.#sent.splice(0)) this.#purges.onMessage(message);
  }
}

const PATHS = ['/a', '/b', '/c/d'];
const SELECTORS = fc.oneof(
  fc.record({
    kind: fc.constant('url' as const),
    selector: fc.constantFrom(...PATHS.map((path) => `//a.test${path}`)),
  }),
  fc.record({ kind: fc.constant('prefix' as const), selector: fc.constantFrom('//a.test/', '//a.test/c') }),
  fc.record({ kind: fc.constant('tag' as const), selector: fc.constantFrom('t', 'u') }),
  fc.record({ kind: fc.constant('host' as const), selector: fc.constant('a.test') }),
  fc.record({
    kind: fc.constant('variant' as const),
    selector: fc.constant('{"url":"//a.test/a","headers":["accept-language","de"]}'),
  }),
);

type Step =
  | { readonly do: 'purge'; readonly kind: 'url'; readonly selector: string; readonly soft: boolean }
  | { readonly do: 'thread' }
  | { readonly do: 'restart' }
  | { readonly do: 'floor' }
  | { readonly do: 'heartbeat' }
  | { readonly do: 'hear'; readonly which: number };

const STEPS = fc.array(
  fc.oneof(
    fc.tuple(SELECTORS, fc.boolean()).map(([selector, soft]) => ({ do: 'purge', ...selector, soft }) as never as Step),
    fc.constantFrom<Step>({ do: 'thread' }, { do: 'restart' }, { do: 'floor' }, { do: 'heartbeat' }),
    fc.nat(3).map((which): Step => ({ do: 'hear', which })),
  ),
  { maxLength: 40 },
);

function verdicts(ledger: Ledger, stamps: readonly StampedResponse[]): string[] {
  return PATHS.flatMap((target) =>
    stamps.map(({ stamp, ...rest }) =>
      ledger.check(
        { ...rest, stamp: { ...stamp, checkedAt: -1 } },
        { site: 'site', host: 'a.test', authority: 'a.test', target },
      ),
    ),
  );
}

const PROPERTY = 'all threads judge alike, and a purge is applied when all have heard of it';

test(PROPERTY, async () => {
  await fuzz(PROPERTY, fc.asyncProperty(STEPS, play), { numRuns: 200 });
});

async function play(steps: readonly Step[]): Promise<void> {
  const relay = new PurgeRelay();
  let everywhere: () => Promise<void> = async () => undefined;
  relay.start((node) => {
    everywhere = node.everywhere ?? everywhere;
    return { ...followPurges({ ...node, member: 'eu-1', log: LOG }, REGION) } as JournalFollowing;
  });
  const { ledger } = relay;
  ledger.restart({ terms: TERMS, newest: 0, floor: 0 });
  const threads: Thread[] = [];
  const stamps: StampedResponse[] = [];
  for (const step of steps) {
    const { applied, epoch } = ledger;
    stamps.push({ stamp: { asOf: applied, epoch, checkedAt: -1, verdict: 'current' }, tags: ['t'], vary: [] });
    if (step.do === 'thread') threads.push(new Thread(relay, threads.length + 1));
    else if (step.do === 'hear') threads[step.which]?.hear();
    else if (step.do === 'restart') ledger.restart({ terms: OTHER_TERMS, newest: applied, floor: 0 });
    else if (step.do === 'floor') ledger.skipTo(applied);
    else if (step.do === 'purge')
      ledger.apply([{ seq: applied + 1, site: 'site', kind: step.kind, selector: step.selector, soft: step.soft }]);
    else ledger.onHeartbeat(applied, instantNow());
  }
  let isEverywhere = false;
  const waiting = everywhere().then(() => {
    isEverywhere = true;
  });
  for (const thread of threads) {
    await Promise.resolve();
    await Promise.resolve();
    const isBehind = thread.ledger.applied !== ledger.applied || thread.ledger.epoch !== ledger.epoch;
    if (isBehind) assert.ok(!isEverywhere);
    thread.hear();
    assert.deepEqual(verdicts(thread.ledger, stamps), verdicts(ledger, stamps));
    assert.deepEqual(thread.ledger.position, ledger.position);
    const [wall, monotonic] = [wallNow(), monotonicNow()];
    assert.equal(thread.ledger.holdsLease(wall, monotonic), ledger.holdsLease(wall, monotonic));
  }
  await waiting;
}

test('a number of another journal that a thread has learned makes all that is stored unverified', async (t) => {
  const relay = new PurgeRelay();
  let renewed = 0;
  relay.start((node) => {
    const following = followPurges({ ...node, member: 'eu-1', log: LOG }, REGION);
    return { ...following, renew: () => void renewed++ };
  });
  const { ledger } = relay;
  ledger.restart({ terms: TERMS, newest: 5, floor: 0 });
  const thread = new Thread(relay, 1);
  const known = { identity: 'a'.repeat(32), seq: 9 };
  thread.ledger.stampOf(known);
  t.same(ledger.latestKnown, known, 'the main thread knows what a thread has learned');
  t.equal(renewed, 0);

  // The journal was restored from a copy; the main thread has heard of it, this thread has not.
  ledger.extend({ terms: [...TERMS, { identity: 'c'.repeat(32), after: 5 }] });
  thread.ledger.stampOf({ identity: 'a'.repeat(32), seq: 12 });
  t.equal(renewed, 1);
  t.same(ledger.latestKnown, { identity: 'a'.repeat(32), seq: 12 }, 'which is not on the line: the follower restarts');
});
