/** Certificates that change while nodes run: without a restart, or a request that is lost. */
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from 'node:tls';
import { type Test, test } from 'tap';
import { formatTierField, token } from '../../http/fields/tier-field.ts';
import { daysMs } from '../../trust/authority/authority.ts';
import { ask } from '../support/visitor.ts';
import { NODES, startWorld, type TrustedWorld } from './world.ts';

/** Sends requests whose way is from eu-1 over eu-2 and the shield to the origin, one after the other, until stopped. */
function load({ network }: TrustedWorld) {
  const answers: string[] = [];
  let isOver = false;
  const running = (async () => {
    for (let i = 0; !isOver; i++) {
      const { status, text } = await ask(network.at('eu-1'), network.pathOf('eu-2', `/load-${i}-`));
      answers.push(`${status} ${text}`);
    }
  })();
  return {
    answers,
    async stop(t: Test) {
      isOver = true;
      await running;
      t.ok(answers.length > 20, `${answers.length} requests`);
      t.same(new Set(answers), new Set(['200 hello']), 'none was lost');
    },
  };
}

/** All nodes read their files again, as they do at SIGHUP. @returns when they have. */
async function reload(world: TrustedWorld): Promise<void> {
  const before = world.lines.length;
  world.network.reload({});
  world.control.reload(world.controlRegions);
  const files = (): unknown[] => world.lines.slice(before).flatMap((line) => (isRead(line) ? [line['file']] : []));
  while (new Set(files()).size < NODES.length) await wait(5);
}

const isRead = ({ msg }: { msg: string }): boolean => msg === 'node certificate read';

test('certificates and their authority are replaced under load, and no request is lost', async (t) => {
  const world = await startWorld(t);
  const { trust } = world;
  const { authority } = trust;
  const visitors = load(world);
  const reissue = async (): Promise<void> => {
    for (const [role, name] of NODES) trust.issue(role, name, 'eu');
    await reload(world);
  };
  const someRequests = async (): Promise<void> => {
    const until = visitors.answers.length + 20;
    while (visitors.answers.length < until) await wait(5);
  };
  await reissue();
  await someRequests();
  const [first] = authority.certificates;
  authority.renewAuthority(daysMs(365));
  trust.publish();
  await reload(world); // both are trusted
  await reissue();
  await someRequests(); // no node connects with a certificate of the old one any more
  authority.retireAuthorities();
  trust.publish();
  await reload(world);
  await someRequests();
  await visitors.stop(t);
  t.not(authority.certificates[0]?.serialNumber, first?.serialNumber);
  const refused = world.lines.filter(({ msg }) => msg === 'node refused');
  t.same(
    refused.filter(({ reason, detail }) => reason !== 'peer_wrong_ca' || detail !== 'the connection was open'),
    [],
    'only streams that were opened with the old certificates were cut, and opened again',
  );
});

test('nodes notice by themselves that files have changed, and keep what they had where they cannot be used', async (t) => {
  const world = await startWorld(t);
  const { trust, network } = world;
  const before = trust.issue('edge', 'eu-2', 'eu');
  trust.issue('edge', 'eu-1', 'eu'); // as if copied over eu-2's by mistake
  copyFileSync(join(trust.folder, 'eu-1.pem'), join(trust.folder, 'eu-2.pem'));
  const fault = await world.logged(({ msg }) => msg.startsWith('node certificate refused'));
  t.match(fault, { level: 'error', detail: /eu-2\.key is not the key of the certificate/ });
  t.equal((await ask(network.at('eu-1'), network.pathOf('eu-2', '/a'))).text, 'hello');
  trust.issue('edge', 'eu-2', 'eu');
  await world.logged((line) => isRead(line) && world.lines.indexOf(line) > world.lines.indexOf(fault));
  t.not(before.serialNumber, undefined);
});

test('a revocation holds within ten seconds: for open connections, for new ones and for resumed sessions', async (t) => {
  const world = await startWorld(t);
  const { trust, network, control } = world;
  const path = network.pathOf('eu-2', '/a');
  t.equal((await ask(network.at('eu-1'), path)).text, 'hello'); // both edges are connected to each other and to control
  const open = async (session?: Buffer) => {
    const address = network.shields[0]?.addresses.tier ?? '';
    const socket = connect({
      port: Number(address.split(':').at(-1)),
      cert: readFileSync(join(trust.folder, 'eu-2.pem')),
      key: readFileSync(join(trust.folder, 'eu-2.key')),
      rejectUnauthorized: false,
      ...(session && { session }),
    });
    socket.on('error', () => undefined);
    const sessions = once(socket, 'session') as Promise<[Buffer]>;
    await once(socket, 'secureConnect');
    const field = formatTierField({ id: 'x', proto: token('http'), ask: token('shield'), seq: 0 });
    socket.write(`GET /b HTTP/1.1\r\nHost: site.test\r\nSeawall-Tier: ${field}\r\n\r\n`);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return { socket, sessions, status: /^HTTP\/1\.1 (\d+)/.exec(bytes.toString('latin1'))?.[1] };
  };
  const first = await open();
  t.equal(first.status, '200');
  const [session] = await first.sessions;
  const resumed = await open(session);
  t.ok(resumed.socket.isSessionReused());
  t.equal(resumed.status, '200', 'who it is stands in the session');

  const closed = Promise.all([once(first.socket, 'close'), once(resumed.socket, 'close')]);
  const [again] = await (await open()).sessions;
  trust.authority.revoke('eu-2');
  trust.publish();
  const startedAt = performance.now();
  const isAtControl = ({ name, reason, direction }: Record<string, unknown>): boolean =>
    reason === 'peer_revoked' && direction === 'incoming' && name === undefined;
  await Promise.all([closed, world.logged((line) => isAtControl(line))]);
  t.ok(performance.now() - startedAt < 10_000, `${performance.now() - startedAt} ms`);

  t.equal((await open()).status, '403');
  const late = await open(again);
  t.equal(late.status, '403', `the session was ${late.socket.isSessionReused() ? '' : 'not '}resumed`);
  t.equal((await ask(network.at('eu-1'), network.pathOf('eu-2', '/c'))).text, 'hello', 'visitors notice nothing');
  const [onEdge, onShield] = await Promise.all([world.refusals('eu-1'), world.refusals('shield-1')]);
  t.ok((onEdge['outgoing peer_revoked'] ?? 0) > 0, 'the other edge does not ask it');
  t.ok((onShield['incoming peer_revoked'] ?? 0) > 0);
  const atControl = async (): Promise<Record<string, number>> => world.refusals('control');
  while (((await atControl())['incoming peer_revoked'] ?? 0) === 0) await wait(20);
  t.ok(control.tier);
});

test('a certificate that ends while its connections are open ends them', async (t) => {
  const world = await startWorld(t);
  const { trust, network } = world;
  trust.issue('edge', 'eu-2', 'eu', 2_000);
  const shield = network.shields[0]?.addresses.tier ?? '';
  const socket = connect({
    port: Number(shield.split(':').at(-1)),
    cert: readFileSync(join(trust.folder, 'eu-2.pem')),
    key: readFileSync(join(trust.folder, 'eu-2.key')),
    rejectUnauthorized: false,
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  await Promise.all([once(socket, 'close'), world.logged(({ reason }) => reason === 'peer_expired')]);
  t.match(
    world.lines.find(({ reason }) => reason === 'peer_expired'),
    { detail: 'the connection was open', peer: { name: 'eu-2' } },
  );
});
