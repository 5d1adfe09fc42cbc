/**
 * The two scalar types that people write with a unit: durations and sizes.
 *
 * Durations are milliseconds inside, sizes are bytes.
 * @module
 */
import { z } from 'zod';

const MS_PER_UNIT: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES_PER_UNIT: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Up to 99999d and 9999999h: any such time from now on is one that `Date` can say. */
const DURATION = /^(\d{1,5}(?:\.\d{1,3})?(?=d)|\d{1,7}(?:\.\d{1,3})?(?=h)|\d{1,9}(?:\.\d{1,3})?(?=m|s))(ms|s|m|h|d)$/;
const SIZE = /^(\d{1,12}(?:\.\d{1,3})?)(B|KiB|MiB|GiB)$/;

/** @returns Milliseconds, or `undefined` when `text` is not a duration such as `250ms`, `30s`, `5m`, `2h` or `7d`. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  return Math.round(Number(match[1]) * (MS_PER_UNIT[match[2] as string] as number));
}

/** @returns Bytes, or `undefined` when `text` is not a size such as `512B`, `64KiB`, `256MiB` or `1GiB`. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (!match) return undefined;
  return Math.round(Number(match[1]) * (BYTES_PER_UNIT[match[2] as string] as number));
}

/** A duration as written (`30s`); milliseconds after parsing. */
export const duration = z
  .string()
  .regex(DURATION, 'expected a duration such as 30s, 5m, 2h, 7d or 250ms')
  .meta({ title: 'a duration', examples: ['30s', '5m', '2h', '7d', '250ms'] })
  .transform((text) => parseDuration(text) as number);

/** A size as written (`256MiB`); bytes after parsing. */
export const size = sizeLike('256MiB', '1GiB', '64KiB', '512B');

/** A size with other examples. */
export function sizeLike(...examples: readonly string[]) {
  return z
    .string()
    .regex(SIZE, 'expected a size such as 256MiB, 1GiB, 64KiB or 512B')
    .meta({ title: 'a size', examples: [...examples] })
    .transform((text) => parseSize(text) as number);
}

/** More than a day is no timeout; and a timer of more than 24.8 days would fire at once (a signed 32-bit count). */
const MAX_TIMEOUT_MS = 86_400_000;

/** A timeout: never zero, which would mean never. */
export const timeout = duration
  .pipe(z.number().min(1).max(MAX_TIMEOUT_MS))
  .meta({ title: 'a duration above 0s, up to 1d' });

/** A size that cannot be nothing. */
export const positiveSize = size.pipe(z.number().min(1)).meta({ title: 'a size above 0B' });
