/** DNS over TCP (RFC 7766): queries in their order, and bounds on connections, on time and on what waits. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { decode } from 'dns-packet';
import { test } from 'tap';
import { framed } from '../../../geo/dns/frames.ts';
import { askUdp, openTcp, readMessages, runDns } from './server.ts';
import { queryFor, regionYaml } from './world.ts';

const GEO =
  'geo: { databases: [] }\nedges: [{ name: eu-1, listen: 127.0.0.1:0, tier: 127.0.0.1:1, public: [203.0.113.1] }]\n';
const yaml = (more = '', rest: Partial<Parameters<typeof regionYaml>[0]> = {}): string =>
  GEO + regionYaml({ more, ...rest });
const MAIL = queryFor('mail.example.com', 'A');
const BIG = queryFor('big.example.com', 'TXT');
const addressOf = (answer: Buffer | undefined): unknown => (answer ? decode(answer).answers : []);

test('TCP (RFC 7766) answers', async (t) => {
  const { port } = await runDns(t, yaml());

  t.test('many queries on a connection, in one piece, are answered in order', async (t) => {
    const socket = await openTcp(port);
    const queries = Array.from({ length: 100 }, (_, id) => {
      const query = Buffer.from(id % 2 ? MAIL : BIG);
      query.writeUInt16BE(id, 0);
      return framed(query);
    });
    socket.write(Buffer.concat(queries));
    const answers = await readMessages(socket, 100);
    t.same(
      answers.map((answer) => answer.readUInt16BE(0)),
      Array.from({ length: 100 }, (_, id) => id),
    );
    t.ok((answers[0]?.length ?? 0) > 2_500, 'whole, however large');
    socket.destroy();
  });

  t.test('a query that is split at any byte is answered', async (t) => {
    const bytes = Buffer.concat([framed(MAIL), framed(MAIL)]);
    for (let at = 1; at < bytes.length; at += 1) {
      const socket = await openTcp(port);
      socket.write(bytes.subarray(0, at));
      // Two packets, not one: the first is answered, if it is whole, before the second leaves.
      const early = at >= bytes.length / 2 ? await readMessages(socket, 1) : [];
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(bytes.subarray(at));
      const late = await readMessages(socket, 2 - early.length);
      if (early.length + late.length !== 2) t.fail(`split at ${at}`);
      socket.destroy();
    }
    t.pass();
  });

  t.test('a query that arrives byte by byte is answered', async (t) => {
    const socket = await openTcp(port);
    for (const byte of framed(MAIL)) {
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
    }
    t.equal((await readMessages(socket, 1)).length, 1);
    socket.destroy();
  });

  for (const [what, bytes] of [
    ['a message that is too long', Buffer.from('ffff', 'hex')],
    ['an empty message', Buffer.from('0000', 'hex')],
    ['an answer', framed(Buffer.concat([Buffer.from('000780000000000000000000', 'hex')]))],
  ] as const) {
    t.test(`${what} ends the connection`, async (t) => {
      const socket = await openTcp(port);
      socket.resume();
      socket.write(bytes);
      await once(socket, 'close');
      t.pass();
    });
  }

  t.test('queries before the end of the connection are answered', async (t) => {
    const socket = await openTcp(port);
    socket.end(framed(MAIL));
    t.equal((await readMessages(socket, 9)).length, 1);
  });
});

test('connections are bounded', async (t) => {
  const { port } = await runDns(
    t,
    yaml('  tcp: { idle_timeout: 200ms, max_connections: 10, max_connections_per_network: 2 }'),
  );
  const [first, second] = [await openTcp(port), await openTcp(port)];
  const third = await openTcp(port);
  await once(third.resume(), 'close');
  t.pass('a third one of the network is closed at once');
  first.resume();
  second.resume();
  const beginning = performance.now();
  const drip = setInterval(() => first.write(Buffer.from([0])), 50);
  first.on('error', () => undefined);
  await Promise.all([once(first, 'close'), once(second, 'close')]);
  clearInterval(drip);
  t.ok(performance.now() - beginning < 3_000, 'one without a whole query is closed, though bytes drip in');
  const fourth = await openTcp(port);
  fourth.write(framed(MAIL));
  t.equal((await readMessages(fourth, 1)).length, 1, 'then there is room again');
  fourth.destroy();
});

test('a client that does not read is cut off', async (t) => {
  const { port } = await runDns(t, yaml('  tcp: { idle_timeout: 300ms }'));
  const socket = await openTcp(port);
  socket.pause();
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  const flood = Buffer.concat(Array.from({ length: 200 }, () => framed(BIG)));
  // 600 KB of answers for each 10 KB of questions: what is not read comes to rest in the kernels, then here.
  for (let i = 0; i < 200 && socket.writable; i += 1) socket.write(flood);
  const memory = process.memoryUsage().rss;
  setTimeout(() => socket.resume(), 3_000);
  await closed;
  t.ok(process.memoryUsage().rss - memory < 200e6, 'its answers do not pile up');
  t.match(addressOf(await askUdp(port, MAIL)), [{ data: '192.0.2.25' }], 'others are answered');
});

test('addresses of one /24 share their connections, and others have their own', async (t) => {
  const { port } = await runDns(t, yaml('  tcp: { max_connections_per_network: 2 }'));
  const from = async (localAddress: string): Promise<boolean> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    t.teardown(() => socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(framed(MAIL));
    return (await readMessages(socket, 1)).length === 1;
  };
  t.ok(await from('127.0.0.1'));
  t.ok(await from('127.0.0.200'));
  t.notOk(await from('127.0.0.3'), 'a third one of the network');
  t.ok(await from('127.0.1.1'));
});
