import { isIP } from 'node:net';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { test } from 'tap';
import { formatAddress, parseAddress } from '../../lib/address.ts';

for (const [text, kind, prefix] of [
  ['8.8.8.8', 'public', 0],
  ['0.0.0.0', 'unspecified', 32],
  ['0.1.2.3', 'reserved', 8],
  ['10.255.255.255', 'private', 8],
  ['11.0.0.0', 'public', 0],
  ['100.63.255.255', 'public', 0],
  ['100.64.0.0', 'carrier-nat', 10],
  ['100.127.255.255', 'carrier-nat', 10],
  ['100.128.0.0', 'public', 0],
  ['127.0.0.1', 'loopback', 8],
  ['169.254.10.10', 'link-local', 16],
  ['172.15.255.255', 'public', 0],
  ['172.16.0.1', 'private', 12],
  ['172.32.0.0', 'public', 0],
  ['192.0.0.1', 'reserved', 24],
  ['192.0.1.1', 'public', 0],
  ['192.0.2.1', 'documentation', 24],
  ['192.88.99.1', 'reserved', 24],
  ['192.168.1.1', 'private', 16],
  ['198.17.255.255', 'public', 0],
  ['198.18.0.1', 'reserved', 15],
  ['198.51.100.7', 'documentation', 24],
  ['203.0.113.7', 'documentation', 24],
  ['224.0.0.1', 'multicast', 4],
  ['239.255.255.255', 'multicast', 4],
  ['240.0.0.1', 'reserved', 4],
  ['255.255.255.255', 'reserved', 4],
  ['::', 'unspecified', 128],
  ['::1', 'loopback', 128],
  ['::2', 'reserved', 3],
  ['::ffff:8.8.8.8', 'public', 0],
  ['::ffff:10.0.0.1', 'private', 8],
  ['64:ff9b::8.8.8.8', 'public', 0],
  ['64:ff9b::10.0.0.1', 'private', 104],
  ['64:ff9b:1::1', 'private', 48],
  ['100::1', 'reserved', 64],
  ['2001::1', 'reserved', 23],
  ['2001:200::1', 'public', 0],
  ['2001:4860:4860::8888', 'public', 0],
  ['2001:db8::1', 'documentation', 32],
  ['2002:808:808::1', 'public', 0],
  ['2002:a00:1::1', 'private', 24],
  ['2a00:1450::1', 'public', 0],
  ['3ffe::1', 'public', 0],
  ['3fff::1', 'documentation', 20],
  ['3fff:1000::1', 'public', 0],
  ['4000::1', 'reserved', 3],
  ['fc00::1', 'private', 7],
  ['fd12:3456::1', 'private', 7],
  ['fe80::1', 'link-local', 10],
  ['fec0::1', 'reserved', 10],
  ['ff02::1', 'multicast', 8],
] as const) {
  test(`${text} is ${kind}`, async (t) => {
    const address = parseAddress(text);
    t.equal(address?.kind, kind);
    t.equal(address?.kindPrefix, prefix);
  });
}

for (const text of [
  '',
  ' ',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.04',
  '1.2.3.4 ',
  '1.2.3.-4',
  '+1.2.3.4',
  '0x1.2.3.4',
  '1..2.3',
  '.1.2.3.4',
  '1.2.3.4.',
  ':',
  ':::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1::2::3',
  '12345::',
  '::g',
  '::1%lo',
  '[::1]',
  '::1/128',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3',
  '::1.2.3.4:5',
  '1:2:3:4:5:6:7:8::',
  '::1:2:3:4:5:6:7:8',
  '1:',
  ':1',
  '1:2:3:4:5:6:7:',
  '１.2.3.4',
]) {
  test(`${JSON.stringify(text)} is no address`, async (t) => t.equal(parseAddress(text), undefined));
}

/** Near misses of addresses, which are the interesting part. */
const nearly = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.stringMatching(/^[0-9.]{1,17}$/),
  fc.stringMatching(/^[0-9a-fA-F:.]{1,48}$/),
  fc.ipV6().chain((text) => fc.nat(text.length).map((at) => `${text.slice(0, at)}:${text.slice(at)}`)),
  fc.string(),
);

test('an address is accepted exactly when node:net accepts it', async (t) => {
  fc.assert(
    fc.property(nearly, (text) => (parseAddress(text) !== undefined) === (isIP(text) !== 0 && !text.includes('%'))),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('the bits are those that ipaddr.js reads', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      // ipaddr.js takes `::1.2.3.4` for mapped; RFC 4291, section 2.5.5.2, wants `::ffff:` for that.
      fc.pre(!/^::[\d.]+$/.test(text));
      const expected = ipaddr.process(text);
      const address = parseAddress(text);
      const isSame = address !== undefined && formatAddress(address) === expected.toString();
      return isSame && (expected instanceof ipaddr.IPv4 || address.groups.join() === expected.parts.join());
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});
