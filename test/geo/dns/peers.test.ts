/**
 * Real peers: Debian's dig, and its unbound as the resolver of visitors in many
 * places of six continents, by the real database.
 */
import { test } from 'tap';
import { addressesOf, otherRegions, PLACES, REGIONS, regionFile } from './places.ts';
import { dig, runDns } from './server.ts';
import { startUnbound } from './unbound.ts';
import { ZONE } from './world.ts';

const DNS = `dns:
  listen: ['127.0.0.1:0']
  control: 127.0.0.1:0
  rate_limit: { exempt: [127.0.0.0/8] }
  zones:${ZONE.replace(/\n$/, '')}`;
const YAML = regionFile('frankfurt', DNS);

/** Each place's question in one run of dig. */
const questions = (type: 'A' | 'AAAA'): string[] =>
  PLACES.flatMap(([, subnet]) => ['www.example.com', type, `+subnet=${subnet}`]);
const expected = PLACES.map(([place, , region]) => `${place}: ${addressesOf(region).ipv4}`);
const found = (output: string): string[] =>
  output
    .trim()
    .split('\n')
    .map((line, index) => `${PLACES[index]?.[0]}: ${line}`);

test('dig gets the nearest region for visitors of each place', async (t) => {
  const { port } = await runDns(t, YAML, otherRegions());
  const output = await dig(port, ['+short', ...questions('A')]);
  if (output === undefined) {
    t.pass('asked', { skip: 'dig is not installed (dnsutils)' });
    return;
  }
  t.ok(PLACES.length >= 20);
  t.same(found(output), expected);
  const six = (await dig(port, ['+short', ...questions('AAAA')])) ?? '';
  t.same(
    found(six),
    PLACES.map(([place, , region]) => `${place}: ${addressesOf(region).ipv6}`),
  );
});

test('dig accepts each kind of answer', async (t) => {
  const { port } = await runDns(t, YAML, otherRegions());
  if ((await dig(port, ['+short', 'example.com', 'SOA'])) === undefined) {
    t.pass('asked', { skip: 'dig is not installed (dnsutils)' });
    return;
  }
  for (const { args, says } of [
    {
      args: ['example.com', 'SOA', '+short'],
      says: [/^ns1\.example\.com\. dns\\\.admin\.example\.com\. 7 14400 3600 1209600 60$/m],
    },
    { args: ['example.com', 'NS', '+short'], says: [/^ns1\.example\.com\.$/m, /^ns\.other\.example\.$/m] },
    {
      args: ['example.com', 'CAA', '+short'],
      says: [/^0 issue "ca\.example\.net"$/m, /^128 iodef "mailto:x@example\.com"$/m],
    },
    { args: ['example.com', 'MX', '+short'], says: [/^10 mail\.example\.com\.$/m, /^20 mail\.other\.example\.$/m] },
    { args: ['example.com', 'TXT', '+short'], says: [/^"v=spf1 -all"$/m, /^"two" "strings \\"here\\" A"$/m] },
    { args: ['_sip._udp.example.com', 'SRV', '+short'], says: [/^10 60 5060 mail\.example\.com\.$/m] },
    { args: ['_443._tcp.www.example.com', 'TLSA', '+short'], says: [/^3 1 1 0011223344556677/m] },
    { args: ['www.example.com', 'HTTPS', '+short'], says: [/^1 \.\s*$/m] },
    {
      args: ['alias.example.com', 'A'],
      says: [
        /^alias\.example\.com\.\s+3600\s+IN\s+CNAME\s+www\.example\.com\.$/m,
        /^www\.example\.com\.\s+30\s+IN\s+A\s+203\.0\.113\.\d+$/m,
      ],
    },
    {
      args: ['nope.example.com', 'A'],
      says: [/status: NXDOMAIN/, /flags: qr aa;/, /^example\.com\.\s+60\s+IN\s+SOA/m],
    },
    { args: ['mail.example.com', 'TXT'], says: [/status: NOERROR/, /ANSWER: 0, AUTHORITY: 1/] },
    { args: ['a.b.wild.example.com', 'TXT', '+short'], says: [/^"from the wildcard"$/m] },
    {
      args: ['x.child.example.com', 'A'],
      says: [
        /flags: qr;/,
        /AUTHORITY: 2, ADDITIONAL: 2/,
        /^ns\.child\.example\.com\.\s+3600\s+IN\s+A\s+192\.0\.2\.99$/m,
      ],
    },
    { args: ['example.org', 'A'], says: [/status: REFUSED/] },
    { args: ['version.bind', 'TXT', 'CH'], says: [/status: REFUSED/] },
    { args: ['example.com', 'AXFR'], says: [/Transfer failed/] },
    { args: ['example.com', 'ANY', '+notcp'], says: [/HINFO\s+"RFC8482" ""/] },
    { args: ['www.example.com', 'A', '+edns=1', '+noednsnegotiation'], says: [/status: BADVERS/] },
    { args: ['www.example.com', 'A', '+dnssec'], says: [/EDNS: version: 0, flags: do; udp: 1232/] },
    { args: ['www.example.com', 'A', '+noedns'], says: [/ADDITIONAL: 0/] },
    { args: ['www.example.com', 'A', '+subnet=0'], says: [/CLIENT-SUBNET: 0\.0\.0\.0\/0\/0/] },
    {
      args: ['www.example.com', 'A', '+subnet=141.30.0.0/24'],
      says: [/CLIENT-SUBNET: 141\.30\.0\.0\/24\/1\d/, /COOKIE: [0-9a-f]{48} \(good\)/],
    },
    { args: ['big.example.com', 'TXT', '+ignore'], says: [/flags: qr aa tc;/, /ANSWER: 0/] },
    { args: ['big.example.com', 'TXT'], says: [/Truncated, retrying in TCP/, /ANSWER: 30/] },
    { args: ['mail.example.com', 'A', '+opcode=notify'], says: [/status: NOTIMP/] },
    {
      args: ['mail.example.com', 'A', '+tcp', '+keepopen', 'mail.example.com', 'AAAA', '+tcp'],
      says: [/192\.0\.2\.25/, /2001:db8::25/],
    },
  ]) {
    const output = (await dig(port, args)) ?? '';
    for (const pattern of says) t.match(output, pattern, args.join(' '));
  }
});

test('a resolver in front gives each visitor the right answer, and caches it for the right ones', async (t) => {
  const { port, node } = await runDns(t, YAML, otherRegions());
  const unbound = await startUnbound(t, 'example.com', port, t.testdirName);
  const first = unbound && (await dig(unbound.port, ['+short', '+recurse', ...questions('A')]));
  if (unbound === undefined || first === undefined) {
    t.pass('asked', { skip: 'unbound or dig is not installed (unbound, dnsutils)' });
    return;
  }
  t.same(found(first), expected);

  const asked = async (): Promise<number> => {
    const metrics = await (await fetch(`http://${node.addresses.control}/metrics`)).text();
    return Number(/^seawall_dns_client_subnet_queries_total\S* (\d+)$/m.exec(metrics)?.[1]);
  };
  const before = await asked();
  t.ok(before >= PLACES.length, 'each network was told to us');
  t.same(found((await dig(unbound.port, ['+short', '+recurse', ...questions('A')])) ?? ''), expected, 'again');
  t.equal(await asked(), before, 'from what it has kept');
  // Of Dresden's network we said that the answer holds for a /17: its neighbours need not ask.
  const nearby = await dig(unbound.port, ['+short', '+recurse', 'www.example.com', 'A', '+subnet=141.30.77.0/24']);
  t.equal(nearby?.trim(), addressesOf('frankfurt').ipv4);
  t.equal(await asked(), before, 'the same network, by our scope');
  const mail = await dig(unbound.port, [
    '+short',
    '+recurse',
    ...['141.30.0.0/24', '130.54.0.0/24'].flatMap((subnet) => ['mail.example.com', 'A', `+subnet=${subnet}`]),
  ]);
  t.equal(mail, '192.0.2.25\n192.0.2.25\n');
  t.equal(await asked(), before + 1, 'what is not steered is kept for everybody');
  t.equal(REGIONS.length, 9);
});
