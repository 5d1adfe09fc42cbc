/** EDNS of a query: options as clients send them, and malformed ones. */
import { encode } from 'dns-packet';
import fc from 'fast-check';
import { test } from 'tap';
import { type Edns, readOptions, subnetAddress } from '../../../geo/dns/edns.ts';
import { formatAddress, parseAddress } from '../../../lib/address.ts';
import { RCODE } from '../../../lib/dns/numbers.ts';

/** Reads an OPT record from its CLASS on. */
function read(options: Buffer, { udpBytes = 1_232, version = 0, flags = 0 } = {}): Edns {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(udpBytes, 0);
  head[3] = version;
  head.writeUInt16BE(flags, 4);
  head.writeUInt16BE(options.length, 6);
  const before = Buffer.from('before');
  const message = Buffer.concat([before, head, options, Buffer.from('behind')]);
  return readOptions(message, before.length, before.length + 8 + options.length);
}

function option(code: number, data: string | Buffer): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data.replaceAll(' ', ''), 'hex') : data;
  const head = Buffer.alloc(4);
  head.writeUInt16BE(code, 0);
  head.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([head, bytes]);
}

for (const { what, options, rcode } of [
  { what: 'no option', options: '', rcode: 'NOERROR' },
  { what: 'an unknown option', options: 'fde9 0002 abcd', rcode: 'NOERROR' },
  { what: 'half of the head of an option', options: '000a 00', rcode: 'FORMERR' },
  { what: 'an option that is longer than the record', options: '000a 0009 00000000 00000000', rcode: 'FORMERR' },
  { what: 'a cookie of 7 bytes', options: '000a 0007 00000000 000000', rcode: 'FORMERR' },
  { what: 'a cookie of 9 bytes', options: `000a 0009 ${'00'.repeat(9)}`, rcode: 'FORMERR' },
  { what: 'a cookie of 16 bytes', options: `000a 0010 ${'00'.repeat(16)}`, rcode: 'NOERROR' },
  { what: 'a cookie of 40 bytes', options: `000a 0028 ${'00'.repeat(40)}`, rcode: 'NOERROR' },
  { what: 'a cookie of 41 bytes', options: `000a 0029 ${'00'.repeat(41)}`, rcode: 'FORMERR' },
  { what: 'a keep-alive without a time', options: '000b 0000', rcode: 'NOERROR' },
  { what: 'a keep-alive with a time', options: '000b 0002 0064', rcode: 'FORMERR' },
  { what: 'a subnet', options: '0008 0007 0001 18 00 c00002', rcode: 'NOERROR' },
  { what: 'a subnet of no bits', options: '0008 0004 0001 00 00', rcode: 'NOERROR' },
  { what: 'a subnet of no family', options: '0008 0004 0000 00 00', rcode: 'NOERROR' },
  { what: 'a subnet of no family with bits', options: '0008 0005 0000 08 00 0a', rcode: 'FORMERR' },
  { what: 'a subnet of an unknown family', options: '0008 0004 0003 00 00', rcode: 'FORMERR' },
  { what: 'a subnet with a scope', options: '0008 0007 0001 18 18 c00002', rcode: 'FORMERR' },
  { what: 'a subnet with too few bytes', options: '0008 0006 0001 18 00 c000', rcode: 'FORMERR' },
  { what: 'a subnet with too many bytes', options: '0008 0008 0001 18 00 c0000201', rcode: 'FORMERR' },
  { what: 'a subnet with bits behind its prefix', options: '0008 0007 0001 17 00 c00003', rcode: 'FORMERR' },
  { what: 'a subnet of 33 bits of IPv4', options: '0008 0009 0001 21 00 c000020180', rcode: 'FORMERR' },
  { what: 'a subnet that ends early', options: '0008 0003 0001 18', rcode: 'FORMERR' },
  { what: 'two subnets', options: '0008 0007 0001 18 00 c00002 0008 0007 0001 18 00 c00002', rcode: 'FORMERR' },
] as const) {
  test(`${what} is ${rcode}`, async (t) => {
    t.equal(read(Buffer.from(options.replaceAll(' ', ''), 'hex')).rcode, RCODE[rcode]);
  });
}

test('options of another version are not read, and its size and DO bit are', async (t) => {
  const edns = read(option(10, '00'), { version: 1, flags: 0x8000, udpBytes: 4_000 });
  t.match(edns, { rcode: RCODE.BADVERS, dnssecOk: true, udpBytes: 4_000, cookie: undefined });
});

test('of several cookies the first counts, and a size below 512 is 512', async (t) => {
  const edns = read(Buffer.concat([option(10, '01'.repeat(8)), option(10, '02'.repeat(8))]), { udpBytes: 1 });
  t.equal(edns.cookie?.toString('hex'), '01'.repeat(8));
  t.equal(edns.udpBytes, 512);
});

test('a subnet as another implementation writes it is read, and its first address is that of the network', async (t) => {
  const network = fc.oneof(
    fc.record({ ip: fc.ipV4(), bits: fc.integer({ min: 1, max: 32 }) }),
    fc.record({ ip: fc.ipV6(), bits: fc.integer({ min: 1, max: 128 }) }),
  );
  fc.assert(
    fc.property(network, ({ ip, bits }) => {
      const address = parseAddress(ip);
      fc.pre(address !== undefined && (address.family === 4) !== ip.includes(':'));
      if (address === undefined) return;
      const width = address.family === 4 ? 32 : 128;
      const all =
        address.family === 4
          ? BigInt(address.ipv4)
          : address.groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
      const first = (all >> BigInt(width - bits)) << BigInt(width - bits);
      const text = first
        .toString(16)
        .padStart(width / 4, '0')
        .replace(/....(?=.)/g, '$&:');
      const plain = address.family === 4 ? Buffer.from(text.replace(':', ''), 'hex').join('.') : text;
      const packet = encode({
        type: 'query',
        additionals: [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: 1_232,
            flags: 0,
            options: [{ code: 8, ip: plain, sourcePrefixLength: bits }],
          } as never,
        ],
      });
      const edns = readOptions(packet, 12 + 3, packet.length);
      t.equal(edns.rcode, RCODE.NOERROR);
      const found = edns.subnet && subnetAddress(edns.subnet);
      t.equal(
        found && formatAddress(parseAddress(found) ?? address),
        formatAddress(parseAddress(plain) ?? address),
        ip,
      );
    }),
    { numRuns: 500 },
  );
});

test('whatever the bytes are, they are read within the record', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const edns = read(Buffer.from(bytes));
      t.ok(edns.rcode === RCODE.NOERROR || edns.rcode === RCODE.FORMERR);
      t.ok((edns.cookie?.length ?? 0) <= bytes.length);
    }),
    { numRuns: 3_000 },
  );
});
