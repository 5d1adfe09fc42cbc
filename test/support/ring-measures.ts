/**
 * Statistics of a ring: movement of keys and distribution of load. `npm run bench:ring` prints them,
 * test/tier/ring.test.ts holds them to their bounds. `npm run bench:ring` prints them, test/tier/ring.test.ts holds
 * them to their bounds.
 * @module
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { LOAD_BOUND, type Ring, type RingMember } from '../../tier/ring.ts';
import { type Random, zipf } from './random.ts';

/** Ten names each, of the kinds that nodes and their worker processes have. */
export const NAME_SETS: Readonly<Record<string, readonly string[]>> = {
  'edge-0 … edge-9': ten((i) => `edge-${i}`),
  'a … j': ten((i) => String.fromCharCode(97 + i)),
  '0 … 9': ten((i) => `${i}`),
  'workers of two nodes': ten((i) => `fra-${i % 2}/${i >> 1}`),
  'IPv4 and port': ten((i) => `10.0.0.${i + 1}:8080`),
  'IPv6 and port': ten((i) => `[2001:db8::${i + 1}]:8443`),
  'ports of one host': ten((i) => `127.0.0.1:${9000 + i}`),
  'long host names': ten((i) => `cache-${i * 1000 + 7}.frankfurt.edge.network.example.com`),
};

function ten(name: (index: number) => string): readonly string[] {
  return Array.from({ length: 10 }, (_, index) => name(index));
}

export function equalMembers(names: readonly string[]): RingMember[] {
  return names.map((name) => ({ name, weight: 1 }));
}

/** @returns Keys as the cache makes them: alike but for a number. */
export function sampleKeys(count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => `https://www.example.com/articles/${i >> 3}/picture.jpg?size=${i & 7}`,
  );
}

/** @returns How many of the keys each member owns. */
export function keysOwned(ring: Ring, members: readonly RingMember[], keys: readonly string[]): Map<string, number> {
  const owned = new Map(members.map(({ name }) => [name, 0]));
  for (const key of keys) {
    const owner = ring.successors(key)[0] as string;
    owned.set(owner, (owned.get(owner) as number) + 1);
  }
  return owned;
}

/** @returns The most keys that a member owns, in proportion to its weight; 1 is perfect. */
export function mostOverMean(ring: Ring, members: readonly RingMember[], keys: readonly string[]): number {
  return Math.max(...keysPerWeight(ring, members, keys));
}

/** @returns For each member, the keys it owns over those its weight entitles it to. */
export function keysPerWeight(ring: Ring, members: readonly RingMember[], keys: readonly string[]): number[] {
  const totalWeight = members.reduce((total, { weight }) => total + weight, 0);
  const owned = keysOwned(ring, members, keys);
  return members.map(({ name, weight }) => (owned.get(name) as number) / ((keys.length * weight) / totalWeight));
}

/**
 * Compares a ring with the same ring when one member is gone.
 *
 * @returns `moved`: keys that the member owned, and must move. `astray`: other
 *   keys whose order of members is not what it was without that member; none
 *   may be.
 */
export function keysMoved(whole: Ring, without: Ring, removed: string, keys: readonly string[]) {
  let moved = 0;
  let astray = 0;
  for (const key of keys) {
    const before = whole.successors(key);
    if (before[0] === removed) moved += 1;
    if (!isSameOrder(withoutName(before, removed), without.successors(key))) astray += 1;
  }
  return { moved, astray };
}

function withoutName(names: readonly string[], removed: string): readonly string[] {
  return names.filter((name) => name !== removed);
}

export function ordersOf(ring: Ring, keys: readonly string[]): (readonly string[])[] {
  return keys.map((key) => ring.successors(key));
}

/** @returns How many keys have another order of members in the second list of orders. */
export function ordersThatDiffer(
  orders: readonly (readonly string[])[],
  others: readonly (readonly string[])[],
): number {
  return orders.filter((order, index) => !isSameOrder(order, others[index] ?? [])).length;
}

function isSameOrder(order: readonly string[], other: readonly string[]): boolean {
  return order.length === other.length && order.every((name, index) => name === other[index]);
}

/** @returns What `ordersOf` gives in a process of its own. */
export async function ordersInAnotherProcess(members: readonly RingMember[], keys: readonly string[]) {
  const program = `
    import { Ring } from ${JSON.stringify(new URL('../../tier/ring.ts', import.meta.url))};
    const ring = new Ring(${JSON.stringify(members)});
    console.log(JSON.stringify(${JSON.stringify(keys)}.map((key) => ring.successors(key))));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(stdout) as string[][];
}

export interface LoadOptions {
  readonly ring: Ring;
  readonly members: readonly RingMember[];
  /** True for bounded loads: a member at its limit is passed over; false: the owner gets every request. */
  readonly bounded: boolean;
  readonly meanInFlight: number;
  readonly requests: number;
  readonly random: Random;
}

export interface LoadReport {
  /**
   * The most that a member had in flight when it was given a request, that one
   * included, over its capacity: 1.25 × its share of all in flight, rounded up.
   */
  readonly mostOverCapacity: number;
  /** The most that a member had in flight when it was given a request, over its share of all in flight. */
  readonly mostOverMean: number;
  /** The same at any moment: also when requests have ended elsewhere and the mean has sunk. */
  readonly mostOverMeanEver: number;
  /** Part of the requests that another member than the owner got. */
  readonly awayFromOwner: number;
}

/** One key gets this share of the requests; the others follow a Zipf distribution. */
export const HOT_KEY_SHARE = 0.2;
const OTHER_KEYS = 100_000;
const ZIPF_EXPONENT = 1.1;

/**
 * Requests that come at random moments and take an exponentially distributed
 * time. Neither remembers the past, so the next event is an arrival or one of
 * the departures with probabilities in proportion to their rates: no clock and
 * no queue of events is needed.
 */
export function simulateLoad({ ring, members, bounded, meanInFlight, requests, random }: LoadOptions): LoadReport {
  const totalWeight = members.reduce((total, { weight }) => total + weight, 0);
  const shares = new Map(members.map(({ name, weight }) => [name, weight / totalWeight]));
  const loads = new Map(members.map(({ name }) => [name, 0]));
  const inFlight = (name: string) => loads.get(name) as number;
  const underWay: string[] = [];
  const meanOf = (name: string) => underWay.length * (shares.get(name) as number);
  const nextRank = zipf(OTHER_KEYS, ZIPF_EXPONENT, random);
  let mostOverCapacity = 0;
  let mostOverMean = 0;
  let mostOverMeanEver = 0;
  let away = 0;

  for (let arrived = 0; arrived < requests; ) {
    // While hardly anything is in flight, one request is many times the mean.
    const isSteady = underWay.length >= meanInFlight / 2;
    if (random() * (meanInFlight + underWay.length) < meanInFlight) {
      arrived += 1;
      const key = random() < HOT_KEY_SHARE ? 'hot' : `key-${nextRank()}`;
      const owner = ring.successors(key)[0] as string;
      const member = bounded ? (ring.candidates(key, inFlight)[0] as string) : owner;
      if (member !== owner) away += 1;
      underWay.push(member);
      loads.set(member, inFlight(member) + 1);

      mostOverCapacity = Math.max(mostOverCapacity, inFlight(member) / Math.ceil(LOAD_BOUND * meanOf(member)));
      if (isSteady) mostOverMean = Math.max(mostOverMean, inFlight(member) / meanOf(member));
    } else {
      const leaving = Math.floor(random() * underWay.length);
      const member = underWay[leaving] as string;
      underWay[leaving] = underWay.at(-1) as string;
      underWay.pop();
      loads.set(member, inFlight(member) - 1);
    }
    if (!isSteady) continue;
    for (const { name } of members) mostOverMeanEver = Math.max(mostOverMeanEver, inFlight(name) / meanOf(name));
  }
  return { mostOverCapacity, mostOverMean, mostOverMeanEver, awayFromOwner: away / requests };
}
