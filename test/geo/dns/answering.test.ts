/** Answers from a zone, from bytes to bytes; decoded by dns-packet. */
import type { Answer } from 'dns-packet';
import { test } from 'tap';
import { EVEN, ODD, queryFor, regionOf, regionYaml, scriptedSteering, serverFor } from './world.ts';

const AA = 0x400;
const TC = 0x200;
const data = (answers: readonly Answer[] | undefined): unknown[] =>
  (answers ?? []).filter(({ type }) => type !== 'OPT').map((answer) => ('data' in answer ? answer.data : undefined));
const typesOf = (answers: readonly Answer[] | undefined): string[] =>
  (answers ?? []).filter(({ type }) => type !== 'OPT').map(({ type, name }) => `${name} ${type}`);

test('each name is answered with its records', async (t) => {
  const server = serverFor(regionOf(t.testdir(), regionYaml()));
  for (const { what, name, type, rcode = 'NOERROR', answers = [], authorities = [], flags = AA } of [
    {
      what: 'steered',
      name: 'www.example.com',
      type: 'A',
      answers: ['www.example.com A', 'www.example.com A', 'www.example.com A'],
    },
    { what: 'steered by a site', name: 'shop.example.com', type: 'A', answers: Array(3).fill('shop.example.com A') },
    { what: 'steered at the apex', name: 'example.com', type: 'A', answers: Array(3).fill('example.com A') },
    {
      what: 'steered by a wildcard',
      name: 'a.b.shops.example.com',
      type: 'A',
      answers: Array(3).fill('a.b.shops.example.com A'),
    },
    {
      what: 'no IPv6 where the best region has none',
      name: 'www.example.com',
      type: 'AAAA',
      authorities: ['example.com SOA'],
    },
    { what: 'the SOA', name: 'example.com', type: 'SOA', answers: ['example.com SOA'] },
    { what: 'MX', name: 'example.com', type: 'MX', answers: ['example.com MX', 'example.com MX'] },
    { what: 'CAA', name: 'example.com', type: 'CAA', answers: ['example.com CAA', 'example.com CAA'] },
    {
      what: 'a record beside a steered one',
      name: 'www.example.com',
      type: 'TYPE65',
      answers: ['www.example.com UNKNOWN_65'],
    },
    { what: 'nothing of the type', name: 'mail.example.com', type: 'TXT', authorities: ['example.com SOA'] },
    { what: 'no such name', name: 'nope.example.com', type: 'A', rcode: 'NXDOMAIN', authorities: ['example.com SOA'] },
    { what: 'an empty non-terminal', name: 'the.tree.example.com', type: 'A', authorities: ['example.com SOA'] },
    {
      what: 'an empty non-terminal above a service',
      name: '_udp.example.com',
      type: 'A',
      authorities: ['example.com SOA'],
    },
    {
      what: 'below an existing leaf',
      name: 'x.mail.example.com',
      type: 'A',
      rcode: 'NXDOMAIN',
      authorities: ['example.com SOA'],
    },
    // RFC 4592, section 2.2.1 and 3.3.1.
    { what: 'a wildcard', name: 'a.wild.example.com', type: 'TXT', answers: ['a.wild.example.com TXT'] },
    {
      what: 'a wildcard stands for several labels',
      name: 'a.b.wild.example.com',
      type: 'TXT',
      answers: ['a.b.wild.example.com TXT'],
    },
    {
      what: 'a wildcard, nothing of the type',
      name: 'a.wild.example.com',
      type: 'A',
      authorities: ['example.com SOA'],
    },
    {
      what: 'a name beside the wildcard',
      name: 'there.wild.example.com',
      type: 'TXT',
      authorities: ['example.com SOA'],
    },
    {
      what: 'below a name beside the wildcard',
      name: 'x.there.wild.example.com',
      type: 'TXT',
      rcode: 'NXDOMAIN',
      authorities: ['example.com SOA'],
    },
    { what: 'the wildcard itself', name: '*.wild.example.com', type: 'TXT', answers: ['*.wild.example.com TXT'] },
    { what: 'above the wildcard', name: 'wild.example.com', type: 'TXT', authorities: ['example.com SOA'] },
    // Aliases.
    {
      what: 'an alias of a steered name',
      name: 'alias.example.com',
      type: 'A',
      answers: ['alias.example.com CNAME', ...Array(3).fill('www.example.com A')],
    },
    { what: 'the alias itself', name: 'alias.example.com', type: 'CNAME', answers: ['alias.example.com CNAME'] },
    { what: 'an alias of another zone', name: 'far.example.com', type: 'A', answers: ['far.example.com CNAME'] },
    {
      what: 'an alias of no name',
      name: 'lost.example.com',
      type: 'A',
      rcode: 'NXDOMAIN',
      answers: ['lost.example.com CNAME'],
      authorities: ['example.com SOA'],
    },
    // Other name servers.
    {
      what: 'a delegation',
      name: 'x.child.example.com',
      type: 'A',
      flags: 0,
      authorities: ['child.example.com NS', 'child.example.com NS'],
    },
    {
      what: 'the delegated name',
      name: 'child.example.com',
      type: 'NS',
      flags: 0,
      authorities: ['child.example.com NS', 'child.example.com NS'],
    },
    { what: 'DS of the delegated name', name: 'child.example.com', type: 'DS', authorities: ['example.com SOA'] },
    // Not ours.
    { what: 'another zone', name: 'example.org', type: 'A', rcode: 'REFUSED', flags: 0 },
    { what: 'above the zone', name: 'com', type: 'NS', rcode: 'REFUSED', flags: 0 },
    { what: 'the root', name: '.', type: 'NS', rcode: 'REFUSED', flags: 0 },
    { what: 'a name that only ends like the zone', name: 'badexample.com', type: 'A', rcode: 'REFUSED', flags: 0 },
    { what: 'a transfer', name: 'example.com', type: 'AXFR', rcode: 'REFUSED', flags: 0 },
    { what: 'a transfer of changes', name: 'example.com', type: 'IXFR', rcode: 'REFUSED', flags: 0 },
  ]) {
    const answer = server.ask(name, type.replace('TYPE65', 'UNKNOWN_65'), { from: '192.0.2.1' });
    t.match(
      { rcode: answer.rcode, flags: answer.flags & (AA | TC), ra: answer.flags & 0x80 },
      { rcode, flags, ra: 0 },
      what,
    );
    t.same(typesOf(answer.answers), answers, `${what}: answers`);
    t.same(typesOf(answer.authorities), authorities, `${what}: authorities`);
  }
  const round = server.ask('round.example.com', 'A');
  t.equal(round.answers?.length, 9, 'aliases in a circle come to an end');
});

test('values are those of the config', async (t) => {
  const server = serverFor(regionOf(t.testdir(), regionYaml()));
  t.same(data(server.ask('example.com', 'MX').answers), [
    { preference: 10, exchange: 'mail.example.com' },
    { preference: 20, exchange: 'mail.other.example' },
  ]);
  t.same(
    data(server.ask('example.com', 'TXT').answers).map((text) => String(text)),
    ['v=spf1 -all', 'two,strings "here" A'],
  );
  t.match(data(server.ask('example.com', 'CAA').answers), [
    { flags: 0, tag: 'issue', value: 'ca.example.net' },
    { flags: 128, tag: 'iodef', value: 'mailto:x@example.com' },
  ]);
  t.match(data(server.ask('example.com', 'SOA').answers), [
    { mname: 'ns1.example.com', rname: 'dns\\.admin.example.com', serial: 7, refresh: 14_400, minimum: 60 },
  ]);
  const ns = server.ask('example.com', 'NS');
  t.same(data(ns.answers), ['ns1.example.com', 'ns.other.example']);
  t.same(data(ns.additionals), ['192.0.2.53', '2001:db8::53'], 'with the addresses that are known here');
  t.same(data(server.ask('ns1.example.com', 'A').answers), ['192.0.2.53']);
  t.match(data(server.ask('_sip._udp.example.com', 'SRV').answers), [
    { priority: 10, weight: 60, port: 5060, target: 'mail.example.com' },
  ]);
  const referral = server.ask('x.child.example.com', 'A');
  t.same(data(referral.authorities), ['ns.child.example.com', 'ns.other.example']);
  t.same(data(referral.additionals), ['192.0.2.99'], 'glue');
  t.match(server.ask('mail.example.com', 'A').answers, [{ ttl: 300 }]);
  // RFC 2308, section 5: the smaller of the TTL and the minimum.
  t.match(server.ask('nope.example.com', 'A').authorities, [{ type: 'SOA', ttl: 60 }]);
  t.same(data(server.ask('www.example.com', 'ANY').answers), [{ cpu: 'RFC8482', os: '' }]);
});

test('the question is returned as it was written', async (t) => {
  const server = serverFor(regionOf(t.testdir(), regionYaml()));
  const query = queryFor('wWw.ExAmPlE.cOm', 'A');
  const answer = server.raw(query) as Buffer;
  t.same(answer.subarray(12, query.length), query.subarray(12));
  t.same(answer.subarray(0, 2), query.subarray(0, 2), 'and the id');
  t.equal(answer.readUInt16BE(query.length), 0xc00c, 'names are pointers to it');
});

test('addresses rotate, within the configured number', async (t) => {
  const server = serverFor(regionOf(t.testdir(), regionYaml({ more: '  max_addresses: 2' })));
  const first = Array.from({ length: 6 }, () =>
    data(server.ask('www.example.com', 'A', { from: '192.0.2.1' }).answers),
  );
  t.same(first[0], ['203.0.113.2', '203.0.113.4']);
  t.same(new Set(first.map(([address]) => address)), new Set(EVEN.ipv4));
  t.ok(first.every((addresses) => addresses.length === 2));
});

test('visitors are sent to the nearest region', async (t) => {
  const region = regionOf(t.testdir(), regionYaml());
  t.test('the address of the resolver decides, or the client subnet that it sends', async (t) => {
    const server = serverFor(region);
    const subnet = { code: 'CLIENT_SUBNET', ip: '11.0.0.0', sourcePrefixLength: 24 };
    t.same(new Set(data(server.ask('www.example.com', 'A', { from: '11.0.0.1' }).answers)), new Set(ODD.ipv4));
    t.same(
      new Set(data(server.ask('www.example.com', 'A', { from: '10.0.0.1', edns: [subnet] }).answers)),
      new Set(ODD.ipv4),
    );
    t.same(data(server.ask('www.example.com', 'AAAA', { from: '11.0.0.1' }).answers), ODD.ipv6);
    t.match(server.counts, { subnets: 1, regions: new Map([['odd', 3]]) });
  });
  t.test('without a healthy region the default one is answered, and counted', async (t) => {
    const server = serverFor(
      region,
      scriptedSteering(() => ({ reason: 'none-healthy' })),
    );
    t.same(new Set(data(server.ask('www.example.com', 'A', { from: '11.0.0.1' }).answers)), new Set(EVEN.ipv4));
    t.equal(server.counts.lastResort, 1);
  });
  t.test('without any region the answer is empty and not cached', async (t) => {
    const server = serverFor(
      region,
      scriptedSteering(() => ({ regions: [], chosen: undefined, reason: 'no-region' })),
    );
    const answer = server.ask('www.example.com', 'A');
    t.match({ rcode: answer.rcode, authorities: answer.authorities }, { rcode: 'SERVFAIL', authorities: [] });
  });
  t.test('IPv4 comes from the next region where the best one has none', async (t) => {
    const server = serverFor(
      region,
      scriptedSteering(() => ({ regions: [{ ...ODD, ipv4: [] }, EVEN] })),
    );
    t.same(new Set(data(server.ask('www.example.com', 'A').answers)), new Set(EVEN.ipv4));
    t.same(data(server.ask('www.example.com', 'AAAA').answers), ODD.ipv6);
  });
});
