import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { accessFormat } from '../../../telemetry/access-log/format.ts';
import { AccessLog } from '../../../telemetry/access-log/log.ts';
import { type NetworkOptions, startNetwork } from '../../support/network.ts';
import { startOrigin, startTcp, text } from '../../support/origin.ts';
import { dial } from '../../support/raw-client.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../../support/secure-edge.ts';
import { ask } from '../../support/visitor.ts';
import { access } from './access.ts';

const folder = mkdtempSync(join(tmpdir(), 'seawall-access-'));
const LINE = access();
const format = accessFormat({ format: 'json', fields: [], sample: 1 }, { secret: '', country: () => undefined });

const linesOf = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('bytes from visitors cannot end a line or a value', async (t) => {
  const file = join(folder, 'hostile.jsonl');
  const log = new AccessLog({ to: file, format, onProblem: (problem) => t.fail(problem) });
  const hostile = '"}\n{"status":500,"\\\x7f\xe4\u2028';
  log.add(access({ host: hostile }, { method: hostile, target: hostile }));
  await log.close();
  t.match(linesOf(file), [{ method: hostile, host: hostile, target: hostile, status: 200, ms: 1 }]);
});

test('a file that was moved away is reopened, and no line is lost', async (t) => {
  const file = join(folder, 'rotated.jsonl');
  const log = new AccessLog({ to: file, format, onProblem: (problem) => t.fail(problem) });
  log.add(LINE);
  log.flush();
  while (!existsSync(file)) await new Promise((resolve) => setImmediate(resolve));
  renameSync(file, `${file}.1`);
  log.reopen();
  log.add(access({}, { target: '/2' }));
  await log.close();
  t.match(linesOf(`${file}.1`), [{ target: '/' }]);
  t.match(linesOf(file), [{ target: '/2' }]);
});

test('lines above the buffer are dropped, and the drop is logged', async (t) => {
  const problems: string[] = [];
  const log = new AccessLog({ to: join(folder, 'full.jsonl'), format, onProblem: (problem) => problems.push(problem) });
  const line = access({}, { target: 'x'.repeat(100_000) });
  for (let i = 0; i < 200; i++) log.add(line);
  log.flush();
  t.match(problems, [/^\d+ lines were left out$/]);
  await log.close();
});

test('a file that cannot be opened is logged, and requests are served', async (t) => {
  const problems: string[] = [];
  const log = new AccessLog({ to: join(folder, 'no', 'such'), format, onProblem: (problem) => problems.push(problem) });
  log.add(LINE);
  await log.close();
  t.match(problems, [/ENOENT/]);
});

test('an edge logs each response once, on every path', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60', ETag: '"1"' }));
  const file = join(folder, 'edge.jsonl');
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, accessLog: file });
  const edge = network.at('eu-1');
  await ask(edge, '/a?b="');
  await ask(edge, '/a?b="');
  await ask(edge, '/a?b="', { method: 'HEAD' });
  await ask(edge, '/a?b="', { headers: { 'If-None-Match': '"1"' } });
  await ask(edge, '/a?b="', { headers: { Range: 'bytes=1-2' } });
  t.ok(network.edge('eu-1').answeredPrepared >= 0);
  await network.close();
  await origin.close();
  const common = { ip: '127.0.0.1', host: 'site.test', target: '/a?b="', site: 'site' };
  t.match(linesOf(file), [
    { ...common, method: 'GET', status: 200, bytes: 5, result: 'uri-miss', id: /^[0-9a-f]{32}$/ },
    { ...common, method: 'GET', status: 200, bytes: 5, result: 'hit' },
    { ...common, method: 'HEAD', status: 200, bytes: 0, result: 'hit' },
    { ...common, method: 'GET', status: 304, bytes: 0, result: 'hit' },
    { ...common, method: 'GET', status: 206, bytes: 2, result: 'hit' },
  ]);
});

test('a response that breaks off is logged with the bytes sent, an unread one with the bytes it would have had', async (t) => {
  const origin = await startTcp((socket, head) => {
    if (head.startsWith('GET /broken')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
  });
  const file = join(folder, 'broken.jsonl');
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, accessLog: file });
  const edge = network.at('eu-1');
  t.match(await ask(edge, '/broken'), { status: 200, complete: false });
  const visitor = dial(edge);
  visitor.write('GET /left HTTP/1.1\r\nHost: site.test\r\n\r\n');
  while ((await network.metric('shield-1', 'seawall_fills_total')) < 2) await new Promise(setImmediate);
  visitor.destroy();
  while ((await network.metric('eu-1', 'seawall_requests_total')) < 2) await new Promise(setImmediate);
  await network.close();
  await origin.close();
  t.match(linesOf(file), [
    { target: '/broken', status: 200, bytes: 3, result: 'uri-miss' },
    { target: '/left', status: 503, bytes: 0, result: 'client_closed' },
  ]);
});

test('behind a trusted proxy the visitor’s address is logged, on every path', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  const addressesIn = async (name: string, options: Partial<NetworkOptions>): Promise<unknown[]> => {
    const file = join(folder, name);
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, accessLog: file, ...options });
    const edge = network.at('eu-1');
    for (const forwarded of ['2001:DB8:0::7', '192.0.2.7', '192.0.2.8, 127.0.0.9', '"x\\', '']) {
      await ask(edge, '/', { headers: { 'X-Forwarded-For': forwarded } });
    }
    await network.close();
    return linesOf(file).map((line) => (line as { ip: string }).ip);
  };
  const local = ['127.0.0.0/8'];
  const believed = await addressesIn('believed.jsonl', { trustedProxies: local });
  const own = '127.0.0.1';
  t.same(believed, ['2001:db8::7', '192.0.2.7', '192.0.2.8', own, own]);
  t.same(await addressesIn('stranger.jsonl', {}), [own, own, own, own, own]);
  t.same(await addressesIn('connection.jsonl', { trustedProxies: local, clientAddress: 'connection' }), [
    own,
    own,
    own,
    own,
    own,
  ]);
  await origin.close();
});

test('requests over HTTP/2 are logged, on every path', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60', ETag: '"a"' }));
  t.teardown(() => origin.close());
  const file = join(folder, 'http2.jsonl');
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }], {}, { accessLog: file });
  const session = openHttp2(t, edge);
  for (const headers of [{}, {}, { ':method': 'HEAD' }, { 'if-none-match': '"a"' }]) {
    await askHttp2(session, '/a?b', headers);
  }
  t.equal(edge.node.answeredPrepared, 3);
  session.destroy();
  await edge.node.close();
  const all = { ip: '127.0.0.1', host: 'site.test', target: '/a?b', site: 'site' };
  t.match(linesOf(file), [
    { ...all, method: 'GET', status: 200, bytes: 5, result: 'uri-miss' },
    { ...all, method: 'GET', status: 200, bytes: 5, result: 'hit' },
    { ...all, method: 'HEAD', status: 200, bytes: 0, result: 'hit' },
    { ...all, method: 'GET', status: 304, bytes: 0, result: 'hit' },
  ]);
});

test('a disk that was full is written to again once it has room, and what was left out is counted', async (t) => {
  const file = join(folder, 'full-disk.jsonl');
  symlinkSync('/dev/full', file);
  const seen = new EventEmitter();
  const log = new AccessLog({ to: file, format, onProblem: (problem) => seen.emit('problem', problem) });
  const keepAlive = setInterval(() => undefined, 1_000);
  const next = async (): Promise<string> => String((await once(seen, 'problem'))[0]);
  const failed = next();
  log.add(LINE);
  log.flush();
  t.match(await failed, /ENOSPC/);
  log.add(access({}, { target: '/lost' }));
  log.flush();
  unlinkSync(file);
  const counted = next();
  const lines = setInterval(() => log.add(access({}, { target: '/found' })), 100);
  t.match(await counted, /^\d+ lines were left out$/);
  clearInterval(lines);
  clearInterval(keepAlive);
  await log.close();
  t.match(linesOf(file)[0], { target: '/found' });
});
