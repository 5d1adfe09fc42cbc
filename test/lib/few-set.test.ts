import fc from 'fast-check';
import { test } from 'tap';
import { FewSet } from '../../lib/few-set.ts';

test('a FewSet has the members of a Set, in its order', async (t) => {
  const members = [{ n: 0 }, { n: 1 }, { n: 2 }] as const;
  const step = fc.record({ does: fc.constantFrom('add', 'delete'), at: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const [few, set] = [new FewSet<object>(), new Set<object>()];
      for (const { does, at } of steps) {
        const member = members[at] as object;
        if (does === 'add') {
          few.add(member);
          set.add(member);
        } else t.equal(few.delete(member), set.delete(member));
        t.equal(few.size, set.size);
        t.strictSame([...few.values()], [...set]);
      }
    }),
  );
});

test('a member that is deleted during an iteration is left out', async (t) => {
  const [a, b] = [{}, {}];
  const few = new FewSet<object>();
  few.add(a);
  few.add(b);
  const seen: object[] = [];
  for (const member of few.values()) {
    seen.push(member);
    few.delete(b);
  }
  t.strictSame(seen, [a]);
});
