/** Mistakes in the settings of several control nodes: each names the place, the key and the fix. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { controlUrls } from '../../config/control-urls.ts';
import { startControl } from '../../control/node.ts';
import { createLog } from '../../telemetry/log.ts';

const ETCD = 'control.journal.etcd';
const ENDPOINTS = '      endpoints: [http://127.0.0.1:2379]';

function check(folder: string, etcd: readonly string[], more: readonly string[] = [], env = {}) {
  const lines = [
    'region: eu',
    'tier_secret: a-secret-of-the-tests',
    'control:',
    '  listen: 127.0.0.1:0',
    '  journal:',
    '    etcd:',
    ...etcd,
    ...more,
    'sites: [{ name: shop, hosts: ["*"], origin: { servers: [{ url: "http://127.0.0.1:1" }] } }]',
  ];
  const file = join(folder, 'eu.yaml');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return checkRegions([file], env);
}

for (const { wrong, etcd, key, message, fix, line = 8 } of [
  {
    wrong: 'an endpoint without a scheme',
    etcd: ['      endpoints: [127.0.0.1:2379]'],
    key: `${ETCD}.endpoints[0]`,
    message: /expected http:\/\/HOST:PORT/,
    fix: /Write `http:\/\/127.0.0.1:2379`/,
    line: 7,
  },
  {
    wrong: 'a user without a password',
    etcd: [ENDPOINTS, '      username: a'],
    key: `${ETCD}.username`,
    message: /there is no password/,
    fix: /Add `password`/,
  },
  {
    wrong: 'a password without a user',
    etcd: [ENDPOINTS, '      password_file: a'],
    key: `${ETCD}.password_file`,
    message: /there is no `username`/,
    fix: /Add `username`/,
  },
  {
    wrong: 'a variable that is not set',
    etcd: [ENDPOINTS, `      password: \${NOT_SET}`, '      username: a'],
    key: `${ETCD}.password`,
    message: /NOT_SET is not set/,
    fix: /Set it/,
  },
  {
    wrong: 'a certificate without its key',
    etcd: ['      endpoints: [https://127.0.0.1:2379]', '      tls: { cert_file: a }'],
    key: `${ETCD}.tls.cert_file`,
    message: /there is no `key_file`/,
    fix: /Add `key_file`/,
  },
  {
    wrong: 'TLS for an address that has none',
    etcd: [ENDPOINTS, '      tls: { ca_file: a }'],
    key: `${ETCD}.endpoints[0]`,
    message: /not encrypted/,
    fix: /https/,
    line: 7,
  },
  {
    wrong: 'addresses of both kinds',
    etcd: ['      endpoints: [http://127.0.0.1:2379, https://127.0.0.1:2380]'],
    key: `${ETCD}.endpoints`,
    message: /some begin with http/,
    fix: /the same/,
    line: 7,
  },
  {
    wrong: 'a prefix that ends in the middle of a name',
    etcd: [ENDPOINTS, '      prefix: /seawall'],
    key: `${ETCD}.prefix`,
    message: /begins and ends with a slash/,
    fix: /prefix: \/seawall\//,
  },
]) {
  test(`refused: ${wrong}`, async (t) => {
    const { problems } = check(t.testdir(), etcd);
    t.match(problems, [{ key, message, fix, line }]);
    t.equal(problems.length, 1);
  });
}

test('a password comes from the environment, and is in no message', async (t) => {
  const etcd = [ENDPOINTS, '      username: a', `      password: \${PASSWORD}`];
  const { problems, regions } = check(t.testdir(), etcd, [], { PASSWORD: 'of a test' });
  t.same(problems, []);
  t.equal(regions[0]?.control?.journal?.etcd.password, 'of a test');
  const wrong = check(t.testdir(), [...etcd.slice(0, 2), '      password: [secret-thing]']);
  t.notMatch(JSON.stringify(wrong.problems), /secret-thing/);
});

for (const { journal, urls } of [
  { journal: [], urls: ['http://127.0.0.1:0'] },
  { journal: ['purges: { journal: http://10.0.0.3:8900 }'], urls: ['http://10.0.0.3:8900'] },
  {
    journal: ['purges: { journal: [http://10.0.0.3:8900, http://10.1.0.3:8900] }'],
    urls: ['http://10.0.0.3:8900', 'http://10.1.0.3:8900'],
  },
]) {
  test(`nodes ask ${urls.join(' and ')} with ${journal[0] ?? 'nothing said'}`, async (t) => {
    const { problems, regions } = check(t.testdir(), [ENDPOINTS], journal);
    t.same(problems, []);
    t.same(regions[0] && controlUrls(regions[0]), urls);
  });
}

test('an etcd that is not there is a problem of the line that names it', async (t) => {
  const { regions } = check(t.testdir(), ['      endpoints: [http://127.0.0.1:1]']);
  const [region] = regions;
  if (region?.control === undefined) throw new Error('no control node');
  const started = startControl({
    region,
    control: region.control,
    regions,
    log: createLog({ name: 'c', level: 'silent' }),
  });
  await t.rejects(started, {
    code: 'config_refused',
    problems: [{ line: 7, column: 7, key: `${ETCD}.endpoints`, message: /ECONNREFUSED/, fix: /Start etcd/ }],
  });
});
