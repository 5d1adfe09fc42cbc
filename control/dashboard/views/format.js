/**
 * Numbers as people read them.
 * @module
 */

/** @param {number} value @returns {string} Three digits that count, with k or M. */
export function count(value) {
  if (value >= 999_500) return `${digits(value / 1_000_000)} M`;
  if (value >= 999.5) return `${digits(value / 1_000)} k`;
  return digits(value);
}

/** @param {number} value */
function digits(value) {
  if (value === 0) return '0';
  if (value < 9.95) return value.toFixed(value < 0.095 ? 2 : 1);
  return value.toFixed(0);
}

/** @param {number} value Bytes a second. */
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let at = 0;
  while (size >= 999.5 && at < units.length - 1) {
    size /= 1_000;
    at++;
  }
  return `${digits(size)} ${units[at]}`;
}

/** @param {number | null} share @returns {string} */
export function percent(share) {
  if (share === null) return '–';
  const value = share * 100;
  if (value > 99.9 && value < 100) return '>99.9 %';
  if (value > 0 && value < 0.05) return '<0.1 %';
  return `${value.toFixed(value === 0 || value === 100 ? 0 : 1)} %`;
}

/** @param {number | null} seconds Upper bound of a bucket. */
export function duration(seconds) {
  if (seconds === null) return '–';
  if (seconds >= 60) return '> 30 s';
  return seconds < 1 ? `≤ ${Number((seconds * 1_000).toPrecision(3))} ms` : `≤ ${seconds} s`;
}

/** @param {string | null} iso @returns {string} Date and time to the second, in UTC. */
export function time(iso) {
  return iso === null ? '–' : iso.replace('T', ' ').replace(/(?:\.\d+)?Z$/, '');
}

/** @param {number | null} ms */
export function milliseconds(ms) {
  if (ms === null) return '–';
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
