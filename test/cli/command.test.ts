import { test } from 'tap';
import { defineCommand, type Options, parse } from '../../cli/command.ts';

const OPTIONS: Options = {
  origin: { type: 'text', value: 'URL', help: '' },
  listen: { type: 'text', value: 'HOST:PORT', help: '' },
  json: { type: 'flag', help: '' },
};
const NOTHING = { origin: undefined, listen: undefined, json: false };

for (const { rule, args, values, operands } of [
  { rule: 'nothing', args: [], values: NOTHING, operands: [] },
  { rule: 'a value behind a space', args: ['--origin', 'x'], values: { ...NOTHING, origin: 'x' }, operands: [] },
  { rule: 'a value behind =', args: ['--origin=-x'], values: { ...NOTHING, origin: '-x' }, operands: [] },
  { rule: 'a dash alone', args: ['--origin', '-'], values: { ...NOTHING, origin: '-' }, operands: [] },
  { rule: 'a flag', args: ['--json'], values: { ...NOTHING, json: true }, operands: [] },
  {
    rule: 'operands among options',
    args: ['a', '--json', 'b'],
    values: { ...NOTHING, json: true },
    operands: ['a', 'b'],
  },
  { rule: 'operands after --', args: ['--', '--json'], values: NOTHING, operands: ['--json'] },
]) {
  test(`${rule} is understood`, async (t) => {
    t.strictSame(parse(OPTIONS, args), { values, operands });
  });
}

for (const { rule, args, message, fix } of [
  { rule: 'a slip', args: ['--orign', 'x'], message: 'there is no option --orign', fix: 'Did you mean --origin?' },
  {
    rule: 'an option of another program',
    args: ['--verbosity'],
    message: 'there is no option --verbosity',
    fix: 'The options are --origin, --listen, --json.',
  },
  { rule: 'a short option', args: ['-o'], message: 'there is no option -o', fix: /^The options are/ },
  { rule: 'what every object has', args: ['--constructor'], message: 'there is no option --constructor', fix: /./ },
  { rule: 'a value left out', args: ['--origin'], message: '--origin needs a value', fix: 'Write --origin URL.' },
  {
    rule: 'an option in place of a value',
    args: ['--listen', '--json'],
    message: '--listen needs a value',
    fix: 'Write --listen HOST:PORT.',
  },
  { rule: 'an empty value', args: ['--origin='], message: '--origin needs a value', fix: 'Write --origin URL.' },
  { rule: 'a flag with a value', args: ['--json=yes'], message: '--json takes no value', fix: 'Write --json alone.' },
  { rule: 'a repetition', args: ['--origin', 'a', '--origin', 'b'], message: '--origin is given twice', fix: /./ },
]) {
  test(`${rule} is refused`, async (t) => {
    t.throws(() => parse(OPTIONS, args), { code: 'cli_usage', message, fix });
  });
}

test('a missing required option is named, with an example', async (t) => {
  const command = defineCommand({
    name: 'fetch',
    summary: '',
    about: '',
    operands: 'FILE...',
    options: { origin: { type: 'text', value: 'URL', required: true, help: '' } },
    examples: ['FILE --origin URL'],
    run: async ({ origin }) => origin.length,
  });
  await t.rejects(command.run(['file']), {
    code: 'cli_usage',
    message: '--origin is missing',
    fix: 'For example: cli/seawall fetch FILE --origin URL',
  });
  await t.rejects(command.run(['--origin', 'x']), { code: 'cli_usage', message: 'no file is named' });
  t.equal(await command.run(['--origin', 'four', 'file']), 4);
});

test('an operand is refused where none is accepted', async (t) => {
  const command = defineCommand({
    name: 'idle',
    summary: '',
    about: '',
    options: {},
    examples: [],
    run: async () => 0,
  });
  await t.rejects(command.run(['file']), { code: 'cli_usage', message: '"file" is not expected here', fix: '' });
});
