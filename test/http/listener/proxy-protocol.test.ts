import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { test } from 'tap';
import { MAX_V2_BYTES, parseProxyHeader } from '../../../http/listener/proxy-protocol.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A header of version 2 as its specification has it. */
function v2(verCmd: number, famProto: number, rest: Buffer, length: number = rest.length): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt8(verCmd, 0);
  head.writeUInt8(famProto, 1);
  head.writeUInt16BE(length, 2);
  return Buffer.concat([SIGNATURE, head, rest]);
}

function addresses(source: string, destination: string, from: number, to: number): Buffer {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from, 0);
  ports.writeUInt16BE(to, 2);
  return Buffer.concat([...[source, destination].map((text) => Buffer.from(ipaddr.parse(text).toByteArray())), ports]);
}

const line = (text: string): Buffer => Buffer.from(`${text}\r\n`, 'latin1');

for (const { what, bytes, source } of [
  { what: 'v1, IPv4', bytes: line('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443'), source: '192.0.2.1' },
  { what: 'v1, IPv6', bytes: line('PROXY TCP6 2001:DB8::1 2001:db8::2 1 65535'), source: '2001:db8::1' },
  { what: 'v1, IPv4 mapped', bytes: line('PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2'), source: '192.0.2.1' },
  { what: 'v1, unknown', bytes: line('PROXY UNKNOWN'), source: undefined },
  { what: 'v1, unknown with words', bytes: line('PROXY UNKNOWN ffff::1 ffff::2 1 2'), source: undefined },
  { what: 'v2, IPv4', bytes: v2(0x21, 0x11, addresses('192.0.2.1', '192.0.2.2', 1, 2)), source: '192.0.2.1' },
  { what: 'v2, IPv6', bytes: v2(0x21, 0x21, addresses('2001:db8::1', '::1', 1, 2)), source: '2001:db8::1' },
  { what: 'v2, IPv4 mapped', bytes: v2(0x21, 0x21, addresses('::ffff:1.2.3.4', '::1', 1, 2)), source: '1.2.3.4' },
  { what: 'v2, LOCAL', bytes: v2(0x20, 0x00, Buffer.alloc(0)), source: undefined },
  {
    what: 'v2, LOCAL with an address',
    bytes: v2(0x20, 0x11, addresses('1.1.1.1', '1.1.1.2', 1, 2)),
    source: undefined,
  },
  { what: 'v2, unspecified family', bytes: v2(0x21, 0x00, Buffer.alloc(7)), source: undefined },
  { what: 'v2, a Unix socket', bytes: v2(0x21, 0x31, Buffer.alloc(216)), source: undefined },
  { what: 'v2, datagrams', bytes: v2(0x21, 0x12, addresses('1.1.1.1', '1.1.1.2', 1, 2)), source: undefined },
  {
    what: 'v2 with TLVs',
    bytes: v2(0x21, 0x11, Buffer.concat([addresses('192.0.2.1', '192.0.2.2', 1, 2), Buffer.alloc(300, 4)])),
    source: '192.0.2.1',
  },
]) {
  test(`${what} is read whole, cut anywhere, and before the visitor’s bytes`, async (t) => {
    const whole = parseProxyHeader(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n')]));
    t.match(whole, { kind: 'header', length: bytes.length });
    if (whole.kind === 'header') t.equal(whole.source?.address, source);
    for (let end = 0; end < bytes.length; end += 1) {
      if (parseProxyHeader(bytes.subarray(0, end)).kind !== 'partial') t.fail(`${end} bytes`);
    }
  });
}

for (const [what, bytes] of [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['TLS', Buffer.from('160301', 'hex')],
  ['another word', line('PROXZ TCP4 1.1.1.1 1.1.1.2 1 2')],
  ['in lower case', line('proxy TCP4 1.1.1.1 1.1.1.2 1 2')],
  ['another protocol', line('PROXY UDP4 1.1.1.1 1.1.1.2 1 2')],
  ['of the other family', line('PROXY TCP4 ::1 ::2 1 2')],
  ['a port too many', line('PROXY TCP4 1.1.1.1 1.1.1.2 1 2 3')],
  ['a port too large', line('PROXY TCP4 1.1.1.1 1.1.1.2 1 65536')],
  ['a port with a zero in front', line('PROXY TCP4 1.1.1.1 1.1.1.2 01 2')],
  ['an address with zeros in front', line('PROXY TCP4 1.1.1.01 1.1.1.2 1 2')],
  ['two spaces', line('PROXY TCP4  1.1.1.1 1.1.1.2 1 2')],
  ['a zone', line('PROXY TCP6 fe80::1%1 ::2 1 2')],
  ['a bare line feed', Buffer.from(`PROXY TCP4 1.1.1.1 1.1.1.2 1 2\n${'x'.repeat(107)}`)],
  ['too long', line(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
  ['without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
  ['version 1 in binary', v2(0x11, 0x11, addresses('1.1.1.1', '1.1.1.2', 1, 2))],
  ['an unknown command', v2(0x22, 0x11, addresses('1.1.1.1', '1.1.1.2', 1, 2))],
  ['an unknown family', v2(0x21, 0x41, addresses('1.1.1.1', '1.1.1.2', 1, 2))],
  ['an unknown protocol', v2(0x21, 0x13, addresses('1.1.1.1', '1.1.1.2', 1, 2))],
  ['too short for its addresses', v2(0x21, 0x11, Buffer.alloc(11))],
  ['too short for its IPv6 addresses', v2(0x21, 0x21, addresses('1.1.1.1', '1.1.1.2', 1, 2))],
  ['longer than is read', v2(0x21, 0x11, Buffer.alloc(16), MAX_V2_BYTES)],
] as const) {
  test(`${what} is not a PROXY header`, async (t) => t.equal(parseProxyHeader(bytes).kind, 'invalid'));
}

const address = fc.oneof(
  fc.ipV4().map((text) => [text, text] as const),
  fc
    .ipV6()
    .filter((text) => !text.includes('.'))
    .map((text) => [text, ipaddr.process(text).toString()] as const),
);

test('a written header is read back', async (t) => {
  fuzz(
    'a written header is read back',
    fc.property(address, fc.nat(65_535), fc.nat(65_535), fc.boolean(), ([text, canonical], from, to, binary) => {
      const six = text.includes(':');
      const other = six ? '2001:db8::2' : '192.0.2.2';
      const bytes = binary
        ? v2(0x21, six ? 0x21 : 0x11, addresses(text, other, from, to))
        : line(`PROXY TCP${six ? 6 : 4} ${text} ${other} ${from} ${to}`);
      const header = parseProxyHeader(bytes);
      t.ok(
        header.kind === 'header' &&
          header.length === bytes.length &&
          header.source?.address === canonical &&
          header.source.port === from &&
          header.destination?.port === to,
      );
    }),
    { numRuns: 500 },
  );
});

test('any bytes: no exception, no more bytes consumed than there are, and more bytes change no answer', async (t) => {
  const start = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), SIGNATURE);
  fuzz(
    'any bytes: no exception, no more bytes consumed than there are, and more bytes change no answer',
    fc.property(start, fc.uint8Array({ maxLength: 300 }), fc.nat(300), (head, tail, cut) => {
      const bytes = Buffer.concat([head, tail]);
      const all = parseProxyHeader(bytes);
      const some = parseProxyHeader(bytes.subarray(0, cut));
      outcome(all.kind);
      if (all.kind === 'header' && all.length > bytes.length) return false;
      return some.kind === 'partial' || JSON.stringify(some) === JSON.stringify(all);
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});
