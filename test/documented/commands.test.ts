/**
 * Commands of the documentation exist and take what is written behind them;
 * the files that they name are there.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { COMMANDS } from '../../cli/commands.ts';
import { documentedBlocks, ROOT } from './blocks.ts';
import { commandsOf, mentionedCommands, shellBlocks, TOKEN_VALUE, type Words } from './commands.ts';

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Commands of npm that are not scripts. */
const OF_NPM = new Set(['ci', 'install', 'start', 'test', 'install-scripts']);

/** @returns What is wrong with a command of ours; undefined for one that is right, or somebody else's. */
function complaint(words: Words): string | undefined {
  const [program = '', ...rest] = words;
  if (/(?:^|\/)seawall$/.test(program)) return complaintOfSeawall(rest);
  if (program !== 'npm') return undefined;
  const args = rest.filter((word) => word !== '--silent' && word !== '-s');
  if (args[0] !== 'run') return OF_NPM.has(args[0] ?? '') ? undefined : `npm has no command ${args[0]}`;
  const script = args[1] ?? '';
  if (!Object.hasOwn(manifest.scripts, script)) return `there is no script ${script}`;
  return script === 'seawall' ? complaintOfSeawall(args.slice(args.indexOf('--') + 1)) : undefined;
}

function complaintOfSeawall([name = '', ...args]: Words): string | undefined {
  if (['--help', '-h', '--version', 'help'].includes(name)) return undefined;
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) return `seawall has no command ${name}`;
  try {
    command.check(args);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

test('commands in code blocks are accepted', async (t) => {
  const blocks = shellBlocks();
  t.ok(blocks.length >= 8, 'the blocks were found');
  for (const { place, script } of blocks) {
    const commands = commandsOf(script);
    t.ok(commands.length > 0, `${place} has a command`);
    for (const words of commands) {
      t.equal(complaint(words), undefined, `${place}: ${words.join(' ')}`);
      const named = words.filter((word) => /^(?:config|docs|test|load-tests)\/\S+\.\w+$/.test(word));
      for (const file of named) t.ok(existsSync(join(ROOT, file)), `${place}: ${file} is there`);
    }
  }
});

test('no command shows a token or a secret in its arguments, where `ps` shows them', async (t) => {
  for (const { place, script } of shellBlocks()) {
    for (const words of commandsOf(script)) {
      t.notOk(
        words.some((word) => word.includes(TOKEN_VALUE) || /(?:Token|Fastly-Key|Authorization|SECRET)[:=]/i.test(word)),
        `${place}: ${words.join(' ')}`,
      );
    }
  }
});

test('commands in running text are accepted', async (t) => {
  const mentioned = mentionedCommands();
  t.ok(mentioned.length > 5, 'they were found');
  for (const { place, words } of mentioned) {
    const name = words[0] ?? '';
    t.ok(
      COMMANDS.some((command) => command.name === name),
      `${place}: seawall ${name}`,
    );
    // A mention may leave out what is required; the options that it has must exist.
    const options = words.slice(1).filter((word) => word.startsWith('--'));
    const help = COMMANDS.find((command) => command.name === name)?.help ?? '';
    for (const option of options) t.match(help, new RegExp(`^ +${option}\\b`, 'm'), `${place}: ${name} ${option}`);
  }
});

test('blocks of JSON are valid JSON', async (t) => {
  for (const { file, line, text } of documentedBlocks().filter(({ language }) => language === 'json')) {
    t.doesNotThrow(() => JSON.parse(text), `${file}:${line}`);
  }
});

test('a command that does not exist is reported', async (t) => {
  const [first, second, third] = commandsOf(
    'export A=$(cli/seawall tokn create x) # no such command\nnpm run seawall -- check \\\n  --jsn "a b"\nnpm run nothing',
  );
  t.equal(complaint(first ?? []), 'seawall has no command tokn');
  t.same(second, ['npm', 'run', 'seawall', '--', 'check', '--jsn', 'a b']);
  t.match(complaint(second ?? []), /there is no option --jsn/);
  t.equal(complaint(third ?? []), 'there is no script nothing');
  t.throws(() => commandsOf('if true; then'), 'bash reads it');
  t.throws(() => commandsOf('npm run seawall -- check "$UNSET_FILE"'), 'a variable that was never set');
});
