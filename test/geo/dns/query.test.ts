/**
 * 200,000 hostile packets: neither a crash nor a hang, and no answer larger
 * than the limit of its transport.
 */
import { createSocket } from 'node:dgram';
import { decode } from 'dns-packet';
import fc from 'fast-check';
import { test } from 'tap';
import { readQuery } from '../../../geo/dns/query.ts';
import { formatName, parseName } from '../../../lib/dns/name.ts';
import { fuzzer } from '../../support/fuzz.ts';
import { askUdp, runDns } from './server.ts';
import { queryFor, regionOf, regionYaml, type Server, serverFor } from './world.ts';

const fuzz = fuzzer(import.meta.filename);

const MUTATED = 150_000;
const MADE_UP = 30_000;
const OVER_SOCKETS = 20_000;
/** Maximum time of one query: it blocks all others. */
const MAX_MS = 100;

const NAMES = [
  'www.example.com',
  'example.com',
  'big.example.com',
  'alias.example.com',
  'x.child.example.com',
  'nope.example.com',
  'a.b.wild.example.com',
  'round.example.com',
  'example.org',
  '.',
];
const TYPES = ['A', 'AAAA', 'NS', 'SOA', 'TXT', 'MX', 'CAA', 'ANY', 'CNAME', 'AXFR', 'DS', 'UNKNOWN_65'];
const OPTIONS: readonly (readonly object[] | undefined)[] = [
  undefined,
  [],
  [{ code: 'CLIENT_SUBNET', ip: '141.30.0.0', sourcePrefixLength: 24 }],
  [{ code: 'CLIENT_SUBNET', ip: '2001:db8::', sourcePrefixLength: 56 }],
  [{ code: 10, data: Buffer.from('0011223344556677', 'hex') }],
  [
    { code: 10, data: Buffer.alloc(24, 1) },
    { code: 'CLIENT_SUBNET', ip: '1.2.3.4', sourcePrefixLength: 32 },
  ],
  [{ code: 11, data: Buffer.alloc(0) }],
  [{ code: 12, data: Buffer.alloc(300) }],
];
const CORPUS = NAMES.flatMap((name) =>
  TYPES.flatMap((type) =>
    OPTIONS.map((edns) => queryFor(name, type, edns === undefined ? {} : { edns, udpBytes: 4_096 })),
  ),
);

/** A generator that gives the same numbers again (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** One to four changes: bytes, bits, cuts, repetitions, counts, lengths, pointers. */
function mutate(original: Buffer, next: (below: number) => number): Buffer {
  let bytes = Buffer.from(original);
  for (let changes = 1 + next(4); changes > 0; changes -= 1) {
    const at = next(bytes.length || 1);
    switch (next(8)) {
      case 0:
        bytes[at] = next(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(next(bytes.length || 1))]);
        break;
      case 4:
        bytes = Buffer.concat([bytes, CORPUS[next(CORPUS.length)] ?? Buffer.alloc(0)]).subarray(0, 4_096);
        break;
      case 5:
        if (bytes.length >= 12) bytes.writeUInt16BE([0, 1, 2, 255, 65_535][next(5)] ?? 0, 4 + 2 * next(4));
        break;
      case 6:
        bytes[at] = [0, 0x3f, 0x40, 0x80, 0xc0, 0xff][next(6)] ?? 0;
        break;
      default:
        if (bytes.length > 22)
          bytes.writeUInt16BE([0, 1, 8, 41, 252, 255, 4_095, 65_535][next(8)] ?? 0, bytes.length - 2 - next(20));
    }
  }
  // Most of them as queries: the others end at the first look.
  if (bytes.length > 2 && next(8) > 0) bytes[2] = (bytes[2] as number) & 0x01;
  return bytes;
}

/** @returns What is wrong with an answer; `undefined` when nothing is. */
function fault(query: Buffer, answer: Buffer | undefined, limit: number): string | undefined {
  if (answer === undefined) {
    const isQuery = query.length >= 12 && ((query[2] as number) & 0x80) === 0;
    return isQuery ? 'no answer' : undefined;
  }
  if (answer.length > limit) return `${answer.length} bytes`;
  if (!answer.subarray(0, 2).equals(query.subarray(0, 2))) return 'another id';
  if (((answer[2] as number) & 0x80) === 0) return 'a query';
  if (((answer[3] as number) & 0x80) !== 0) return 'recursion is offered';
  try {
    decode(answer);
  } catch (error) {
    // dns-packet reads two labels with a zero byte differently; what it cannot read at all is malformed.
    return `malformed: ${String(error)}`;
  }
  return undefined;
}

/** Maximum length of an answer to an unverified client for this query. */
function limitOf(query: Buffer): number {
  return Math.min(readQuery(query)?.edns?.udpBytes ?? 512, 1_232, 512);
}

/** Tries of a query that took too long: the system may have given the processor to others in any of them. */
const TRIES = 5;

/** @returns Milliseconds; the least of some tries, if that is too long. */
function tryOne(server: Server, query: Buffer, t: { fail: (what: string) => unknown }): number {
  const copy = Buffer.from(query);
  let overUdp: Buffer | undefined;
  let leastMs = Number.POSITIVE_INFINITY;
  for (let tried = 0; leastMs >= MAX_MS && tried < TRIES; tried++) {
    const began = performance.now();
    overUdp = server.raw(query, '192.0.2.1', 'udp');
    leastMs = Math.min(leastMs, performance.now() - began);
  }
  const wrong = fault(query, overUdp, limitOf(query)) ?? (copy.equals(query) ? undefined : 'the query was changed');
  if (wrong !== undefined) t.fail(`${wrong}: ${query.toString('hex')}`);
  return leastMs;
}

const YAML = regionYaml({ more: '  rate_limit: { enabled: false }' });

test(`${MUTATED} mutated real queries are answered or dropped`, async (t) => {
  const server = serverFor(regionOf(t.testdir(), YAML));
  const next = numbers(20_260_731);
  let slowest = 0;
  for (let i = 0; i < MUTATED; i += 1) {
    const query = mutate(CORPUS[next(CORPUS.length)] as Buffer, next);
    slowest = Math.max(slowest, tryOne(server, query, t));
    if (i % 10 === 0) {
      const overTcp = fault(query, server.raw(query, '192.0.2.1', 'tcp'), 65_535);
      if (overTcp !== undefined) t.fail(`TCP: ${overTcp}: ${query.toString('hex')}`);
    }
  }
  t.ok(slowest < MAX_MS, `the slowest took ${slowest.toFixed(1)} ms`);
  t.ok(server.counts.answers.size > 5, 'answers of many kinds');
});

test(`${MADE_UP} random queries are answered or dropped`, async (t) => {
  const server = serverFor(regionOf(t.testdir(), YAML));
  const label = fc.oneof(
    fc.uint8Array({ maxLength: 63 }),
    fc.constantFrom('www', 'example', 'com', '*').map((text) => Buffer.from(text)),
  );
  const name = fc
    .array(label, { maxLength: 8 })
    .map((labels) => Buffer.concat([...labels.flatMap((one) => [Buffer.from([one.length]), one]), Buffer.from([0])]));
  const word = fc
    .oneof(fc.nat(65_535), fc.constantFrom(0, 1, 2, 28, 41, 252, 255))
    .map((value) => Buffer.from([value >> 8, value & 255]));
  const count = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, 1) }, { weight: 1, arbitrary: fc.nat(65_535) });
  const header = fc
    .tuple(fc.nat(65_535), fc.nat(0x7fff), fc.tuple(count, count, count, count))
    .map(([id, flags, counts]) =>
      Buffer.from(
        Uint16Array.from(
          [id, flags & (id % 4 ? 0x87ff : 0xffff), ...counts].map((value) => ((value & 255) << 8) | (value >> 8)),
        ).buffer,
      ),
    );
  const option = fc
    .tuple(fc.constantFrom(8, 10, 11, 12, 3), fc.uint8Array({ maxLength: 48 }))
    .map(([code, data]) => Buffer.concat([Buffer.from([0, code, 0, data.length]), data]));
  const record = fc
    .tuple(name, word, word, fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.array(option, { maxLength: 3 }))
    .map(([owner, type, cls, ttl, options]) => {
      const data = Buffer.concat(options);
      return Buffer.concat([owner, type, cls, ttl, Buffer.from([data.length >> 8, data.length & 255]), data]);
    });
  const packet = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(header, name, word, word, fc.array(record, { maxLength: 3 }), fc.uint8Array({ maxLength: 4 }))
      .map((parts) => Buffer.concat(parts.flat())),
  );
  fuzz(
    `${MADE_UP} random queries are answered or dropped`,
    fc.property(packet, (query) => {
      tryOne(server, query, {
        fail: (what) => {
          throw new Error(what);
        },
      });
    }),
    { numRuns: MADE_UP, seed: 31 },
  );
  t.pass();
});

test(`${OVER_SOCKETS} random queries over UDP are survived`, async (t) => {
  const { port } = await runDns(t, `geo: { databases: [] }\n${YAML}`);
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  let answers = 0;
  let largest = 0;
  socket.on('message', (answer) => {
    answers += 1;
    largest = Math.max(largest, answer.length);
  });
  const next = numbers(7);
  for (let sent = 0; sent < OVER_SOCKETS; ) {
    for (let burst = 0; burst < 50; burst += 1, sent += 1) {
      socket.send(mutate(CORPUS[next(CORPUS.length)] as Buffer, next), port, '127.0.0.1');
    }
    // Not faster than it can: an answer to this one comes after those to the burst.
    await askUdp(port, queryFor('mail.example.com', 'A'));
  }
  t.ok(answers > OVER_SOCKETS / 2, `${answers} answers`);
  t.ok(largest <= 512, `the largest had ${largest} bytes`);
});

test('a written message is read back', async (t) => {
  const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
  fuzz(
    'a written message is read back',
    fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), fc.nat(65_535), fc.nat(65_535), (labels, id, type) => {
      const text = labels.join('.');
      const query = Buffer.from(queryFor(text, 'A'));
      query.writeUInt16BE(id, 0);
      query.writeUInt16BE(type, query.length - 4);
      const read = readQuery(query);
      return (
        read !== undefined &&
        formatName(read.name) === `${text}.` &&
        read.name === parseName(`${text}.`) &&
        read.type === type
      );
    }),
    { seed: 1 },
  );
  t.pass();
});
