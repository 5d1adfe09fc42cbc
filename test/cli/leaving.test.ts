/** Log lines when visitors disconnect, or send terminal control characters. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin } from '../support/origin.ts';
import { ask } from './edge-workers.ts';
import { startCommand } from './process.ts';

/** `in an upload` reaches the origin only where bodies are sent on as they arrive. */
const LEAVING: Readonly<Record<string, string>> = {
  'before the answer': 'GET /never HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'in the answer': 'GET /begun HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'before the answer to what is not cached': 'POST /never HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n',
  'in an upload': 'POST /never HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nhalf',
  'before a switch of protocol':
    'GET /never HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
};

for (const [when, request] of Object.entries(LEAVING)) {
  test(`a visitor that leaves ${when} causes no warning`, async (t) => {
    const origin = await startOrigin((incoming, response) => {
      incoming.resume();
      if (incoming.url === '/begun') response.write('begun');
      else if (incoming.url === '/after') response.end('fine');
    });
    t.teardown(() => origin.close());
    const site = join(t.testdir({ 'site.yaml': 'request_buffering: false\n' }), 'site.yaml');
    const options = ['--origin', origin.url, '--site', site, '--listen', '127.0.0.1:0', '--workers', '1'];
    const { ready, logLine, kill, exitCode } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', [
      'serve',
      ...options,
      '--log-level',
      'debug',
    ]);
    const address = ready.nodes[0]?.listen ?? '';
    const [host, port] = address.split(':');
    const socket = connect(Number(port), host);
    const asked = origin.next();
    socket.write(request);
    const incoming = await asked;
    const left = new Promise((resolve) => void incoming.socket.once('close', resolve)); // whatever error comes first
    socket.resetAndDestroy();
    await left; // the edge has given it up
    t.equal((await ask(address, '/after')).status, 200);
    let warning: string | undefined;
    void logLine(/"level":"(?:warn|error|fatal)"/).then((line) => {
      warning = line;
    });
    kill('SIGTERM');
    t.equal(await exitCode, 0);
    t.equal(warning, undefined);
  });
}

test('bytes from a visitor cannot control the terminal that shows the log', async (t) => {
  const options = ['--origin', 'http://127.0.0.1:1', '--listen', '127.0.0.1:0', '--workers', '1'];
  const { ready, logLine } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['serve', ...options]);
  const [host, port] = (ready.nodes[0]?.listen ?? '').split(':');
  const socket = connect(Number(port), host);
  t.teardown(() => socket.destroy());
  socket.write(Buffer.from('GET /a?%9b HTTP/1.1\r\nHost: a.test\r\nX: \x9b2J\x9d0;owned\x9c\r\n\r\n', 'latin1'));
  const line = await logLine(/request failed/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  t.notMatch(line, /[\x00-\x1f\x7f-\x9f]/);
});
