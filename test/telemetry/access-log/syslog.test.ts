import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { accessFormat } from '../../../telemetry/access-log/format.ts';
import { AccessLog } from '../../../telemetry/access-log/log.ts';
import { access } from './access.ts';

const format = accessFormat({ format: 'json', fields: [], sample: 1 }, { secret: '', country: () => undefined });
const MESSAGE = /^<134>1 1970-01-01T00:00:00\.000Z [!-~]+ seawall \d+ access - \{"time":.*"target":"(\/\d)".*\}$/;

const targetsIn = (messages: readonly string[]): (string | undefined)[] =>
  messages.map((message) => MESSAGE.exec(message)?.[1]);

async function overStream(t: Test, listenAt: string | number, toOf: (port: number) => string): Promise<void> {
  let text = '';
  const server = createServer((socket) => socket.on('data', (piece) => (text += piece)));
  await once(
    server.listen(...([listenAt, ...(typeof listenAt === 'number' ? ['127.0.0.1'] : [])] as [number])),
    'listening',
  );
  const address = server.address();
  const log = new AccessLog({
    to: toOf(typeof address === 'string' ? 0 : (address as AddressInfo).port),
    format,
    onProblem: (problem) => t.comment(problem),
  });
  for (const target of ['/1', '/2']) log.add(access({}, { target }));
  const closed = once(server, 'connection').then(([socket]) => once(socket, 'close'));
  await Promise.all([log.close(), closed]);
  server.close();
  t.strictSame(targetsIn(text.trimEnd().split('\n')), ['/1', '/2']);
}

test('by TCP, a line feed ends each message', (t) => overStream(t, 0, (port) => `syslog+tcp://127.0.0.1:${port}`));

test('by a stream socket of the machine', (t) => {
  const path = join(mkdtempSync(join(tmpdir(), 'seawall-syslog-')), 'log');
  return overStream(t, path, () => `syslog+unix:${path}`);
});

test('by UDP, each message is a datagram', async (t) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const messages: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('message', (message) => {
    messages.push(message.toString('utf8'));
    if (messages.length === 3) resolve();
  });
  const to = `syslog+udp://127.0.0.1:${socket.address().port}`;
  const log = new AccessLog({ to, format, onProblem: (problem) => t.fail(problem) });
  log.add(access({}, { target: '/1' }));
  log.add(access({}, { target: '/2' }));
  log.add(access({}, { target: `/3${'x'.repeat(100_000)}` }));
  log.flush();
  await promise;
  await log.close();
  socket.close();
  t.strictSame(targetsIn(messages.slice(0, 2)), ['/1', '/2']);
  t.equal(Buffer.byteLength(messages[2] as string), 65_507, 'one that is too long is cut off');
});

test('a server that is not there is said once, and what is left out is counted', async (t) => {
  const problems: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const log = new AccessLog({
    to: 'syslog+tcp://127.0.0.1:1',
    format,
    onProblem: (problem) => {
      problems.push(problem);
      resolve();
    },
  });
  log.add(access());
  await promise;
  log.add(access());
  await log.close();
  t.match(problems, [/ECONNREFUSED/]);
});
