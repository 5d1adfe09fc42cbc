/**
 * Completions by command, from the declarations of the commands.
 * @module
 */
import type { Command } from '../command.ts';

export type ValueKind = 'file' | 'folder' | 'other';

export interface CompletedOption {
  /** `--origin`. */
  readonly flag: string;
  readonly help: string;
  /** Absent: it takes no value. */
  readonly value: { readonly name: string; readonly kind: ValueKind } | undefined;
}

export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  /** Words of which one is the first operand: `create`. */
  readonly actions: readonly string[];
  /** True if file names are among the operands. */
  readonly takesFiles: boolean;
  readonly options: readonly CompletedOption[];
}

/** Options in place of a command. */
export const PROGRAM_OPTIONS: readonly CompletedOption[] = [
  { flag: '--help', help: 'Print the commands.', value: undefined },
  { flag: '--version', help: 'Print the versions of Seawall and Node.js.', value: undefined },
];

const VALUE_KINDS: Readonly<Record<string, ValueKind>> = { FILE: 'file', DIR: 'folder' };

export function completions(commands: readonly Command[]): readonly CompletedCommand[] {
  return commands.map(({ name, summary, operands = '', options }) => ({
    name,
    summary,
    actions: actionsOf(operands),
    takesFiles: /\b(?:FILE|FOLDER)\b/.test(operands),
    options: Object.entries(options).map(([option, { type, value = 'VALUE', help }]) => ({
      flag: `--${option}`,
      help,
      value: type === 'flag' ? undefined : { name: value, kind: VALUE_KINDS[value] ?? 'other' },
    })),
  }));
}

/** `create|list|revoke FILE [ID]`: placeholders are in capitals. */
function actionsOf(operands: string): string[] {
  const [first = ''] = operands.split(' ');
  return /^[a-z|-]+$/.test(first) ? first.split('|') : [];
}
