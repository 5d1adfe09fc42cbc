import fc from 'fast-check';
import { test } from 'tap';
import { FairQueue, type Waiting } from '../../../http/upstream/fair-queue.ts';

interface Request extends Waiting {
  readonly id: number;
}

const ALL = (): boolean => true;

function queueOf(held: Record<string, number>, visitors: readonly (string | undefined)[]): FairQueue<Request> {
  const queue = new FairQueue<Request>((visitor) => held[visitor ?? ''] ?? 0);
  for (const [id, visitor] of visitors.entries()) queue.add({ id, visitor });
  return queue;
}

function order(queue: FairQueue<Request>, isAllowed: (visitor: string | undefined) => boolean = ALL): number[] {
  const ids: number[] = [];
  for (let one = queue.take(isAllowed); one !== undefined; one = queue.take(isAllowed)) ids.push(one.id);
  return ids;
}

for (const { rule, held, visitors, ids } of [
  { rule: 'one visitor’s requests go in their order', held: {}, visitors: ['a', 'a', 'a'], ids: [0, 1, 2] },
  { rule: 'a visitor that holds nothing goes first', held: { a: 2 }, visitors: ['a', 'a', 'b'], ids: [2, 0, 1] },
  {
    rule: 'the one that holds least goes first',
    held: { a: 3, b: 1, c: 2 },
    visitors: ['a', 'b', 'c'],
    ids: [1, 2, 0],
  },
  { rule: 'among equals the one that has waited longest', held: { a: 1, b: 1 }, visitors: ['b', 'a'], ids: [0, 1] },
  {
    rule: 'requests of no visitor count as one',
    held: { '': 1 },
    visitors: [undefined, 'a', undefined],
    ids: [1, 0, 2],
  },
]) {
  test(`queue for connections: ${rule}`, async (t) => {
    t.strictSame(order(queueOf(held, visitors)), ids);
  });
}

test('a visitor that may have no more is passed over, and stays', async (t) => {
  const queue = queueOf({}, ['a', 'b', 'a']);
  t.strictSame(
    order(queue, (visitor) => visitor !== 'a'),
    [1],
  );
  t.equal(queue.size, 2);
  t.equal(queue.first()?.id, 0);
});

test('property: each request comes out once, or is deleted once', async (t) => {
  const visitor = fc.constantFrom('a', 'b', 'c', undefined);
  fc.assert(
    fc.property(fc.array(visitor, { maxLength: 40 }), fc.array(fc.nat({ max: 39 })), (visitors, gone) => {
      const requests = visitors.map((one, id): Request => ({ id, visitor: one }));
      const queue = new FairQueue<Request>(() => 0);
      for (const one of requests) queue.add(one);
      const deleted = new Set<number>();
      for (const id of gone) {
        const one = requests[id];
        if (one === undefined) continue;
        t.equal(queue.delete(one), !deleted.has(id));
        deleted.add(id);
      }
      t.equal(queue.size, requests.length - deleted.size);
      const rest = requests.map(({ id }) => id).filter((id) => !deleted.has(id));
      t.strictSame(
        order(queue).sort((a, b) => a - b),
        rest,
      );
    }),
    { numRuns: 100 },
  );
});
