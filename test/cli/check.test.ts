/** `seawall check`: what is wrong with files, with places and fixes, or that nothing is. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { runCommand } from './process.ts';
import { files, run } from './two-regions.ts';

const seawall = (...args: string[]) => runCommand('cli/seawall.ts', args);
const ENV = { SEAWALL_TIER_SECRET: 'a-secret-of-the-tests', SEAWALL_LOG: '' };
const EU = 'config/regions/eu.yaml';

for (const { what, text, code, stdout, line } of [
  {
    what: 'that is well',
    text: 'name: shop\norigin: { servers: [{ url: "http://127.0.0.1:1" }] }\nrules: [{ path: /a, ttl: 1h }]\n',
    code: 0,
    stdout: /site\.yaml: site shop is valid: 1 rule\n$/,
    line: undefined,
  },
  {
    what: 'whose origin the command line says',
    text: 'rules: [{ path: /a, ttl: 1h }]\n',
    code: 0,
    stdout: /site site is valid/,
    line: undefined,
  },
  {
    what: 'with a mistake',
    text: 'rules: [{ path: /a, cache: no }]\n',
    code: 1,
    stdout: /^$/,
    line: /site\.yaml:1:\d+ rules\[0\]\.cache: expected .*Fix: Write `cache: never`/,
  },
]) {
  test(`check accepts or refuses a file of one site ${what}`, async (t) => {
    const file = join(t.testdir({}), 'site.yaml');
    writeFileSync(file, text);
    const ran = await seawall('check', file);
    t.equal(ran.code, code);
    t.match(ran.stdout, stdout);
    if (line !== undefined) t.match(ran.stderrLines, [line]);
  });
}
test('a bad file is refused with the line, the key and the fix of each problem', async (t) => {
  const dir = t.testdir({
    'bad.yaml': [
      'region: eu',
      'tier_secret: a-secret-of-the-tests',
      'memory: lots',
      'edges:',
      '  - { name: eu-1, listen: 127.0.0.1:1, tier: 127.0.0.1:2, wieght: 2 }',
      'sites: [{ name: a, hosts: ["*"], origin: { servers: [{ url: "http://127.0.0.1:3" }] } }]',
    ].join('\n'),
  });
  const file = join(dir, 'bad.yaml');
  for (const command of ['start', 'check']) {
    const { code, stderrLines } = await runCommand('cli/seawall.ts', [command, file], ENV);
    t.equal(code, 1);
    t.equal(stderrLines.length, 2);
    t.match(stderrLines[0], /bad\.yaml:3:\d+ memory: .*Fix: /);
    t.match(stderrLines[1], /bad\.yaml:5:\d+ edges\[0\]\.wieght: .*Fix: .*weight/);
  }
  const { code, stdout } = await runCommand('cli/seawall.ts', ['check', file, '--json'], ENV);
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { ok: false, regions: [], problems: [{ line: 3, key: 'memory' }, { line: 5 }] });
});

test('valid files are reported as such', async (t) => {
  const files = [EU, 'config/regions/us.yaml'];
  const { code, stdout, stderrLines } = await runCommand('cli/seawall.ts', ['check', ...files], ENV);
  t.equal(code, 0);
  t.strictSame(stderrLines, []);
  t.match(stdout, /^config\/regions\/eu\.yaml: region eu is valid: 2 edges, 1 shield, the control node, 1 site$/m);
  const json = await runCommand('cli/seawall.ts', ['check', ...files, '--json'], ENV);
  t.match(JSON.parse(json.stdout), { ok: true, regions: [{ region: 'eu' }, { region: 'us' }], problems: [] });
});
test('check opens the databases, too', async (t) => {
  const { code, stderr } = await run(['check', ...files(t, '', Buffer.from('x'))]);
  t.equal(code, 1);
  t.match(stderr, /eu\.yaml:4:20 geo\.databases\[0\]: /);
  t.match(stderr, /us\.yaml:4:20 geo\.databases\[0\]: /);
});
