import fc from 'fast-check';
import { test } from 'tap';
import { addressBlock } from '../../../http/listener/address-block.ts';
import { AddressCounts } from '../../../http/listener/address-counts.ts';

for (const { address, block } of [
  { address: '203.0.113.7', block: '203.0.113.7' },
  { address: '::ffff:203.0.113.7', block: '203.0.113.7' },
  { address: '::ffff:cb00:7107', block: '203.0.113.7' },
  { address: '2001:db8:1:2:3:4:5:6', block: '2001:db8:1:2::/64' },
  { address: '2001:db8:1:2::1', block: '2001:db8:1:2::/64' },
  { address: '2001:0DB8:0001:0002:ffff::', block: '2001:db8:1:2::/64' },
  { address: '2001:db8:1:3::1', block: '2001:db8:1:3::/64' },
  { address: '::1', block: '0:0:0:0::/64' },
  { address: 'fe80::1%eth0', block: 'fe80:0:0:0::/64' },
  { address: 'unknown', block: 'unknown' },
  { address: '', block: '' },
]) {
  test(`${address || 'nothing'} counts as ${block || 'nothing'}`, async (t) => {
    t.equal(addressBlock(address), block);
  });
}

test('property: all addresses of a /64 are one block, and those of two are two', async (t) => {
  const half = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 4, maxLength: 4 });
  const text = (a: number[], b: number[]): string => [...a, ...b].map((part) => part.toString(16)).join(':');
  fc.assert(
    fc.property(half, half, half, half, (a, b, c, d) => {
      fc.pre(a.join() !== c.join() && !(a.slice(0, 4).join() === '0,0,0,0' && b[0] === 0));
      fc.pre(c.join() !== '0,0,0,0');
      return (
        addressBlock(text(a, b)) === addressBlock(text(a, d)) && addressBlock(text(a, b)) !== addressBlock(text(c, d))
      );
    }),
  );
  t.pass();
});

test('property: counts hold no empty block, and refuse exactly what exceeds the maximum', async (t) => {
  const steps = fc.array(fc.record({ block: fc.constantFrom('a', 'b', 'c'), begins: fc.boolean() }));
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 3 }), (list, most) => {
      const counts = new AddressCounts();
      const model = new Map<string, number>();
      for (const { block, begins } of list) {
        const had = model.get(block) ?? 0;
        if (begins) {
          const admitted = most === 0 || had < most;
          if (counts.begin(block, most) !== admitted) return false;
          if (admitted) model.set(block, had + 1);
        } else if (had > 0) {
          counts.end(block);
          model.set(block, had - 1);
        }
        if (counts.of(block) !== model.get(block) && (model.get(block) ?? 0) !== 0) return false;
      }
      return counts.size === [...model.values()].filter((count) => count > 0).length;
    }),
  );
  t.pass();
});
