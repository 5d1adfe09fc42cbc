/** First commands of a new user: help, version, unknown commands. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { COMMANDS } from '../../cli/commands.ts';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin } from '../support/origin.ts';
import { ask } from './edge-workers.ts';
import { ROOT, runCommand, startCommand } from './process.ts';

const seawall = (...args: string[]) => runCommand('cli/seawall.ts', args);
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const VERSION = new RegExp(`^seawall ${version.replaceAll('.', '\\.')} \\(Node \\d+\\.\\d+\\.\\d+\\)\\n$`);

test('-h, --help, help, --version, -V and version work for the program', async (t) => {
  for (const word of ['-h', '--help', 'help']) t.match(await seawall(word), { code: 0, stdout: /^Usage: / }, word);
  for (const word of ['--version', '-V', 'version']) t.match(await seawall(word), { code: 0, stdout: VERSION }, word);
});

for (const { name } of COMMANDS) {
  test(`-h and --version work for ${name}`, async (t) => {
    t.match(await seawall(name, '-h'), { code: 0, stdout: new RegExp(`^Usage: cli/seawall ${name}`) });
    t.match(await seawall(name, '--version'), { code: 0, stdout: VERSION });
  });
}

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

for (const { option, host } of [
  { option: 'www.example.com', host: 'www.example.com' },
  { option: 'origin', host: 'the origin’s' },
  { option: 'visitor', host: 'the visitor’s' },
]) {
  test(`serve --host-header ${option}: the origin sees ${host}`, async (t) => {
    const origin = await startOrigin((request, response) => response.end(request.headers.host));
    t.teardown(() => origin.close());
    const args = ['--origin', origin.url, '--listen', '127.0.0.1:0', '--workers', '1', '--host-header', option];
    const { ready } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['serve', ...args]);
    const address = ready.nodes[0]?.listen ?? '';
    const seen = { origin: new URL(origin.url).host, visitor: address }[option] ?? option;
    t.equal((await ask(address, '/')).text, seen);
  });
}

test('serve --host-header refuses a value that is no host', async (t) => {
  const ran = await seawall('serve', '--origin', 'http://127.0.0.1:1', '--host-header', 'a b');
  t.equal(ran.code, 1);
  t.match(ran.stderrLines, [/--host-header: expected a host name, `origin` or `visitor`, found "a b"/]);
});
