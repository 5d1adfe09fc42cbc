/** Arguments of the commands of package.json, right and wrong. */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { parseArguments, readArguments } from './arguments.ts';

const ROOT = join(import.meta.dirname, '../..');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Files of the commands that measure and test, by name: `bench:dns` is load-tests/dns.ts. */
const FILES = new Map(
  Object.entries(scripts).flatMap(([name, script]) => {
    const [, file] = /^node .*?((?:test|load-tests)\/\S+\.ts)$/.exec(script) ?? [];
    return file === undefined ? [] : [[name, file] as const];
  }),
);

function run(command: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const file = join(ROOT, FILES.get(command) ?? `no command ${command}`);
  return spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', timeout: 60_000 });
}

test('every command that tests or measures is looked at', async (t) => {
  for (const name of ['model', 'fuzz', 'docs:attack', 'conformance', 'herd', 'bench', 'profile'])
    t.ok(FILES.has(name), name);
});

for (const command of FILES.keys()) {
  test(`${command}: help, and no option that it does not know`, async (t) => {
    t.match(run(command, '--help'), { status: 0, stdout: /^usage: \S.*--help\b/is });
    t.match(run(command, '--bogus', '1'), { status: 2, stdout: '', stderr: /--bogus/ });
  });
}

for (const { args, says } of [
  { args: ['herd', '--visitors', '0'], says: 'herd: --visitors needs a whole number from 1 to 1000000, not "0"' },
  { args: ['herd', '--memory', '5'], says: 'herd: --memory needs a size such as 256MiB, not "5"' },
  { args: ['herd', '--only', '1,5'], says: 'herd: --only needs numbers from 1 to 4, not "1,5"' },
  { args: ['storm', '--seed', '1e3'], says: 'storm: --seed needs a whole number from 1 to 999999999, not "1e3"' },
  { args: ['bench:dns', '--seconds', '61'], says: 'bench:dns: --seconds needs a whole number from 1 to 60, not "61"' },
  { args: ['bench:dns', '--load', 'none'], says: 'bench:dns: --load needs dnsperf or own, not "none"' },
  { args: ['model', '--path', '1'], says: 'model: --path needs --seed' },
  { args: ['model', '--histories', '0'], says: 'model: --histories needs a whole number from 1 to 999999999, not "0"' },
  { args: ['conformance', '--forget'], says: 'conformance: --forget goes with --update' },
  { args: ['conformance', '--proxy', 'http://a'], says: 'conformance: --proxy needs --origin-port' },
  { args: ['bench:against', '--starts', '1'], says: 'bench:against: it needs a commit to compare with' },
  { args: ['profile'], says: 'profile: name a file that node --cpu-prof has written' },
]) {
  test(`refused: ${args.join(' ')}`, async (t) => {
    const [command = '', ...rest] = args;
    t.match(run(command, ...rest), { status: 2, stdout: '', stderr: `${says}\n` });
  });
}

for (const { args, says } of [
  { args: ['one', 'two'], says: 'unexpected argument "two"' },
  { args: ['--quick=yes'], says: /--quick/ },
  { args: ['--size'], says: /--size/ },
  { args: ['--names', 'a,d'], says: '--names: there is no letter "d": they are a, b' },
]) {
  test(`a parser of flags, names and an operand refuses ${args.join(' ')}`, async (t) => {
    const parse = () =>
      parseArguments({ size: '', names: '' }, { args, flags: ['quick'], takesOperand: true }, (message) => {
        throw new Error(message);
      }).names('names', 'letter', ['a', 'b']);
    t.throws(parse, { message: says });
  });
}

test('flags and an operand may stand anywhere among the options', async (t) => {
  const args = ['--quick', 'HEAD', '--seed=-3', '--names', 'b,a'];
  const given = parseArguments(
    { seed: '1', names: '', out: '' },
    { args, flags: ['quick', 'json'], takesOperand: true },
    (message) => {
      throw new Error(message);
    },
  );
  t.strictSame([...given.flags], ['quick']);
  t.equal(given.operand, 'HEAD');
  t.equal(given.whole('seed', -10, 10), -3);
  t.strictSame(given.names('names', 'letter', ['a', 'b']), ['b', 'a']);
  t.equal(given.optional('out'), undefined);
});

test('no command parses its arguments by itself', async (t) => {
  const files = globSync(['test/**/*.ts', 'load-tests/**/*.ts'], { cwd: ROOT });
  t.strictSame(
    files
      .filter((file) => /\bparseArgs\b/.test(readFileSync(join(ROOT, file), 'utf8')))
      .filter((file) => !file.startsWith('test/support/arguments')),
    [],
  );
});

test('what is given counts, and what is not is as by default', async (t) => {
  const defaults = { rounds: '10', size: '1GiB', only: '1,2' };
  const given = readArguments('test', '', defaults, { args: ['--rounds', '3', '--only', '2'] });
  t.equal(given.positive('rounds'), 3);
  t.equal(given.bytes('size'), 2 ** 30);
  t.same([...given.chosen('only', 1, 2)], ['2']);
});
