/** Words in place of a command: help and version. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { COMMANDS } from '../../cli/commands.ts';
import { ROOT, runCommand } from './process.ts';

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
