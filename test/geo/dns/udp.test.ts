/** DNS over UDP: a datagram in, at most one out. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode } from 'dns-packet';
import { type Test, test } from 'tap';
import { listenUdp, type UdpOptions } from '../../../geo/dns/udp.ts';
import { createLog } from '../../../telemetry/log.ts';
import { askUdp, runDns, until } from './server.ts';
import { queryFor, regionYaml } from './world.ts';

const GEO =
  'geo: { databases: [] }\nedges: [{ name: eu-1, listen: 127.0.0.1:0, tier: 127.0.0.1:1, public: [203.0.113.1] }]\n';
const yaml = (more = '', rest: Partial<Parameters<typeof regionYaml>[0]> = {}): string =>
  GEO + regionYaml({ more, ...rest });
const MAIL = queryFor('mail.example.com', 'A');
const addressOf = (answer: Buffer | undefined): unknown => (answer ? decode(answer).answers : []);

test('UDP answers over IPv4 and IPv6', async (t) => {
  const { port } = await runDns(t, yaml());
  t.match(addressOf(await askUdp(port, MAIL)), [{ type: 'A', data: '192.0.2.25' }]);
  t.match(addressOf(await askUdp(port, queryFor('www.example.com', 'A'))), [{ type: 'A', data: '203.0.113.1' }]);
  const six = await runDns(t, yaml('', { listen: '[::1]:0' }));
  t.match(addressOf(await askUdp(six.port, MAIL, '::1')), [{ type: 'A', data: '192.0.2.25' }]);
  t.match(six.node.addresses.listen, /^\[::1\]:\d+$/);
});

const log = createLog({ name: 'dns', level: 'silent' });

async function listening(t: Test, respond: UdpOptions['respond'], host = '127.0.0.1') {
  let failed = 0;
  const onFailed = (): void => {
    failed += 1;
  };
  const listener = await listenUdp({ host, port: 0, respond, onFailed, log });
  const client = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  client.bind(0, host);
  await once(client, 'listening');
  const answers: string[] = [];
  client.on('message', (message) => answers.push(String(message)));
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await listener.close();
    isOpen = false;
  };
  t.teardown(async () => {
    await close();
    client.close();
  });
  const send = (text: string) => new Promise((resolve) => client.send(text, listener.port, host, resolve));
  return { listener, client, answers, close, send, failures: () => failed };
}

test('each datagram has at most one answer, and one that is not answered delays no other', async (t) => {
  const { answers, send } = await listening(t, (message) => (String(message).startsWith('x') ? undefined : message));
  const sent = Array.from({ length: 600 }, (_, i) => `${i % 3 === 0 ? 'x' : 'a'}${i}`);
  for (const text of sent) await send(text);
  await until(() => answers.length === 400, 'answers');
  t.same(
    answers,
    sent.filter((text) => !text.startsWith('x')),
    'in their order',
  );
});

test('what has arrived before a close is answered', async (t) => {
  let read = 0;
  const { answers, send, close } = await listening(t, (message) => {
    read += 1;
    return message;
  });
  for (let i = 0; i < 50; i += 1) await send(String(i));
  await close();
  await until(() => answers.length === read, 'answers');
  t.equal(answers.length, 50);
});

test('an answer that the system does not take is counted, and the next one is sent', async (t) => {
  const { answers, send, failures } = await listening(t, (message) =>
    String(message) === 'large' ? Buffer.alloc(70_000) : message,
  );
  await send('large');
  await until(() => failures() === 1, 'a failure');
  await send('small');
  await until(() => answers.length === 1, 'an answer');
  t.same(answers, ['small']);
});

test('an address that another socket has is refused', async (t) => {
  const { listener } = await listening(t, () => undefined);
  const options = { host: '127.0.0.1', port: listener.port, respond: () => undefined, onFailed: () => undefined, log };
  await t.rejects(listenUdp(options), { code: 'EADDRINUSE' });
});
