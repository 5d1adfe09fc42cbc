/**
 * Completion script for bash.
 * @module
 */
import { type CompletedCommand, PROGRAM_OPTIONS, type ValueKind } from './table.ts';

/** Completion of a value, by its kind. */
const VALUES: Readonly<Record<ValueKind, string>> = {
  file: 'COMPREPLY=($(compgen -f -- "$word"))',
  folder: 'COMPREPLY=($(compgen -d -- "$word"))',
  other: 'COMPREPLY=()',
};

export function bashScript(commands: readonly CompletedCommand[]): string {
  const first = [...commands.map(({ name }) => name), ...PROGRAM_OPTIONS.map(({ flag }) => flag)];
  return `# Completion of seawall for bash; printed by \`seawall completion bash\`.
_seawall() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  compopt -o filenames 2>/dev/null
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${first.join(' ')}' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${commands.map(ofCommand).join('')}  *) COMPREPLY=() ;;
  esac
}
complete -F _seawall seawall
`;
}

function ofCommand({ name, actions, takesFiles, options }: CompletedCommand): string {
  const flags = options.map(({ flag }) => flag).join(' ');
  const valued = (['file', 'folder', 'other'] as const).flatMap((kind) => {
    const names = options.filter(({ value }) => value?.kind === kind).map(({ flag }) => flag);
    return names.length === 0 ? [] : [`    ${names.join(' | ')}) ${VALUES[kind]} ;;\n`];
  });
  const first =
    actions.length === 0
      ? ''
      : `elif ((COMP_CWORD == 2)); then
        COMPREPLY=($(compgen -W '${actions.join(' ')}' -- "$word"))
      `;
  return `  ${name})
    case $previous in
${valued.join('')}    *)
      if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W '${flags}' -- "$word"))
      ${first}else
        ${takesFiles ? VALUES.file : VALUES.other}
      fi
      ;;
    esac
    ;;
`;
}
