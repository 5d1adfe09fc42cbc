/**
 * `seawall completion`: prints a script with which a shell completes commands and options.
 * @module
 */
import { nearest } from '../../config/nearest.ts';
import { quote } from '../../config/problem.ts';
import { type Command, defineCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { completions } from './table.ts';
import { zshScript } from './zsh.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

const SHELLS = Object.keys(SCRIPTS);

/** @param commands - Commands to complete, this one included. */
export function completionCommand(commands: () => readonly Command[]): Command {
  return defineCommand({
    name: 'completion',
    summary: 'Print a completion script for bash, zsh or fish.',
    about: `
Completes commands, options and files of the command \`seawall\`. The Debian package
comes with these scripts.`,
    operands: SHELLS.join('|'),
    options: {},
    examples: [
      'bash > ~/.local/share/bash-completion/completions/seawall',
      'zsh > ~/.zfunc/_seawall',
      'fish > ~/.config/fish/completions/seawall.fish',
    ],
    async run(_, [shell, ...more]) {
      if (shell === undefined) throw new UsageError('no shell is named', `The shells are ${SHELLS.join(', ')}.`);
      if (more[0] !== undefined) throw new UsageError(`${quote(more[0])} is not expected here`, '');
      if (!isShell(shell)) {
        const near = nearest(shell, SHELLS);
        throw new UsageError(
          `there is no completion for ${quote(shell)}`,
          near ? `Did you mean ${near}?` : `The shells are ${SHELLS.join(', ')}.`,
        );
      }
      process.stdout.write(SCRIPTS[shell](completions(commands())));
      return 0;
    },
  });
}

function isShell(name: string): name is keyof typeof SCRIPTS {
  return Object.hasOwn(SCRIPTS, name);
}
