/**
 * Wildcard patterns: `*` stands for any characters, none included; everything
 * else for itself.
 * @module
 */

/**
 * Returns whether `pattern` matches all of `text`.
 *
 * Each part between two stars is searched once, from where the one before it
 * ended: the leftmost place leaves the most for the parts that follow, so
 * there is nothing to go back to. Linear in practice, and at worst the search
 * of one fixed string (`String.indexOf`) for every part.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  return matchesParts(pattern.split('*'), text);
}

/** A test for one pattern, with the work that depends on the pattern alone done beforehand. */
export function compilePattern(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*');
  const [prefix = '', suffix] = parts;
  if (suffix === undefined) return (text) => text === prefix;
  // `/assets/*` and `/*` are what people write most.
  if (parts.length === 2 && suffix === '') return (text) => text.startsWith(prefix);
  return (text) => matchesParts(parts, text);
}

/** @param parts - What stands between the stars: one part more than there are stars. */
function matchesParts(parts: readonly string[], text: string): boolean {
  const [prefix = ''] = parts;
  if (parts.length === 1) return text === prefix;
  const suffix = parts.at(-1) ?? '';
  const end = text.length - suffix.length;
  if (end < prefix.length || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;

  let position = prefix.length;
  for (let index = 1; index < parts.length - 1; index += 1) {
    const part = parts[index] as string;
    const found = text.indexOf(part, position);
    if (found < 0 || found + part.length > end) return false;
    position = found + part.length;
  }
  return true;
}

/**
 * Returns whether `general` matches every text that `specific` matches.
 *
 * It is enough to ask it about one text: `specific` itself, its stars read as
 * characters. No literal of a pattern is a star, so only stars of `general`
 * can take them, and a star that takes one character there takes any others in
 * its place. The same text shows that a pattern covered by several is covered
 * by one of them.
 */
export function coversPattern(general: string, specific: string): boolean {
  return matchesPattern(general, specific);
}

/**
 * Returns whether some text matches both patterns.
 *
 * When both have a star, only what is before the first and after the last star
 * can disagree: the rest of each finds room in the other's star.
 */
export function overlapsPattern(a: string, b: string): boolean {
  if (!a.includes('*')) return matchesPattern(b, a);
  if (!b.includes('*')) return matchesPattern(a, b);
  const [prefixA, prefixB] = [a.slice(0, a.indexOf('*')), b.slice(0, b.indexOf('*'))];
  const [suffixA, suffixB] = [a.slice(a.lastIndexOf('*') + 1), b.slice(b.lastIndexOf('*') + 1)];
  return (
    (prefixA.startsWith(prefixB) || prefixB.startsWith(prefixA)) &&
    (suffixA.endsWith(suffixB) || suffixB.endsWith(suffixA))
  );
}
