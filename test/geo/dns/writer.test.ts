/** Answers as they are written: within their bound, and read by another implementation as what was put in. */
import { decode } from 'dns-packet';
import fc from 'fast-check';
import { test } from 'tap';
import { readQuery } from '../../../geo/dns/query.ts';
import { AnswerWriter, type EdnsAnswer, ednsBytes, pointerTo } from '../../../geo/dns/writer.ts';
import { parseName } from '../../../lib/dns/name.ts';
import { TYPE } from '../../../lib/dns/numbers.ts';
import { recordType } from '../../../lib/dns/record-data.ts';
import { queryFor } from './world.ts';

const APEX = parseName('example.com.') ?? '';

const options = fc.record({
  subnet: fc.option(
    fc
      .uint8Array({ minLength: 0, maxLength: 4 })
      .map((bytes) => ({ family: 1, sourcePrefix: bytes.length * 8, bytes: Buffer.from(bytes) })),
    { nil: undefined },
  ),
  scopePrefix: fc.integer({ min: 0, max: 32 }),
  cookieBytes: fc.constantFrom(0, 24),
  writeCookie: fc.constant((out: Buffer, at: number) => void out.fill(7, at, at + 24)),
  keepAliveMs: fc.option(fc.nat({ max: 1e9 }), { nil: undefined }),
}) as fc.Arbitrary<EdnsAnswer>;

const record = fc.record({
  owner: fc.constantFrom('question', 'www.example.com.', 'other.example.net.', '.'),
  type: fc.constantFrom('A', 'TXT', 'CNAME', 'MX', 'SRV'),
  text: fc.integer({ min: 0, max: 250 }).map((length) => 'x'.repeat(length)),
  target: fc.constantFrom('a', 'a.b', '@', 'other.example.net.', 'www'),
});

test('records come back as they were written, as many as fit, and never more bytes than the bound', async (t) => {
  const writer = new AnswerWriter();
  let full = 0;
  fc.assert(
    fc.property(
      fc.constantFrom('example.com', 'www.example.com', `${'x'.repeat(63)}.${'y'.repeat(63)}.example.com`),
      fc.array(record, { maxLength: 20 }),
      fc.integer({ min: 512, max: 1_400 }),
      options,
      (name, records, maxBytes, edns) => {
        const query = readQuery(queryFor(name, 'A'));
        if (query === undefined) throw new Error('no query');
        writer.begin(query, maxBytes, ednsBytes(edns));
        const anchor = { apex: APEX, nameBytes: query.nameBytes };
        const written: { type: string; name: string; data: unknown }[] = [];
        for (const { owner, type, text, target } of records) {
          const value =
            { A: '192.0.2.1', TXT: text || '""', CNAME: target, MX: `10 ${target}`, SRV: `1 2 3 ${target}` }[type] ??
            '';
          const data = recordType(type)?.parse(value, APEX) ?? [];
          const from = owner === 'question' ? pointerTo(query.nameBytes, query.nameBytes) : (parseName(owner) ?? '');
          const room = maxBytes - ednsBytes(edns) - writer.offset;
          if (!writer.record(from, TYPE[type as 'A'], 60, data, anchor)) {
            t.ok(room < 600, `a record that has ${room} bytes is written`);
            full += 1;
            continue;
          }
          writer.count('answers', 1);
          const full_ =
            target === '@' ? 'example.com' : target.endsWith('.') ? target.slice(0, -1) : `${target}.example.com`;
          written.push({
            type,
            name: owner === 'question' ? name : owner.replace(/(?<=.)\.$/, ''),
            data: {
              A: '192.0.2.1',
              TXT: [Buffer.from(text)],
              CNAME: full_,
              MX: { preference: 10, exchange: full_ },
              SRV: { priority: 1, weight: 2, port: 3, target: full_ },
            }[type],
          });
        }
        writer.edns(1_232, 0, true, edns);
        const bytes = writer.end(0x8400, 1);
        t.ok(bytes.length <= maxBytes, `${bytes.length} of ${maxBytes}`);
        const { answers = [], additionals = [], questions = [] } = decode(bytes);
        t.match(questions, [{ name, type: 'A' }]);
        t.match(answers, written);
        t.equal(answers.length, written.length);
        t.equal(additionals.length, 1);
      },
    ),
    { numRuns: 600 },
  );
  t.ok(full > 20, `${full} records did not fit`);
});

test('EDNS options take the bytes that were kept for them', async (t) => {
  const writer = new AnswerWriter();
  const query = readQuery(queryFor('www.example.com', 'A'));
  if (query === undefined) throw new Error('no query');
  fc.assert(
    fc.property(options, (edns) => {
      writer.begin(query, 512, 0);
      const before = writer.offset;
      writer.edns(1_232, 1, false, edns);
      t.equal(writer.offset - before, ednsBytes(edns));
      const [opt] = decode(writer.end(0, 1)).additionals ?? [];
      t.match(opt, { extendedRcode: 1, udpPayloadSize: 1_232, flag_do: false });
    }),
    { numRuns: 200 },
  );
});

test('a set is written whole or not at all', async (t) => {
  const writer = new AnswerWriter();
  const query = readQuery(queryFor('www.example.com', 'TXT'));
  if (query === undefined) throw new Error('no query');
  const anchor = { apex: APEX, nameBytes: query.nameBytes };
  const data = Array.from({ length: 5 }, () => recordType('TXT')?.parse('x'.repeat(200), APEX) ?? []);
  writer.begin(query, 1_000, 0);
  const owner = pointerTo(query.nameBytes, query.nameBytes);
  const before = writer.offset;
  t.equal(writer.set(owner, { type: TYPE.TXT, ttlSeconds: 60, data }, undefined, anchor), -1);
  t.equal(writer.offset, before);
  t.equal(writer.set(owner, { type: TYPE.TXT, ttlSeconds: 60, data: data.slice(0, 4) }, 5, anchor), 4);
  writer.count('answers', 4);
  t.equal(decode(writer.end(0, 1)).answers?.length, 4);
  writer.rewind(query.questionEnd);
  t.same(decode(writer.end(0, 1)).answers, [], 'nothing is left behind the question');
});
