/** Pages of the soak's site: the bytes of each follow from its path, so a visitor can tell wrong ones. @module */

export const HOST = 'soak.test';

/** Paths with a page; beyond them is 404. */
export const PAGES = 4_000;

/** Sizes of pages, chosen by their number: many small ones, a few large. */
const SIZES = [700, 1_000, 2_000, 4_000, 8_000, 16_000, 40_000, 100_000, 200_000, 400_000] as const;

const LONGEST = Math.max(...SIZES);

/** Two periods of a pattern that has no short period. */
const PATTERN = Buffer.from(Uint8Array.from({ length: 2 * LONGEST }, (_, i) => (i * 31 + (i >>> 7) * 17) & 0xff));

export function pathOf(page: number): string {
  return `/page/${page}`;
}

export function sizeOf(page: number): number {
  return SIZES[page % SIZES.length] as number;
}

/** Bytes of a page; not to be written to. */
export function bodyOf(page: number): Buffer {
  const start = (page * 7_919) % LONGEST;
  return PATTERN.subarray(start, start + sizeOf(page));
}

export function etagOf(page: number): string {
  return `"page-${page}"`;
}
