/**
 * Commands that the documentation shows, as a shell reads them: each block is
 * run by bash with stand-ins that note their arguments and do nothing.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Block, documentedBlocks, documents, ROOT } from './blocks.ts';

/** A command with its arguments, after expansion. */
export type Words = readonly string[];

/** Value of `SEAWALL_TOKEN` in the scripts. */
export const TOKEN_VALUE = 'token-that-nobody-else-may-see';

export interface ShellBlock {
  /** `docs/purging.md:12`. */
  readonly place: string;
  readonly script: string;
}

const SHELLS = new Set(['sh', 'bash', 'shell', 'console']);

/** Begins the first line of a command in a block that names no language. */
const COMMAND =
  /^(?:\$ |npm |npx |node |export |printf |curl |dig |seawall |cli\/seawall |git |docker |systemctl |\.ci\/)/;

export function shellBlocks(): ShellBlock[] {
  return documentedBlocks().flatMap((block) =>
    isShell(block) ? [{ place: placeOf(block), script: scriptOf(block) }] : [],
  );
}

export function isShell({ language, text }: Block): boolean {
  if (SHELLS.has(language)) return true;
  return language === '' && COMMAND.test(text);
}

function placeOf({ file, line }: Block): string {
  return `${file}:${line}`;
}

/** Script in a session: the lines after the prompt. */
export function scriptOf({ text }: Block): string {
  if (!/^\$ /m.test(text)) return text;
  return text
    .split('\n')
    .filter((line) => line.startsWith('$ '))
    .map((line) => line.slice(2))
    .join('\n');
}

/** Every program is a stand-in: none is found. `%q` would be for a shell; a NUL can be in no argument. */
const STAND_INS = `
PATH=/nowhere
note() { printf '%s\\0' "$@" $'\\x1e' >&3; } # one write, as no line ends in it: commands of a pipeline note at once
command_not_found_handle() { note "$@"; case $1 in openssl) echo 0123456789abcdef0123456789abcdef;; *) echo x;; esac; }
kill() { note kill "$@"; }
cd() { note cd "$@"; }
cli/seawall() { command_not_found_handle cli/seawall "$@"; }
.ci/run() { note .ci/run "$@"; }
`;

/**
 * @returns The commands of the script in order, those in `$(…)` before the one that they are part of.
 * @throws {Error} when bash cannot read it, or a variable is used before it is set.
 */
export function commandsOf(script: string): Words[] {
  const noted = execFileSync('bash', ['-uc', `exec 3>&1 1>/dev/null; ${STAND_INS}\n${script}\n:`], {
    cwd: ROOT,
    env: { SEAWALL_TOKEN: TOKEN_VALUE, HOME: '/nowhere' },
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const commands = noted.split('\0\x1e\0').map((words) => words.split('\0'));
  return commands.filter((words) => words.some((word) => word !== ''));
}

/** Commands in the running text: `` `seawall where ADDRESS` ``. */
export function mentionedCommands(): { readonly place: string; readonly words: Words }[] {
  return documents().flatMap((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    return [...text.matchAll(/`(?:npm run (?:--silent )?seawall -- |(?:cli\/)?seawall )([a-z][^`]*)`/g)].map(
      (match) => ({
        place: `${file}:${text.slice(0, match.index).split('\n').length}`,
        words: (match[1] as string).trim().split(/\s+/),
      }),
    );
  });
}
