import { type Test, test } from 'tap';
import type { ClientAbortSignal } from '../../cache/exchange.ts';
import { limitsSchema } from '../../config/schema/limits.ts';
import { answerWhole, type ServerExchange } from '../../http/exchange.ts';
import { listen } from '../../http/listener/listener.ts';
import { clientAbortSignal } from '../../tier/client-abort.ts';
import { dial, until } from '../support/raw-client.ts';
import { STARTED } from '../support/started.ts';

/** Opens a listener that hands each exchange on. */
async function listening(t: Test, onRequest: (exchange: ServerExchange) => void): Promise<string> {
  const limits = limitsSchema.parse({ drain_timeout: '1s' });
  const listener = await listen(STARTED, { address: '127.0.0.1:0', limits, onRequest });
  t.teardown(() => listener.close());
  return listener.address;
}

test('the signal is aborted when the visitor disconnects before the answer', async (t) => {
  const aborted = Promise.withResolvers<ClientAbortSignal>();
  const arrived = Promise.withResolvers<void>();
  let calls = 0;
  const address = await listening(t, (exchange) => {
    const signal = clientAbortSignal(exchange);
    const removed = (): void => void t.fail('a listener that was removed is not called');
    signal.addEventListener('abort', removed);
    signal.removeEventListener('abort', removed);
    signal.addEventListener('abort', () => {
      calls++;
      aborted.resolve(signal);
    });
    arrived.resolve();
  });
  const socket = dial(address);
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await arrived.promise;
  socket.destroy();
  t.ok((await aborted.promise).aborted);
  t.equal(calls, 1);
});

test('the signal is not aborted when the connection closes after the answer', async (t) => {
  let signal: ClientAbortSignal | undefined;
  const address = await listening(t, (exchange) => {
    signal = clientAbortSignal(exchange);
    answerWhole(exchange, 200, [], 'all');
  });
  const socket = dial(address);
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await until(socket, /all$/);
  socket.destroy();
  await new Promise((resolve) => socket.once('close', resolve));
  t.notOk(signal?.aborted);
});

test('a request whose connection has gone already has an aborted signal', async (t) => {
  const left = Promise.withResolvers<ServerExchange>();
  const address = await listening(t, (exchange) => exchange.onClose(() => left.resolve(exchange)));
  const socket = dial(address);
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n', () => socket.destroy());
  t.ok(clientAbortSignal(await left.promise).aborted);
});
