/**
 * Protocol around an answer: malformed queries, EDNS, client subnets, sizes, cookies, limits. Bytes are built by hand
 * where dns-packet would not.
 */
import { decode } from 'dns-packet';
import { type Test, test } from 'tap';
import { queryFor, regionOf, regionYaml, type Server, scriptedSteering, serverFor } from './world.ts';

const RCODES = { NOERROR: 0, FORMERR: 1, NOTIMP: 4, REFUSED: 5, BADVERS: 16, BADCOOKIE: 23 } as const;

const QUESTION = Buffer.from('\x03www\x07example\x03com\x00\x00\x01\x00\x01', 'latin1');
const word = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const header = ({
  id = 7,
  flags = 0,
  counts = [1, 0, 0, 0],
}: {
  id?: number;
  flags?: number;
  counts?: readonly number[];
} = {}): Buffer => Buffer.concat([word(id), word(flags), ...counts.map(word)]);
const opt = (options: Buffer = Buffer.alloc(0), { version = 0, size = 1_232, flags = 0 } = {}): Buffer =>
  Buffer.concat([
    Buffer.from([0]),
    word(41),
    word(size),
    Buffer.from([0, version]),
    word(flags),
    word(options.length),
    options,
  ]);
const option = (code: number, data: Buffer): Buffer => Buffer.concat([word(code), word(data.length), data]);
const subnet = (hex: string): Buffer => option(8, Buffer.from(hex, 'hex'));
const cookie = (hex: string): Buffer => option(10, Buffer.from(hex, 'hex'));
const withOpt = (options: Buffer, rest?: Parameters<typeof opt>[1], question = QUESTION): Buffer =>
  Buffer.concat([header({ counts: [1, 0, 0, 1] }), question, opt(options, rest)]);

interface Read {
  readonly rcode: number;
  readonly flags: number;
  readonly counts: readonly number[];
  readonly options: ReadonlyMap<number, string>;
}

/** Reads what matters here, and holds the whole against dns-packet. */
function read(answer: Buffer | undefined): Read {
  if (answer === undefined) throw new Error('no answer');
  const { additionals = [] } = decode(answer);
  const found = additionals.find(({ type }) => type === 'OPT') as
    | { extendedRcode: number; options: readonly { code: number; data: Buffer }[] }
    | undefined;
  const flags = answer.readUInt16BE(2);
  return {
    rcode: (flags & 15) + (found?.extendedRcode ?? 0) * 16,
    flags,
    counts: [4, 6, 8, 10].map((at) => answer.readUInt16BE(at)),
    options: new Map(found?.options.map(({ code, data }) => [code, data.toString('hex')])),
  };
}

const serve = (t: Test, more = ''): Server => serverFor(regionOf(t.testdir(), regionYaml({ more })));

test('these messages are not answered', async (t) => {
  const server = serve(t);
  for (const [what, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['less than a header', header().subarray(0, 11)],
    ['an answer', Buffer.concat([header({ flags: 0x8000 }), QUESTION])],
    ['an answer that is malformed', header({ flags: 0x8180, counts: [9, 9, 9, 9] })],
  ] as const) {
    t.equal(server.raw(bytes), undefined, what);
  }
  t.equal(server.raw(queryFor('www.example.com', 'A'), 'not an address'), undefined, 'nobody');
});

test('malformed messages get FORMERR, unknown operations NOTIMP', async (t) => {
  const server = serve(t);
  const root = Buffer.from([0, 0, 1, 0, 1]);
  for (const [what, bytes, rcode, counts] of [
    ['no question', header({ counts: [0, 0, 0, 0] }), 'FORMERR', [0, 0, 0, 0]],
    ['two questions', Buffer.concat([header({ counts: [2, 0, 0, 0] }), QUESTION, QUESTION]), 'FORMERR', [0, 0, 0, 0]],
    ['a question that is cut off', Buffer.concat([header(), QUESTION.subarray(0, 20)]), 'FORMERR', [0, 0, 0, 0]],
    [
      'a name that points to itself',
      Buffer.concat([header(), Buffer.from([0xc0, 12, 0, 1, 0, 1])]),
      'FORMERR',
      [0, 0, 0, 0],
    ],
    [
      'a label of a kind that is not used',
      Buffer.concat([header(), Buffer.from([0x41, 97, 0, 0, 1, 0, 1])]),
      'FORMERR',
      [0, 0, 0, 0],
    ],
    ['a name of 256 bytes', Buffer.concat([header(), Buffer.alloc(256, '\x01a'), root]), 'FORMERR', [0, 0, 0, 0]],
    ['a name of 255 bytes', Buffer.concat([header(), Buffer.alloc(254, '\x01a'), root]), 'REFUSED', [1, 0, 0, 0]],
    ['bytes behind the question', Buffer.concat([header(), QUESTION, Buffer.from([0])]), 'FORMERR', [1, 0, 0, 0]],
    [
      'an answer in a query',
      Buffer.concat([header({ counts: [1, 1, 0, 0] }), QUESTION, opt()]),
      'FORMERR',
      [1, 0, 0, 0],
    ],
    [
      'OPT in the authority section',
      Buffer.concat([header({ counts: [1, 0, 1, 0] }), QUESTION, opt()]),
      'FORMERR',
      [1, 0, 0, 0],
    ],
    ['two OPTs', Buffer.concat([header({ counts: [1, 0, 0, 2] }), QUESTION, opt(), opt()]), 'FORMERR', [1, 0, 0, 0]],
    ['an OPT that is not there', Buffer.concat([header({ counts: [1, 0, 0, 1] }), QUESTION]), 'FORMERR', [1, 0, 0, 0]],
    ['an OPT that is cut off', withOpt(cookie('0011223344556677')).subarray(0, -1), 'FORMERR', [1, 0, 0, 0]],
    [
      '65,535 records that are not there',
      Buffer.concat([header({ counts: [1, 0, 0, 65_535] }), QUESTION]),
      'FORMERR',
      [1, 0, 0, 0],
    ],
    [
      'an OPT of a name',
      Buffer.concat([header({ counts: [1, 0, 0, 1] }), QUESTION, Buffer.from('\x01a'), opt()]),
      'FORMERR',
      [1, 0, 0, 0],
    ],
    ['the type OPT', Buffer.concat([header(), QUESTION.subarray(0, -4), word(41), word(1)]), 'FORMERR', [1, 0, 0, 0]],
    ['IQUERY', Buffer.concat([header({ flags: 1 << 11 }), QUESTION]), 'NOTIMP', [0, 0, 0, 0]],
    ['NOTIFY', Buffer.concat([header({ flags: 4 << 11 }), QUESTION]), 'NOTIMP', [0, 0, 0, 0]],
    ['UPDATE', header({ flags: 5 << 11, counts: [1, 2, 3, 4] }), 'NOTIMP', [0, 0, 0, 0]],
    ['another class', Buffer.concat([header(), QUESTION.subarray(0, -2), word(3)]), 'REFUSED', [1, 0, 0, 0]],
    ['any class', Buffer.concat([header(), QUESTION.subarray(0, -2), word(255)]), 'REFUSED', [1, 0, 0, 0]],
    [
      'version.bind',
      Buffer.concat([header(), Buffer.from('\x07version\x04bind\x00\x00\x10\x00\x03', 'latin1')]),
      'REFUSED',
      [1, 0, 0, 0],
    ],
  ] as const) {
    const answer = read(server.raw(bytes));
    t.equal(answer.rcode, RCODES[rcode], `${what}: ${rcode}`);
    t.same(answer.counts.slice(0, 3), counts.slice(0, 3), `${what}: sections`);
    t.equal(answer.flags & 0x8480, 0x8000, `${what}: an answer, neither authoritative nor recursive`);
  }
  t.equal(
    read(server.raw(Buffer.concat([header({ flags: 0x0100 }), QUESTION]))).flags & 0x01f0,
    0x0100,
    'RD comes back; RA, Z, AD, CD do not',
  );
});

test('EDNS (RFC 6891) is answered', async (t) => {
  const server = serve(t);
  const plain = read(server.raw(Buffer.concat([header(), QUESTION])));
  t.equal(plain.counts[3], 0, 'none without it');
  t.same(read(server.raw(withOpt(Buffer.alloc(0)))).counts, [1, 3, 0, 1]);
  const future = read(server.raw(withOpt(subnet('ffff'), { version: 1 })));
  t.match({ rcode: future.rcode, answers: future.counts[1] }, { rcode: RCODES.BADVERS, answers: 0 });
  const answer = server.raw(withOpt(option(4_242, Buffer.from('unknown')), { flags: 0x8000 })) as Buffer;
  t.equal(
    answer.subarray(-11).toString('hex'),
    '00002904d0000080000000',
    'version 0, our size, DO as it came, no options',
  );
  t.equal(read(answer).rcode, 0);
});

test('EDNS Client Subnet (RFC 7871) is answered with its scope', async (t) => {
  const server = serve(t);
  for (const [what, hex, scope] of [
    ['IPv4 /24', '000118000b0000', '0001 18 10 0b0000'],
    ['IPv4 /8: the answer is good for less', '000108000b', '0001 08 10 0b'],
    ['IPv4 /32', '000120000b000001', '0001 20 10 0b000001'],
    ['IPv4 /20', '000114000b00f0', '0001 14 10 0b00f0'],
    ['IPv6 /56', '0002380020010db8000000', '0002 38 10 20010db8000000'],
    ['nothing, IPv4', '00010000', '0001 00 00'],
    ['nothing, IPv6', '00020000', '0002 00 00'],
    ['nothing at all', '00000000', '0000 00 00'],
  ] as const) {
    const answer = read(server.raw(withOpt(subnet(hex))));
    t.match(
      { rcode: answer.rcode, option: answer.options.get(8) },
      { rcode: 0, option: scope.replaceAll(' ', '') },
      what,
    );
  }
  for (const [what, hex] of [
    ['no address', '00011800'],
    ['too few bytes', '000118000b00'],
    ['too many bytes', '000118000b000000'],
    ['bits behind the prefix', '000114000b00f8'],
    ['a longer prefix than there is', '000121000b00000000'],
    ['the same for IPv6', `00028100${'20'.repeat(17)}`],
    ['a scope in a query', '000118180b0000'],
    ['another family', '000318000b0000'],
    ['a prefix of no family', '00000800 0b'.replace(' ', '')],
    ['half of it', '0001'],
  ] as const) {
    const answer = read(server.raw(withOpt(subnet(hex))));
    t.match(
      { rcode: answer.rcode, answers: answer.counts[1], has: answer.options.has(8) },
      { rcode: 1, answers: 0, has: false },
      what,
    );
  }
  t.equal(read(server.raw(withOpt(Buffer.concat([subnet('00010000'), subnet('00010000')])))).rcode, 1, 'twice');
  const mail = Buffer.from('\x04mail\x07example\x03com\x00\x00\x01\x00\x01', 'latin1');
  t.equal(
    read(server.raw(withOpt(subnet('000118000b0000'), {}, mail))).options.get(8),
    '000118000b0000',
    'scope 0 where nothing is steered',
  );
  const missing = Buffer.from('\x04nope\x07example\x03com\x00\x00\x01\x00\x01', 'latin1');
  t.equal(
    read(server.raw(withOpt(subnet('000118000b0000'), {}, missing))).options.get(8),
    '000118000b0000',
    'and where nothing is',
  );

  const fine = serverFor(
    regionOf(t.testdir(), regionYaml()),
    scriptedSteering(() => ({ prefix: 29 })),
  );
  t.equal(
    read(fine.raw(withOpt(subnet('000118000b0000')))).options.get(8),
    '000118180b0000',
    'never longer than the config says',
  );
  const off = serve(t, '  client_subnet: { enabled: false }');
  const ignored = read(off.raw(withOpt(subnet('000118000b0000'))));
  t.match({ rcode: ignored.rcode, has: ignored.options.has(8) }, { rcode: 0, has: false }, 'switched off');
});

test('answers are cut to the sizes that clients accept', async (t) => {
  const server = serve(t, '  udp: { max_answer: 1232B, max_unverified: 900B }');
  const big = Buffer.from('\x03big\x07example\x03com\x00\x00\x10\x00\x01', 'latin1');
  const TC = 0x200;
  const whole = server.raw(Buffer.concat([header(), big]), '192.0.2.1', 'tcp') as Buffer;
  t.ok(whole.length > 2_500, 'TCP: all of it');
  t.equal(read(whole).counts[1], 30);
  for (const size of [0, 512, 1_232, 65_535]) {
    const answer = server.raw(withOpt(Buffer.alloc(0), { size }, big)) as Buffer;
    t.match(
      { tc: read(answer).flags & TC, counts: read(answer).counts },
      { tc: TC, counts: [1, 0, 0, 1] },
      `UDP ${size}: nothing, and TC`,
    );
  }
  // 19 strings of some 60 bytes: more than 512 and 900, less than 1232.
  const zone = `
    - name: example.com
      nameservers: [{ name: ns.other.example }]
      records: [{ name: mid, type: TXT, values: [${Array.from({ length: 14 }, (_, i) => `'${i} ${'x'.repeat(50)}'`).join(', ')}] }]`;
  const mid = Buffer.from('\x03mid\x07example\x03com\x00\x00\x10\x00\x01', 'latin1');
  const other = serverFor(regionOf(t.testdir(), regionYaml({ zone, more: '  udp: { max_unverified: 512B }' })));
  const ask = (options: Buffer, size: number): Buffer => other.raw(withOpt(options, { size }, mid)) as Buffer;
  t.equal(read(ask(Buffer.alloc(0), 1_232)).flags & TC, TC, 'who has not proved its address gets 512 bytes');
  const first = ask(cookie('0011223344556677'), 1_232);
  t.equal(read(first).flags & TC, TC);
  const second = ask(cookie(read(first).options.get(10) ?? ''), 1_232);
  t.match(
    { tc: read(second).flags & TC, answers: read(second).counts[1] },
    { tc: 0, answers: 14 },
    'with our cookie more',
  );
  t.ok(second.length > 900 && second.length <= 1_232);
  t.equal(read(ask(cookie(read(first).options.get(10) ?? ''), 700)).flags & TC, TC, 'never more than the client takes');
  t.equal(other.counts.truncated.size, 3);
});

test('cookies (RFC 7873) are checked', async (t) => {
  const server = serve(t);
  const first = read(server.raw(withOpt(cookie('0011223344556677'))));
  const given = first.options.get(10) ?? '';
  t.match(given, /^001122334455667701000000[0-9a-f]{24}$/, 'version 1, as RFC 9018 has it');
  t.equal(read(server.raw(withOpt(cookie(given)))).options.get(10), given, 'a good one comes back');
  t.not(read(server.raw(withOpt(cookie(given)), '192.0.2.2')).options.get(10), given, 'of another address it is not');
  t.match(server.counts.cookies, { valid: 1, new: 2, bad: 0 });
  for (const length of [0, 7, 9, 15, 41]) {
    t.equal(read(server.raw(withOpt(cookie('00'.repeat(length))))).rcode, 1, `${length} bytes are malformed`);
  }
  const bare = Buffer.concat([header({ counts: [0, 0, 0, 1] }), opt(cookie('0011223344556677'))]);
  const only = read(server.raw(bare));
  t.match(
    { rcode: only.rcode, counts: only.counts },
    { rcode: 0, counts: [0, 0, 0, 1] },
    'no question, only a cookie (section 5.4)',
  );
  t.match(only.options.get(10), /^0011223344556677/);
  const off = read(serve(t, '  cookies: { enabled: false }').raw(withOpt(cookie('0011223344556677'))));
  t.match({ rcode: off.rcode, has: off.options.has(10) }, { rcode: 0, has: false });
});

test('keep-alive is offered over TCP only (RFC 7828)', async (t) => {
  const server = serve(t, '  tcp: { idle_timeout: 5s }');
  const query = withOpt(option(11, Buffer.alloc(0)));
  t.equal(read(server.raw(query, '192.0.2.1', 'tcp')).options.get(11), '0032');
  t.equal(read(server.raw(query)).options.has(11), false);
  t.equal(read(server.raw(withOpt(option(11, word(9))), '192.0.2.1', 'tcp')).rcode, 1);
});

test('rate-limited clients get fewer answers', async (t) => {
  const more = (slip: number) =>
    `  rate_limit: { answers: 5, errors: 3, total: 100, slip: ${slip}, exempt: [198.51.100.0/24, '2001:db8:1::/48'] }`;
  const query = Buffer.concat([header(), QUESTION]);
  const count = (server: Server, bytes: Buffer, from: string, nowMs = 1e12, transport: 'udp' | 'tcp' = 'udp') => {
    const answers = Array.from({ length: 20 }, () => server.raw(bytes, from, transport, nowMs));
    const given = answers.filter((answer) => answer !== undefined).map(read);
    return { whole: given.filter(({ counts }) => (counts[1] ?? 0) > 0).length, all: given.length };
  };
  const server = serve(t, more(0));
  t.same(count(server, query, '192.0.2.1'), { whole: 5, all: 5 });
  t.same(count(server, query, '192.0.2.99'), { whole: 0, all: 0 }, 'the network counts, not the address');
  t.same(count(server, query, '192.0.3.1'), { whole: 5, all: 5 }, 'another network is not concerned');
  t.same(count(server, query, '2001:db8:2::1'), { whole: 5, all: 5 });
  t.same(count(server, query, '2001:db8:2:0:1::1'), { whole: 0, all: 0 }, 'a /56');
  t.same(count(server, query, '::ffff:192.0.2.1'), { whole: 0, all: 0 }, 'mapped is the same');
  t.same(count(server, query, '192.0.2.1', 1e12 + 1_000), { whole: 5, all: 5 }, 'a second later');
  t.same(count(server, queryFor('nope.example.com', 'A'), '192.0.2.1', 1e12), { whole: 0, all: 3 }, 'errors of a zone');
  t.same(
    count(server, queryFor('nada.example.com', 'A'), '192.0.2.1', 1e12),
    { whole: 0, all: 0 },
    'whatever the name',
  );
  t.same(count(server, query, '192.0.2.1', 1e12, 'tcp'), { whole: 20, all: 20 }, 'not over TCP');
  t.same(count(server, query, '198.51.100.7'), { whole: 20, all: 20 }, 'not who is exempt');
  t.same(count(server, query, '2001:db8:1:ff::1'), { whole: 20, all: 20 });

  const slipping = serve(t, more(3));
  t.same(count(slipping, query, '192.0.2.1'), { whole: 5, all: 10 }, 'every third is told to use TCP');
  t.equal(slipping.counts.truncated.limit, 5);
  const asked = withOpt(cookie('0011223344556677'));
  const answers = Array.from({ length: 3 }, () => slipping.raw(asked, '192.0.2.1')).flatMap((answer) =>
    answer ? [read(answer)] : [],
  );
  t.match(
    answers.map(({ rcode }) => rcode),
    [RCODES.BADCOOKIE],
    'or to come back with the cookie',
  );
  const again = withOpt(cookie(answers[0]?.options.get(10) ?? ''));
  t.same(count(slipping, again, '192.0.2.1'), { whole: 20, all: 20 }, 'who does is not limited');
});
