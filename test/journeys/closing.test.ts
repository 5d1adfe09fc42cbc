import { once } from 'node:events';
import { Agent, createServer, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin, startTcp, text } from '../support/origin.ts';
import { dial, exchange } from '../support/raw-client.ts';
import { ask, open, read } from '../support/visitor.ts';

/** An origin that answers when it is told to. */
async function startHolding() {
  const held: ServerResponse[] = [];
  const origin = await startOrigin((_request, response) => {
    held.push(response);
  });
  return { origin, held };
}

test('closing finishes requests in flight, accepts no new ones, and does not wait for idle visitors', async (t) => {
  const { origin, held } = await startHolding();
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits: { drain_timeout: '10s' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const address = network.at('eu-1');
  const agent = new Agent({ keepAlive: true });
  const arrived = origin.next();
  const [answer, idle] = [ask(address, '/', { agent }), dial(address)];
  await Promise.all([arrived, once(idle, 'connect')]);
  const closed = network.edge('eu-1').close();
  t.equal(await exchange(address, 'GET / HTTP/1.1\r\nHost: site.test\r\n\r\n'), '', 'refused');
  held[0]?.end('finished');
  t.match(await answer, { status: 200, text: 'finished', complete: true, headers: { connection: 'close' } });
  await closed;
  agent.destroy();
});

test('closing cuts off requests that take longer than the config allows', async (t) => {
  const { origin, held } = await startHolding();
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits: { drain_timeout: '100ms' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const arrived = origin.next();
  const answer = open(network.at('eu-1'), '/');
  await arrived;
  held[0]?.writeHead(200, { 'Content-Length': 100 }).write('some');
  const reading = answer.then(read);
  await answer;
  await network.edge('eu-1').close();
  t.match(await reading, { complete: false, text: 'some' });
});

test('closing does not wait for background fetches', async (t) => {
  let answers = true;
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=0, stale-while-revalidate=60' });
    if (answers) response.end('old');
    else response.write('n'); // and no more
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits: { drain_timeout: '100ms' } });
  t.teardown(() => origin.close());
  await ask(network.at('eu-1'), '/');
  answers = false;
  const revalidation = origin.next();
  t.match(await ask(network.at('eu-1'), '/'), { text: 'old', tiers: [/stale-while-revalidate/] });
  await revalidation;
  await network.close();
});

test('a reload switches the site live: stored responses stay, and requests in flight finish', async (t) => {
  const { origin, held } = await startHolding();
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/reload/');
  const arrived = origin.next();
  const before = ask(network.at('eu-1'), path);
  await arrived;
  network.reload({ response_headers: { set: { 'X-New': 'yes' } } });
  held[0]?.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('kept');
  t.match(await before, { status: 200, text: 'kept', headers: { 'x-new': undefined } });
  t.match(await ask(network.at('eu-1'), path), { text: 'kept', headers: { 'x-new': 'yes' } });
  t.equal(origin.requests.length, 1);
  network.reload({ hosts: ['other.test'] });
  t.equal((await ask(network.at('eu-1'), path)).status, 421);
});

test('a request that starts another fetch after a reload is not lost', async (t) => {
  const { origin, held } = await startHolding();
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/again/');
  const arrived = origin.next();
  const answers = Promise.all(Array.from({ length: 5 }, () => ask(network.at('eu-1'), path)));
  await arrived;
  network.reload({}, [{ ttl: '1h' }]);
  origin.script = (_request, response) => void response.writeHead(200, { 'Cache-Control': 'private' }).end('own');
  held[0]?.writeHead(200, { 'Cache-Control': 'private' }).end('own');
  for (const answer of await answers) t.match(answer, { status: 200, text: 'own' });
  t.equal(origin.requests.length, 5);
});

test('a reload of the origin’s keys loses no request, neither in the queue nor in failover', async (t) => {
  const { origin, held } = await startHolding();
  const accepted = Promise.withResolvers<Socket>();
  const closing = await startTcp((socket) => accepted.resolve(socket));
  const [one, two] = await Promise.all([
    startNetwork({ origin: origin.url, access: { max_connections: 1 } }),
    startNetwork({ origin: [closing.url, origin.url] }),
  ]);
  t.teardown(() => Promise.all([one.close(), two.close(), origin.close(), closing.close()]));
  const arrived = origin.next();
  const first = ask(one.at('eu-1'), '/first');
  await arrived;
  const waiting = ask(one.at('eu-1'), '/waiting');
  while ((await one.metric('shield-1', 'seawall_fills_total')) < 2) await new Promise(setImmediate);
  const goesOn = ask(two.at('eu-1'), '/goes-on');
  const socket = await accepted.promise;
  for (const network of [one, two]) network.reload({}, [], { max_connections: 7 });
  origin.script = (_request, response) => void response.end('later');
  held[0]?.end('first');
  socket.destroy();
  t.match(await first, { status: 200, text: 'first' });
  t.match(await waiting, { status: 200, text: 'later' });
  t.match(await goesOn, { status: 200, text: 'later' });
});

test('a visitor that reads nothing is disconnected, and delays no other', async (t) => {
  const body = 'x'.repeat(24 * 1024 * 1024);
  const origin = await startOrigin(text(body, { 'Cache-Control': 'max-age=60' }));
  const network = await startNetwork({ origin: origin.url, limits: { write_timeout: '300ms' }, memory: '64MiB' });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const slow = dial(network.at('eu-1'));
  slow.pause();
  slow.write(`GET ${network.pathOf('eu-2', '/slow/')} HTTP/1.1\r\nHost: site.test\r\n\r\n`);
  const other = await ask(network.at('eu-1'), network.pathOf('eu-2', '/slow/'));
  t.equal(other.body.length, body.length);
  let got = 0;
  const closed = new Promise((resolve) => slow.once('close', resolve));
  // The kernel holds some of it; nothing is read until the edge has given up.
  while ((await network.metric('eu-1', 'seawall_request_duration_seconds_count', { listener: 'public' })) < 2) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  slow.on('data', (chunk: Buffer) => {
    got += chunk.length;
  });
  slow.resume();
  await closed;
  t.ok(got < body.length, `${got} bytes arrived`);
});

test('a node that drains answers 503 to its probes, frees its control port and ends event streams', async (t) => {
  const { origin } = await startHolding();
  origin.script = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n');
  };
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits: { drain_timeout: '10s' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const { control, listen } = network.edge('eu-1').addresses;
  const probes = new Agent({ keepAlive: true, maxSockets: 1 });
  t.match(await ask(control as string, '/healthz', { agent: probes, headers: { Host: control as string } }), {
    status: 200,
    text: /"status":"ok"/,
  });
  const [stream, other] = await Promise.all([open(listen, '/events'), open(listen, '/others')]);
  const ends = [read(stream), read(other)];
  await Promise.all([once(stream, 'data'), once(other, 'data')]);

  const began = performance.now();
  const closed = network.edge('eu-1').close();
  await new Promise((resolve) => setImmediate(resolve));
  t.match(await ask(control as string, '/healthz', { agent: probes, headers: { Host: control as string } }), {
    status: 503,
    text: /"status":"draining"/,
  });
  const successor = createServer().listen(Number(control?.split(':')[1]), '127.0.0.1');
  await once(successor, 'listening');
  successor.close();
  for (const reply of await Promise.all(ends)) t.match(reply, { complete: true }, 'its client connects again at once');
  probes.destroy();
  await closed;
  t.ok(performance.now() - began < 5_000, 'long before drain_timeout');
});
