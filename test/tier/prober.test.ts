import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'tap';
import { type Probe, type ProbeResult, Prober } from '../../tier/prober.ts';

/** Resolves with the first result of a prober, and how often the probe was given up. */
async function firstResult(probe: Probe, timeoutMs: number): Promise<{ result: ProbeResult; afterMs: number }> {
  const since = performance.now();
  return new Promise((resolve) => {
    const prober = new Prober({
      probe,
      intervalMs: () => 1,
      timeoutMs: () => timeoutMs,
      onResult: (result) => {
        prober.close();
        resolve({ result, afterMs: performance.now() - since });
      },
    });
    prober.start();
    keepAlive.ref();
  }).finally(() => keepAlive.unref()) as Promise<{ result: ProbeResult; afterMs: number }>;
}

/** Timers of a prober keep no process alive. */
const keepAlive = setInterval(() => undefined, 10_000);
keepAlive.unref();

/** Connects, and waits for a byte. */
async function probeOf(onConnection: (socket: import('node:net').Socket) => void) {
  const server = createServer(onConnection);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const probe: Probe = (done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => done(true));
    socket.on('error', ({ message }) => done(false, message));
    socket.once('close', () => done(false, 'closed'));
    return () => void socket.destroy();
  };
  return { probe, close: () => server.close() };
}

for (const { what, onConnection, result } of [
  { what: 'answers', onConnection: (socket) => void socket.write('x'), result: 'answered' },
  { what: 'accepts and stays silent', onConnection: () => undefined, result: 'silent' },
  { what: 'resets', onConnection: (socket) => void socket.resetAndDestroy(), result: 'failed' },
] as const satisfies readonly {
  what: string;
  onConnection: (socket: import('node:net').Socket) => void;
  result: ProbeResult;
}[]) {
  test(`a target that ${what}: ${result}`, async (t) => {
    const { probe, close } = await probeOf((socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    t.teardown(close);
    t.equal((await firstResult(probe, 600)).result, result);
  });
}

test('a process that stood still for longer than the time limit finds the answer that came meanwhile', async (t) => {
  const { probe, close } = await probeOf((socket) => {
    socket.on('error', () => undefined);
    socket.write('x');
  });
  t.teardown(close);
  const { result } = await firstResult((done) => {
    const giveUp = probe(done);
    const until = performance.now() + 900; // as if stopped
    while (performance.now() < until);
    return giveUp;
  }, 300);
  t.equal(result, 'answered');
});
