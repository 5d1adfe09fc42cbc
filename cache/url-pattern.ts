/**
 * Patterns of URLs: `*` stands for any characters, also `/`, and for none. Everything else stands for itself, and the
 * whole URL has to fit.
 *
 * Pieces between stars are looked for from left to right, each at its first place: where a pattern fits at all, it fits
 * so. No place is tried twice, so that no pattern makes a long URL dear.
 * @module
 */

/** Returns whether the URL fits. */
export function isMatch(pattern: string, url: string): boolean {
  const first = pattern.indexOf('*');
  if (first === -1) return pattern === url;
  const last = pattern.lastIndexOf('*');
  const tailLength = pattern.length - last - 1;
  if (url.length < first + tailLength) return false;
  if (!url.startsWith(pattern.slice(0, first)) || !url.endsWith(pattern.slice(last + 1))) return false;
  const end = url.length - tailLength;
  let at = first;
  for (let star = first; star < last; ) {
    const next = pattern.indexOf('*', star + 1);
    const piece = pattern.slice(star + 1, next);
    const found = url.indexOf(piece, at);
    if (found === -1 || found + piece.length > end) return false;
    at = found + piece.length;
    star = next;
  }
  return true;
}
