import fc from 'fast-check';
import { test } from 'tap';
import { PRIORITIES, type Priority } from '../../../http/fields/priority.ts';
import { PriorityQueue } from '../../../http/upstream/priority-queue.ts';

interface Request {
  readonly id: number;
  readonly priority: Priority;
  readonly visitor: string | undefined;
}

const ALL = (): boolean => true;

function queueOf(requests: readonly Request[]): PriorityQueue<Request> {
  const queue = new PriorityQueue<Request>(() => 0);
  for (const one of requests) queue.add(one);
  return queue;
}

test('of eight turns five go to navigations, two to others, and one to background work', async (t) => {
  const requests = PRIORITIES.flatMap((priority, i) =>
    Array.from({ length: 80 }, (_, j): Request => ({ id: i * 80 + j, priority, visitor: `${i}.${j}` })),
  );
  const queue = queueOf(requests);
  const taken = { navigation: 0, normal: 0, background: 0 };
  for (let i = 0; i < 80; i++) taken[(queue.take(ALL) as Request).priority]++;
  t.strictSame(taken, { navigation: 50, normal: 20, background: 10 });
  t.equal(queue.size, 160);
});

test('a turn whose priority has no request, or none that is allowed, goes to the first that has', async (t) => {
  const queue = queueOf([
    { id: 0, priority: 'background', visitor: 'a' },
    { id: 1, priority: 'normal', visitor: 'b' },
    { id: 2, priority: 'navigation', visitor: 'c' },
  ]);
  t.equal(queue.take((_visitor, priority) => priority !== 'background')?.id, 2);
  t.equal(queue.first()?.id, 1);
  t.equal(queue.take((visitor) => visitor !== 'b')?.id, 0);
  t.equal(
    queue.take(() => false),
    undefined,
  );
  t.equal(queue.size, 1);
});

test('property: each request comes out once, those of one visitor and priority in their order', async (t) => {
  const request = fc.record({
    priority: fc.constantFrom(...PRIORITIES),
    visitor: fc.constantFrom('a', 'b', undefined),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), fc.array(fc.nat(59)), (given, gone) => {
      const requests = given.map((one, id): Request => ({ ...one, id }));
      const queue = queueOf(requests);
      const deleted = new Set<number>();
      for (const id of gone) {
        const one = requests[id];
        if (one !== undefined && queue.delete(one) === deleted.has(id)) return false;
        if (one !== undefined) deleted.add(id);
      }
      const taken: Request[] = [];
      for (let one = queue.take(ALL); one !== undefined; one = queue.take(ALL)) taken.push(one);
      if (taken.length !== requests.length - deleted.size || queue.size !== 0) return false;
      const last = new Map<string, number>();
      return taken.every(({ id, priority, visitor }) => {
        const name = `${priority} ${visitor}`;
        const isLater = id > (last.get(name) ?? -1);
        last.set(name, id);
        return isLater && !deleted.has(id);
      });
    }),
  );
  t.pass('for each order of requests');
});
