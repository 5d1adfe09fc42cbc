/**
 * One line of a header section (RFC 9112, section 5): a token, a colon, and a value with white space around it, which
 * is no part of it. Lines that are folded are none.
 *
 * A name is found by its characters, where it stands. To cut it out first costs as much as all else that is done with a
 * line: a string that is new has to be compared with all others of the process before a `Map` finds it.
 * @module
 */

/** A name of a field. */
export interface FieldName {
  /** The same text for each field of the name, which others then find by its identity. */
  readonly text: string;
  readonly isConnection: boolean;
  /** False for fields that frame a body, or concern the connection and not the resource. */
  readonly isRecognised: boolean;
  /** True for fields that frame a body. */
  readonly isFraming: boolean;
}

const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

const NOT_RECOGNISED: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'trailer',
  'te',
  'expect',
  'upgrade',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
]);

/** Recent names, each in the one place that its hash gives it: a new one takes it over. A power of two. */
const PLACES = 2_048;

/** Longer names are rare, and not remembered. */
const MAX_REMEMBERED_CHARS = 64;

const recent = new Array<FieldName | undefined>(PLACES).fill(undefined);

const [CR, TAB, SPACE, COLON] = [0x0d, 0x09, 0x20, 0x3a] as const;

/** By the code of a character: 1 for those of a token (RFC 9110, section 5.6.2). */
const IS_TOKEN = Uint8Array.from({ length: 256 }, (_, code) =>
  /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** The line that was read last: valid until the next one is. */
export const line = {
  name: undefined as unknown as FieldName,
  /** Value, from the first offset to the second. */
  from: 0,
  to: 0,
  /** Offset of the next line. */
  next: 0,
};

/**
 * Reads the line that begins there.
 *
 * @param text - Its characters are looked at as far as they show where the line ends; the others have to be printable.
 * @returns Whether it is one, whole: then `line` has it.
 */
export function readLine(text: string, at: number): boolean {
  let hash = 0;
  let colon = at;
  for (;;) {
    const code = text.charCodeAt(colon);
    if (IS_TOKEN[code] !== 1) {
      if (code !== COLON || colon === at) return false;
      break;
    }
    hash = (Math.imul(hash, 31) + code) | 0;
    colon++;
  }
  const end = text.indexOf('\n', colon) - 1;
  if (end <= colon || text.charCodeAt(end) !== CR) return false;
  let from = colon + 1;
  while (isOws(text.charCodeAt(from))) from++;
  let to = end;
  if (from < end) {
    if (text.indexOf('\r', from) !== end) return false;
    while (isOws(text.charCodeAt(to - 1))) to--;
  }
  line.name = nameAt(text, at, colon, hash);
  line.from = from;
  line.to = to;
  line.next = end + 2;
  return true;
}

/** Returns whether it is optional white space (RFC 9110, section 5.6.3). */
function isOws(code: number): boolean {
  return code === SPACE || code === TAB;
}

function nameAt(text: string, from: number, to: number, hash: number): FieldName {
  const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
  const known = recent[place];
  if (known !== undefined && isAt(text, from, to, known.text)) return known;
  const name = fieldName(text.slice(from, to));
  if (to - from <= MAX_REMEMBERED_CHARS) recent[place] = name;
  return name;
}

function isAt(text: string, from: number, to: number, name: string): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (text.charCodeAt(from + i) !== name.charCodeAt(i)) return false;
  return true;
}

/** @param text - A token. */
export function fieldName(text: string): FieldName {
  // Not a slice of what came with it, which would stay as long.
  const own = Buffer.from(text, 'latin1').toString('latin1');
  const lower = own.toLowerCase();
  return {
    text: own,
    isConnection: lower === 'connection',
    isRecognised: !NOT_RECOGNISED.has(lower),
    isFraming: FRAMING.has(lower),
  };
}

/** Returns whether the recogniser handles a line of the name. */
export function isFieldRecognised({ isConnection, isRecognised }: FieldName, value: string): boolean {
  return isConnection ? isConnectionOption(value.toLowerCase()) : isRecognised;
}

function isConnectionOption(value: string): boolean {
  return value === 'keep-alive' || value === 'close';
}

/** Returns whether it does, or the field frames a body, whatever it says. */
export function isFieldFraming(name: FieldName, value: string): boolean {
  return name.isFraming || isFieldRecognised(name, value);
}
