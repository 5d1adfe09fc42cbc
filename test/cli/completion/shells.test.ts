/** Completion in the shells themselves: what they offer is what the commands take, no more and no less. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { COMMANDS } from '../../../cli/commands.ts';
import { runCommand } from '../process.ts';

/** Shells that complete without a terminal. */
type Shell = 'bash' | 'fish';

/** Returns the words that a shell offers behind these, the last of them unfinished. */
type Completer = (words: readonly string[]) => readonly string[];

/** Returns a function that completes in the shell, or `undefined` where the shell is not installed. */
async function completerOf(t: Test, shell: Shell): Promise<Completer | undefined> {
  const { code, stdout, stderrLines } = await runCommand('cli/seawall.ts', ['completion', shell]);
  t.same([code, stderrLines], [0, []]);
  const folder = t.testdir({ script: stdout, _seawall: stdout, empty: {} });
  if (spawnSync(shell, ['--version']).error !== undefined) {
    t.pass('completed', { skip: `${shell} is not installed` });
    return undefined;
  }
  return COMPLETERS[shell](folder);
}

/** Output lines of a shell, in a folder without files. */
function linesOf(shell: Shell, folder: string, script: string): string[] {
  const { stdout, stderr, status } = spawnSync(shell, ['-c', script], {
    cwd: join(folder, 'empty'),
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, HOME: folder, TERM: 'xterm' },
  });
  if (status !== 0) throw new Error(`${shell}: ${stderr}`);
  return stdout.split('\n').filter(Boolean);
}

const COMPLETERS: Readonly<Record<Shell, (folder: string) => Completer>> = {
  bash: (folder) => (words) =>
    linesOf(
      'bash',
      folder,
      `source ${folder}/script
       COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
       _seawall; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ),
  fish: (folder) => (words) =>
    linesOf('fish', folder, `source ${folder}/script; complete -C '${words.join(' ')}'`).map(
      (line) => line.split('\t')[0] as string,
    ),
};

for (const shell of ['bash', 'fish'] as const) {
  test(`${shell} completes the commands`, async (t) => {
    const complete = await completerOf(t, shell);
    if (complete === undefined) return;
    t.same([...complete(['seawall', ''])].filter((word) => !word.startsWith('-')).sort(), namesOf(COMMANDS));
    t.same(complete(['seawall', 'ser']), ['serve']);
  });

  test(`${shell} completes the options of each command, and its actions`, async (t) => {
    const complete = await completerOf(t, shell);
    if (complete === undefined) return;
    for (const { name, options, operands = '' } of COMMANDS) {
      const offered = [...complete(['seawall', name, '--'])].sort();
      t.same(
        offered,
        Object.keys(options)
          .map((option) => `--${option}`)
          .sort(),
        name,
      );
      const actions = /^[a-z]+(?:\|[a-z]+)+/.exec(operands)?.[0].split('|') ?? [];
      if (actions.length > 0)
        t.ok(
          actions.every((action) => complete(['seawall', name, '']).includes(action)),
          name,
        );
    }
  });

  test(`${shell} offers files where a file is wanted, and nothing for other values`, async (t) => {
    const complete = await completerOf(t, shell);
    if (complete === undefined) return;
    t.same(complete(['seawall', 'serve', '--site', '../scr']), ['../script']);
    t.same(complete(['seawall', 'check', '../scr']), ['../script']);
    t.same(complete(['seawall', 'serve', '--disk', '../emp']), [shell === 'fish' ? '../empty/' : '../empty']);
    t.same(complete(['seawall', 'serve', '--memory', '']), []);
  });
}

test('the script for zsh is read by zsh', async (t) => {
  const { stdout } = await runCommand('cli/seawall.ts', ['completion', 'zsh']);
  const { error, status } = spawnSync('zsh', ['-n', join(t.testdir({ _seawall: stdout }), '_seawall')]);
  if (error !== undefined) t.pass('read', { skip: 'zsh is not installed' });
  else t.equal(status, 0);
});

test('the script for zsh has all options of each command and no others', async (t) => {
  const { stdout } = await runCommand('cli/seawall.ts', ['completion', 'zsh']);
  const cases = stdout.split(/^ {2}(?=[a-z]+\)$)/m).slice(1);
  t.same(
    cases.map((text) => text.split(')')[0]),
    COMMANDS.map(({ name }) => name),
  );
  for (const [index, { name, options }] of COMMANDS.entries()) {
    const flags = [...(cases[index] ?? '').matchAll(/^ +'(--[a-z-]+)/gm)].map(([, flag]) => flag);
    t.same(
      flags,
      Object.keys(options).map((option) => `--${option}`),
      name,
    );
  }
});

for (const [args, line] of [
  [[], 'no shell is named. The shells are bash, zsh, fish.'],
  [['bsh'], 'there is no completion for "bsh". Did you mean bash?'],
  [['bash', 'zsh'], '"zsh" is not expected here'],
] as const) {
  test(`seawall completion ${args.join(' ')} is refused in one line`, async (t) => {
    const { code, stderrLines } = await runCommand('cli/seawall.ts', ['completion', ...args]);
    t.equal(code, 2);
    t.equal(stderrLines.length, 1);
    t.match(stderrLines[0], line);
  });
}

function namesOf(commands: typeof COMMANDS): string[] {
  return commands.map(({ name }) => name).sort();
}
