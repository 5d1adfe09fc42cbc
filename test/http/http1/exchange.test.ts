/** Requests that come at once: hits are logged as themselves, and nothing is answered that was not asked. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { startNetwork } from '../../support/network.ts';
import { startOrigin } from '../../support/origin.ts';
import { dial, everything, statuses, until } from '../../support/raw-client.ts';
import { ask } from '../../support/visitor.ts';

interface Kind {
  readonly method?: string;
  readonly target: string;
  readonly fields?: string;
  readonly status: number;
}

const SMALL = 'hello';
const LARGE = 'x'.repeat(200_000);

/** Answers in every way in which a hit is sent: in one piece, in many, without a body. */
const KINDS: Readonly<Record<string, Kind>> = {
  whole: { target: '/whole', status: 200 },
  head: { method: 'HEAD', target: '/head', status: 200 },
  'not modified': { target: '/same', fields: 'If-None-Match: "v1"\r\n', status: 304 },
  'a part': { target: '/part', fields: 'Range: bytes=1-3\r\n', status: 206 },
  'no such part': { target: '/none', fields: 'Range: bytes=999999-\r\n', status: 416 },
  large: { target: '/large', status: 200 },
  'head of a large one': { method: 'HEAD', target: '/large-head', status: 200 },
  'a part of a large one': { target: '/large-part', fields: 'Range: bytes=1-70000\r\n', status: 206 },
  'no such part of a large one': { target: '/large-none', fields: 'Range: bytes=999999-\r\n', status: 416 },
};

const NAMES = Object.keys(KINDS);

async function start(t: Test, accessLog?: string) {
  const origin = await startOrigin(({ url = '' }, response) => {
    const body = url.startsWith('/large') ? LARGE : SMALL;
    response.writeHead(200, { 'Cache-Control': 'max-age=3600', ETag: '"v1"', 'Content-Length': body.length });
    response.end(body);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, ...(accessLog && { accessLog }) });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (const { target } of Object.values(KINDS)) await ask(network.at('eu-1'), target);
  return network;
}

const bytesOf = ({ method = 'GET', target, fields = '' }: Kind): string =>
  `${method} ${target} HTTP/1.1\r\nHost: site.test\r\n${fields}\r\n`;

const kinds = (names: readonly string[]): Kind[] => names.map((name) => KINDS[name] as Kind);

test('the access log has each of them once, under its own target', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-pipelined-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'access.jsonl');
  const network = await start(t, file);
  const asked = kinds(NAMES);
  const runs = fc.array(fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 8 }), {
    minLength: 1,
    maxLength: 3,
  });
  const property = fc.asyncProperty(runs, async (connections) => {
    const sent = connections.map(kinds);
    asked.push(...sent.flat());
    await Promise.all(
      sent.map(async (requests) => {
        const socket = dial(network.at('eu-1'));
        await once(socket, 'connect');
        socket.end(requests.map(bytesOf).join(''));
        t.strictSame(
          statuses(await everything(socket)),
          requests.map(({ status }) => status),
        );
      }),
    );
  });
  await fc.assert(property, { numRuns: 30, examples: [[[['no such part', 'whole']]]] });
  await network.close();
  const logged = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { method: string; target: string; status: number });
  // The first of each filled the store.
  const expected = asked.map((kind, i) => (i < NAMES.length ? { target: kind.target, status: 200 } : kind));
  const one = ({ method = 'GET', target, status }: Kind): string => `${method} ${target} ${status}`;
  t.strictSame(logged.map(one).sort(), expected.map(one).sort());
});

for (const name of NAMES) {
  test(`no request has begun after an answer: ${name}`, async (t) => {
    const network = await start(t);
    const requests = kinds(['whole', 'whole', name]);
    const socket = dial(network.at('eu-1'));
    await once(socket, 'connect');
    socket.write(requests.map(bytesOf).join(''));
    let text = '';
    while (statuses(text).length < requests.length) text += await until(socket, /HTTP\/1\.1/);
    const rest = everything(socket);
    // Long enough for what is read later to be read: the answer to another connection comes after it.
    await ask(network.at('eu-1'), '/whole');
    socket.end();
    t.strictSame(
      statuses(text + (await rest)),
      requests.map(({ status }) => status),
      'and nothing is answered that was not asked',
    );
  });
}

for (const behind of [[], ['/a'], ['/a', '/b']]) {
  test(`an answer that breaks off before its turn ends the connection, with ${behind.length} behind it`, async (t) => {
    const othersDone = Promise.withResolvers<void>();
    const origin = await startOrigin(({ url = '', socket }, response) => {
      response.writeHead(200, { 'Content-Length': SMALL.length });
      if (url === '/first') void othersDone.promise.then(() => response.end(SMALL));
      else if (url !== '/broken') response.end(SMALL);
      else {
        response.write(SMALL.slice(0, 1));
        setImmediate(() => socket.destroySoon());
      }
    });
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const socket = dial(network.at('eu-1'));
    const targets = ['/first', '/broken', ...behind];
    socket.write(targets.map((target) => bytesOf({ target, status: 200 })).join(''));
    const all = everything(socket);
    const count = () => network.metric('eu-1', 'seawall_requests_total', { listener: 'public' });
    while ((await count()) < targets.length - 1) await new Promise((resolve) => setImmediate(resolve));
    othersDone.resolve();
    const text = await all;
    t.strictSame(statuses(text), [200], 'the first has its answer, and no other begins');
    t.match(text, /\r\n\r\nhello$/);
  });
}
