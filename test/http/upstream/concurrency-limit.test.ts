/**
 * The limit against servers that share their time between requests, in a simulation: what a server of each kind
 * answers, and how far it is limited.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { ConcurrencyLimit } from '../../../http/upstream/concurrency-limit.ts';
import { monotonicMs } from '../../../lib/clock.ts';
import { seededRandom } from '../../support/random.ts';

/** Requests a second that a server answers while it has so many at a time. */
type Server = (inFlight: number) => number;

/** Answers more requests the more it has, up to `best` at a time; beyond, each one more costs `cost` of them. */
function server(perSecond: number, best: number, cost: number): Server {
  return (n) => (n <= best ? (perSecond * n) / best : perSecond / (1 + ((n - best) / best) * cost));
}

interface Play {
  readonly serverAt: (seconds: number) => Server;
  /** Requests a second that come. */
  readonly demandAt: (seconds: number) => number;
  readonly seconds: number;
  /** Work of a request: 1 is that of a usual one. */
  readonly workAt?: (seconds: number, random: number) => number;
  /** Returns whether a response is one of failure. */
  readonly failsAt?: (inFlight: number, random: number) => boolean;
  readonly max?: number;
  readonly seed?: number;
}

interface Result {
  /** Good responses in each second. */
  readonly good: readonly number[];
  /** Limit at the end of each second. */
  readonly limits: readonly number[];
}

const STEP = 0.004;

/** Requests that wait; those beyond are refused. */
const PLACES = 1_000;

function play({ serverAt, demandAt, seconds, workAt, failsAt, max = 256, seed = 1 }: Play): Result {
  const random = seededRandom(seed);
  const limit = new ConcurrencyLimit(max);
  const inFlight: { left: number; readonly since: number }[] = [];
  let waiting = 0;
  let due = 0;
  const good: number[] = [];
  const limits: number[] = [];
  let inSecond = 0;
  const begin = (now: number): void => {
    for (; waiting > 0 && inFlight.length < limit.value; waiting--) {
      const work = workAt?.(now, random()) ?? 1;
      inFlight.push({ left: -Math.log(1 - random()) * work, since: now });
    }
  };
  for (let i = 1; i <= seconds / STEP; i++) {
    const now = i * STEP;
    due += demandAt(now) * STEP;
    waiting = Math.min(PLACES, waiting + Math.floor(due));
    due -= Math.floor(due);
    begin(now);
    const count = inFlight.length;
    const each = (serverAt(now)(count) * STEP) / count;
    for (let at = count - 1; at >= 0; at--) {
      const one = inFlight[at] as (typeof inFlight)[number];
      one.left -= each;
      if (one.left > 0) continue;
      const isGood = failsAt?.(count, random()) !== true;
      const isWaitedFor = waiting > 0 && count >= limit.value;
      limit.responded((now - one.since) * 1_000, isGood, inFlight.length, isWaitedFor, monotonicMs(now * 1_000));
      inFlight[at] = inFlight.at(-1) as (typeof inFlight)[number];
      inFlight.pop();
      if (isGood) inSecond++;
    }
    if (Math.floor(now + STEP) > good.length) {
      good.push(inSecond);
      limits.push(limit.value);
      inSecond = 0;
    }
  }
  return { good, limits };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const ALWAYS = (perSecond: number) => () => perSecond;

for (const { what, perSecond, best, cost, demand, settled = 15 } of [
  {
    what: 'one that answers half as many with twice as many at a time',
    perSecond: 400,
    best: 32,
    cost: 1,
    demand: 2_000,
  },
  { what: 'the same with few at a time', perSecond: 400, best: 8, cost: 1, demand: 2_000, settled: 60 },
  { what: 'one that loses a third with twice as many', perSecond: 400, best: 16, cost: 0.5, demand: 2_000 },
  { what: 'a fast one', perSecond: 2_000, best: 64, cost: 0.5, demand: 10_000 },
  { what: 'a slow one', perSecond: 40, best: 16, cost: 0.5, demand: 200, settled: 120 },
  { what: 'one that only lets requests wait', perSecond: 400, best: 16, cost: 0, demand: 2_000 },
  { what: 'one that gets just a little more than it can take', perSecond: 400, best: 32, cost: 1, demand: 480 },
]) {
  test(`an overloaded server, ${what}, answers four fifths of what it can`, async (t) => {
    const { good, limits } = play({
      serverAt: () => server(perSecond, best, cost),
      demandAt: ALWAYS(demand),
      seconds: settled + 60,
    });
    const rate = mean(good.slice(settled));
    t.comment(`${Math.round((rate / perSecond) * 100)} % of ${perSecond}/s, limits ${limits.join(' ')}`);
    t.ok(rate >= perSecond * 0.8, `${rate} a second`);
  });
}

test('a limit that has settled stays near what the server takes best', async (t) => {
  const [settled, stretch, perSecond] = [15, 20, 200];
  const rates: number[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const { good } = play({
      serverAt: () => server(perSecond, 16, 0.2),
      demandAt: ALWAYS(perSecond * 5),
      seconds: settled + 4 * stretch,
      seed,
    });
    for (let i = 0; i < 4; i++) rates.push(mean(good.slice(settled + i * stretch, settled + (i + 1) * stretch)));
  }
  t.ok(Math.min(...rates) >= perSecond * 0.8, `${Math.min(...rates)} a second in the worst ${stretch} s`);
});

for (const { what, takes, play: given } of [
  {
    what: 'that takes more than there are connections',
    takes: 5_120,
    play: { serverAt: () => server(1e6, 1e6 / 20, 0), demandAt: ALWAYS(8_000) },
  },
  {
    what: 'that takes half a second for each, and more than there are connections',
    takes: 512,
    play: { serverAt: () => server(1e6, 1e6 / 2, 0), demandAt: ALWAYS(800) },
  },
  { what: 'that is used little', takes: 10, play: { serverAt: () => server(1_000, 20, 0), demandAt: ALWAYS(10) } },
  {
    what: 'that is used to nearly all it can',
    takes: 900,
    play: { serverAt: () => server(1_000, 50, 0), demandAt: ALWAYS(900) },
  },
  {
    what: 'a tenth of whose requests begin to take thirty times as long',
    takes: 1_000,
    play: {
      serverAt: () => server(1e6, 1e6 / 20, 0),
      demandAt: ALWAYS(1_000),
      workAt: (now: number, random: number) => (now > 15 && random < 0.1 ? 30 : 1),
    },
  },
  {
    what: 'one page of which always fails',
    takes: 1_500,
    play: {
      serverAt: () => server(1e6, 1e6 / 20, 0),
      demandAt: ALWAYS(2_000),
      failsAt: (_: number, random: number) => random < 0.25,
    },
  },
]) {
  test(`a server ${what} gets what it can take`, async (t) => {
    const { limits, good } = play({ ...given, seconds: 60 });
    const rate = mean(good);
    t.comment(`${Math.round((rate / takes) * 1_000) / 10} % of ${takes}/s, limits ${limits.join(' ')}`);
    t.ok(rate >= takes * 0.94, `${rate} a second`); // the steps of the simulation cost a few hundredths
  });
}

test('a server that answers 503 to what is too much gets as many as it answers well', async (t) => {
  const { good, limits } = play({
    serverAt: () => server(4_000, 200, 0),
    demandAt: ALWAYS(8_000),
    failsAt: (inFlight, random) => random < (inFlight - 50) / inFlight,
    seconds: 40,
  });
  t.comment(`limits ${limits.join(' ')}`);
  t.ok(mean(limits.slice(20)) < 128);
  t.ok(mean(good.slice(20)) >= 0.8 * mean(good.slice(0, 1)));
});

test('a server that can take more again, or gets fewer requests, is not limited for long', async (t) => {
  const overloaded = server(400, 32, 1);
  const better = play({
    serverAt: (now) => (now < 20 ? overloaded : server(1e6, 1e6 / 20, 0)),
    demandAt: ALWAYS(2_000),
    seconds: 50,
  });
  const fewer = play({
    serverAt: () => overloaded,
    demandAt: (now) => (now < 20 ? 2_000 : 100),
    seconds: 50,
  });
  for (const { limits } of [better, fewer]) {
    t.comment(limits.join(' '));
    t.ok((limits[19] as number) < 128);
    t.equal(limits.at(-1), 256);
  }
});

test('property: no overloaded server answers less than it would without a limit, and the limit has its bounds', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 1_000 }),
      fc.integer({ min: 16, max: 200 }),
      fc.constantFrom(0, 0.3, 1),
      fc.integer({ min: 1, max: 1_000 }),
      (perSecond, best, cost, seed) => {
        const one = server(perSecond, best, cost);
        const { good, limits } = play({
          serverAt: () => one,
          demandAt: ALWAYS(perSecond * 3),
          seconds: 100,
          seed,
        });
        const least = Math.max(0.7 * perSecond, one(256) * 0.75); // the steps of the simulation cost some
        if (limits.some((limit) => limit < 8 || limit > 256)) throw new Error(`limits ${limits.join(' ')}`);
        if (mean(good.slice(60)) < least) {
          throw new Error(`${mean(good.slice(60))} of ${perSecond}: ${good.join(' ')}; ${limits.join(' ')}`);
        }
      },
    ),
    { numRuns: 25 },
  );
  t.pass('for servers of all kinds');
});
