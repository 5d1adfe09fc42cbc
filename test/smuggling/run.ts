/**
 * `npm run test:smuggling`: shapes whose end two programs may see at different places, sent through Seawall to four
 * origins that are not ours. Seawall writes Via into each request that it sends, so a request without one was read out
 * of another one's bytes.
 * @module
 */
import { t as all, type Test, test } from 'tap';
import { readArguments } from '../support/arguments.ts';
import { END_HEADERS, END_STREAM, frame, RawHttp2, section, TYPE } from '../support/frames.ts';
import { startNetwork } from '../support/network.ts';
import { dial, everything } from '../support/raw-client.ts';
import { startSecureEdge } from '../support/secure-edge.ts';
import { ask, HOST } from '../support/visitor.ts';
import { ORIGINS, type RecordingOrigin, startRecordingOrigin } from './origins.ts';
import { hidden, http2Shapes, shapes, victim } from './shapes.ts';

const HELP = `Usage: npm run test:smuggling -- [options]

Sends requests whose end two programs may see at different places through Seawall to
Node, nginx, Apache httpd and Caddy (Debian's packages nginx, apache2-bin and caddy),
as TAP. No request may reach an origin that Seawall did not send, and every visitor
gets the answer to its own request.

Options:
  --only LIST  Of ${ORIGINS.join(',')}. By default all.
  --help       Say this.
`;

const given = readArguments('test:smuggling', HELP, { only: ORIGINS.join(',') });
const only = given.names('only', 'origin', ORIGINS);
all.setTimeout(600_000);

/** Ways in which the bytes of a shape come. */
const CUTS = ['at once', 'cut after the head'] as const;

const HTTP1 = [...shapes()];
const HTTP2 = [...http2Shapes(HTTP1.length * CUTS.length)];

for (const name of only) {
  test(`${HTTP1.length} shapes of HTTP/1.1 and ${HTTP2.length} of HTTP/2, origin ${name}`, async (t) => {
    const origin = await startRecordingOrigin(name);
    t.teardown(() => origin.close());
    const site = { name: 'site', hosts: [HOST], keys: { methods: 'any' as const } };
    const edge = await startSecureEdge(t, origin.url, [site]);
    await attack(t, origin, edge.node.addresses.listen);
    await attackByHttp2(t, origin, edge.node.addresses.listen, edge.port);
    await judge(t, origin);
  });
}

test(`${HTTP1.length} shapes of HTTP/1.1 through an owner and a shield, origin ${only[0]}`, async (t) => {
  const origin = await startRecordingOrigin(only[0] as string);
  t.teardown(() => origin.close());
  const network = await startNetwork({ origin: origin.url, shields: 1, site: { methods: 'any' } });
  t.teardown(() => network.close());
  await attack(t, origin, network.at('eu-1'));
  await judge(t, origin);
});

test('sent to an origin directly, many of the shapes are two requests', async (t) => {
  const origin = await startRecordingOrigin(only[0] as string);
  t.teardown(() => origin.close());
  const address = new URL(origin.url).host;
  for (const { text } of HTTP1) await sent(address, text, 'at once');
  const targets = new Set((await origin.taken()).map(({ target }) => target));
  const found = HTTP1.filter((_, number) => targets.has(hidden(number)));
  t.ok(found.length > 50, `${found.length} of ${HTTP1.length}`);
});

async function attack(t: Test, origin: RecordingOrigin, address: string): Promise<void> {
  let wrong = 0;
  let number = 0;
  for (const shape of HTTP1) {
    for (const cut of CUTS) {
      // The number stands in the bytes, and their lengths: each sending has its own.
      const text = await sent(address, shape.text, cut);
      const echoes = [...text.matchAll(/^x-echo: (.*)\r$/gim)].map(([, echo = '']) => echo);
      const foreign = echoes.filter((echo) => !belongs(echo, HTTP1.indexOf(shape)));
      if (foreign.length > 0 && ++wrong <= 20) t.fail(`${shape.name}, ${cut}: got ${foreign.join(' ')}`);
      wrong += await visit(t, address, number++, shape.name);
    }
  }
  t.equal(wrong, 0, `${number} times every answer belongs to its own request`);
  t.ok(origin.answers() > number, 'the visitors’ requests reached the origin');
}

/** Every target of a shape has its number; `*` is that of OPTIONS. */
function belongs(echo: string, number: number): boolean {
  return echo === '*' || Number(/-(\d+)/.exec(echo)?.[1]) === number;
}

async function sent(address: string, text: string, cut: (typeof CUTS)[number]): Promise<string> {
  const socket = dial(address).setNoDelay(true);
  const answer = everything(socket);
  const headEnd = text.indexOf('\r\n\r\n') + 4;
  if (cut === 'at once' || headEnd < 4) socket.end(text, 'latin1');
  else {
    await new Promise<void>((resolve) => socket.write(text.slice(0, headEnd), 'latin1', () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    socket.end(text.slice(headEnd), 'latin1');
  }
  return answer;
}

/** A visitor behind a shape, on its own connection. @returns 1 if it got the answer to another request. */
async function visit(t: Test, address: string, number: number, after: string): Promise<number> {
  const { status, headers } = await ask(address, victim(number));
  if (status === 200 && headers['x-echo'] === victim(number)) return 0;
  t.fail(`after ${after}: the next visitor got ${status} ${headers['x-echo']}`);
  return 1;
}

async function attackByHttp2(t: Test, origin: RecordingOrigin, address: string, port: number): Promise<void> {
  const before = origin.answers();
  let wrong = 0;
  let number = HTTP1.length * CUTS.length;
  for (const { name, fields, body } of HTTP2) {
    const client = await RawHttp2.open(port);
    client.send(
      frame(TYPE.headers, END_HEADERS, 1, section(fields)),
      frame(TYPE.data, END_STREAM, 1, Buffer.from(body, 'latin1')),
    );
    const ending = await client.until(
      ({ type, flags, stream }) =>
        type === TYPE.goaway || (stream === 1 && (type === TYPE.reset || (flags & END_STREAM) !== 0)),
    );
    t.ok(ending !== undefined || client.socket.destroyed, name);
    client.socket.destroy();
    wrong += await visit(t, address, number++, name);
  }
  t.equal(wrong, 0, `${HTTP2.length} times over HTTP/2 the next visitor gets its own answer`);
  t.ok(origin.answers() > before);
}

/** No request without Via, and no answer to what never became a request. */
async function judge(t: Test, origin: RecordingOrigin): Promise<void> {
  const answers = origin.answers();
  const taken = await origin.taken();
  const without = taken.filter(({ via }) => via === '');
  t.strictSame(without.slice(0, 20), [], 'every request that the origin took was sent by Seawall');
  t.equal(answers, taken.length, 'the origin answered requests only');
}
