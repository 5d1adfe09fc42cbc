import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'tap';
import type { ConcurrencyLimit } from '../../../http/upstream/concurrency-limit.ts';
import {
  ConnectionShares,
  type Sharer,
  type SharesOptions,
  STALE_MS,
} from '../../../http/upstream/connection-shares.ts';
import { LONG_AGO, later, type MonotonicMs, monotonicMs } from '../../../lib/clock.ts';

test('thousands of requests whose wait times out together are ended a few in each turn of the event loop', async (t) => {
  const shares = new ConnectionShares({
    maxConnections: 8,
    maxWaiting: 5_000,
    maxWaitMs: 200,
    busyCode: 'origin_overloaded',
    visitorShare: 1,
  });
  const codes = new Set<string>();
  let inTurn = 0;
  let most = 0;
  let ended = 0;
  const all = Promise.withResolvers<void>();
  const endTurn = (): void => {
    inTurn = 0;
  };
  for (let i = 0; i < 3_008; i++) {
    const one: Sharer = {
      standing: undefined,
      connectedAt: LONG_AGO,
      priority: 'normal',
      headBytes: 100,
      visitor: `visitor ${i % 50}`,
      heldBack: undefined,
      dispatch: () => undefined,
      giveUp: ({ code }) => {
        codes.add(code);
        if (inTurn === 0) setImmediate(endTurn);
        most = Math.max(most, ++inTurn);
        ended++;
        shares.done(one);
        if (ended === 3_000) all.resolve();
      },
    };
    shares.begin(one);
  }
  t.equal(shares.inFlight, 3_008);
  await awake(all.promise);
  t.strictSame([...codes], ['origin_overloaded']);
  t.ok(most <= 32, `${most} in a turn`);
  t.equal(shares.inFlight, 8);
});

/** Awaits an event that only timers bring about which do not keep the process alive. */
async function awake<Value>(event: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => undefined, 2 ** 30);
  try {
    return await event;
  } finally {
    clearInterval(timer);
  }
}

/** A response that takes bytes only where a test says so. */
class Reader implements Sharer {
  readonly visitor: string | undefined;
  standing: Sharer['standing'];
  connectedAt = LONG_AGO;
  readonly headBytes: number;
  readonly priority: Sharer['priority'];
  readonly heldBack = { bytes: 0 };
  readonly #shares: ConnectionShares;
  hasConnection = false;
  endedWith: string | undefined;
  readonly #ended = Promise.withResolvers<void>();
  /** Resolves when it has been cut off. */
  readonly ended = this.#ended.promise;

  constructor(
    shares: ConnectionShares,
    visitor: string | undefined,
    priority: Sharer['priority'] = 'normal',
    headBytes = 100,
  ) {
    this.#shares = shares;
    this.visitor = visitor;
    this.priority = priority;
    this.headBytes = headBytes;
    shares.begin(this);
  }

  dispatch(): void {
    this.hasConnection = true;
  }

  giveUp({ code }: { readonly code: string }): void {
    this.endedWith = code;
    this.#ended.resolve();
    this.#shares.done(this);
  }

  /** The reader takes so many bytes more, then holds the response back. */
  take(bytes: number): void {
    this.heldBack.bytes += bytes;
    this.#shares.noteHeldBack(this);
  }
}

/** Shares by a clock that goes on where a test says so. */
class Clock {
  #at = monotonicMs(1_000_000);
  readonly now = (): MonotonicMs => this.#at;

  pass(ms: number): void {
    this.#at = later(this.#at, ms);
  }

  shareOut(options: Partial<SharesOptions> = {}): ConnectionShares {
    return new ConnectionShares({
      maxConnections: 16,
      maxWaiting: 100,
      busyCode: 'origin_overloaded',
      minReadRate: 16 * 1024,
      now: this.now,
      ...options,
    });
  }
}

/** For a reader to be found too slow. */
const JUDGED_MS = 1_500;

/** Readers are looked at now, and not only at the next interval: one more request waits. */
function look(shares: ConnectionShares): void {
  shares.done(new Reader(shares, 'one that leaves at once'));
}

test('no transfer is cut off while connections are free, although a visitor waits for more than its share', async (t) => {
  const clock = new Clock();
  const shares = clock.shareOut();
  const slow = [new Reader(shares, undefined), new Reader(shares, 'slow'), new Reader(shares, 'slow')];
  for (const one of slow) one.take(1_000);
  const many = Array.from({ length: 8 }, () => new Reader(shares, 'wants much'));
  t.ok(
    many.some(({ hasConnection }) => !hasConnection),
    'some of its requests wait',
  );
  clock.pass(JUDGED_MS);
  many.push(new Reader(shares, 'wants much'));
  t.strictSame(
    slow.map(({ endedWith }) => endedWith),
    [undefined, undefined, undefined],
  );
  t.ok(many.some(({ hasConnection }) => !hasConnection));
  for (const one of [...slow, ...many]) shares.done(one);
});

test('when all connections are in use, the reader that has been too slow for longest is cut off', async (t) => {
  const clock = new Clock();
  const shares = clock.shareOut({ maxConnections: 2 });
  const [first, second] = [new Reader(shares, 'first'), new Reader(shares, 'second')];
  first.take(1_000);
  clock.pass(1);
  second.take(1_000);
  const other = new Reader(shares, 'other');
  clock.pass(900);
  look(shares);
  t.equal(first.endedWith, undefined, 'not before its pace is known');
  clock.pass(600);
  // By the interval: nothing else happens.
  await awake(first.ended);
  t.equal(first.endedWith, 'slow_reader');
  t.equal(second.endedWith, undefined);
  await nextTurn();
  t.ok(other.hasConnection);
});

test('a reader that resumed after a long pause is judged by its pace since then', async (t) => {
  const clock = new Clock();
  const shares = clock.shareOut({ maxConnections: 2, minReadRate: 1_000_000 });
  const [paused, stalled] = [new Reader(shares, 'paused'), new Reader(shares, 'stalled')];
  for (const one of [paused, stalled]) one.take(1_000);
  clock.pass(STALE_MS + 500); // nobody waits
  paused.take(150_000);
  const others = [new Reader(shares, 'other'), new Reader(shares, 'another')];
  t.equal(stalled.endedWith, 'slow_reader', 'at once');
  await nextTurn();
  t.ok(others[0]?.hasConnection);
  for (let ms = 0; ms < JUDGED_MS; ms += 50) {
    clock.pass(50);
    paused.take(150_000); // 3 MB a second
    look(shares);
  }
  t.equal(paused.endedWith, undefined);
});

for (const { pace, cutOff } of [
  { pace: 1_500_000, cutOff: false },
  { pace: 500_000, cutOff: true },
]) {
  test(`a steady reader of ${pace} bytes a second, with a minimum of 1,000,000: ${cutOff ? 'cut off' : 'not cut off'}`, async (t) => {
    const clock = new Clock();
    const shares = clock.shareOut({ maxConnections: 1, minReadRate: 1_000_000 });
    const reader = new Reader(shares, 'reader');
    reader.take(1);
    const other = new Reader(shares, 'other');
    for (let ms = 0; ms < JUDGED_MS * 2 && reader.endedWith === undefined; ms += 20) {
      clock.pass(20);
      reader.take((pace * 20) / 1_000);
      look(shares);
    }
    await nextTurn();
    t.equal(reader.endedWith, cutOff ? 'slow_reader' : undefined);
    t.equal(other.hasConnection, cutOff);
    for (const one of [reader, other]) shares.done(one);
  });
}

test('requests that have ended do not move to the old generation, however many come and go', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const shares = new ConnectionShares({ maxConnections: 64, maxWaiting: 100, busyCode: 'origin_overloaded' });
  const underWay: Sharer[] = [];
  const comeAndGo = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const held = new Array(HELD_BY_EACH).fill(i);
      const one: Sharer = {
        visitor: undefined,
        standing: undefined,
        connectedAt: LONG_AGO,
        priority: 'normal',
        headBytes: 100,
        heldBack: undefined,
        dispatch: () => held,
        giveUp: () => undefined,
      };
      shares.begin(one);
      underWay.push(one);
      if (underWay.length > 32) shares.done(underWay.shift() as Sharer);
    }
  };
  comeAndGo(5_000);
  // A full collection takes what is in use at the moment to the old generation; what comes later must not follow it.
  collect();
  comeAndGo(10);
  collect();
  const before = oldBytes();
  comeAndGo(20_000);
  const kept = (oldBytes() - before) / (20_000 * HELD_BY_EACH * 8);
  t.ok(kept < 0.1, `${(kept * 100).toFixed(1)} % of what they held`);
});

const HELD_BY_EACH = 250;

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? Number.NaN;
}

/** Takes all connections, each for a visitor of its own. */
function takeAll(shares: ConnectionShares): Reader[] {
  const all: Reader[] = [];
  for (let i = 0; shares.inFlight < shares.capacity; i++) all.push(new Reader(shares, `holder ${i}`));
  return all;
}

test('requests wait until their heads have too many bytes, however few they are', async (t) => {
  const shares = new Clock().shareOut({ maxWaitingBytes: 1_000 });
  takeAll(shares);
  const waiting = [400, 600].map((bytes, i) => new Reader(shares, `v${i}`, 'normal', bytes));
  const refused = new Reader(shares, 'v2', 'normal', 1);
  t.strictSame(
    [...waiting, refused].map(({ endedWith }) => endedWith),
    [undefined, undefined, 'origin_overloaded'],
  );
  waiting[0]?.giveUp({ code: 'client_closed' });
  t.equal(new Reader(shares, 'v3', 'normal', 400).endedWith, undefined, 'its bytes are free again');
});

test('background work leaves an eighth of the connections, and of the places to wait, to others', async (t) => {
  const shares = new Clock().shareOut({ maxWaiting: 8 });
  const background = Array.from({ length: 30 }, (_, i) => new Reader(shares, `v${i}`, 'background'));
  t.equal(background.filter(({ hasConnection }) => hasConnection).length, 14);
  t.equal(background.filter(({ endedWith }) => endedWith === undefined).length, 14 + 7);
  t.ok(new Reader(shares, 'visitor').hasConnection);
});

test('a navigation that comes later is served before other requests, and these before background work', async (t) => {
  const shares = new Clock().shareOut({ maxConnections: 1 });
  let held = takeAll(shares);
  const inOrder = (['background', 'background', 'normal', 'normal', 'navigation', 'navigation'] as const).map(
    (priority, i) => new Reader(shares, `v${i}`, priority),
  );
  const served: string[] = [];
  while (held.length > 0) {
    for (const one of held) shares.done(one);
    await nextTurn();
    held = inOrder.filter((one) => one.standing === 'connected');
    served.push(...held.map(({ priority }) => priority));
  }
  // The turns of http/upstream/priority-queue.ts.
  t.strictSame(served, ['background', 'navigation', 'normal', 'navigation', 'normal', 'background']);
});

/** Steps of 4 ms, in each of which as many connections become free, and twice as many requests come. @returns Waits. */
async function flood(
  freed: number,
  steps: number,
): Promise<readonly { readonly at: number; readonly waited: number }[]> {
  const clock = new Clock();
  const shares = clock.shareOut({ maxWaitMs: 40, maxWaiting: 10_000 });
  let at = 0;
  const waits: { readonly at: number; readonly waited: number }[] = [];
  const held: Reader[] = takeAll(shares);
  const waiting = new Map<Reader, number>();
  for (let step = 0; step < steps; step++) {
    for (const one of held.splice(0, freed)) shares.done(one);
    await nextTurn(); // to those that wait
    for (let i = 0; i < Math.max(2, freed * 2); i++) waiting.set(new Reader(shares, `v${step}.${i}`), at);
    clock.pass(4);
    at += 4;
    await awake(new Promise((resolve) => void setTimeout(resolve, 25))); // the queue is looked through each 10 ms
    for (const [one, since] of waiting) {
      if (one.endedWith === undefined && !one.hasConnection) continue;
      waiting.delete(one);
      if (one.hasConnection) held.push(one);
      else waits.push({ at, waited: at - since });
    }
  }
  return waits;
}

test('requests wait as long as they may in a burst, and a fifth of that while more come all the time', async (t) => {
  const waits = await flood(8, 40);
  const early = waits.filter(({ at }) => at < 40);
  const late = waits.filter(({ at }) => at > 100);
  t.equal(early.length, 0, 'a burst that is short loses nothing');
  t.ok(late.length > 100, `${late.length} were refused`);
  t.ok(
    late.every(({ waited }) => waited >= 8 && waited <= 16),
    `${[...new Set(late.map(({ waited }) => waited))]}`,
  );
});

test('requests wait as long as they may where nothing moves: the server, or a reader, may soon go on', async (t) => {
  const waits = await flood(0, 40);
  t.ok(waits.length > 20, `${waits.length} were refused`);
  t.ok(
    waits.every(({ waited }) => waited >= 40),
    `${[...new Set(waits.map(({ waited }) => waited))]}`,
  );
});

test('refused requests are counted by the reason and their priority', async (t) => {
  const clock = new Clock();
  const events: string[] = [];
  const shares = clock.shareOut({
    maxWaiting: 8,
    maxWaitMs: 200,
    shedding: {
      shed: (reason, priority) => events.push(`${reason} ${priority}`),
      began: () => events.push('began'),
      ended: () => events.push('ended'),
    },
  });
  takeAll(shares);
  for (let i = 0; i < 3; i++) new Reader(shares, 'greedy');
  const waiting = Array.from({ length: 6 }, (_, i) => new Reader(shares, `v${i}`));
  new Reader(shares, 'late', 'navigation');
  t.strictSame(events, ['share normal', 'began', 'full navigation']);
  clock.pass(201);
  await awake(Promise.all(waiting.map(({ ended }) => ended)));
  t.strictSame(events.slice(3), Array(8).fill('waited normal'));
});

test('a limit below the connections holds, and the share of a visitor is one of it', async (t) => {
  const limit = { value: 8, responded: () => undefined } as unknown as ConcurrencyLimit;
  const shares = new Clock().shareOut({ limit });
  const one = Array.from({ length: 8 }, () => new Reader(shares, 'one'));
  t.equal(one.filter(({ hasConnection }) => hasConnection).length, 2);
  for (let i = 0; i < 20; i++) new Reader(shares, `v${i}`);
  t.equal(shares.inFlight - shares.waiting, 8);
});
