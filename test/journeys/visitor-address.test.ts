/** Address of a visitor: behind a real HAProxy with the PROXY protocol, and behind other proxies. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin, text } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { exchange } from '../support/raw-client.ts';
import { HOST } from '../support/visitor.ts';

const HAPROXY = '/usr/sbin/haproxy';
const LOCAL = ['127.0.0.0/8'];
/** Addresses of the UK and of the US. */
const BRITISH = '81.2.69.142';
const AMERICAN = '2600:1700::1';

/** An edge whose site tells the origin the visitor’s country. */
async function start(t: Test, options: Partial<NetworkOptions>): Promise<{ address: string; origin: Origin }> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'no-store' }));
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    site: { geo: { headers: { country: 'CDN-Visitor-Country' } } },
    ...options,
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return { address: network.at('eu-1'), origin };
}

function get(fields = ''): string {
  return `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${fields}Connection: close\r\n\r\n`;
}

function seen({ requests }: Origin): unknown {
  const { headers } = requests.at(-1) ?? {};
  return { from: headers?.['x-forwarded-for'], country: headers?.['cdn-visitor-country'] };
}

/** HAProxy in front of `address`; the visitor’s address is what the request’s X-Test says. */
async function startHaproxy(t: Test, address: string, keyword: string): Promise<string> {
  const port = await freePort();
  const file = join(t.testdir({}), 'haproxy.cfg');
  writeFileSync(
    file,
    [
      'global',
      '  maxconn 100',
      'defaults',
      '  mode http',
      '  timeout connect 5s',
      '  timeout client 5s',
      '  timeout server 5s',
      'frontend f',
      `  bind 127.0.0.1:${port}`,
      '  http-request set-src hdr_ip(x-test)',
      '  default_backend b',
      'backend b',
      '  http-reuse never',
      `  server s ${address} ${keyword}`,
      '',
    ].join('\n'),
  );
  const child = spawn(HAPROXY, ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += String(chunk);
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  const at = `127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(output);
    const answer = await exchange(at, 'GET / HTTP/1.0\r\n\r\n');
    if (answer !== '') return at;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const keyword of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options unique-id,crc32c,authority']) {
  test(
    `HAProxy with ${keyword} passes the visitor’s address`,
    { skip: !existsSync(HAPROXY) && 'haproxy is missing' },
    async (t) => {
      const { address, origin } = await start(t, { clientAddress: 'proxy-protocol', trustedProxies: LOCAL });
      const haproxy = await startHaproxy(t, address, keyword);
      for (const [visitor, country] of [
        [BRITISH, 'GB'],
        [AMERICAN, 'US'],
        ['10.1.2.3', undefined],
      ] as const) {
        t.match(
          await exchange(haproxy, get(`X-Test: ${visitor}\r\nX-Forwarded-For: 192.0.2.1\r\n`)),
          /^HTTP\/1\.1 200 /,
        );
        t.match(seen(origin), { from: visitor, country });
      }
    },
  );
}

test('a connection without a PROXY header is closed, where one is required', async (t) => {
  const { address, origin } = await start(t, { clientAddress: 'proxy-protocol', trustedProxies: LOCAL });
  t.equal(await exchange(address, get()), '');
  t.equal(await exchange(address, `PROXY TCP4 1.2.3.4\r\n${get()}`), '');
  t.equal(origin.requests.length, 0);
  const one = `PROXY TCP4 ${BRITISH} 192.0.2.1 1 2\r\n${get()}`;
  t.match(await exchange(address, one), /^HTTP\/1\.1 200 /, 'header and request in one piece');
  t.match(seen(origin), { from: BRITISH, country: 'GB' });
  const two = `PROXY TCP4 ${BRITISH} 192.0.2.1 1 2\r\nPROXY TCP4 8.8.8.8 192.0.2.1 1 2\r\n${get()}`;
  t.match(await exchange(address, two), /^HTTP\/1\.1 400 /, 'a second one is no request');
  t.match(await exchange(address, `PROXY UNKNOWN\r\n${get()}`), /^HTTP\/1\.1 200 /);
  t.match(seen(origin), { from: '127.0.0.1' }, 'the sender speaks for itself');
});

test('requests of one connection have the same visitor', async (t) => {
  const { address, origin } = await start(t, { clientAddress: 'proxy-protocol', trustedProxies: LOCAL });
  const first = get().replace('Connection: close\r\n', '');
  const both = await exchange(address, `PROXY TCP4 ${BRITISH} 192.0.2.1 1 2\r\n${first}${get()}`);
  t.equal(both.match(/HTTP\/1\.1 200 /g)?.length, 2);
  for (const { headers } of origin.requests) t.equal(headers['x-forwarded-for'], BRITISH);
});

test('an untrusted peer cannot set the address of a connection', async (t) => {
  const { address, origin } = await start(t, { clientAddress: 'proxy-protocol', trustedProxies: ['192.0.2.0/24'] });
  t.match(await exchange(address, `PROXY TCP4 ${BRITISH} 192.0.2.1 1 2\r\n${get()}`), /^HTTP\/1\.1 400 /);
  t.match(await exchange(address, get(`X-Forwarded-For: ${BRITISH}\r\n`)), /^HTTP\/1\.1 200 /);
  t.match(seen(origin), { from: '127.0.0.1', country: undefined });
});

test('a PROXY header that does not arrive in time closes the connection', async (t) => {
  const { address } = await start(t, {
    clientAddress: 'proxy-protocol',
    trustedProxies: LOCAL,
    limits: { header_timeout: '100ms' },
  });
  const startedAt = performance.now();
  t.equal(await exchange(address, 'PROXY TCP4 '), '');
  t.ok(performance.now() - startedAt < 5_000);
});

for (const { what, options, fields, country } of [
  {
    what: 'a named header from a trusted proxy',
    options: { clientAddress: { header: 'X-Real-IP' }, trustedProxies: LOCAL },
    fields: `X-Real-IP: ${BRITISH}\r\nX-Forwarded-For: 8.8.8.8\r\n`,
    country: 'GB',
  },
  {
    what: 'a named header from somebody else',
    options: { clientAddress: { header: 'X-Real-IP' } },
    fields: `X-Real-IP: ${BRITISH}\r\n`,
    country: undefined,
  },
  {
    what: 'a named header twice',
    options: { clientAddress: { header: 'X-Real-IP' }, trustedProxies: LOCAL },
    fields: `X-Real-IP: ${BRITISH}\r\nX-Real-IP: ${BRITISH}\r\n`,
    country: undefined,
  },
  {
    what: 'a named header with more than an address',
    options: { clientAddress: { header: 'X-Real-IP' }, trustedProxies: LOCAL },
    fields: `X-Real-IP: ${BRITISH}, 8.8.8.8\r\n`,
    country: undefined,
  },
  {
    what: 'X-Forwarded-For, from the right, past those who are trusted',
    options: { trustedProxies: LOCAL },
    fields: `X-Forwarded-For: 8.8.8.8, ${BRITISH}, 127.0.0.9\r\n`,
    country: 'GB',
  },
  {
    what: 'Forwarded',
    options: { trustedProxies: LOCAL },
    fields: `Forwarded: for="[${AMERICAN}]"\r\n`,
    country: 'US',
  },
  {
    what: 'the connection alone',
    options: { clientAddress: 'connection', trustedProxies: LOCAL },
    fields: `X-Forwarded-For: ${BRITISH}\r\n`,
    country: undefined,
  },
] as const) {
  test(`the visitor’s address: ${what}`, async (t) => {
    const { address, origin } = await start(t, options);
    t.match(await exchange(address, get(fields)), /^HTTP\/1\.1 200 /);
    t.match(seen(origin), { country });
  });
}
