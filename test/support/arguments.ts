/**
 * Arguments of the commands in test/ and load-tests/: options with a value each, flags, at most one operand, and
 * `--help`. Anything else ends the command with 2.
 * @module
 */
import { parseArgs } from 'node:util';

/** Parsed arguments of a command. */
export interface Arguments<Name extends string, Flag extends string = never> {
  readonly values: Readonly<Record<Name, string>>;
  readonly flags: ReadonlySet<Flag>;
  /** The argument that is no option. */
  readonly operand: string | undefined;
  /** Value of an option that may be left out: empty by default. */
  optional(name: Name): string | undefined;
  /** A whole number from `least` to `most`. */
  whole(name: Name, least: number, most: number): number;
  /** A whole number from 1 to `most`, by default 999,999,999. */
  positive(name: Name, most?: number): number;
  /** Numbers from `least` to `most`, such as 3,5. */
  chosen(name: Name, least: number, most: number): ReadonlySet<string>;
  /** Names of a list, such as hit,miss; each has to be `known`. */
  names(name: Name, what: string, known: readonly string[]): readonly string[];
  /** A size such as 256MiB, in bytes. */
  bytes(name: Name): number;
  /** Ends the command because of a wrong argument. */
  refuse(message: string): never;
}

/** Properties of a command that few have. */
export interface ArgumentOptions<Flag extends string> {
  /** Options without a value. */
  readonly flags?: readonly Flag[];
  /** The command takes one argument that is no option. */
  readonly takesOperand?: boolean;
  readonly args?: readonly string[];
}

/**
 * Reads the arguments; prints the help and ends the command if it was asked for.
 *
 * @param defaults - Of each option with a value.
 */
export function readArguments<Name extends string, Flag extends string = never>(
  command: string,
  help: string,
  defaults: Readonly<Record<Name, string>>,
  { args = process.argv.slice(2), flags = [], takesOperand = false }: ArgumentOptions<Flag> = {},
): Arguments<Name, Flag> {
  const refuse = (message: string): never => {
    console.error(`${command}: ${message}`);
    process.exit(2);
  };
  const parsed = parseArguments(defaults, { args, flags: [...flags, 'help'], takesOperand }, refuse);
  if (parsed.flags.has('help')) {
    process.stdout.write(help);
    process.exit(0);
  }
  return parsed as Arguments<Name, Flag>;
}

/** Parses arguments without a look at the process. @param refuse - Throws, or ends the command. */
export function parseArguments<Name extends string, Flag extends string>(
  defaults: Readonly<Record<Name, string>>,
  { args = [], flags = [], takesOperand = false }: ArgumentOptions<Flag>,
  refuse: (message: string) => never,
): Arguments<Name, Flag> {
  const { values, operands } = tokensOf(Object.keys(defaults), flags, args, refuse);
  const [operand, surplus] = takesOperand ? operands : [undefined, ...operands];
  if (surplus !== undefined) refuse(`unexpected argument ${JSON.stringify(surplus)}`);
  const texts = { ...defaults, ...values } as Readonly<Record<Name, string>>;
  const whole = (name: Name, least: number, most: number): number => {
    const text = texts[name];
    const number = Number(text);
    if (/^(?:0|-?[1-9]\d{0,9})$/.test(text) && number >= least && number <= most) return number;
    return refuse(`--${name} needs a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
  };
  return {
    values: texts,
    flags: new Set(flags.filter((flag) => values[flag] === true)),
    operand,
    optional: (name) => (texts[name] === '' ? undefined : texts[name]),
    whole,
    positive: (name, most = 999_999_999) => whole(name, 1, most),
    chosen(name, least, most) {
      const chosen = texts[name].split(',');
      const isKnown = (one: string): boolean => /^\d$/.test(one) && Number(one) >= least && Number(one) <= most;
      if (chosen.every(isKnown)) return new Set(chosen);
      return refuse(`--${name} needs numbers from ${least} to ${most}, not ${JSON.stringify(texts[name])}`);
    },
    names(name, what, known) {
      const names = texts[name].split(',').filter(Boolean);
      const unknown = names.find((one) => !known.includes(one));
      if (unknown === undefined) return names;
      return refuse(`--${name}: there is no ${what} ${JSON.stringify(unknown)}: they are ${known.join(', ')}`);
    },
    bytes(name) {
      const [, count, unit] = /^(\d{1,5})(MiB|GiB)$/.exec(texts[name]) ?? [];
      if (count !== undefined) return Number(count) * (unit === 'GiB' ? 1024 ** 3 : 1024 ** 2);
      return refuse(`--${name} needs a size such as 256MiB, not ${JSON.stringify(texts[name])}`);
    },
    refuse,
  };
}

function tokensOf(
  names: readonly string[],
  flags: readonly string[],
  args: readonly string[],
  refuse: (message: string) => never,
): { values: Readonly<Record<string, unknown>>; operands: readonly string[] } {
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: 'string' } as const]),
    ...flags.map((name) => [name, { type: 'boolean' } as const]),
  ]);
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { values, operands: positionals };
  } catch (error) {
    return refuse((error as Error).message);
  }
}
