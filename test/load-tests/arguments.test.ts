/** Arguments of the commands of load-tests/, right and wrong. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'tap';
import { readArguments } from '../../load-tests/arguments.ts';

const FOLDER = join(import.meta.dirname, '../../load-tests');

function run(command: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(FOLDER, `${command}.ts`), ...args], { encoding: 'utf8' });
}

for (const command of ['herd', 'storm', 'purge', 'dns']) {
  test(`${command}: help, and no word that it does not know`, async (t) => {
    t.match(run(command, '--help'), { status: 0, stdout: /^Usage: npm run .*--help {2,}Say this\.\n$/s });
    t.match(run(command, '--bogus', '1'), { status: 2, stderr: /: Unknown option '--bogus'/ });
  });
}

for (const { args, says } of [
  { args: ['herd', '--visitors', '0'], says: 'herd: --visitors needs a whole number from 1 to 1000000, not "0"' },
  { args: ['herd', '--memory', '5'], says: 'herd: --memory needs a size such as 256MiB, not "5"' },
  { args: ['herd', '--only', '1,5'], says: 'herd: --only needs numbers from 1 to 4, not "1,5"' },
  { args: ['storm', '--seed', '1e3'], says: 'storm: --seed needs a whole number from 1 to 999999999, not "1e3"' },
  { args: ['dns', '--seconds', '61'], says: 'bench:dns: --seconds needs a whole number from 1 to 60, not "61"' },
  { args: ['dns', '--load', 'none'], says: 'bench:dns: --load needs dnsperf or own, not "none"' },
]) {
  test(`refused: ${args.join(' ')}`, async (t) => {
    const [command = '', ...rest] = args;
    t.match(run(command, ...rest), { status: 2, stdout: '', stderr: `${says}\n` });
  });
}

test('what is given counts, and what is not is as by default', async (t) => {
  const defaults = { rounds: '10', size: '1GiB', only: '1,2' };
  const given = readArguments('test', '', defaults, ['--rounds', '3', '--only', '2']);
  t.equal(given.positive('rounds'), 3);
  t.equal(given.bytes('size'), 2 ** 30);
  t.same([...given.chosen('only', 1, 2)], ['2']);
});
