import fc from 'fast-check';
import { test } from 'tap';
import { TwoGenerationCache } from '../../lib/two-generation-cache.ts';

const FULL = 10;

type Step = { readonly kind: 'get' | 'set' | 'delete'; readonly key: number; readonly value: number };

/** Two lists of entries, the last one set at the end, whose weights are added up each time. */
class Model {
  young: (readonly [key: number, value: number])[] = [];
  old: (readonly [key: number, value: number])[] = [];
  readonly dropped: number[] = [];

  get(key: number): number | undefined {
    const young = this.young.find(([known]) => known === key);
    if (young !== undefined) return young[1];
    const old = this.old.find(([known]) => known === key);
    if (old !== undefined) this.set(...old);
    return old?.[1];
  }

  set(key: number, value: number): void {
    this.delete(key);
    if (weightOf(this.young) + value > FULL) {
      this.dropped.push(...this.old.map(([known]) => known));
      this.old = this.young;
      this.young = [];
    }
    this.young.push([key, value]);
  }

  delete(key: number): void {
    this.young = this.young.filter(([known]) => known !== key);
    this.old = this.old.filter(([known]) => known !== key);
  }
}

function weightOf(entries: readonly (readonly [key: number, value: number])[]): number {
  return entries.reduce((sum, [, value]) => sum + value, 0);
}

test('entries are held and dropped as by a model of two lists', async (t) => {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('get', 'get', 'set', 'set', 'delete'),
    key: fc.nat(8),
    value: fc.nat(12), // its own weight
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const dropped: number[] = [];
      const model = new Model();
      const cache = new TwoGenerationCache<number, number>({
        generationWeight: FULL,
        weightOf: (_key, value) => value,
        onDropped: (key) => dropped.push(key),
      });
      for (const { kind, key, value } of steps) {
        if (kind === 'get') {
          if (cache.get(key) !== model.get(key)) return false;
        } else if (kind === 'set') {
          cache.set(key, value);
          model.set(key, value);
        } else {
          cache.delete(key);
          model.delete(key);
        }
        if (cache.weight !== weightOf(model.young) + weightOf(model.old)) return false;
        if (dropped.join() !== model.dropped.join()) return false;
      }
      return true;
    }),
  );
  t.pass();
});

test('entries that are used stay among many others', async (t) => {
  const cache = new TwoGenerationCache<number, string>({ generationWeight: 100 });
  cache.set(0, 'asked for');
  for (let key = 1; key < 10_000; key += 1) {
    cache.set(key, 'once');
    if (cache.get(0) !== 'asked for') t.fail(`gone at ${key}`);
    if (cache.weight > 200) t.fail(`${cache.weight} entries`);
  }
  t.equal(cache.get(1), undefined);
  cache.clear();
  t.equal(cache.get(0), undefined);
  t.equal(cache.weight, 0);
});
