/**
 * Consistent hashing: which member of a region (or of a site's shields) owns a
 * key, and who is next when the owner is down or has its hands full.
 *
 * The package hashring lays out the circle; this module searches it.
 * - hashring makes the number of a member's points depend on the weights of the
 *   others, so a member that leaves would move keys between those that stay.
 *   Here each member is given its own number of points.
 * - `range()` of hashring hashes through a stream object and walks the circle
 *   again for each request, and `get()` keeps a table of keys. Here the order
 *   that follows a point is kept, in a table of fixed size.
 * @module
 */
import { hash } from 'node:crypto';
import HashRing from 'hashring';

export interface RingMember {
  readonly name: string;
  /**
   * Share of the keys, relative to the other members; positive. Time and memory
   * to lay out a ring grow with the sum of weights: better 1 and 2 than 50 and 100.
   */
  readonly weight: number;
}

/** No member is given more than this times the (weighted) mean of what is in flight. */
export const LOAD_BOUND = 1.25;

/** SHA-256 spreads as well as hashring's MD5, is no slower, yields twice the points, and exists in FIPS mode too. */
const ALGORITHM = 'sha256';
const POINTS_PER_HASH = 8;

/**
 * Hashes, of eight points each, for a weight of 1. A member's share of the keys
 * deviates by one over the square root of its points: by 3 % with these 1024, by
 * 8 % with hashring's own 160.
 */
const HASHES_PER_WEIGHT = 128;

/** Bound of the table of orders: names in all of its orders together. All orders of 16 equal members fit. */
const MAX_NAMES_KEPT = 2 ** 18;

/** Room for a member's index beside the 32 bits of a point, within the 53 bits of an exact number. */
const OWNERS = 2 ** 20;

export class Ring {
  readonly #weights: ReadonlyMap<string, number>;
  readonly #totalWeight: number;
  /** Names in code unit order; `#owners` refers to them by index. */
  readonly #names: readonly string[];
  /** Positions of the points on the circle, ascending, and their members. */
  readonly #points: Uint32Array;
  readonly #owners: Uint32Array;
  /** The order that follows a point, at the point's index modulo the table's length. */
  readonly #orders: (readonly string[])[];
  /** Index of the point whose order is used at each place. */
  readonly #orderOf: Int32Array;

  /** @throws {RangeError} If two members have one name, or a weight is not a positive number. */
  constructor(members: readonly RingMember[]) {
    this.#weights = new Map(members.map(({ name, weight }) => [name, weight]));
    if (this.#weights.size !== members.length) throw new RangeError('Two members of a ring have the same name');
    for (const { name, weight } of members) {
      if (!(weight > 0 && weight < Infinity)) throw new RangeError(`The weight of ${name} is not positive: ${weight}`);
    }
    this.#totalWeight = members.reduce((total, { weight }) => total + weight, 0);
    this.#names = [...this.#weights.keys()].sort();

    const circle = layOut(members);
    // One number for each point, so that they sort as numbers; where two members meet in one point,
    // the first by name has it, whatever order they were given in.
    const points = Float64Array.from(
      this.#names.flatMap((name, owner) =>
        (circle[serverName(name)] as readonly number[]).map((at) => at * OWNERS + owner),
      ),
    ).sort();
    this.#points = Uint32Array.from(points, (point) => Math.floor(point / OWNERS));
    this.#owners = Uint32Array.from(points, (point) => point % OWNERS);

    const places = Math.min(points.length, Math.max(1, Math.floor(MAX_NAMES_KEPT / members.length)));
    this.#orders = new Array(places).fill([]);
    this.#orderOf = new Int32Array(places).fill(-1);
  }

  /** All members, nearest to the key first: owner, second, third, and so on. */
  successors(key: string): readonly string[] {
    if (this.#names.length <= 1) return this.#names;

    const point = this.#pointAfter(position(key));
    const place = point % this.#orders.length;
    if (this.#orderOf[place] !== point) {
      this.#orders[place] = this.#orderFrom(point);
      this.#orderOf[place] = point;
    }
    return this.#orders[place] as readonly string[];
  }

  /**
   * All members in the order to ask them: as in `successors`, but those that
   * have their share of the load already come last (Mirrokni, Thorup and
   * Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016). The first one
   * can always take another request within the bound.
   *
   * Nodes that see different loads choose different members for one key. So do
   * they when little is in flight, since then a single request is a member's
   * share. Where all must meet at one member, ask the `successors`.
   *
   * @param inFlight - Requests under way at a member: a whole number.
   */
  candidates(key: string, inFlight: (name: string) => number): readonly string[] {
    const order = this.successors(key);
    // As in the paper, the request to be placed counts, and capacities are rounded up.
    let total = 1;
    for (const name of order) total += inFlight(name);

    const withRoom: string[] = [];
    const full: string[] = [];
    for (const name of order) {
      const capacity = Math.ceil((LOAD_BOUND * total * (this.#weights.get(name) as number)) / this.#totalWeight);
      (inFlight(name) < capacity ? withRoom : full).push(name);
    }
    return full.length === 0 ? order : withRoom.concat(full);
  }

  /** @returns Index of the first point at or after the position, around the circle. */
  #pointAfter(position: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle] as number) < position) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }

  /** @returns Every member once, in the order in which their points follow. */
  #orderFrom(point: number): readonly string[] {
    const order: string[] = [];
    const seen = new Uint8Array(this.#names.length);
    for (let at = point; order.length < this.#names.length; at = at + 1 === this.#owners.length ? 0 : at + 1) {
      const owner = this.#owners[at] as number;
      if (seen[owner] === 1) continue;
      seen[owner] = 1;
      order.push(this.#names[owner] as string);
    }
    return order;
  }
}

/** @returns The points of each member, by `serverName`. */
function layOut(members: readonly RingMember[]): Record<string, readonly number[]> {
  const servers = members.map(({ name, weight }) => [
    serverName(name),
    { vnodes: Math.max(1, Math.round(weight * HASHES_PER_WEIGHT)) },
  ]);
  const ring = new HashRing(Object.fromEntries(servers), digest, {
    replicas: POINTS_PER_HASH,
    // A member whose number of hashes equals the default is weighted against the others; none has 0.
    'vnode count': 0,
    'max cache size': 1,
  });
  // The declared type of points() differs from what hashring 3.2.0 does: without servers it takes all of them.
  return (ring as unknown as { points(): Record<string, readonly number[]> }).points();
}

/** hashring keeps servers in plain objects, where a member named `__proto__` would be lost. */
function serverName(name: string): string {
  return `=${name}`;
}

/** @returns The digest, one byte per character: two thirds cheaper than a Buffer. */
function digest(text: string): string {
  return hash(ALGORITHM, text, 'binary');
}

/** @returns Where the key is on the circle, 0 to 2³² − 1: where hashring would put it. */
function position(key: string): number {
  if (key === lastKey) return lastPosition;
  const bytes = digest(key);
  lastKey = key;
  lastPosition =
    ((bytes.charCodeAt(3) << 24) | (bytes.charCodeAt(2) << 16) | (bytes.charCodeAt(1) << 8) | bytes.charCodeAt(0)) >>>
    0;
  return lastPosition;
}

/** A request asks several rings for one key. */
let lastKey: string | undefined;
let lastPosition = 0;
