/**
 * docs/cli.md: the help of every command.
 * @module
 */
import { COMMANDS, HELP } from '../commands.ts';
import { codeBlock, NOTE } from './markdown.ts';

export function cliPage(): string {
  const commands = COMMANDS.map(({ name, help }) => `## ${name}\n\n${codeBlock(help)}`);
  return [NOTE, '', '# Commands', '', codeBlock(HELP), '', commands.join('\n\n'), ''].join('\n');
}
