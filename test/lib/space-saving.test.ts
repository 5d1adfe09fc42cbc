import fc from 'fast-check';
import { test } from 'tap';
import { SpaceSaving } from '../../lib/space-saving.ts';

test('no count is too low, none is too high by more than the total divided by the places', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 50 })), { maxLength: 300 }), (stream) => {
      const places = 8;
      const sketch = new SpaceSaving(places);
      const real = new Map<string, number>();
      let total = 0;
      for (const [key, count] of stream) {
        sketch.add(String(key), count);
        real.set(String(key), (real.get(String(key)) ?? 0) + count);
        total += count;
      }
      const top = sketch.top(100);
      const isWithin = top.every(([key, count]) => {
        const is = real.get(key) ?? 0;
        return count >= is && count <= is + total / places;
      });
      const kept = new Set(top.map(([key]) => key));
      const frequentKept = [...real].every(([key, count]) => count <= total / places || kept.has(key));
      return top.length <= places && isWithin && frequentKept;
    }),
  );
});

test('keys come in the order of their counts, and any text is a key', async (t) => {
  const sketch = new SpaceSaving(4);
  t.ok(sketch.isEmpty);
  for (const [key, count] of [
    ['__proto__', 3],
    ['constructor', 5],
    ['', 1],
  ] as const)
    sketch.add(key, count);
  t.strictSame(sketch.top(2), [
    ['constructor', 5],
    ['__proto__', 3],
  ]);
  sketch.clear();
  t.ok(sketch.isEmpty);
});
