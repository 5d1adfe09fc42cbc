import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { prepareNetwork } from '../../../cli/demo/network.ts';
import { fingerprintOf } from '../../../config/fingerprint.ts';
import { loadRegion } from '../../../config/load.ts';
import { type RegionConfig, siteSchema } from '../../../config/schema.ts';
import { openAuthority } from '../../../trust/authority/authority.ts';

const REGIONS = join(import.meta.dirname, '../../../config/regions');
const ENV = { SEAWALL_TIER_SECRET: 'a-secret-of-the-tests' };

test('without options the demo network is that of the repository, with certificates of all nodes', async (t) => {
  const { regions, originUrl, folder, dispose } = prepareNetwork({ origin: undefined, portOffset: 0, env: ENV });
  t.equal(originUrl, 'http://127.0.0.1:8800');
  const written = ['eu', 'us'].map((name) => loadRegion(join(REGIONS, `${name}.yaml`), ENV));
  const common = ({ edges, shields, sites, network, memory }: RegionConfig) => [edges, shields, sites, network, memory];
  t.strictSame(regions.map(common), written.map(common));
  t.match(regions[0]?.control, { listen: '127.0.0.1:8900', tier: '127.0.0.1:8950' });
  t.equal(regions[0]?.control?.data, join(REGIONS, 'seawall-data'), 'tokens are those of the repository’s files');
  t.same(regions[1]?.purges.journal, ['https://127.0.0.1:8950']);
  const authority = openAuthority({ folder: join(folder, 'ca'), now: () => new Date() });
  t.same(
    authority
      .list()
      .map(({ identity: { role, name, region } }) => `${role} ${name} ${region}`)
      .sort(),
    ['control control eu', 'edge eu-1 eu', 'edge eu-2 eu', 'edge us-1 us', 'edge us-2 us', 'shield shield-1 eu'],
  );
  t.equal(statSync(join(folder, 'tls', 'eu-1.key')).mode & 0o777, 0o600);
  dispose();
  t.notOk(existsSync(folder), 'no trace is left');
});

test('files that have changed are copied again', async (t) => {
  const { regions, refresh, dispose } = prepareNetwork({ origin: undefined, portOffset: 0, env: ENV });
  t.teardown(dispose);
  const file = regions[0]?.file ?? '';
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, 'changed');
  refresh();
  t.equal(readFileSync(file, 'utf8'), before);
});

test('another origin gets a site of its own, without the rules of the demo site', async (t) => {
  const plain = prepareNetwork({ origin: undefined, portOffset: 0, env: ENV });
  const other = prepareNetwork({ origin: 'http://127.0.0.1:3000', portOffset: 0, env: ENV });
  t.equal(other.originUrl, 'http://127.0.0.1:3000');
  const sites = [
    siteSchema.parse({ name: 'site', hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:3000' }] } }),
  ];
  t.teardown(plain.dispose);
  const expected = plain.regions.map((region, i) => {
    const { control } = region;
    const file = other.regions[i]?.file ?? '';
    const body = { ...region, ...(control && { control: { ...control, data: 'seawall-data' } }), file, sites };
    return { ...body, fingerprint: fingerprintOf(body) };
  });
  t.strictSame(other.regions, expected);
  const folder = dirname(other.regions[0]?.file ?? '');
  t.ok(existsSync(folder));
  other.dispose();
  t.notOk(existsSync(folder), 'no trace is left');
});

test('an offset moves every port, that of the demo site included', async (t) => {
  const { regions, originUrl, dispose } = prepareNetwork({ origin: undefined, portOffset: 1_000, env: ENV });
  t.teardown(dispose);
  t.equal(originUrl, 'http://127.0.0.1:9800');
  const [eu, us] = regions;
  t.match(eu?.edges[0], { listen: '127.0.0.1:9081', tier: '127.0.0.1:9181', control: '127.0.0.1:9281' });
  t.match(eu?.control, { listen: '127.0.0.1:9900', tier: '127.0.0.1:9950' });
  t.same(us?.purges.journal, ['https://127.0.0.1:9950']);
  t.match(us?.reachableShields, [{ tier: '127.0.0.1:9190', control: '127.0.0.1:9290' }]);
});

for (const origin of ['http://127.0.0.1:3000/shop', 'ftp://127.0.0.1', '127.0.0.1:3000', '']) {
  test(`${JSON.stringify(origin)} is not accepted as an origin`, async (t) => {
    t.throws(() => prepareNetwork({ origin, portOffset: 0, env: ENV }), {
      code: 'config_refused',
      problems: [{ key: '--origin', message: /^expected http/ }],
    });
  });
}

test('a replicated network has a control node in each region, on one etcd, and nodes that know both', async (t) => {
  const etcd = ['127.0.0.1:9911', '127.0.0.1:9912', '127.0.0.1:9913'];
  const { regions, dispose } = prepareNetwork({ origin: undefined, portOffset: 1_000, etcd, env: ENV });
  t.teardown(dispose);
  const endpoints = etcd.map((address) => `http://${address}`);
  t.match(regions, [
    {
      control: { name: 'control', listen: '127.0.0.1:9900', journal: { etcd: { endpoints } } },
      purges: { journal: ['https://127.0.0.1:9950', 'https://127.0.0.1:9951'] },
    },
    {
      control: { name: 'control-2', listen: '127.0.0.1:9901', journal: { etcd: { endpoints } } },
      purges: { journal: ['https://127.0.0.1:9951', 'https://127.0.0.1:9950'] },
    },
  ]);
});
