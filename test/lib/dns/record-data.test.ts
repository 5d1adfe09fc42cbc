/** Values of DNS records as a zone file has them: what is read, what is refused, and what is sent of it. */
import { decode } from 'dns-packet';
import fc from 'fast-check';
import { test } from 'tap';
import { formatName, parseName } from '../../../lib/dns/name.ts';
import { RECORD_TYPES, recordType } from '../../../lib/dns/record-data.ts';
import { fuzzer } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);
const ORIGIN = parseName('example.com.') ?? '';

const hex = (type: string, value: string): string | undefined =>
  recordType(type)
    ?.parse(value, ORIGIN)
    ?.map((piece) => ('name' in piece ? `<${formatName(piece.name)}>` : Buffer.from(piece).toString('hex')))
    .join('');

test('values are read', async (t) => {
  for (const [type, value, expected] of [
    ['A', '192.0.2.1', 'c0000201'],
    ['A', '192.0.2', undefined],
    ['A', '2001:db8::1', undefined],
    ['AAAA', '2001:db8::1', '20010db8000000000000000000000001'],
    ['AAAA', 'fe80::1%eth0', undefined],
    ['MX', '10 mail', '000a<mail.example.com.>'],
    ['MX', '65536 mail', undefined],
    ['MX', 'mail', undefined],
    ['MX', '10 mail more', undefined],
    ['CNAME', 'www.other.example.', '<www.other.example.>'],
    ['SRV', '1 2 3 @', '000100020003076578616d706c6503636f6d00'],
    ['TXT', 'plain words', '0b706c61696e20776f726473'],
    ['TXT', '"a" "b"', '01610162'],
    ['TXT', '"\\"\\\\\\255"', '03225cff'],
    ['TXT', '""', '00'],
    ['TXT', '"\\999"', undefined],
    ['TXT', '"open', undefined],
    ['TXT', 'ä', undefined],
    ['TXT', 'x'.repeat(300), `ff${'78'.repeat(255)}2d${'78'.repeat(45)}`],
    ['CAA', '0 issue "ca.example"', '0005697373756563612e6578616d706c65'],
    ['CAA', '0 issue ";"', '000569737375653b'],
    ['CAA', '256 issue "x"', undefined],
    ['TLSA', '3 1 1 00ff', '03010100ff'],
    ['TLSA', '4 1 1 00ff', undefined],
    ['SSHFP', `4 2 ${'ab'.repeat(32)}`, `0402${'ab'.repeat(32)}`],
    ['SSHFP', '4 2 abab', undefined],
    ['DS', '60485 13 2 00ff', 'ec450d0200ff'],
    ['HTTPS', '\\# 3 000100', '000100'],
    ['HTTPS', '\\# 4 000100', undefined],
    ['TYPE4242', '\\# 0', ''],
    ['TYPE4242', '\\# 2 ab cd', 'abcd'],
  ] as const) {
    t.equal(hex(type, value), expected, `${type} ${value.slice(0, 30)}`);
  }
  for (const type of ['SOA', 'ANY', 'OPT', 'DNAME', 'TYPE1', 'TYPE6', 'TYPE41', 'TYPE255', 'TYPE0', 'TYPE70000']) {
    t.equal(recordType(type), undefined, `${type} cannot stand in a zone`);
  }
  fuzz(
    'values are read',
    fc.property(
      fc.constantFrom('TXT', 'CAA', 'MX', 'SRV', 'TLSA', 'SSHFP', 'DS', 'HTTPS', 'A', 'AAAA', 'NS'),
      fc.string({ maxLength: 80 }),
      (type, value) => {
        hex(type, value); // never throws
      },
    ),
    { seed: 3, numRuns: 5_000 },
  );
});

/** Value of a TXT record that has these strings, as a zone file writes them. */
function quoted(strings: readonly string[]): string {
  const escaped = (text: string): string =>
    text.replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, (char) => {
      const code = char.charCodeAt(0);
      return char === '"' || char === '\\' ? `\\${char}` : `\\${String(code).padStart(3, '0')}`;
    });
  return strings.map((text) => `"${escaped(text)}"`).join(' ');
}

test('strings of any bytes come back from a TXT record as they were written', async (t) => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const text = fc.string({ unit: byte, maxLength: 600 });
  fuzz(
    'strings of any bytes come back from a TXT record as they were written',
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (strings) => {
      const bytes = Buffer.from(hex('TXT', quoted(strings)) ?? '', 'hex');
      const read: string[] = [];
      for (let at = 0; at < bytes.length; at += 1 + (bytes[at] as number)) {
        read.push(bytes.toString('latin1', at + 1, at + 1 + (bytes[at] as number)));
      }
      t.equal(read.join(''), strings.join(''));
      t.ok(read.length >= strings.length, 'an empty string is one of length 0');
    }),
  );
});

test('each kind of value is written as its form, which is accepted, apart from the shortened ones', async (t) => {
  for (const [name, { form }] of Object.entries(RECORD_TYPES)) {
    const written = form.replace('…', '00'.repeat(30)).replace('NAME', 'www').replace('LENGTH HEX', '2 abcd');
    const isHash = name === 'SSHFP' ? `4 2 ${'1D'.repeat(32)}` : written;
    t.not(hex(name, isHash), undefined, `${name} ${isHash}`);
  }
});

for (const value of [
  '0 issue "ca.example.net',
  '0 issue ca.example.net"',
  '0 issue ca"example.net',
  '0 issue "',
  '0  issue',
  '0 is-sue "a"',
  '0 issue "a" "b"',
  '1000 issue "a"',
]) {
  test(`${value} is no value of CAA`, async (t) => {
    t.equal(hex('CAA', value), undefined);
  });
}

test('a CAA record without an issuer forbids all of them, however it is written', async (t) => {
  t.equal(hex('CAA', '0 issue ""'), '00056973737565');
  t.equal(hex('CAA', '0 issue ";"'), hex('CAA', '0 issue ;'));
});

test('a name may be compressed in the types of RFC 1035 only', async (t) => {
  for (const type of ['CNAME', 'NS', 'PTR', 'MX']) {
    const value = type === 'MX' ? '10 mail' : 'mail';
    t.match(hex(type, value), /<mail\.example\.com\.>$/, type);
  }
  t.match(hex('SRV', '1 2 3 mail'), /046d61696c076578616d706c6503636f6d00$/, 'RFC 2782');
});

test('a record of each type is read by another implementation', async (t) => {
  for (const [type, value, data] of [
    ['TXT', '"a" "b"', [Buffer.from('a'), Buffer.from('b')]],
    ['CAA', '128 iodef "mailto:x@example.com"', { flags: 128, tag: 'iodef', value: 'mailto:x@example.com' }],
    ['TLSA', '3 1 1 00ff', { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('00ff', 'hex') }],
    ['SRV', '1 2 3 mail', { priority: 1, weight: 2, port: 3, target: 'mail.example.com' }],
  ] as const) {
    const rdata = Buffer.from(hex(type, value) ?? '', 'hex');
    const head = Buffer.alloc(12 + 1 + 10);
    head.writeUInt16BE(0x8000, 2);
    head.writeUInt16BE(1, 6);
    head.writeUInt16BE(recordType(type)?.type ?? 0, 13);
    head.writeUInt16BE(1, 15);
    head.writeUInt16BE(rdata.length, 21);
    t.match(decode(Buffer.concat([head, rdata])).answers, [{ type, data }], type);
  }
});
