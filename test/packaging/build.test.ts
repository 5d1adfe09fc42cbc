/** The program without types, as it is published. */
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'tap';
import { COMMANDS } from '../../cli/commands.ts';
import { NODE_FLAGS } from '../../cli/node-flags.ts';
import type { ReadyLine } from '../../cli/ready.ts';
import { build } from '../../packaging/build.ts';
import { ROOT, startCommand } from '../cli/process.ts';
import { startOrigin } from '../support/origin.ts';

const run = promisify(execFile);

/** Parts files into those that are JavaScript in the repository as well, and the others. */
function partition(files: readonly string[]): [string[], string[]] {
  const isSource = (file: string): boolean => existsSync(join(ROOT, file));
  return [files.filter(isSource), files.filter((file) => !isSource(file))];
}

test('what is published is JavaScript with the lines of the source, and names no module that is not there', async (t) => {
  const out = t.testdir({});
  const modules = build(out);
  const [copied, files] = partition(globSync('**/*.js', { cwd: out }));
  t.ok(copied.includes('control/dashboard/views/pages.js'), 'what browsers load');
  for (const file of copied) t.same(readFileSync(join(out, file)), readFileSync(join(ROOT, file)), file);
  t.same(files.map((file) => file.replace(/\.js$/, '.ts')).sort(), [...modules].sort());
  for (const file of files) {
    const [code, source] = [
      readFileSync(join(out, file), 'utf8'),
      readFileSync(join(ROOT, file.replace(/\.js$/, '.ts')), 'utf8'),
    ];
    if (code.split('\n').length !== source.split('\n').length) t.fail(`${file} has other lines than its source`);
  }
  t.ok(modules.includes('cli/workers/worker.ts'), 'a thread’s program');
  t.ok(modules.includes('control/node.ts'), 'what is imported when it is needed');
  t.notOk(
    modules.some((file) => /^(?:test|load-tests|packaging|cli\/demo|cli\/references)\//.test(file)),
    'nothing for development',
  );
});

test('packages that published modules import are dependencies', async (t) => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const out = t.testdir({});
  build(out);
  const imported = new Set<string>();
  for (const file of globSync('**/*.js', { cwd: out })) {
    const code = readFileSync(join(out, file), 'utf8');
    for (const [, name = ''] of code.matchAll(/^(?:import|export)\b[^;]*?from '([^.'][^']*)';/gm)) imported.add(name);
    for (const [, name = ''] of code.matchAll(/\bimport\('([^.'][^']*)'\)/g)) imported.add(name);
  }
  const packages = [...imported]
    .filter((name) => !name.startsWith('node:'))
    .map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  t.ok(packages.includes('fastify'));
  t.same(
    packages.filter((name) => dependencies[name] === undefined),
    [],
  );
});

test('the published program names its version and its commands, under its own name', async (t) => {
  const out = t.testdir({});
  build(out);
  const program = join(out, 'cli/seawall.js');
  const { stdout: version } = await run(process.execPath, [program, '--version']);
  t.match(version, /^seawall \d+\.\d+\.\d+ \(Node 26\./);
  const { stdout: help } = await run(process.execPath, [program, '-h']);
  for (const { name } of COMMANDS) t.match(help, new RegExp(`^  ${name} `, 'm'));
  t.match(help, /^Usage: seawall COMMAND/);
  t.notMatch(help, /cli\/seawall|npm start/);
  const launcher = readFileSync(join(out, 'cli/seawall'), 'utf8');
  t.match(launcher, '"$cli/seawall.js" "$@"');
  for (const flag of NODE_FLAGS) t.ok(launcher.includes(` ${flag} \\`), flag);
});

test('the published program serves a site, with several threads', async (t) => {
  const origin = await startOrigin((_, response) => response.end('from the origin'));
  t.teardown(() => origin.close());
  const out = t.testdir({});
  build(out);
  const args = ['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--workers', '2'];
  const { ready, kill, exitCode } = await startCommand<ReadyLine>(t, `${out}/cli/seawall.js`, args);
  const response = await fetch(`http://${ready.nodes[0]?.listen}/`);
  t.equal(await response.text(), 'from the origin');
  kill('SIGTERM');
  t.equal(await exitCode, 0);
});
