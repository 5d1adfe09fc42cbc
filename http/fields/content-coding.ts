/**
 * Content codings, and which of them a request accepts (RFC 9110, sections 8.4.1 and 12.5.3).
 * @module
 */
import { listMembers, trimOws } from './headers.ts';

/** Codings that Seawall makes and reads, the one with the smallest results first. */
export const CODINGS = ['br', 'zstd', 'gzip'] as const;

export type Coding = (typeof CODINGS)[number];

/** Codings that a request accepts. */
export interface AcceptedCodings {
  /** Acceptable codings of those that are offered, the preferred one first. */
  readonly order: readonly Coding[];
  /** True if a response without a coding is acceptable. */
  readonly identity: boolean;
}

/** Maximum length of a field that is read. Browsers send some 30 characters. */
const MAX_CHARS = 1_024;

/** RFC 9110, section 12.4.2. */
const QVALUE = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** A coding that is less welcome than no coding is not used. */
const IDENTITY = 'identity';

/**
 * Returns which codings a request accepts.
 *
 * Without the field any coding is acceptable (section 12.5.3), but clients that do not send it read none.
 *
 * @param value - Of Accept-Encoding.
 * @param offered - Codings in the server's own order, which counts between those of one weight.
 */
export function acceptedCodings(value: string | undefined, offered: readonly Coding[] = CODINGS): AcceptedCodings {
  if (value === undefined || value.length > MAX_CHARS) return interned([], true);
  const weights = weightsIn(value);
  const others = weights.get('*');
  const identity = weights.get(IDENTITY) ?? (others === 0 ? 0 : undefined);
  const weighted = offered
    .map((coding) => ({ coding, q: weights.get(coding) ?? others ?? 0 }))
    .filter(({ q }) => q > 0 && q >= (identity ?? 0))
    .sort((a, b) => b.q - a.q); // stable
  return interned(
    weighted.map(({ coding }) => coding),
    identity !== 0,
  );
}

/** One object for each outcome, of which there are few. */
const OUTCOMES = new Map<string, AcceptedCodings>();

function interned(order: readonly Coding[], identity: boolean): AcceptedCodings {
  const name = `${order} ${identity}`;
  const known = OUTCOMES.get(name);
  if (known !== undefined) return known;
  const outcome = { order, identity };
  OUTCOMES.set(name, outcome);
  return outcome;
}

/** Weights by coding, in small letters. A member with anything but a weight behind its name is left out. */
function weightsIn(value: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const member of listMembers(value)) {
    const [name = '', ...parameters] = member.split(';').map((part) => trimOws(part).toLowerCase());
    const [q = 'q=1', ...more] = parameters;
    const weight = QVALUE.exec(q)?.[1];
    if (weight === undefined || more.length > 0) continue;
    const coding = name === 'x-gzip' ? 'gzip' : name; // section 8.4.1.3
    weights.set(coding, Math.max(Number(weight), weights.get(coding) ?? 0));
  }
  return weights;
}
