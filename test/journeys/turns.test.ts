import { once } from 'node:events';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { dial } from '../support/raw-client.ts';
import { ask } from '../support/visitor.ts';

const HEAD = 'Host: site.test\r\n';
const COUNT = 17_333;

test('17,333 requests in one write are answered in order, and other connections in between', async (t) => {
  const origin = await startOrigin((request, response) => {
    text(`<${request.url}>`, { 'Cache-Control': 'max-age=60' })(request, response);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, shields: 0 });
  t.teardown(() => network.close());
  t.teardown(() => origin.close());
  const address = network.at('eu-1');
  for (const path of ['/a', '/b', '/other']) t.equal((await ask(address, path)).status, 200);

  const hostile = dial(address);
  let received = '';
  hostile.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  const answered = (): number => received.split('HTTP/1.1 200').length - 1;
  const requests = Array.from({ length: COUNT }, (_, i) => `GET ${i % 2 === 0 ? '/a' : '/b'} HTTP/1.1\r\n${HEAD}\r\n`);
  hostile.write(requests.join(''));
  await once(hostile, 'data');
  t.equal((await ask(address, '/other')).status, 200);
  t.ok(answered() < COUNT, `${answered()} of them were answered by then`);
  while (answered() < COUNT) await once(hostile, 'data');
  const bodies = [...received.matchAll(/<(\/[ab])>/g)].map(([, path]) => path);
  t.strictSame(
    bodies,
    Array.from({ length: COUNT }, (_, i) => (i % 2 === 0 ? '/a' : '/b')),
  );
  hostile.destroy();
});

test('bytes that arrive one at a time are answered as in one write', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, shields: 0 });
  t.teardown(() => network.close());
  t.teardown(() => origin.close());
  const address = network.at('eu-1');
  for (const [bytes, expected] of [
    [`GET / HTTP/1.1\r\n${HEAD}${'a:b\r\n'.repeat(150)}\r\n`, /^HTTP\/1.1 200 .*hello$/s],
    [`GET / HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`, /^HTTP\/1.1 200 .*Connection: close.*hello$/is],
    [`POST / HTTP/1.1\r\n${HEAD}Content-Length: 2\r\n\r\nab`, /^HTTP\/1.1 200 .*hello$/s],
    [`GET / HTTP/1.1\r\n${HEAD}X: \x00\r\n\r\n`, /^HTTP\/1.1 400 /],
    [`GET / HTTP/1.1\r\n${HEAD}${'a:b\r\n'.repeat(250)}\r\n`, /^HTTP\/1.1 431 /],
  ] as const) {
    const socket = dial(address);
    socket.setNoDelay(true);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    for (const byte of Buffer.from(bytes, 'latin1')) {
      if (socket.destroyed || received !== '') break;
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (!expected.test(received)) await once(socket, 'data');
    t.match(received, expected);
    socket.destroy();
  }
});
