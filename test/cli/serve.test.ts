/**
 * `seawall serve` with TLS, as one worker and as two.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Test, test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { threadFaults } from '../support/cause-fault.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startOrigin, text } from '../support/origin.ts';
import { until } from '../support/raw-client.ts';
import { dialTls } from '../support/secure-edge.ts';
import { region, whenReplaced } from './edge-workers.ts';
import { runCommand, startCommand } from './process.ts';

const SEAWALL = 'cli/seawall.ts';
const run = promisify(execFile);

async function serve(t: Test, workers: string) {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  t.teardown(() => origin.close());
  const { cert_file, key_file } = makeCertificate(t.testdir(), 'site', ['site.test']);
  const started = await startCommand<ReadyLine>(t, SEAWALL, [
    ...['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--listen-tls', '127.0.0.1:0'],
    ...['--tls-cert', cert_file, '--tls-key', key_file, '--workers', workers],
  ]);
  const [edge] = started.ready.nodes;
  return { origin, port: Number(edge?.listen_tls?.split(':').at(-1)), ...started };
}

test('one worker serves HTTP/2 and HTTP/1.1', async (t) => {
  const { port, kill, exitCode } = await serve(t, '1');
  for (const [flag, version] of [
    ['--http2', '2'],
    ['--http1.1', '1.1'],
  ] as const) {
    const to = ['--resolve', `site.test:${port}:127.0.0.1`, `https://site.test:${port}/`];
    const { stdout } = await run('curl', ['-sk', flag, '-w', ' %{http_version} %{http_code}', ...to]);
    t.equal(stdout, `hello ${version} 200`);
  }
  kill('SIGTERM');
  t.equal(await exitCode, 0);
});

test('two workers resume each other’s sessions and fetch a key once', async (t) => {
  const { port, origin } = await serve(t, '2');
  const sessionAfter = async (session?: Buffer) => {
    const socket = await dialTls(port, 'site.test', session === undefined ? {} : { session });
    const reused = socket.isSessionReused();
    const closed = once(socket, 'close');
    socket.write('GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n');
    const answer = await until(socket, /hello/);
    const own = socket.getSession();
    socket.destroy();
    await closed;
    return { reused, session: own as Buffer, hops: answer.match(/"edge"/g)?.length };
  };
  const { session } = await sessionAfter();
  const later = await Promise.all(Array.from({ length: 16 }, () => sessionAfter(session)));
  t.ok(later.every(({ reused }) => reused));
  t.ok(
    later.every(({ hops }) => hops === 1),
    'either of them has it',
  );
  t.equal(origin.count('/a'), 1);
});

test('a replaced worker keeps its certificate after the file was broken', async (t) => {
  const folder = t.testdir();
  const { cert_file } = makeCertificate(folder, 'site', ['site.test']);
  const file = join(folder, 'eu.yaml');
  const written = region('http://127.0.0.1:1', {}).replace('    tier:', "    listen_tls: '127.0.0.1:0'\n    tier:");
  writeFileSync(file, `${written}\n    tls: { cert_file: site.pem, key_file: site.key }\n`);
  const { env, cause } = threadFaults();
  const { ready } = await startCommand<ReadyLine>(t, SEAWALL, ['start', file], env);
  const { listen_tls = '', control = '', workers = [] } = ready.nodes[0] ?? {};

  writeFileSync(cert_file, '-----BEGIN CERTIFICATE-----');
  for (const { thread } of workers) {
    await cause(thread, 'terminate');
    await whenReplaced(control, thread);
  }
  const port = Number(listen_tls.split(':').at(-1));
  for (const socket of await Promise.all(Array.from({ length: 8 }, () => dialTls(port, 'site.test')))) socket.destroy();
});

for (const { wrong, args, line } of [
  {
    wrong: 'a certificate without a key',
    args: ['--listen-tls', '127.0.0.1:0', '--tls-cert', 'a'],
    line: /--tls-key is missing/,
  },
  {
    wrong: 'a certificate without a listener',
    args: ['--tls-cert', 'a', '--tls-key', 'b'],
    line: /--listen-tls is missing/,
  },
  {
    wrong: 'a listener without a certificate',
    args: ['--listen-tls', '127.0.0.1:0'],
    line: /--listen-tls: there is no certificate/,
  },
  {
    wrong: 'files that are not there',
    args: ['--listen-tls', '127.0.0.1:0', '--tls-cert', 'nope.pem', '--tls-key', 'nope.key'],
    line: /--tls-cert: nope\.pem does not exist/,
  },
  {
    wrong: 'workers that are no number',
    args: ['--workers', 'many'],
    line: /--workers: expected a whole number from 1 to 256/,
  },
]) {
  test(`refused: ${wrong}`, async (t) => {
    const { code, stderrLines } = await runCommand(SEAWALL, ['serve', '--origin', 'http://127.0.0.1:1', ...args]);
    t.not(code, 0);
    t.match(stderrLines[0], line);
  });
}
