import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { test } from 'tap';
import { CidrSet, cidrSetOf } from '../../lib/cidr-set.ts';

for (const { network, ip, inside } of [
  { network: '10.0.0.0/8', ip: '10.255.255.255', inside: true },
  { network: '10.0.0.0/8', ip: '11.0.0.0', inside: false },
  { network: '10.1.2.3/8', ip: '10.9.9.9', inside: true },
  { network: '10.0.0.0/8', ip: '::ffff:10.0.0.1', inside: true },
  { network: '::ffff:10.0.0.0/104', ip: '10.0.0.1', inside: true },
  { network: '::ffff:10.0.0.0/104', ip: '11.0.0.1', inside: false },
  { network: '::ffff:0:0/96', ip: '10.0.0.1', inside: true },
  { network: '192.0.2.1', ip: '192.0.2.1', inside: true },
  { network: '192.0.2.1', ip: '192.0.2.2', inside: false },
  { network: '0.0.0.0/0', ip: '192.0.2.2', inside: true },
  { network: '0.0.0.0/0', ip: '2001:db8::1', inside: false },
  { network: '2001:db8::/32', ip: '2001:db8:1::', inside: true },
  { network: '2001:db8::/32', ip: '2001:db9::', inside: false },
  { network: '::1', ip: '::1', inside: true },
  { network: '::/0', ip: '192.0.2.2', inside: false },
  { network: '::ffff:0:0/80', ip: '::fffe:0:1', inside: true },
  { network: 'fe80::/10', ip: 'fe80::1%eth0', inside: true },
  { network: '0.0.0.0/0', ip: 'localhost', inside: false },
  { network: '0.0.0.0/0', ip: '', inside: false },
  { network: '0.0.0.0/0', ip: '127.1', inside: false },
]) {
  test(`${ip || 'nothing'} is ${inside ? '' : 'not '}in ${network}`, async (t) => {
    t.equal(new CidrSet([network]).has(ip), inside);
    t.equal(new CidrSet(['203.0.113.0/24', network]).has(ip), inside);
  });
}

test('an empty set contains no address', async (t) => {
  t.equal(new CidrSet([]).has('127.0.0.1'), false);
});

for (const network of [
  '',
  'localhost',
  '10',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '10.0.0.0/x',
  '10.0.0.0/8x',
  '::/129',
  '10.0/8',
  '0x0a.0.0.0/8',
]) {
  test(`not a network: ${network || 'nothing'}`, async (t) => {
    t.throws(() => new CidrSet(['10.0.0.0/8', network]), {
      name: 'RangeError',
      message: `not a network or an address: ${network}`,
    });
  });
}

test('sets agree with another library, whatever overlaps', async (t) => {
  // Few different bits, so that networks hold each other and addresses.
  const word = fc.constantFrom(0, 1, 0x8000, 0xffff);
  const ipv4 = fc.tuple(word, word).map(([a, b]) => `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`);
  const ipv6 = fc
    .array(word, { minLength: 7, maxLength: 7 })
    .map((words) => ['2001', ...words.map((each) => each.toString(16))].join(':'));
  const block = fc.oneof(
    fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
    fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`),
    ipv4,
    ipv6,
  );
  fc.assert(
    fc.property(fc.array(block, { maxLength: 20 }), fc.oneof(ipv4, ipv6), (blocks, text) => {
      const address = ipaddr.parse(text);
      const expected = blocks.some((each) => {
        const [network, bits] = ipaddr.parseCIDR(each.includes('/') ? each : `${each}/${isIPv6(each) ? 128 : 32}`);
        return network.kind() === address.kind() && address.match(network, bits);
      });
      return new CidrSet(blocks).has(text) === expected;
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('the set of a list is built once', async (t) => {
  const list = ['10.0.0.0/8'];
  t.equal(cidrSetOf(list), cidrSetOf(list));
  t.not(cidrSetOf(list), cidrSetOf(['10.0.0.0/8']));
});
