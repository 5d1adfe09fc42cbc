/**
 * `npm run bench:ring`: what the ring promises, measured. Exits 1 when a number
 * is out of its bounds; numbers without bounds are there to compare.
 * @module
 */
import HashRing from 'hashring';
import { readArguments } from '../test/support/arguments.ts';
import { seededRandom } from '../test/support/random.ts';
import {
  equalMembers,
  HOT_KEY_SHARE,
  keysMoved,
  keysPerWeight,
  mostOverMean,
  NAME_SETS,
  ordersInAnotherProcess,
  ordersOf,
  ordersThatDiffer,
  sampleKeys,
  simulateLoad,
} from '../test/support/ring-measures.ts';
import { Ring, type RingMember } from '../tier/ring.ts';
import { print, type Row } from './report.ts';

const HELP = `Usage: npm run bench:ring

Spread, weight, stability and load of consistent hashing, over 200,000 keys, beside the
npm package hashring by itself; and what a look-up costs. A number that is out of its
bounds makes the command exit with 1.

Options:
  --help  Say this.
`;
readArguments('bench:ring', HELP, {});

const KEYS = sampleKeys(200_000);
const TEN = equalMembers(NAME_SETS['edge-0 … edge-9'] as readonly string[]);
const MIXED: readonly RingMember[] = TEN.map(({ name }, index) => ({ name, weight: 1 + (index % 3) }));

function below(what: string, value: number, limit: number): Row {
  return { what, value: value.toFixed(3), promise: { text: `< ${limit}`, kept: value < limit } };
}

function atMost(what: string, value: number, limit: number): Row {
  return { what, value: value.toFixed(3), promise: { text: `≤ ${limit}`, kept: value <= limit } };
}

function none(what: string, count: number): Row {
  return { what, value: String(count), promise: { text: '0', kept: count === 0 } };
}

function spread(): Row[] {
  return Object.entries(NAME_SETS).flatMap(([names, ten]) => {
    const members = equalMembers(ten);
    return [
      below(names, mostOverMean(new Ring(members), members, KEYS), 1.15),
      { what: '  as hashring does by itself', value: plainHashringSpread(ten).toFixed(3) },
    ];
  });
}

function plainHashringSpread(names: readonly string[]): number {
  const ring = new HashRing(names);
  const owned = new Map(names.map((name) => [name, 0]));
  for (const key of KEYS) owned.set(ring.get(key), (owned.get(ring.get(key)) as number) + 1);
  return Math.max(...owned.values()) / (KEYS.length / names.length);
}

function weights(): Row[] {
  return Object.entries(NAME_SETS).map(([names, ten]) => {
    const members = ten.map((name, index) => ({ name, weight: index === 0 ? 2 : 1 }));
    const [double = 0, ...others] = keysPerWeight(new Ring(members), members, KEYS);
    const ratio = (2 * double) / (others.reduce((sum, share) => sum + share) / others.length);
    return { what: names, value: ratio.toFixed(3), promise: { text: '2 ± 15 %', kept: ratio >= 1.7 && ratio <= 2.3 } };
  });
}

function changes(): Row[] {
  return [
    { what: 'equal weights', members: TEN },
    { what: 'weights 1, 2 and 3', members: MIXED },
  ].flatMap(({ what, members }) => {
    const removed = members[4] as RingMember;
    const whole = new Ring(members);
    const without = new Ring(members.filter((member) => member !== removed));
    const { moved, astray } = keysMoved(whole, without, removed.name, KEYS);
    return [
      { what: `${what}: keys of the member, which move`, value: String(moved) },
      none(`${what}: other keys whose order changes`, astray),
    ];
  });
}

async function stability(): Promise<Row[]> {
  const keys = KEYS.slice(0, 1_000);
  const backwards = MIXED.toReversed();
  const orders = ordersOf(new Ring(MIXED), keys);
  return [
    none('members given in reverse', ordersThatDiffer(orders, ordersOf(new Ring(backwards), keys))),
    none(
      'members given in reverse, in another process',
      ordersThatDiffer(orders, await ordersInAnotherProcess(backwards, keys)),
    ),
  ];
}

function load(): Row[] {
  return [
    { what: 'equal weights, 1000 in flight', members: TEN, meanInFlight: 1_000 },
    { what: 'weights 1, 2 and 3, 1000 in flight', members: MIXED, meanInFlight: 1_000 },
    { what: 'equal weights, 20 in flight', members: TEN, meanInFlight: 20 },
    { what: 'equal weights, 3 in flight', members: TEN, meanInFlight: 3 },
  ].flatMap(({ what, members, meanInFlight }) => {
    const simulate = (bounded: boolean) =>
      simulateLoad({
        ring: new Ring(members),
        members,
        bounded,
        meanInFlight,
        requests: 200_000,
        random: seededRandom(1),
      });
    const bounded = simulate(true);
    return [
      atMost(`${what}: most over ⌈1.25 × mean⌉`, bounded.mostOverCapacity, 1),
      { what: '  most over the mean, when given a request', value: bounded.mostOverMean.toFixed(3) },
      { what: '  most over the mean, at any moment', value: bounded.mostOverMeanEver.toFixed(3) },
      { what: '  the same if owners got everything', value: simulate(false).mostOverMeanEver.toFixed(3) },
      { what: '  part of requests not sent to the owner', value: bounded.awayFromOwner.toFixed(3) },
    ];
  });
}

function cost(): Row[] {
  const keys = KEYS.slice(0, 4_096);
  const ring = new Ring(TEN);
  const hashring = new HashRing(TEN.map(({ name }) => name));
  const inFlight = () => 5;
  const heavy = TEN.map(({ name }) => ({ name, weight: 100 }));
  return [
    { what: 'successors()', value: `${nanoseconds(keys, (key) => ring.successors(key))} ns` },
    { what: 'candidates()', value: `${nanoseconds(keys, (key) => ring.candidates(key, inFlight))} ns` },
    { what: 'range() of hashring', value: `${nanoseconds(keys, (key) => hashring.range(key))} ns` },
    { what: 'new Ring, ten members of weight 1', value: `${milliseconds(() => new Ring(TEN))} ms` },
    { what: 'new Ring, ten members of weight 100', value: `${milliseconds(() => new Ring(heavy))} ms` },
  ];
}

/** @returns Time of one call: the best of many rounds, which other work on the machine disturbs least. */
function nanoseconds(keys: readonly string[], call: (key: string) => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 50; round += 1) {
    const start = performance.now();
    for (const key of keys) call(key);
    best = Math.min(best, performance.now() - start);
  }
  return Math.round((best * 1e6) / keys.length);
}

function milliseconds(call: () => unknown): number {
  const start = performance.now();
  call();
  return Math.round(performance.now() - start);
}

print('Most keys of one of ten equal members, over the mean (200,000 keys)', spread());
print('Keys of a member of weight 2, over those of a member of weight 1', weights());
print('One of ten members joins or leaves', changes());
print('Orders that differ, of 1,000', await stability());
print(`In flight at a member; Zipf(1.1), and one key with ${HOT_KEY_SHARE * 100} % of requests`, load());
print('Cost', cost());
