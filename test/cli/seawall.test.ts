/** Command line without anything to run: help, and one line with an exit code for every mistake. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { runCommand } from './process.ts';

const ENV = { SEAWALL_TIER_SECRET: 'a-secret-of-the-tests', SEAWALL_LOG: '' };
const EU = 'config/regions/eu.yaml';
const ORIGIN = ['--origin', 'http://127.0.0.1:1'];

for (const args of [[], ['--help'], ['-h'], ['help']]) {
  test(`seawall ${args.join(' ')} names the commands`, async (t) => {
    const { code, stdout, stderrLines } = await runCommand('cli/seawall.ts', args);
    t.equal(code, 0);
    for (const command of ['serve', 'start', 'check']) t.match(stdout, new RegExp(`^  ${command} +\\S`, 'm'));
    t.strictSame(stderrLines, []);
  });
}

for (const { command, mentions } of [
  { command: 'serve', mentions: ['--origin URL', '--listen HOST:PORT', '--memory SIZE', '--site FILE', '--json'] },
  { command: 'start', mentions: ['start FILE...', '--node NAME', '--log-level LEVEL', '--json', 'SIGHUP'] },
  { command: 'check', mentions: ['check FILE...', '--json'] },
]) {
  test(`seawall ${command} --help prints its options`, async (t) => {
    const { code, stdout } = await runCommand('cli/seawall.ts', [command, '--help']);
    t.equal(code, 0);
    for (const mention of [...mentions, `Usage: cli/seawall ${command}`, 'Examples:']) {
      t.ok(stdout.includes(mention), mention);
    }
  });
}

test('npm start -- --help prints its options', async (t) => {
  const { code, stdout } = await runCommand('cli/demo/start.ts', ['--help']);
  t.equal(code, 0);
  t.match(stdout, 'npm start -- --origin http://127.0.0.1:3000');
});

for (const { wrong, args, code, line } of [
  { wrong: 'no such command', args: ['sreve'], code: 2, line: 'there is no command "sreve". Did you mean serve?' },
  {
    wrong: 'no such option',
    args: ['check', '--jsn', EU],
    code: 2,
    line: 'there is no option --jsn. Did you mean --json?',
  },
  {
    wrong: 'no file named',
    args: ['start'],
    code: 2,
    line: `no file is named. For example: cli/seawall start ${EU}`,
  },
  {
    wrong: 'no origin',
    args: ['serve'],
    code: 2,
    line: /^seawall: --origin is missing\. For example: cli\/seawall serve/,
  },
  {
    wrong: 'no such node',
    args: ['start', EU, '--node', 'eu-9'],
    code: 2,
    line: /eu\.yaml names no node "eu-9"\. The nodes are .*eu-1/,
  },
  {
    wrong: 'no such level',
    args: ['start', EU, '--log-level', 'loud'],
    code: 2,
    line: /no level "loud"\. The levels are .*warn/,
  },
  { wrong: 'a missing file', args: ['start', 'nope.yaml'], code: 1, line: 'nope.yaml: there is no such file. Fix: ' },
  {
    wrong: 'a missing file to check',
    args: ['check', 'nope.yaml'],
    code: 1,
    line: /^nope\.yaml: there is no such file\. Fix: /,
  },
  {
    wrong: 'a missing site file',
    args: ['serve', ...ORIGIN, '--site', 'nope.yaml'],
    code: 1,
    line: 'nope.yaml: there is no such file',
  },
  {
    wrong: 'an origin with a path',
    args: ['serve', '--origin', 'http://h/p'],
    code: 1,
    line: /--origin: expected http.*Fix: Write for example/,
  },
  {
    wrong: 'a size without unit',
    args: ['serve', ...ORIGIN, '--memory', '3'],
    code: 1,
    line: /--memory: expected a size, found "3"\. Fix/,
  },
  {
    wrong: 'an address without host',
    args: ['serve', ...ORIGIN, '--listen', '80'],
    code: 1,
    line: /--listen: expected HOST:PORT, found "80"/,
  },
  {
    wrong: 'a port beyond ports',
    args: ['serve', ...ORIGIN, '--listen', '127.0.0.1:70000'],
    code: 1,
    line: /--listen: expected HOST:PORT/,
  },
  {
    wrong: 'a token that would end after all days that there are',
    args: ['token', 'create', EU, '--name', 'a', '--all-sites', '--expires', '999999999d'],
    code: 2,
    line: /--expires: "999999999d" is not a duration/,
  },
] as { wrong: string; args: string[]; code: number; line: string | RegExp }[]) {
  test(`${wrong}: exit code ${code} and one line`, async (t) => {
    const ran = await runCommand('cli/seawall.ts', args, ENV);
    t.equal(ran.code, code);
    t.equal(ran.stdout, '');
    t.equal(ran.stderrLines.length, 1, ran.stderrLines.join('\n'));
    t.match(ran.stderrLines[0], line);
  });
}

const ZONE = '{ name: example.com, nameservers: [{ name: ns.example.net }] }';

test('a port in use is refused with the key and its line', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;

  const served = await runCommand('cli/seawall.ts', ['serve', ...ORIGIN, '--listen', address, '--json'], ENV);
  t.equal(served.code, 1);
  t.equal(served.stdout, '');
  t.strictSame(served.stderrLines, [
    `seawall: command line --listen: ${address} is taken by another program. Fix: Stop that program, or choose another port.`,
  ]);

  const free = ['serve', ...ORIGIN, '--listen', '127.0.0.1:0'];
  t.match((await runCommand('cli/seawall.ts', [...free, '--control', address], ENV)).stderrLines, [
    /^seawall: command line --control: .* is taken by another program/,
  ]);
  t.match((await runCommand('cli/seawall.ts', [...free, '--control', '8200'], ENV)).stderrLines, [
    'seawall: command line --control: expected HOST:PORT, found "8200". Fix: Write for example --control 127.0.0.1:8200.',
  ]);

  const elsewhere = address.replace('127.0.0.1', '127.0.0.2');
  const dns = (listen: string) => `dns: { listen: [${listen}], zones: [${ZONE}] }`;
  for (const { key, yaml, line } of [
    { key: 'edges[0].listen', yaml: { listen: address, tier: '127.0.0.1:0' }, line: 4 },
    { key: 'edges[0].tier', yaml: { listen: '127.0.0.1:0', tier: address }, line: 5 },
    { key: 'edges[0].tier', yaml: { listen: elsewhere, tier: address }, line: 5 },
    { key: 'edges[0].tier', yaml: { listen: elsewhere, tier: address, workers: 2 }, line: 5 },
    {
      key: 'dns.listen',
      yaml: { listen: '127.0.0.1:0', tier: '127.0.0.1:0', more: dns(`${elsewhere}, ${address}`) },
      line: 9,
    },
  ] as { key: string; yaml: { listen: string; tier: string; workers?: number; more?: string }; line: number }[]) {
    const dir = t.testdir({
      'region.yaml': [
        'region: eu',
        'tier_secret: a-secret-of-the-tests',
        'edges:',
        `  - listen: ${yaml.listen}`,
        `    tier: ${yaml.tier}`,
        '    name: eu-1',
        `    workers: ${yaml.workers ?? 1}`,
        'sites: [{ name: a, hosts: ["*"], origin: { servers: [{ url: "http://127.0.0.1:3" }] } }]',
        yaml.more ?? '',
      ].join('\n'),
    });
    const { code, stderrLines } = await runCommand('cli/seawall.ts', ['start', join(dir, 'region.yaml')], ENV);
    t.equal(code, 1);
    t.equal(stderrLines.length, 1, stderrLines.join('\n'));
    t.match(stderrLines[0], `region.yaml:${line}:`);
    t.match(stderrLines[0], ` ${key}: ${address} is taken by another program. Fix: `);
  }
});
