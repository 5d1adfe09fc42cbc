/**
 * The server on real sockets: UDP and TCP, and the life of the node.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { decode } from 'dns-packet';
import { test } from 'tap';
import { framed } from '../../../geo/dns/frames.ts';
import { askUdp, openTcp, readMessages, runDns, until } from './server.ts';
import { queryFor, regionYaml } from './world.ts';

const GEO =
  'geo: { databases: [] }\nedges: [{ name: eu-1, listen: 127.0.0.1:0, tier: 127.0.0.1:1, public: [203.0.113.1] }]\n';
const yaml = (more = '', rest: Partial<Parameters<typeof regionYaml>[0]> = {}): string =>
  GEO + regionYaml({ more, ...rest });
const MAIL = queryFor('mail.example.com', 'A');
const BIG = queryFor('big.example.com', 'TXT');
const addressOf = (answer: Buffer | undefined): unknown => (answer ? decode(answer).answers : []);

test('UDP answers over IPv4 and IPv6', async (t) => {
  const { port } = await runDns(t, yaml());
  t.match(addressOf(await askUdp(port, MAIL)), [{ type: 'A', data: '192.0.2.25' }]);
  t.match(addressOf(await askUdp(port, queryFor('www.example.com', 'A'))), [{ type: 'A', data: '203.0.113.1' }]);
  const six = await runDns(t, yaml('', { listen: '[::1]:0' }));
  t.match(addressOf(await askUdp(six.port, MAIL, '::1')), [{ type: 'A', data: '192.0.2.25' }]);
  t.match(six.node.addresses.listen, /^\[::1\]:\d+$/);
});

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

test('a reload changes answers, and no query is lost', async (t) => {
  const dns = await runDns(t, yaml('  rate_limit: { exempt: [127.0.0.0/8] }'));
  const seen = new Set<string>();
  let asked = 0;
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      asked += 1;
      const [first] = decode(await askUdp(dns.port, MAIL)).answers ?? [];
      seen.add(first?.type === 'A' ? first.data : 'nothing');
    }
  })();
  for (const last of [1, 2, 3]) {
    await until(() => asked > last * 50, 'questions');
    writeFileSync(
      dns.file,
      yaml('  rate_limit: { exempt: [127.0.0.0/8] }').replace('[192.0.2.25]', `[192.0.2.10${last}]`),
    );
    dns.reload();
    await until(() => seen.has(`192.0.2.10${last}`), 'the new address');
  }
  isOver = true;
  await asking;
  t.same([...seen].toSorted(), ['192.0.2.101', '192.0.2.102', '192.0.2.103', '192.0.2.25']);
});

test('a node that stops finishes queries in flight', async (t) => {
  const dns = await runDns(t, yaml());
  const socket = await openTcp(dns.port);
  socket.write(Buffer.concat([framed(MAIL), framed(BIG)]));
  const [first] = await readMessages(socket, 2);
  const closing = dns.node.close();
  t.ok(first);
  await once(socket.resume(), 'end');
  await closing;
  await t.rejects(openTcp(dns.port), { code: 'ECONNREFUSED' });
});

test('metrics and health are served', async (t) => {
  const { node, port } = await runDns(t, yaml('  control: 127.0.0.1:0'));
  await askUdp(port, MAIL);
  const metrics = await (await fetch(`http://${node.addresses.control}/metrics`)).text();
  t.match(metrics, /seawall_dns_queries_total\{transport="udp",node="dns",role="dns"\} 1/);
  t.match(metrics, /seawall_dns_answers_total\{rcode="NOERROR",node="dns",role="dns"\} 1/);
  t.match(await (await fetch(`http://${node.addresses.control}/healthz`)).json(), { node: 'dns', status: 'ok' });
});

test('an address in use is refused, and nothing stays open', async (t) => {
  const { port } = await runDns(t, yaml());
  await t.rejects(runDns(t, yaml('', { listen: `127.0.0.1:${port}` })), { code: 'EADDRINUSE' });
});
