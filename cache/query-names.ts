/**
 * Names of query parameters (`application/x-www-form-urlencoded`): bytes, with escapes decoded once. An escape that is
 * broken is what is written, as servers and browsers see it.
 *
 * A name is compared where it stands, byte for byte and only as far as it may be one of the set: to cut out and decode
 * each takes more than all else that is done with a query.
 * @module
 */

const [PERCENT, AMPERSAND, PLUS, SPACE, EQUALS] = [0x25, 0x26, 0x2b, 0x20, 0x3d] as const;

/** By the code of a character: the value of a hexadecimal digit, or -1. */
const HEX = Int8Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  return /[0-9a-f]/i.test(char) ? Number.parseInt(char, 16) : -1;
});

/** @returns The value of the escape at a percent sign, or -1 where it is broken. */
function escapeAt(text: string, at: number): number {
  if (at + 2 >= text.length) return -1;
  const high = text.charCodeAt(at + 1);
  const low = text.charCodeAt(at + 2);
  if ((high | low) > 0x7f) return -1;
  // -1 where one of them is.
  return ((HEX[high] as number) << 4) | (HEX[low] as number);
}

/** Bits of a byte. */
const BYTE_BITS = 8;
const NO_STATE = -1;

/** Flags of a state: a name ends there, or what follows makes no difference. */
const IS_NAME = 1;
const IS_PREFIX = 2;

/** Names, and beginnings of names: patterns that end with `*`. */
export class QueryNames {
  /** The next state, by state and byte. */
  readonly #next: Int32Array;
  readonly #flags: Uint8Array;
  /** Offset up to which the last parameter was looked at; it does not end before. */
  seen = 0;

  constructor(patterns: readonly string[]) {
    const all = patterns.map((pattern) => {
      const isPrefix = pattern.endsWith('*');
      return { bytes: Buffer.from(isPrefix ? pattern.slice(0, -1) : pattern), flag: isPrefix ? IS_PREFIX : IS_NAME };
    });
    const most = all.reduce((sum, { bytes }) => sum + bytes.length, 1);
    const next = new Int32Array(most << BYTE_BITS).fill(NO_STATE);
    const flags = new Uint8Array(most);
    let states = 1;
    for (const { bytes, flag } of all) {
      let state = 0;
      for (const byte of bytes) {
        const place = (state << BYTE_BITS) | byte;
        if (next[place] === NO_STATE) next[place] = states++;
        state = next[place] as number;
      }
      flags[state] = (flags[state] as number) | flag;
    }
    this.#next = next.slice(0, states << BYTE_BITS);
    this.#flags = flags.slice(0, states);
  }

  /**
   * Returns whether the parameter that begins there has one of the names.
   *
   * @param query - Of bytes, as visitors send.
   */
  hasNameAt(query: string, from: number): boolean {
    const next = this.#next;
    const flags = this.#flags;
    const { length } = query;
    let state = 0;
    let at = from;
    for (; state !== NO_STATE && (flags[state] as number) < IS_PREFIX; at++) {
      let byte = at < length ? query.charCodeAt(at) : AMPERSAND;
      if (byte === AMPERSAND || byte === EQUALS) {
        this.seen = at;
        return flags[state] === IS_NAME;
      }
      if (byte === PLUS) byte = SPACE;
      else if (byte === PERCENT) {
        const escaped = escapeAt(query, at);
        if (escaped >= 0) {
          byte = escaped;
          at += 2;
        }
      }
      state = byte > 0xff ? NO_STATE : (next[(state << BYTE_BITS) | byte] as number);
    }
    this.seen = at;
    return state !== NO_STATE;
  }
}

/** @returns The name of a parameter, a byte each character. */
export function parameterName(parameter: string): string {
  const equals = parameter.indexOf('=');
  const name = (equals < 0 ? parameter : parameter.slice(0, equals)).replaceAll('+', ' ');
  return name.includes('%') ? unescaped(name) : name;
}

function unescaped(name: string): string {
  const bytes = Buffer.allocUnsafe(name.length);
  let length = 0;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    const escaped = code === PERCENT ? escapeAt(name, at) : -1;
    bytes[length++] = escaped < 0 ? code : escaped;
    if (escaped >= 0) at += 2;
  }
  return bytes.toString('latin1', 0, length);
}
