/**
 * Arguments of the commands in test/ and load-tests/: options with a value each, and `--help`. Anything else ends the
 * command with 2.
 * @module
 */
import { parseArgs } from 'node:util';

/** Parsed arguments of a command. */
export interface Arguments<Name extends string> {
  readonly values: Readonly<Record<Name, string>>;
  /** A whole number from 1 to `most`, by default 999,999,999. */
  positive(name: Name, most?: number): number;
  /** Numbers from `least` to `most`, such as 3,5. */
  chosen(name: Name, least: number, most: number): ReadonlySet<string>;
  /** A size such as 256MiB, in bytes. */
  bytes(name: Name): number;
  /** Ends the command: what it was told cannot be done. */
  refuse(message: string): never;
}

/** @param defaults - Of each option there is. */
export function readArguments<Name extends string>(
  command: string,
  help: string,
  defaults: Readonly<Record<Name, string>>,
  args: readonly string[] = process.argv.slice(2),
): Arguments<Name> {
  const refuse = (message: string): never => {
    console.error(`${command}: ${message}`);
    process.exit(2);
  };
  const values = valuesOf(Object.keys(defaults), args, refuse);
  if (values['help'] === true) {
    process.stdout.write(help);
    process.exit(0);
  }
  const texts = { ...defaults, ...values } as Readonly<Record<Name, string>>;
  return {
    values: texts,
    positive(name, most = 999_999_999) {
      const text = texts[name];
      if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= most) return Number(text);
      return refuse(`--${name} needs a whole number from 1 to ${most}, not ${JSON.stringify(text)}`);
    },
    chosen(name, least, most) {
      const chosen = texts[name].split(',');
      const isKnown = (one: string): boolean => /^\d$/.test(one) && Number(one) >= least && Number(one) <= most;
      if (chosen.every(isKnown)) return new Set(chosen);
      return refuse(`--${name} needs numbers from ${least} to ${most}, not ${JSON.stringify(texts[name])}`);
    },
    bytes(name) {
      const [, count, unit] = /^(\d{1,5})(MiB|GiB)$/.exec(texts[name]) ?? [];
      if (count !== undefined) return Number(count) * (unit === 'GiB' ? 1024 ** 3 : 1024 ** 2);
      return refuse(`--${name} needs a size such as 256MiB, not ${JSON.stringify(texts[name])}`);
    },
    refuse,
  };
}

function valuesOf(
  names: readonly string[],
  args: readonly string[],
  refuse: (message: string) => never,
): Readonly<Record<string, string | boolean | undefined>> {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' } as const]));
  try {
    return parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean' } } }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}
