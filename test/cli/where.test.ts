import { type Test, test } from 'tap';
import { files, run } from './two-regions.ts';

test('where prints the region, the reason and the next choices', async (t) => {
  const { code, stdout } = await run(['where', '11.2.3.4', ...files(t)]);
  t.equal(code, 0);
  t.equal(
    stdout,
    `11.2.3.4: Munich, DE, EU (48.1, 11.6)
eu is the nearest region.

  1. eu  healthy, 308 km, 1 of 1 edges up, 203.0.113.7
  2. us  healthy, 6839 km, default, 1 of 1 edges up, 203.0.113.7

This holds for all addresses that share the first 8 bits.
Source: city.mmdb
`,
  );
});

for (const { what, address, more, says } of [
  {
    what: 'unknown',
    address: '12.0.0.1',
    more: '',
    says: /12\.0\.0\.1: not known\nIt is an address that no database knows, so the default region answers: us\./,
  },
  {
    what: 'private',
    address: '10.0.0.1',
    more: '',
    says: /10\.0\.0\.1: private\nIt is a private address, so the default region answers: us\./,
  },
  {
    what: 'pinned',
    address: '11.0.0.1',
    more: ', countries: [DE]',
    says: /Visitors from DE go to eu\.\n\n {2}1\. eu {2}healthy, 308 km, pinned by country/,
  },
  {
    what: 'weighed',
    address: '11.0.0.1',
    more: ', weight: 0.01',
    says: /us is the nearest region, weights counted in\.\n[\s\S]*eu {2}healthy, 308 km, counts as 30\d{3} km \(weight 0\.01\)/,
  },
  { what: 'drained', address: '11.0.0.1', more: ', drained: true', says: /us comes next: eu is drained\.\n/ },
]) {
  test(`where, for a visitor who is ${what}`, async (t) => {
    t.match((await run(['where', address, ...files(t, more)])).stdout, says);
  });
}

test('where prints JSON', async (t) => {
  const { stdout } = await run(['where', '11.2.3.4', ...files(t), '--json']);
  t.match(JSON.parse(stdout), {
    region: 'eu',
    reason: 'nearest',
    prefix: 8,
    order: [{ region: 'eu' }, { region: 'us' }],
  });
});

for (const { what, args, says } of [
  { what: 'nothing', args: () => [], says: /no address is given/ },
  { what: 'a name', args: () => ['www.example.com'], says: /"www\.example\.com" is no IP address/ },
  {
    what: 'an unknown region',
    args: (t: Test) => ['11.0.0.1', ...files(t), '--from', 'ap'],
    says: /there is no region "ap"\. The regions are eu, us\./,
  },
  {
    what: 'a control node that is not there',
    args: () => ['11.0.0.1', '--control', 'http://127.0.0.1:1'],
    says: /does not answer/,
  },
  {
    what: 'a broken database',
    args: (t: Test) => ['11.0.0.1', ...files(t, '', Buffer.from('x'))],
    says: /eu\.yaml:4:20 geo\.databases\[0\]: .*its end is missing.* Fix: Download it again/,
  },
]) {
  test(`where, for ${what}`, async (t) => {
    const { code, stderr } = await run(['where', ...args(t)]);
    t.not(code, 0);
    t.match(stderr, says);
  });
}
