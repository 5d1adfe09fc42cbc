import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'tap';
import { prepareNetwork } from '../../../cli/demo/network.ts';
import { fingerprintOf } from '../../../config/fingerprint.ts';
import { siteSchema } from '../../../config/schema.ts';

const ENV = { SEAWALL_TIER_SECRET: 'a-secret-of-the-tests' };

test('without options the demo network is the files of the repository', async (t) => {
  const { regions, originUrl, dispose } = prepareNetwork({ origin: undefined, portOffset: 0, env: ENV });
  t.match(
    regions.map(({ file }) => file),
    [/config\/regions\/eu\.yaml$/, /config\/regions\/us\.yaml$/],
  );
  t.equal(originUrl, 'http://127.0.0.1:8800');
  dispose();
  for (const { file } of regions) t.ok(existsSync(file));
});

test('another origin gets a site of its own, without the rules of the demo site', async (t) => {
  const plain = prepareNetwork({ origin: undefined, portOffset: 0, env: ENV });
  const other = prepareNetwork({ origin: 'http://127.0.0.1:3000', portOffset: 0, env: ENV });
  t.equal(other.originUrl, 'http://127.0.0.1:3000');
  const sites = [
    siteSchema.parse({ name: 'site', hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:3000' }] } }),
  ];
  const expected = plain.regions.map((region, i) => ({
    ...region,
    file: other.regions[i]?.file,
    sites,
    fingerprint: fingerprintOf({ ...region, sites }),
  }));
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
  t.match(eu?.control, { listen: '127.0.0.1:9900' });
  t.same(us?.purges.journal, ['http://127.0.0.1:9900']);
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
      purges: { journal: ['http://127.0.0.1:9900', 'http://127.0.0.1:9901'] },
    },
    {
      control: { name: 'control-2', listen: '127.0.0.1:9901', journal: { etcd: { endpoints } } },
      purges: { journal: ['http://127.0.0.1:9901', 'http://127.0.0.1:9900'] },
    },
  ]);
});
