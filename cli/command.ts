/**
 * A subcommand as a declaration: its options, its operands and what it does.
 * Help, parsing and every complaint about the arguments come from it.
 * @module
 */
import { parseArgs } from 'node:util';
import { nearest } from '../config/nearest.ts';
import { UsageError } from './failure.ts';
import { VERSION_TEXT } from './version-text.ts';

export interface Option {
  /** A `list` may be given several times. */
  readonly type: 'text' | 'flag' | 'list';
  /** Placeholder of the value in the help: `HOST:PORT`. */
  readonly value?: string;
  /** Text options may be left out unless this says otherwise. */
  readonly required?: boolean;
  /** Letter of a short form: `H` for `-H`. */
  readonly short?: string;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

/** The values of the options, by their names. */
export type Values<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends { readonly type: 'flag' }
    ? boolean
    : O[Name] extends { readonly type: 'list' }
      ? readonly string[]
      : O[Name] extends { readonly required: true }
        ? string
        : string | undefined;
};

export interface Definition<O extends Options> {
  readonly name: string;
  /** Command line, if not a subcommand of {@link PROGRAM}. */
  readonly call?: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Paragraphs for the command's own help. */
  readonly about: string;
  /** Operands in the help: `FILE...` takes one or more; commands check others themselves. */
  readonly operands?: string;
  readonly options: O;
  /** Arguments of calls that are worth copying. */
  readonly examples: readonly string[];
  /** @returns The exit code. */
  run(values: Values<O>, operands: readonly string[]): Promise<number>;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly help: string;
  /** As in the help. */
  readonly operands: string | undefined;
  /** All that it takes, by their names. */
  readonly options: Options;
  /**
   * Reads the arguments as `run` does, and runs nothing.
   *
   * @throws {UsageError} when the arguments are not what the command takes.
   */
  check(args: readonly string[]): void;
  /** @throws {UsageError} when the arguments are not what the command takes. */
  run(args: readonly string[]): Promise<number>;
}

/** Program name: in a checkout the path of its script; the published package has a command of that name. */
export const PROGRAM: string = import.meta.filename.endsWith('.ts') ? 'cli/seawall' : 'seawall';

/** Options of every command. */
const COMMON = {
  help: { type: 'flag', help: 'Print this help; -h as well.' },
  version: { type: 'flag', help: 'Print the versions of Seawall and Node.js.' },
} as const satisfies Options;

/** Short form of `--help`. */
const SHORT_HELP = '-h';

export function defineCommand<const O extends Options>(definition: Definition<O>): Command {
  const help = helpText(definition);
  const longForms = new Map([[SHORT_HELP, '--help'], ...shortForms(definition.options)]);
  const read = (args: readonly string[]) => {
    const long = args.map((arg) => longForms.get(arg) ?? arg);
    const read = parse({ ...definition.options, ...COMMON }, long);
    if (!read.values['help'] && !read.values['version']) checkRequired(definition, read.values, read.operands);
    return read;
  };
  return {
    name: definition.name,
    summary: definition.summary,
    help,
    operands: definition.operands,
    options: { ...definition.options, ...COMMON },
    check: (args) => void read(args),
    async run(args) {
      const { values, operands } = read(args);
      if (values['help']) {
        process.stdout.write(help);
        return 0;
      }
      if (values['version']) {
        process.stdout.write(`${VERSION_TEXT}\n`);
        return 0;
      }
      return definition.run(values as Values<O>, operands);
    },
  };
}

function shortForms(options: Options): (readonly [short: string, long: string])[] {
  return Object.entries(options).flatMap(([name, { short }]) => (short ? [[`-${short}`, `--${name}`] as const] : []));
}

type OptionValue = string | boolean | undefined | string[];

/** The value of an option that is not given. */
const ABSENT: Readonly<Record<Option['type'], () => OptionValue>> = {
  text: () => undefined,
  flag: () => false,
  list: () => [],
};

/**
 * @param args - What stands behind the command's name.
 * @throws {UsageError} for an unknown option, a missing value, or one given twice.
 */
export function parse(
  options: Options,
  args: readonly string[],
): { values: Record<string, OptionValue>; operands: string[] } {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { type }]) => [name, { type: type === 'flag' ? 'boolean' : 'string' }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, OptionValue> = {};
  for (const [name, { type }] of Object.entries(options)) values[name] = ABSENT[type]();
  const operands: string[] = [];
  const seen = new Set<string>();

  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const option = Object.hasOwn(options, name) && rawName.startsWith('--') ? options[name] : undefined;
    if (!option) throw new UsageError(`there is no option ${rawName}`, suggestion(name, Object.keys(options)));
    if (seen.has(name) && option.type !== 'list') throw new UsageError(`${rawName} is given twice`, 'Give it once.');
    seen.add(name);
    if (option.type === 'flag') {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value`, `Write ${rawName} alone.`);
      values[name] = true;
    } else {
      // `--listen --json`: what looks like an option is one; `--listen=-x` says that it is meant. `-` is standard
      // output.
      if (!value || (value.startsWith('-') && value !== '-' && !token.inlineValue)) {
        throw new UsageError(`${rawName} needs a value`, `Write ${rawName} ${option.value}.`);
      }
      if (option.type === 'list') (values[name] as string[]).push(value);
      else values[name] = value;
    }
  }
  return { values, operands };
}

function checkRequired<O extends Options>(
  definition: Definition<O>,
  values: Record<string, OptionValue>,
  operands: readonly string[],
): void {
  const { options, operands: expected, examples } = definition;
  const example = examples[0] === undefined ? '' : `For example: ${callOf(definition)} ${examples[0]}`;
  for (const [name, { required }] of Object.entries(options)) {
    if (required && values[name] === undefined) throw new UsageError(`--${name} is missing`, example);
  }
  if (expected === undefined && operands[0] !== undefined) {
    throw new UsageError(`${JSON.stringify(operands[0])} is not expected here`, example);
  }
  if (expected === 'FILE...' && operands.length === 0) throw new UsageError('no file is named', example);
}

function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near ? `Did you mean --${near}?` : `The options are ${known.map((option) => `--${option}`).join(', ')}.`;
}

function callOf<O extends Options>({ name, call }: Definition<O>): string {
  return call ?? `${PROGRAM} ${name}`;
}

function helpText<O extends Options>(definition: Definition<O>): string {
  const { about, operands, options, examples } = definition;
  return [
    `Usage: ${[callOf(definition), operands, '[options]'].filter(Boolean).join(' ')}`,
    '',
    about.trim(),
    '',
    'Options:',
    ...columns(
      Object.entries<Option>({ ...options, ...COMMON }).map(([option, { value, help, required, short }]) => [
        `${short ? `-${short}, ` : ''}--${option}${value ? ` ${value}` : ''}`,
        required ? `${help} Required.` : help,
      ]),
    ),
    '',
    'Examples:',
    ...examples.map((example) => `  ${callOf(definition)} ${example}`),
    '',
  ].join('\n');
}

/** @returns Lines with the second column aligned. */
export function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
