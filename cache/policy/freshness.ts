/**
 * Freshness lifetime of a response (RFC 9111, section 4.2). Milliseconds.
 * @module
 */
import { parseHttpDate } from '../../http/fields/date.ts';
import { fieldLines, firstLine, hasField, type RawHeaders } from '../../http/fields/headers.ts';
import type { EpochMs } from '../../lib/clock.ts';
import type { ResponseDirectives } from './directives.ts';
import { isHeuristicallyCacheable } from './status.ts';

export interface FreshnessInput {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly directives: ResponseDirectives;
  /** False where a targeted field decides (RFC 9213). */
  readonly expiresCounts: boolean;
  readonly dateMs: number;
  readonly responseTime: EpochMs;
}

/** Heuristic lifetime for responses without an explicit one (section 4.2.2). */
export interface Heuristic {
  readonly fraction: number;
  readonly maxMs: number;
  /** Bound for statuses from 400 on: an error ends without a change of its Last-Modified, when it is fixed. */
  readonly maxErrorMs: number;
}

/** Field or directive by which an origin names a lifetime. */
export type ExplicitSource = 's-maxage' | 'max-age' | 'expires';

/** @returns Source of the lifetime that the origin names (section 4.2.1), or `undefined` when it names none. */
export function explicitSource({ directives, expiresCounts, headers }: FreshnessInput): ExplicitSource | undefined {
  if (directives.sMaxage !== undefined) return 's-maxage'; // first match of section 4.2.1: shared cache
  if (directives.maxAge !== undefined) return 'max-age';
  return expiresCounts && hasField(headers, 'expires') ? 'expires' : undefined;
}

/** @returns The lifetime that the origin names, or `undefined` when it names none. */
export function explicitLifetime(input: FreshnessInput): number | undefined {
  const { directives } = input;
  switch (explicitSource(input)) {
    case 's-maxage':
      return (directives.sMaxage as number) * 1_000;
    case 'max-age':
      return (directives.maxAge as number) * 1_000;
    case 'expires': {
      const expires = fieldLines(input.headers, 'expires');
      // Section 5.3: an invalid date, "0" above all, is in the past; so is a field that says two things.
      const expiresAt = expires.length === 1 ? parseHttpDate(expires[0] as string, input.responseTime) : undefined;
      return expiresAt === undefined ? 0 : Math.max(0, expiresAt - input.dateMs);
    }
    case undefined:
      return undefined;
  }
}

/** @returns The lifetime guessed from Last-Modified; 0 where nothing may be guessed (section 4.2.2). */
export function heuristicLifetime(input: FreshnessInput, heuristic: Heuristic): number {
  if (!isHeuristicallyCacheable(input.status) && !input.directives.isPublic) return 0;
  const lastModified = firstLine(input.headers, 'last-modified');
  if (lastModified === undefined) return 0;
  const modifiedAt = parseHttpDate(lastModified, input.responseTime);
  if (modifiedAt === undefined || modifiedAt > input.dateMs) return 0;
  const maxMs = input.status < 400 ? heuristic.maxMs : Math.min(heuristic.maxMs, heuristic.maxErrorMs);
  return Math.min((input.dateMs - modifiedAt) * heuristic.fraction, maxMs);
}
