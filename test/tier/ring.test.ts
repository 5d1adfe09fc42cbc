import fc from 'fast-check';
import HashRing from 'hashring';
import { test } from 'tap';
import { LOAD_BOUND, Ring, type RingMember } from '../../tier/ring.ts';
import { seededRandom } from '../support/random.ts';
import {
  equalMembers,
  keysMoved,
  keysPerWeight,
  mostOverMean,
  NAME_SETS,
  ordersInAnotherProcess,
  ordersOf,
  ordersThatDiffer,
  sampleKeys,
  simulateLoad,
} from '../support/ring-measures.ts';

const KEYS = sampleKeys(200_000);
const SOME_KEYS = KEYS.slice(0, 500);
const TEN = equalMembers(NAME_SETS['edge-0 … edge-9'] as readonly string[]);
const MIXED: readonly RingMember[] = TEN.map(({ name }, index) => ({ name, weight: 1 + (index % 3) }));

/** Rings are laid out anew in each run of a property. */
const FEW_RUNS = { numRuns: 25 };

const anyMembers = fc.uniqueArray(
  fc.record({
    name: fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '7', 'a:80', '[::1]:8443', '10.0.0.1:443')),
    weight: fc.integer({ min: 1, max: 5 }),
  }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 8 },
);

const anyMembersWithLoads = fc.uniqueArray(
  fc.record({ name: fc.string(), weight: fc.integer({ min: 1, max: 5 }), load: fc.integer({ min: 0, max: 40 }) }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 8 },
);

for (const [names, ten] of Object.entries(NAME_SETS)) {
  test(`ten equal members share the keys to within 15 %: ${names}`, async (t) => {
    const members = equalMembers(ten);
    const most = mostOverMean(new Ring(members), members, KEYS);
    t.ok(most < 1.15, `most over mean: ${most}`);
  });

  test(`a weight of 2 is twice the keys to within 15 %: ${names}`, async (t) => {
    const members = ten.map((name, index) => ({ name, weight: index === 0 ? 2 : 1 }));
    const [double = 0, ...others] = keysPerWeight(new Ring(members), members, KEYS);
    const ratio = (2 * double) / (others.reduce((sum, share) => sum + share) / others.length);
    t.ok(ratio > 1.7 && ratio < 2.3, `ratio: ${ratio}`);
  });
}

for (const { weights, members } of [
  { weights: 'equal weights', members: TEN },
  { weights: 'weights 1, 2 and 3', members: MIXED },
]) {
  test(`a member that leaves or joins moves its own keys only: ${weights}`, async (t) => {
    const whole = new Ring(members);
    for (const removed of members) {
      const without = new Ring(members.filter((member) => member !== removed));
      const { moved, astray } = keysMoved(whole, without, removed.name, KEYS.slice(0, 20_000));
      t.ok(moved > 0);
      t.equal(astray, 0);
    }
  });
}

test('any member of any ring can leave without changing the order of the others', async () => {
  fc.assert(
    fc.property(anyMembers, fc.nat(), (members, nth) => {
      const removed = members[nth % members.length] as RingMember;
      const without = new Ring(members.filter((member) => member !== removed));
      return keysMoved(new Ring(members), without, removed.name, SOME_KEYS).astray === 0;
    }),
    FEW_RUNS,
  );
});

test('every member is listed once, whatever its name', async (t) => {
  fc.assert(
    fc.property(anyMembers, fc.string(), (members, key) => {
      t.same([...new Ring(members).successors(key)].sort(), members.map(({ name }) => name).sort());
    }),
    FEW_RUNS,
  );
});

test('the order does not depend on the order in which members are given', async () => {
  const permuted = anyMembers.chain((members) =>
    fc.tuple(
      fc.constant(members),
      fc.shuffledSubarray(members, { minLength: members.length, maxLength: members.length }),
    ),
  );
  fc.assert(
    fc.property(permuted, ([members, shuffled]) => {
      const orders = ordersOf(new Ring(members), SOME_KEYS);
      return ordersThatDiffer(orders, ordersOf(new Ring(shuffled), SOME_KEYS)) === 0;
    }),
    FEW_RUNS,
  );
});

test('another process computes the same order', async (t) => {
  const orders = ordersOf(new Ring(MIXED), SOME_KEYS);
  t.equal(ordersThatDiffer(orders, await ordersInAnotherProcess(MIXED.toReversed(), SOME_KEYS)), 0);
});

test('the order is the same in every release: a change here moves the keys of every network that is updated', async (t) => {
  const ring = new Ring(equalMembers(['fra-1', 'fra-2', 'fra-3', 'fra-4']));
  t.same(ordersOf(ring, ['https://example.com/', 'https://example.com/logo.svg', '']), [
    ['fra-1', 'fra-3', 'fra-4', 'fra-2'],
    ['fra-1', 'fra-4', 'fra-2', 'fra-3'],
    ['fra-3', 'fra-4', 'fra-2', 'fra-1'],
  ]);
});

test('a key is placed as hashring places it', async (t) => {
  const points = new HashRing(Object.fromEntries(TEN.map(({ name }) => [`=${name}`, { vnodes: 128 }])), 'sha256', {
    replicas: 8,
    'vnode count': 0,
  });
  const ring = new Ring(TEN);
  for (const key of SOME_KEYS) {
    t.same(
      ring.successors(key),
      points.range(key).map((server) => server.slice(1)),
    );
  }
});

test('a repeated lookup gives the same order, also when orders compete for room', async (t) => {
  const ring = new Ring(equalMembers(Array.from({ length: 60 }, (_, index) => `worker-${index}`)));
  const orders = ordersOf(ring, KEYS.slice(0, 20_000)).map((order) => [...order]);
  t.equal(ordersThatDiffer(orders, ordersOf(ring, KEYS.slice(0, 20_000))), 0);
});

test('a ring of one owns every key, an empty ring none', async (t) => {
  t.same(
    new Ring(equalMembers(['only'])).candidates('key', () => 1_000),
    ['only'],
  );
  t.same(new Ring([]).successors('key'), []);
  t.same(
    new Ring([]).candidates('key', () => 0),
    [],
  );
});

test('members without load are tried in the order of the ring', async (t) => {
  const ring = new Ring(TEN);
  for (const key of SOME_KEYS)
    t.same(
      ring.candidates(key, () => 0),
      ring.successors(key),
    );
});

test('a member that has its share comes last', async (t) => {
  const ring = new Ring(TEN);
  const [owner, second, ...others] = ring.successors('key');
  // 4 + 8 + 1 to be placed: ⌈1.25 × 13 / 10⌉ = 2 for each.
  const inFlight = (name: string) => (name === owner ? 4 : name === second ? 0 : 1);
  t.same(ring.candidates('key', inFlight), [second, ...others, owner]);
});

test('a share is in proportion to the weight', async (t) => {
  const ring = new Ring([
    { name: 'small', weight: 1 },
    { name: 'large', weight: 3 },
  ]);
  // 7 + 1 to be placed: ⌈1.25 × 8 × 1/4⌉ = 3 for the small one, ⌈1.25 × 8 × 3/4⌉ = 8 for the large one.
  t.same(
    ring.candidates('key', (name) => (name === 'small' ? 3 : 4)),
    ['large', 'small'],
  );
  t.same(
    ring.candidates('key', (name) => (name === 'small' ? 2 : 5)),
    ring.successors('key'),
  );
});

test('under any loads the first candidate stays within the bound, and equals keep their order', async (t) => {
  fc.assert(
    fc.property(anyMembersWithLoads, fc.string(), (members, key) => {
      const ring = new Ring(members);
      const loads = new Map(members.map(({ name, load }) => [name, load]));
      const total = members.reduce((sum, { load }) => sum + load, 0);
      const totalWeight = members.reduce((sum, { weight }) => sum + weight, 0);
      const isFull = (name: string) => {
        const { load, weight } = members.find((member) => member.name === name) as (typeof members)[number];
        return load + 1 > Math.ceil((LOAD_BOUND * (total + 1) * weight) / totalWeight);
      };

      const candidates = ring.candidates(key, (name) => loads.get(name) as number);
      const order = ring.successors(key);
      t.notOk(isFull(candidates[0] as string));
      t.same(candidates, [...order.filter((name) => !isFull(name)), ...order.filter(isFull)]);
    }),
    FEW_RUNS,
  );
});

for (const { members, meanInFlight, seed } of [
  { members: TEN, meanInFlight: 1_000, seed: 1 },
  { members: MIXED, meanInFlight: 1_000, seed: 2 },
  { members: TEN, meanInFlight: 20, seed: 3 },
]) {
  const weights = members === TEN ? 'equal' : 'mixed';
  test(`Zipf load, ${weights} weights, ${meanInFlight} in flight: no member gets more than the bound`, async (t) => {
    const ring = new Ring(members);
    const simulate = (bounded: boolean) =>
      simulateLoad({ ring, members, bounded, meanInFlight, requests: 50_000, random: seededRandom(seed) });
    t.ok(simulate(true).mostOverCapacity <= 1);
    t.ok(simulate(false).mostOverCapacity > 1.5, 'which is the bound’s merit: owners alone would go far beyond');
  });
}

for (const { wrong, members } of [
  { wrong: 'two members of one name', members: equalMembers(['a', 'b', 'a']) },
  { wrong: 'no weight', members: [{ name: 'a', weight: 0 }] },
  { wrong: 'a negative weight', members: [{ name: 'a', weight: -1 }] },
  { wrong: 'a weight that is not a number', members: [{ name: 'a', weight: Number.NaN }] },
  { wrong: 'an endless weight', members: [{ name: 'a', weight: Number.POSITIVE_INFINITY }] },
]) {
  test(`refused: ${wrong}`, async (t) => {
    t.throws(() => new Ring(members), RangeError);
  });
}
