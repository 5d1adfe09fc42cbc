/**
 * Completion script for fish.
 * @module
 */
import { type CompletedCommand, PROGRAM_OPTIONS, type ValueKind } from './table.ts';

/** Options of `complete` for an option that takes a value. */
const VALUES: Readonly<Record<ValueKind, string>> = {
  file: ' -r -F',
  folder: ` -x -a '(__fish_complete_directories)'`,
  other: ' -x',
};

export function fishScript(commands: readonly CompletedCommand[]): string {
  return `# Completion of seawall for fish; printed by \`seawall completion fish\`.
complete -c seawall -f
${PROGRAM_OPTIONS.map(({ flag, help }) => `complete -c seawall -n __fish_use_subcommand -l ${flag.slice(2)} -d ${quoted(help)}\n`).join('')}${commands
  .map(({ name, summary }) => `complete -c seawall -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}\n`)
  .join('')}${commands.map(ofCommand).join('')}`;
}

function ofCommand({ name, actions, takesFiles, options }: CompletedCommand): string {
  const lines = options.map(
    ({ flag, help, value }) => `-l ${flag.slice(2)}${value ? VALUES[value.kind] : ''} -d ${quoted(help)}`,
  );
  if (actions.length > 0) lines.push(`-a ${quoted(actions.join(' '))}`);
  if (takesFiles) lines.push('-F');
  return lines.map((line) => `complete -c seawall -n '__fish_seen_subcommand_from ${name}' ${line}\n`).join('');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
