/** Completions by command, from what commands declare. */
import { test } from 'tap';
import { completions } from '../../../cli/completion/table.ts';

for (const { operands, actions, takesFiles } of [
  { operands: undefined, actions: [], takesFiles: false },
  { operands: 'FILE...', actions: [], takesFiles: true },
  { operands: 'create|list|revoke FILE [ID]', actions: ['create', 'list', 'revoke'], takesFiles: true },
  { operands: 'bash|zsh|fish', actions: ['bash', 'zsh', 'fish'], takesFiles: false },
  { operands: 'FOLDER', actions: [], takesFiles: true },
  { operands: 'PROFILE', actions: [], takesFiles: false },
  { operands: '[URL]', actions: [], takesFiles: false },
]) {
  test(`the operands ${operands ?? 'of no command'} complete ${[...actions, ...(takesFiles ? ['files'] : [])].join(', ') || 'nothing'}`, async (t) => {
    const command = { name: 'c', summary: 's', options: {}, ...(operands !== undefined && { operands }) } as never;
    t.match(completions([command]), [{ actions, takesFiles }]);
  });
}

test('an option takes a value unless it is a flag, of the kind that its placeholder says', async (t) => {
  const options = {
    json: { type: 'flag', help: 'h' },
    file: { type: 'text', value: 'FILE', help: 'h' },
    dir: { type: 'text', value: 'DIR', help: 'h' },
    size: { type: 'text', value: 'SIZE', help: 'h' },
    plain: { type: 'text', help: 'h' },
  };
  const [command] = completions([{ name: 'c', summary: 's', options } as never]);
  t.same(
    command?.options.map(({ flag, value }) => `${flag} ${value?.name ?? '-'} ${value?.kind ?? '-'}`),
    ['--json - -', '--file FILE file', '--dir DIR folder', '--size SIZE other', '--plain VALUE other'],
  );
});
