/**
 * Mistakes that tell what was meant: values as people write them elsewhere, and
 * how they are written here.
 * @module
 */
import { parseDuration, parseSize } from './units.ts';

/** Units of time as people, nginx, Caddy, systemd and ISO 8601 write them, in lower case. */
const TIME_UNITS: Readonly<Record<string, string>> = {
  ...unit('ms', 'msec', 'msecs', 'millis', 'millisecond', 'milliseconds'),
  ...unit('s', 'sec', 'secs', 'second', 'seconds'),
  ...unit('m', 'min', 'mins', 'minute', 'minutes'),
  ...unit('h', 'hr', 'hrs', 'hour', 'hours'),
  ...unit('d', 'day', 'days'),
};

/** Units for which there is none here: so many days. */
const IN_DAYS: Readonly<Record<string, number>> = {
  ...{ w: 7, wk: 7, week: 7, weeks: 7 },
  ...{ mo: 30, month: 30, months: 30 },
  ...{ y: 365, yr: 365, year: 365, years: 365 },
};

const SIZE_UNITS: Readonly<Record<string, string>> = {
  ...unit('B', 'byte', 'bytes'),
  ...unit('KiB', 'k', 'kb', 'ki', 'kbyte', 'kilobytes', 'kib'),
  ...unit('MiB', 'm', 'mb', 'mi', 'mbyte', 'megabytes', 'mib'),
  ...unit('GiB', 'g', 'gb', 'gi', 'gbyte', 'gigabytes', 'gib'),
};

const QUANTITY = /^(\d+(?:[.,]\d+)?)[ _]*([a-z]+)\.?$/;
const ISO_TIME = /^pt?(\d+(?:\.\d+)?)([smhdwy])$/;
const BARE = /^\d+$/;

/** Words that other programs use for `never`, `ignore` and the like. */
const NEGATIONS = [
  'no',
  'false',
  'off',
  'none',
  'disable',
  'disabled',
  'bypass',
  'pass',
  'skip',
  'no-store',
  'no-cache',
  'private',
];
const AFFIRMATIONS = ['yes', 'true', 'on', 'enable', 'enabled', 'always', 'cache', 'public', 'all'];

/** Values of enumerations → words that mean them. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  never: NEGATIONS,
  allow: AFFIRMATIONS,
  ignore: ['no', 'false', 'off', 'skip', 'override', 'strip'],
  honour: ['honor', 'yes', 'true', 'on', 'respect', 'follow', 'obey'],
  refuse: ['no', 'false', 'off', 'never', 'deny', 'reject'],
  store: ['yes', 'true', 'on', 'allow', 'keep', 'cache'],
  none: ['no', 'false', 'off', 'never', 'nothing', 'ignore'],
  all: ['yes', 'true', 'on', 'any', 'everything'],
  accept: ['yes', 'true', 'on', 'allow'],
};

/** @returns The duration that was meant: `1h` for `1 hour`. */
export function meantDuration(text: string): string | undefined {
  const plain = text.trim().toLowerCase();
  if (BARE.test(plain)) return valid(`${plain}s`, parseDuration);
  const [, number = '', name = ''] = QUANTITY.exec(plain) ?? ISO_TIME.exec(plain) ?? [];
  const days = IN_DAYS[name];
  const amount = number.replace(',', '.');
  if (days !== undefined) return valid(`${Number((Number(amount) * days).toFixed(3))}d`, parseDuration);
  return valid(`${amount}${TIME_UNITS[name]}`, parseDuration);
}

/** @returns The size that was meant: `64MiB` for `64 MB`. */
export function meantSize(text: string): string | undefined {
  const [, number = '', name = ''] = QUANTITY.exec(text.trim().toLowerCase()) ?? [];
  return valid(`${number.replace(',', '.')}${SIZE_UNITS[name]}`, parseSize);
}

/**
 * @param title - Of the schema: what is expected.
 * @returns The address, URL, host name or path pattern that was meant, or something like it: the caller checks it.
 */
export function meantAddress(text: string, title: string): string | undefined {
  const [, scheme = 'http://', host = ''] = /^([a-z]+:\/\/)?([^/?#\s]+)/i.exec(text.trim()) ?? [];
  if (title === 'HOST:PORT') {
    if (BARE.test(text)) return `127.0.0.1:${text}`;
    return /^(?:\*|0|):\d+$/.test(text) ? text.replace(/^[*0]?/, '0.0.0.0') : host;
  }
  if (title.startsWith('http://')) return `${scheme.toLowerCase()}${host}`;
  if (title.startsWith('a lower-case host name')) return host.toLowerCase().replace(/:\d+$/, '');
  return title.startsWith('a path pattern') && /^[\w.*-]/.test(text) && !text.includes('://') ? `/${text}` : undefined;
}

/** @returns Which of these was meant: `never` for `no`. */
export function meantValue(found: string | boolean | number, values: readonly string[]): string | undefined {
  const word = String(found).trim().toLowerCase();
  return values.find((value) => value === word) ?? values.find((value) => SYNONYMS[value]?.includes(word));
}

function valid(text: string, parse: (text: string) => number | undefined): string | undefined {
  return parse(text) === undefined ? undefined : text;
}

function unit(here: string, ...elsewhere: readonly string[]): Record<string, string> {
  return Object.fromEntries([here.toLowerCase(), ...elsewhere].map((name) => [name, here]));
}
