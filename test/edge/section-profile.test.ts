/** Memoised header sections are never mixed up between visitors. */
import { connect } from 'node:net';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { until } from '../support/raw-client.ts';
import { HOST } from '../support/visitor.ts';

/** Asks from one of the machine's own addresses. */
async function askFrom(localAddress: string, address: string, targets: readonly string[]): Promise<void> {
  const colon = address.lastIndexOf(':');
  const socket = connect({ port: Number(address.slice(colon + 1)), host: address.slice(0, colon), localAddress });
  for (const target of targets) {
    const answer = until(socket, /\r\n\r\nhello/);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\nX-Forwarded-For: 192.0.2.9\r\nX-Same: yes\r\n\r\n`);
    await answer;
  }
  socket.destroy();
}

test('visitors with equal header sections are logged by their own addresses', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  const visitors = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.1'];
  for (const [i, ip] of visitors.entries()) await askFrom(ip, network.at('eu-1'), [`/${i}/a?x=1`, `/${i}/%41`]);
  t.equal(origin.requests.length, visitors.length * 2);
  for (const [i, { url, headers, rawHeaders }] of origin.requests.entries()) {
    const visitor = Math.floor(i / 2);
    const ip = visitors[visitor] as string;
    t.equal(url, i % 2 === 0 ? `/${visitor}/a?x=1` : `/${visitor}/A`);
    t.equal(headers['x-forwarded-for'], ip);
    t.equal(headers['forwarded'], `for=${ip};host=${HOST};proto=http`);
    t.equal(headers['x-same'], 'yes');
    t.equal(rawHeaders.filter((name) => /forwarded/i.test(name)).length, 4);
  }
  await network.close();
  await origin.close();
});

test('concurrent visitors on reused connections keep their own addresses', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'no-store' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  const visitors = Array.from({ length: 8 }, (_, i) => `127.0.1.${i + 1}`);
  const targets = Array.from({ length: 10 }, (_, i) => `/${i}`);
  await Promise.all(
    visitors.map((ip) =>
      askFrom(
        ip,
        network.at('eu-1'),
        targets.map((target) => `/${ip}${target}`),
      ),
    ),
  );
  t.equal(origin.requests.length, 80);
  for (const { url = '', headers } of origin.requests) t.equal(headers['x-forwarded-for'], url.split('/')[1]);
  await network.close();
  await origin.close();
});
