/** `serve --host-header`: the host that an origin sees. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin } from '../support/origin.ts';
import { ask } from './edge-workers.ts';
import { runCommand, startCommand } from './process.ts';

const seawall = (...args: string[]) => runCommand('cli/seawall.ts', args);

for (const { option, host } of [
  { option: 'www.example.com', host: 'www.example.com' },
  { option: 'origin', host: 'the origin’s' },
  { option: 'visitor', host: 'the visitor’s' },
]) {
  test(`serve --host-header ${option}: the origin sees ${host}`, async (t) => {
    const origin = await startOrigin((request, response) => response.end(request.headers.host));
    t.teardown(() => origin.close());
    const args = ['--origin', origin.url, '--listen', '127.0.0.1:0', '--workers', '1', '--host-header', option];
    const { ready } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['serve', ...args]);
    const address = ready.nodes[0]?.listen ?? '';
    const seen = { origin: new URL(origin.url).host, visitor: address }[option] ?? option;
    t.equal((await ask(address, '/')).text, seen);
  });
}

for (const origin of ['', 'origin: { host_header: other.test }', 'origin: { host_header: visitor }']) {
  test(`serve --host-header counts more than a site file with ${origin || 'no origin'}`, async (t) => {
    const own = await startOrigin((asked, response) => {
      asked.resume();
      response.setHeader('X-Host', asked.headers.host ?? '');
      response.end();
    });
    t.teardown(() => own.close());
    const file = join(t.testdir({}), 'site.yaml');
    writeFileSync(file, `hosts: [site.test]\n${origin}\nrules: [{ path: /kept, ttl: 1h }]\n`);
    const args = ['--origin', own.url, '--listen', '127.0.0.1:0', '--workers', '2', '--host-header', 'origin'];
    const { ready } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['serve', ...args, '--site', file]);
    const url = `http://${ready.nodes[0]?.listen}`;
    const seen = new Set<string | undefined>();
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE'])
      for (const path of ['/a', '/a', '/kept', '/kept?x']) seen.add(await hostSeen(`${url}${path}`, method));
    t.same([...seen], [new URL(own.url).host]);
  });
}

/** Sends a request for site.test; @returns the Host that its origin saw. */
function hostSeen(url: string, method: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { Host: 'site.test' } }, (response) => {
      response.resume().on('end', () => resolve(response.headers['x-host']?.toString()));
    });
    sent.on('error', reject).end(method === 'POST' ? 'x' : undefined);
  });
}

test('serve --host-header refuses a value that is no host', async (t) => {
  const ran = await seawall('serve', '--origin', 'http://127.0.0.1:1', '--host-header', 'a b');
  t.equal(ran.code, 1);
  t.match(ran.stderrLines, [/--host-header: expected a host name, `origin` or `visitor`, found "a b"/]);
});
