import fc from 'fast-check';
import { test } from 'tap';
import { FairQueue } from '../../../http/upstream/fair-queue.ts';
import { FairShare } from '../../../http/upstream/fair-share.ts';

/** Lets each visitor in turn take one, until none may. */
function fill(share: FairShare, visitors: readonly string[]): void {
  for (let taken = true; taken; ) {
    taken = false;
    for (const visitor of visitors) taken = share.tryTake(visitor) || taken;
  }
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `v${i}`);
}

for (const { visitors, share, each, free } of [
  { visitors: 1, share: 0.25, each: 64, free: 192 },
  { visitors: 2, share: 0.25, each: 51, free: 154 },
  { visitors: 50, share: 0.25, each: 5, free: 14 },
  { visitors: 1, share: 0.5, each: 128, free: 128 },
  { visitors: 1, share: 1, each: 256, free: 0 },
  { visitors: 300, share: 0.25, each: 1, free: 0 },
]) {
  test(`${visitors} visitors that want all of 256, with a share of ${share}: ${each} for each, ${free} stay free`, async (t) => {
    const pool = new FairShare({ capacity: () => 256, share });
    fill(pool, names(visitors));
    t.equal(256 - pool.taken, free);
    t.ok(Math.abs(pool.heldBy('v0') - each) <= 1, `${pool.heldBy('v0')}`);
    t.equal(pool.mayTake('newcomer'), free > 0);
    t.equal(pool.mayTake(undefined), free > 0, 'what is nobody’s is bounded by the whole only');
  });
}

test('few units are not shared out: one visitor may have them all', async (t) => {
  const pool = new FairShare({ capacity: () => 4, share: 0.25 });
  fill(pool, ['a']);
  t.equal(pool.heldBy('a'), 4);
});

test('property: no more units than there are, no more than the share, and all are returned', async (t) => {
  const steps = fc.array(fc.record({ visitor: fc.integer({ min: 0, max: 60 }), takes: fc.boolean() }), {
    maxLength: 600,
  });
  fc.assert(
    fc.property(steps, fc.integer({ min: 8, max: 100 }), fc.constantFrom(0.1, 0.25, 0.5), (list, capacity, share) => {
      const pool = new FairShare({ capacity: () => capacity, share });
      for (const { visitor, takes } of list) {
        const name = `v${visitor}`;
        if (takes) pool.tryTake(name);
        else if (pool.heldBy(name) > 0) pool.release(name);
        if (pool.taken > capacity || pool.heldBy(name) > Math.max(1, share * capacity)) return false;
      }
      for (const name of names(61)) while (pool.heldBy(name) > 0) pool.release(name);
      return pool.taken === 0 && pool.size === 0;
    }),
  );
  t.pass();
});

test('property: the queue serves the visitor with the fewest units first, each visitor in order, and all in the end', async (t) => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(arrivals, (list) => {
      const held = new Map<string, number>();
      const queue = new FairQueue<{ visitor: string; number: number }>((visitor) => held.get(visitor as string) ?? 0);
      list.forEach((visitor, number) => void queue.add({ visitor: `v${visitor}`, number }));
      const waiting = new Map<string, number[]>();
      list.forEach((visitor, number) => void (waiting.get(`v${visitor}`) ?? put(waiting, `v${visitor}`)).push(number));
      for (let left = list.length; left > 0; left--) {
        const next = queue.take(() => true);
        if (next === undefined || queue.size !== left - 1) return false;
        const least = Math.min(...[...waiting].filter(([, all]) => all.length > 0).map(([v]) => held.get(v) ?? 0));
        if ((held.get(next.visitor) ?? 0) !== least || waiting.get(next.visitor)?.shift() !== next.number) return false;
        held.set(next.visitor, least + 1);
      }
      return queue.size === 0 && queue.take(() => true) === undefined;
    }),
  );
  t.pass();
});

function put(waiting: Map<string, number[]>, visitor: string): number[] {
  const list: number[] = [];
  waiting.set(visitor, list);
  return list;
}

test('a request that gives up leaves the queue; one that may not start is passed over', async (t) => {
  const queue = new FairQueue<{ visitor: string }>(() => 0);
  const [a, b, c] = [{ visitor: 'a' }, { visitor: 'a' }, { visitor: 'b' }];
  for (const one of [a, b, c]) queue.add(one);
  t.ok(queue.delete(a));
  t.notOk(queue.delete(a));
  t.equal(queue.first(), b);
  t.equal(
    queue.take((visitor) => visitor !== 'a'),
    c,
  );
  t.equal(
    queue.take((visitor) => visitor !== 'a'),
    undefined,
  );
  t.equal(queue.size, 1);
});
