/**
 * Completion script for zsh.
 * @module
 */
import { type CompletedCommand, type CompletedOption, PROGRAM_OPTIONS, type ValueKind } from './table.ts';

/** Completion of a value, by its kind. */
const VALUES: Readonly<Record<ValueKind, string>> = { file: '_files', folder: '_files -/', other: ' ' };

export function zshScript(commands: readonly CompletedCommand[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${escaped(name, ':')}:${summary}`)}\n`);
  return `#compdef seawall
# Completion of seawall for zsh; printed by \`seawall completion zsh\`.
_seawall() {
  local -a commands=(
${described.join('')}  )
  if ((CURRENT == 2)); then
    _describe command commands
    _arguments ${PROGRAM_OPTIONS.map(specification).join(' ')}
    return
  fi
  local command=\${words[2]}
  shift words
  ((CURRENT--))
  case $command in
${commands.map(ofCommand).join('')}  esac
}
if [[ $funcstack[1] == _seawall ]]; then _seawall "$@"; else compdef _seawall seawall; fi
`;
}

function ofCommand({ name, actions, takesFiles, options }: CompletedCommand): string {
  const operands = [
    ...(actions.length === 0 ? [] : [quoted(`1:action:(${actions.join(' ')})`)]),
    ...(takesFiles ? [quoted('*:file:_files')] : []),
  ];
  return `  ${name})
    _arguments \\
${[...options.map(specification), ...operands].map((one) => `      ${one}`).join(' \\\n')}
    ;;
`;
}

/** `--memory=[Memory for …]:SIZE: `: a value may follow behind `=` or as the next word. */
function specification({ flag, help, value }: CompletedOption): string {
  const described = `[${escaped(help, '[]')}]`;
  if (value === undefined) return quoted(`${flag}${described}`);
  return quoted(`${flag}=${described}:${escaped(value.name, ':')}:${VALUES[value.kind]}`);
}

function escaped(text: string, special: string): string {
  return [...text].map((char) => (char === '\\' || special.includes(char) ? `\\${char}` : char)).join('');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
