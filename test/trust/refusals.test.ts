/**
 * Every combination of what can be wrong with a certificate, at every port for nodes: refused, with the name of the
 * first that is wrong in log and metric.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlainly } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'tap';
import { formatTierField, token } from '../../http/fields/tier-field.ts';
import { createAuthority, daysMs, makeKey, privatePem } from '../../trust/authority/authority.ts';
import type { NodeIdentity, Role } from '../../trust/identity.ts';
import { ROLES } from '../../trust/identity.ts';
import { PERMISSIONS } from '../../trust/permissions.ts';
import type { PeerRefusal } from '../../trust/refusals.ts';
import { makeCertificate, type Signer } from '../../trust/x509/certificate.ts';
import { makeRevocationList } from '../../trust/x509/revocation-list.ts';
import { type Credentials, connectTo, makeTrust } from '../support/trust.ts';
import { startWorld, type TrustedWorld } from './world.ts';

/** In the order in which they are noticed. */
const FAULTS = ['wrong CA', 'expired', 'revoked', 'not a node', 'wrong network', 'wrong role'] as const;

type Fault = (typeof FAULTS)[number];

const REASONS: Readonly<Record<Fault, PeerRefusal>> = {
  'wrong CA': 'peer_wrong_ca',
  expired: 'peer_expired',
  revoked: 'peer_revoked',
  'not a node': 'peer_not_a_node',
  'wrong network': 'peer_wrong_network',
  'wrong role': 'peer_wrong_role',
};

/** Every set of faults, the empty one first. */
const COMBINATIONS: readonly (readonly Fault[])[] = Array.from({ length: 2 ** FAULTS.length }, (_, bits) =>
  FAULTS.filter((_fault, index) => (bits & (1 << index)) !== 0),
);

interface Port {
  readonly name: string;
  readonly node: string;
  readonly right: Role;
  readonly wrong: Role;
  readonly ask: string;
  address(world: TrustedWorld): string;
}

const PORTS: readonly Port[] = [
  {
    name: 'an edge',
    node: 'eu-1',
    right: 'edge',
    wrong: 'shield',
    ask: 'owner',
    address: ({ network }) => network.edge('eu-1').addresses.tier,
  },
  {
    name: 'a shield',
    node: 'shield-1',
    right: 'edge',
    wrong: 'control',
    ask: 'shield',
    address: ({ network }) => network.shields[0]?.addresses.tier ?? '',
  },
  {
    name: 'a control node',
    node: 'control',
    right: 'edge',
    wrong: 'dns',
    ask: '',
    address: ({ control }) => control.tier ?? '',
  },
];

function requestTo({ ask }: Port, from: string): string {
  const field = formatTierField({
    id: 'x',
    from,
    proto: token('http'),
    ask: ask === '' ? undefined : token(ask),
    seq: 0,
  });
  const target = ask === '' ? '/v1/journal?after=0' : '/';
  return `GET ${target} HTTP/1.1\r\nHost: site.test\r\nSeawall-Tier: ${field}\r\nConnection: close\r\n\r\n`;
}

/** @returns Status of the answer, or `closed`. */
async function statusOf(address: string, credentials: Partial<Credentials>, request: string): Promise<string> {
  const socket = await connectTo(address, credentials);
  socket.write(request);
  const answer = await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.destroy();
  return Buffer.isBuffer(answer[0]) ? (/^HTTP\/1\.1 (\d+)/.exec(answer[0].toString('latin1'))?.[1] ?? '') : 'closed';
}

/** Makes a certificate with these faults, and lists it where it is to be revoked. */
function makerOf(root: string, trust: ReturnType<typeof makeTrust>) {
  const now = (): Date => new Date();
  const good = signerOf(trust.authority.folder);
  const other = createAuthority({ folder: join(root, 'other'), network: 'seawall', lifetimeMs: daysMs(1), now });
  const bad = signerOf(other.folder);
  const revoked: string[] = [];
  return {
    make(faults: readonly Fault[], { right, wrong }: Pick<Port, 'right' | 'wrong'>): Credentials {
      const has = (fault: Fault): boolean => faults.includes(fault);
      const identity: NodeIdentity = {
        network: has('wrong network') ? 'elsewhere' : 'seawall',
        role: has('wrong role') ? wrong : right,
        name: has('not a node') ? 'Nobody' : 'eu-2',
        region: 'eu',
      };
      const key = makeKey();
      const to = new Date(Date.now() + (has('expired') ? -1_000 : daysMs(1)));
      const validity = { from: new Date(Date.now() - daysMs(1)), to };
      const cert = makeCertificate(has('wrong CA') ? bad : good, identity, createPublicKey(key), validity);
      if (has('revoked')) revoked.push(new X509Certificate(cert).serialNumber);
      return { cert, key: privatePem(key) };
    },
    publish(): void {
      const list = makeRevocationList(
        good,
        revoked.map((serial) => ({ serial, at: new Date() })),
        new Date(),
      );
      writeFileSync(join(trust.folder, 'revoked.pem'), list);
    },
  };
}

function signerOf(folder: string): Signer {
  return { certificate: new X509Certificate(read(folder, 'ca.pem')), key: createPrivateKey(read(folder, 'ca.key')) };
}

function read(folder: string, name: string): string {
  return readFileSync(join(folder, name), 'latin1');
}

test('every combination of faults is refused at every port, by the name of the first', async (t) => {
  const root = t.testdir();
  const trust = makeTrust(root);
  const maker = makerOf(root, trust);
  const made = PORTS.map((port) => COMBINATIONS.map((faults) => ({ port, faults, shown: maker.make(faults, port) })));
  maker.publish();
  const world = await startWorld(t, { trust, root });
  for (const cases of made) {
    const { port } = cases[0] as (typeof cases)[number];
    const expected: Record<string, number> = {};
    for (const { faults, shown } of cases) {
      const status = await statusOf(port.address(world), shown, requestTo(port, 'eu-2'));
      const what = faults.length === 0 ? 'a good certificate' : faults.join(', ');
      t.equal(status, faults.length === 0 ? '200' : '403', `${what} at ${port.name}`);
      const [first] = faults;
      if (first === undefined) continue;
      const reason = `incoming ${REASONS[first]}`;
      expected[reason] = (expected[reason] ?? 0) + 1;
    }
    t.same(await world.refusals(port.node), expected, `metric of ${port.name}`);
  }
  const reasons = new Set(world.lines.filter(({ msg }) => msg === 'node refused').map(({ reason }) => reason));
  t.same([...reasons].sort(), Object.values(REASONS).sort(), 'log');
});

test('who shows no certificate, an unnamed one, or speaks plain HTTP is refused by name', async (t) => {
  const world = await startWorld(t);
  const { trust } = world;
  trust.issue('edge', 'eu-9', 'eu');
  trust.issue('edge', 'us-1', 'us');
  const credentials = (name: string): Credentials => ({
    cert: read(trust.folder, `${name}.pem`),
    key: read(trust.folder, `${name}.key`),
  });
  for (const port of PORTS) {
    const address = port.address(world);
    t.equal(await statusOf(address, {}, requestTo(port, 'eu-2')), '403', `none at ${port.name}`);
    t.equal(
      await statusOf(address, credentials('eu-2'), requestTo(port, 'eu-1')),
      '403',
      `another name at ${port.name}`,
    );
    t.equal(await statusOf(address, credentials('eu-9'), requestTo(port, 'eu-9')), '403', `unnamed at ${port.name}`);
    // A shield serves edges of regions whose files it has not.
    const ofOtherRegion = await statusOf(address, credentials('us-1'), requestTo(port, 'us-1'));
    t.equal(ofOtherRegion, port.ask === 'shield' ? '200' : '403', `of another region at ${port.name}`);
    const colon = address.lastIndexOf(':');
    const plain = connectPlainly({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    plain.write(requestTo(port, 'eu-2'));
    t.match(await text(plain), /^HTTP\/1\.1 400 .*plain_http/s, `plain HTTP at ${port.name}`);
    t.same(await world.refusals(port.node), {
      'incoming peer_no_certificate': 1,
      'incoming peer_wrong_name': 1,
      'incoming peer_unknown': port.ask === 'shield' ? 1 : 2,
      'incoming peer_plain': 1,
    });
  }
});

const EXPLAINED = JSON.stringify({
  method: 'GET',
  scheme: 'http',
  authority: 'site.test',
  target: '/',
  headers: [],
  fetch: false,
});

test('a role may do what the table of permissions says, and nothing else', async (t) => {
  const world = await startWorld(t);
  const { trust, network, control } = world;
  const tierOf = { edge: network.edge('eu-1').addresses.tier, shield: network.shields[0]?.addresses.tier ?? '' };
  const journal = control.tier ?? '';
  const call = (ask: string, name: string, body = '') => {
    const field = formatTierField({ id: 'x', from: name, proto: token('http'), ask: token(ask), seq: 0 });
    const method = body === '' ? 'GET' : 'POST';
    return `${method} / HTTP/1.1\r\nHost: site.test\r\nSeawall-Tier: ${field}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };
  const at = (method: string, path: string, body = '') =>
    `${method} ${path} HTTP/1.1\r\nHost: c\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  const purge = { site: 'site', kind: 'tag', selector: 'a', soft: false, who: 'x', why: 'y' };
  const requests: Record<keyof typeof PERMISSIONS, (name: string) => readonly [address: string, request: string]> = {
    ask_owner: (name) => [tierOf.edge, call('owner', name)],
    ask_shield: (name) => [tierOf.shield, call('shield', name)],
    heartbeat: (name) => [tierOf.shield, call('heartbeat', name).replace('GET /', 'GET /.seawall-heartbeat')],
    share_limits: (name) => [tierOf.edge, call('limits', name, '{"limits":[],"counts":[]}')],
    count_matches: (name) => [tierOf.shield, call('matches', name, '{"selectors":[]}')],
    explain_request: (name) => [tierOf.shield, call('explain', name, EXPLAINED)],
    read_journal: () => [journal, at('GET', '/v1/journal?after=0')],
    report_progress: () => [journal, at('POST', '/v1/journal/applied')],
    append_purges: () => [journal, at('POST', '/v1/journal/purges', JSON.stringify({ purges: [purge] }))],
    work_on_jobs: () => [journal, at('POST', '/v1/work', '{"type":"claim","wait_ms":0}')],
    read_network: () => [journal, at('GET', '/v1/network')],
  };
  /** Nodes that the region files name, but for the last two. */
  const names: Readonly<Record<Role, string>> = {
    edge: 'eu-2',
    shield: 'shield-1',
    control: 'control',
    dns: 'dns',
    admin: 'me',
  };
  for (const role of ROLES) {
    const name = names[role];
    trust.issue(role, name, role === 'admin' ? undefined : 'eu');
    const shown = { cert: read(trust.folder, `${name}.pem`), key: read(trust.folder, `${name}.key`) };
    for (const [permission, { roles }] of Object.entries(PERMISSIONS)) {
      const [address, request] = requests[permission as keyof typeof PERMISSIONS](name);
      const status = await statusOf(address, shown, request);
      // No DNS server is named: its role is the right one, and it is unknown.
      const mayDo = (roles as readonly Role[]).includes(role) && role !== 'dns';
      t.match(status, mayDo ? /^20[04]$/ : /^403$/, `${role}: ${permission}`);
    }
  }
});

test('a node purges the sites of its region file only', async (t) => {
  const { trust, control, logged } = await startWorld(t);
  const shown = { cert: read(trust.folder, 'eu-1.pem'), key: read(trust.folder, 'eu-1.key') };
  const append = (site: string): Promise<string> => {
    const kind = site === '*' ? 'everything' : 'site';
    const purge = { site, kind, selector: '', soft: false, who: 'x', why: 'y' };
    const body = JSON.stringify({ purges: [purge] });
    const head = `POST /v1/journal/purges HTTP/1.1\r\nHost: c\r\nContent-Length: ${body.length}\r\nConnection: close`;
    return statusOf(control.tier ?? '', shown, `${head}\r\n\r\n${body}`);
  };
  t.equal(await append('site'), '200');
  t.equal(await append('another'), '403');
  t.equal(await append('*'), '403', 'everything at once is for operators');
  t.match(await logged(({ reason }) => reason === 'peer_wrong_site'), { peer: { name: 'eu-1' }, detail: 'another' });
});
