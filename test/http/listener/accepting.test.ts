import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'tap';
import { admitOnly, bind, drain } from '../../../http/listener/accepting.ts';
import { boundAddress } from '../../../http/listener/sockets.ts';
import { dial, everything, until } from '../../support/raw-client.ts';

test('a server is bound to its address, and the address is told with its port', async (t) => {
  for (const { address, form } of [
    { address: '127.0.0.1:0', form: /^127\.0\.0\.1:\d+$/ },
    { address: '[::1]:0', form: /^\[::1\]:\d+$/ },
  ]) {
    const server = createServer();
    await bind(server, address, false);
    t.match(boundAddress(server), form);
    await drain(server, new Set(), 1_000);
  }
});

test('an address in use is the system’s error', async (t) => {
  const [first, second] = [createServer(), createServer()];
  await bind(first, '127.0.0.1:0', false);
  await t.rejects(bind(second, boundAddress(first), false), { code: 'EADDRINUSE' });
  await drain(first, new Set(), 1_000);
});

test('a connection that is not admitted is closed before anything is read of it', async (t) => {
  const server = createServer((_request, response) => response.end('seen'));
  let admits = false;
  admitOnly(server, () => admits);
  await bind(server, '127.0.0.1:0', false);
  t.teardown(() => drain(server, new Set(), 100));
  const request = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n';
  const ask = (): Promise<string> => {
    const socket = dial(boundAddress(server));
    socket.write(request);
    return everything(socket);
  };
  t.equal(await ask(), '');
  admits = true;
  t.match(await ask(), /seen/);
});

test('a server that drains finishes what is in flight, and cuts it off when the time is up', async (t) => {
  const responses: (() => void)[] = [];
  const server = createServer((_request, response) => {
    response.write('begun');
    responses.push(() => response.end('done'));
  });
  await bind(server, '127.0.0.1:0', false);
  const sockets = [dial(boundAddress(server)), dial(boundAddress(server))];
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await Promise.all(sockets.map((socket) => until(socket, /begun/)));
  const [first, second] = sockets as [(typeof sockets)[0], (typeof sockets)[0]];
  const finished = until(first, /done/);
  const cutOff = once(second, 'close');
  const drained = drain(server, new Set(), 200);
  responses[0]?.();
  responses.shift();
  t.match(await Promise.race([finished, cutOff.then(() => 'cut off')]), /done|cut off/);
  await Promise.all([drained, cutOff]);
  t.ok(second.destroyed);
});
